"""What a user may hand in, checked as a whole before anything is stored."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from patchrun.adapters.store import Arena
from patchrun.core.errors import UnreadableDiff, UsageError
from patchrun.core.leaving_out import MOST_BYTES
from patchrun.core.selection import Span
from patchrun.services import checkout, intake
from tests.conftest import change

DIFF = change("STEPS = 100", "STEPS = 60", 2)
ONE = Span(1, 1)


def test_a_file(plain: Arena, tmp_path: Path) -> None:
    (tmp_path / "a.diff").write_bytes(DIFF)
    assert intake.read(plain, str(tmp_path / "a.diff"), ONE, "ada") == [intake.HandIn(DIFF, ONE, "ada")]


def test_standard_input(plain: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(DIFF)))
    assert intake.read(plain, "-", ONE, "ada")[0].diff == DIFF


def test_an_edited_checkout(plain: Arena, tmp_path: Path) -> None:
    checkout.checkout(plain, ONE, tmp_path / "copy")
    with pytest.raises(UnreadableDiff, match="does not differ from baseline 1"):
        intake.read(plain, str(tmp_path / "copy"), ONE, "ada")
    script = tmp_path / "copy" / "train.py"
    script.write_text(script.read_text().replace("100", "60"))
    assert b"+STEPS = 60" in intake.read(plain, str(tmp_path / "copy"), ONE, "ada")[0].diff


def test_predictions(plain: Arena, tmp_path: Path) -> None:
    lines = [
        {"record": 1, "agent": "ada", "patch": DIFF.decode()},
        {"record": "1..2", "agent": "bob", "patch": "x"},
    ]
    path = tmp_path / "p.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    found = intake.read(plain, str(path), None, "unused")
    assert found == [
        intake.HandIn(DIFF, ONE, "ada", line=1),
        intake.HandIn(b"x", Span(1, 2), "bob", line=2),
    ]
    with pytest.raises(UsageError, match="names its records itself"):
        intake.read(plain, str(path), ONE, "me")


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"record": 1}', '{"record": "x", "agent": "a", "patch": ""}',
             '{"record": 1, "agent": "a", "patch": "", "more": 1}', '{"record": 1, "agent": 5, "patch": ""}']
)  # fmt: skip
def test_a_wrong_line_is_named_and_nothing_is_taken(plain: Arena, tmp_path: Path, line: str) -> None:
    good = json.dumps({"record": 1, "agent": "ada", "patch": DIFF.decode()})
    (tmp_path / "p.jsonl").write_text(f"{good}\n\n{line}\n")
    with pytest.raises(UsageError, match=r"p.jsonl:3: not a prediction: .*\n.*nothing was stored"):
        intake.read(plain, str(tmp_path / "p.jsonl"), None, "me")


def test_what_is_missing_is_named(plain: Arena, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(UsageError, match="has no predictions"):
        intake.read(plain, str(tmp_path / "empty.jsonl"), None, "me")
    with pytest.raises(UsageError, match="cannot read .*none.jsonl"):
        intake.read(plain, str(tmp_path / "none.jsonl"), None, "me")
    with pytest.raises(UsageError, match="cannot read .*none.diff: No such file"):
        intake.read(plain, str(tmp_path / "none.diff"), ONE, "me")
    with pytest.raises(UsageError, match="which record"):
        intake.read(plain, "x.diff", None, "me")


def test_a_huge_file_is_not_read_whole(plain: Arena, tmp_path: Path) -> None:
    path = tmp_path / "huge.diff"
    with path.open("wb") as file:
        file.write(DIFF)
        file.truncate(100 * 1024 * 1024)
    assert len(intake.read_diff(plain, str(path), ONE)) == MOST_BYTES + 1
