# ruff: noqa: E501 - words for mutations stand in rows
"""Whatever comes in, the answer is a value or an error of ours, and it comes in bounded time.

PATCHRUN_FUZZ_EXAMPLES=5000 python -m pytest tests/fuzz   # longer, and other examples each time
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchrun.core.arrival import read_stamp
from patchrun.core.errors import ArenaError, ManifestError, UnreadableDiff
from patchrun.core.filepair import FilePair
from patchrun.core.findings import Finding
from patchrun.core.guards import check_guards
from patchrun.core.hunks import count_lines, place_hunks
from patchrun.core.patch import check_named, check_text, read_patch
from patchrun.core.pyfile import PyFile, parse
from patchrun.core.pyrules import check_track_rules
from patchrun.core.results import Attempt, Ruling, Run, Study, decode, encode
from patchrun.core.runlog import RunLog
from patchrun.core.steplines import parse_step_line
from patchrun.core.suspicion import check_integrity
from patchrun.core.track import load_ladder, load_track
from patchrun.core.trainlog import LogError, TrainLog, parse_log
from patchrun.services.importer import find_track
from patchrun.services.validator import Validation
from tests.attacks.ground import Ground, nanogpt, pocket, raw, replace
from tests.builders import make_attempt, make_run, make_study
from tests.core.test_trainlog import STEPS, plain
from tests.fuzz.mutations import budget, mutated

DIFF = b"".join(
    replace(pair)(pocket().text)
    for pair in (("LAYERS = 2\n", "LAYERS = 1\n"), ("HEAD_RATE = 0.02\n", "HEAD_RATE = 0.03\n"))
)
DIFF_WORDS = (
    b"@@ -1,3 +1,3 @@\n", b"@@ -0,0 +1 @@\n", b"@@ -999999999,999999999 +1 @@\n", b"@@@ -1 -1 +1 @@@\n", b"--- a/x\n+++ b/x\n",
    b"diff --git a/train_gpt.py b/../x\n", b'diff --git "a/\\303" "b/\\303"\n', b"rename from train_gpt.py\nrename to x\n",
    b"new file mode 120000\n", b"GIT binary patch\nliteral 4\n", b"\\ No newline at end of file\n", b"+\n", b"-\n", b" \n",
    b"From " + b"1" * 40 + b" Mon Sep 17 00:00:00 2001\n", b"copy from a\ncopy to b\n", b"old mode 100644\n",
)  # fmt: skip
PYTHON_WORDS = (
    b"import os\n", b"from torch import *\n", b"getattr(os, x)\n", b"def load_shard(): pass\n", b"global np\n", b"lambda: 0",
    b"\n    ", b"match x:\n    case {**rest}: pass\n", b"f'{x!r:{y}}'", b"# coding: latin-1\n", b"(" * 300, b"-" * 3000, b"\f",
    b"async def f():\n    await x\n", b"del time.time\n", b"x: int = (y := 1)\n", b"0x" + b"f" * 6000, b"*a, b = c\n", b"\\\n",
    b"try: pass\nexcept* E as np: pass\n", b'"""', b"class A(B, metaclass=os.system): pass\n", b"return\n", b"yield\n",
)  # fmt: skip


@budget()
@given(st.one_of(mutated(DIFF, DIFF_WORDS), st.binary(max_size=300)))
def test_reading_a_diff(data: bytes) -> None:
    try:
        patch = read_patch(data, 256)
    except UnreadableDiff:
        return
    assert all(
        isinstance(one, Finding) for one in [*check_text(patch), *check_named(patch, ["train_gpt.py"])]
    )
    assert count_lines(patch.sections).files >= 0
    for section in patch.sections:
        assert all(placed.hunk >= 1 for placed in place_hunks(section, pocket().text.split("\n")))


@budget(0.25)
@given(mutated(DIFF, DIFF_WORDS))
def test_validating_a_diff(data: bytes) -> None:
    try:
        found = pocket().check(raw(data))
    except UnreadableDiff:
        return
    assert isinstance(found, Validation)
    assert found.accepted <= (found.tree is not None)
    msgspec.json.encode(found.findings)


@budget(0.5)
@given(mutated(pocket().text.encode(), PYTHON_WORDS))
def test_checking_python(data: bytes) -> None:
    ground = pocket()
    before = parse("train_gpt.py", ground.text.encode())
    assert isinstance(before, PyFile)
    after = parse("train_gpt.py", data, before)
    if isinstance(after, Finding):
        return
    fresh = parse("train_gpt.py", data)
    assert isinstance(fresh, PyFile) and fresh.digest == after.digest
    pair = FilePair("train_gpt.py", before, after)
    check_track_rules(pair, ground.track.edit)
    check_integrity(pair)


@budget(0.5)
@given(mutated(nanogpt().text.encode(), PYTHON_WORDS))
def test_checking_guards(data: bytes) -> None:
    ground: Ground = nanogpt()
    after = data.decode("utf-8", "replace")
    found = check_guards(ground.track.edit.guards, {"a.py": ground.text}, {"a.py": after})
    assert after != ground.text or not found


LOG_WORDS = (
    b"=" * 100 + b"\n",
    b"step:1/2 ",
    b"val_loss:nan ",
    b"s:1 tel:2.0\n",
    b"train_time:99999999999999999999ms",
    b"step:2/2 \n",
)


@budget()
@given(
    st.one_of(
        mutated(plain(), LOG_WORDS),
        mutated(b"s:0 tel:10.1\ns:1 trl:9.0\ns:1 tel:8.0\n", LOG_WORDS),
        st.binary(max_size=200),
    )
)
def test_parsing_a_log(data: bytes) -> None:
    try:
        log = parse_log(data)
    except LogError as error:
        assert error.line >= 0
        return
    assert isinstance(log, TrainLog)
    assert log.loss is None or log.loss > 0


@budget()
@given(mutated(STEPS.encode(), LOG_WORDS), st.integers(1, 50))
def test_reading_output_as_it_comes(data: bytes, size: int) -> None:
    whole, pieces = RunLog(4096), RunLog(4096)
    whole.feed(data, 1.0)
    for start in range(0, len(data), size):
        pieces.feed(data[start : start + size], 1.0)
    for log in (whole, pieces):
        log.close(1.0)
    assert (whole.text(), whole.curve(), whole.last_words()) == (
        pieces.text(),
        pieces.curve(),
        pieces.last_words(),
    )
    for line in data.decode("utf-8", "replace").splitlines():
        parse_step_line(line)
        read_stamp(line, 1.0)


TRACK, LADDER = ((find_track("nanogpt") / name).read_bytes() for name in ("track.toml", "records.toml"))
TOML_WORDS = (b"[data]\n", b"[[edit.guards]]\n", b"kind = 3\n", b"x = 1\n", b"version = 2\n", b"seeds = []\n", b"= ", b"[a.b.c]\n",
              b"loss = nan\n", b"loss = -inf\n", b"a = 1979-05-27\n", b"env = {A = 1}\n", b"[launch.earlier]\n'' = -1\n")  # fmt: skip


@budget()
@given(mutated(TRACK, TOML_WORDS))
def test_reading_a_track(data: bytes) -> None:
    try:
        track = load_track(data.decode("utf-8", "replace"))
    except ManifestError as error:
        assert "track.toml" in error.message
        return
    assert len(track.digest) == 64
    assert track.at_record(1).name == track.name


@budget(0.5)
@given(mutated(LADDER[:6000], TOML_WORDS))
def test_reading_a_ladder(data: bytes) -> None:
    try:
        load_ladder(data.decode("utf-8", "replace"))
    except ManifestError as error:
        assert "records.toml" in error.message


RESULTS: tuple[Any, ...] = (
    make_run("baseline", 0, 1.5, 3.2),
    make_attempt(),
    make_study(),
    Ruling(submission="s", ruling="withdrawn", reason="r", by="b", created="2026"),
)
KINDS = (Run, Attempt, Study, Ruling)
JSON_WORDS = (
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"1e400",
    b"-0",
    b'"\\ud800"',
    b'"version": 2,',
    b"123456789012345678901234567890",
    b",",
)


@budget()
@given(
    st.sampled_from(RESULTS).flatmap(lambda value: mutated(encode(value), JSON_WORDS)), st.sampled_from(KINDS)
)
def test_reading_a_result(data: bytes, kind: type[Any]) -> None:
    try:
        value = decode(data, kind)
    except ArenaError as error:
        assert kind.__name__.lower() in error.message or "version" in error.message
        return
    assert isinstance(value, kind)


@budget()
@given(st.sampled_from(RESULTS), st.data())
def test_a_result_with_one_value_replaced(value: Any, data: st.DataObject) -> None:
    fields = json.loads(encode(value))
    key = data.draw(st.sampled_from(sorted(fields)))
    fields[key] = data.draw(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(max_size=5),
            st.lists(st.none(), max_size=2),
        )
    )
    try:
        read = decode(json.dumps(fields).encode(), type(value))
    except ArenaError:
        return
    assert decode(encode(read), type(value)) == read or "nan" in repr(read)


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"a":' * 100_000, b'"' + b"x" * 1_000_000])
def test_nesting_without_end(text: bytes) -> None:
    for kind in KINDS:
        with pytest.raises(ArenaError):
            decode(text, kind)
    with pytest.raises(ManifestError):
        load_track("a = " + text.decode().replace(":", "="))
