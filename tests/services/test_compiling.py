"""The compile cache of a tree: nothing that a run writes there is seen by another, and no real token is."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from boxes import needs_bwrap

from patchrun.adapters import leavings
from patchrun.adapters.shards import make_up_shard
from patchrun.core.results import Run
from patchrun.services import compiling
from patchrun.services.compiling import FILES, prepare_cache
from patchrun.services.logslot import LogRequest, train_log_slot
from tests.services.test_logslot import PLAIN
from tests.whole import log_request, write_shards

pytestmark = needs_bwrap
# Says what it finds in its cache, and leaves there what it has read: the way in which weights were carried on.
CARRY = """
import glob
cache = os.environ["TORCHINDUCTOR_CACHE_DIR"]
os.makedirs(cache, exist_ok=True)
found = sorted(os.listdir(cache))
print("found", found, flush=True)
tokens = open(sorted(glob.glob(os.environ["DATA_PATH"] + "/data/fineweb10B/*.bin"))[0], "rb").read()
open(f"{cache}/left{len(found)}", "wb").write(tokens)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATCHRUN_CACHE", str(tmp_path / "cache"))


def make_request(folder: Path, more: str = CARRY, tree: str = "t" * 40, **changes: object) -> LogRequest:
    text = PLAIN.replace("= 20, 30, True", "= 1, 3, True").replace("# WITH", more)
    made = log_request(folder, sys.executable, text, **changes)
    made.slot.scratch.mkdir()
    arm = msgspec.structs.replace(made.slot.arm, tree=tree)
    return dataclasses.replace(made, slot=dataclasses.replace(made.slot, arm=arm))


def run(request: LogRequest, home: Path, references: tuple[Run, ...] = ()) -> tuple[Run, bytes, str]:
    """One run of a study: its cache prepared, then the training; the run, its output, the note."""
    made = prepare_cache(home, request, "b" * 40, references)
    done, log = train_log_slot(dataclasses.replace(request, compiled=made.folder))
    link = request.slot.code_dir / "data"
    link.unlink()
    leavings.remove(request.slot.scratch)
    request.slot.scratch.mkdir()
    return done, log, made.note


def test_what_a_run_leaves_in_its_cache_is_seen_by_no_other(tmp_path: Path) -> None:
    request, home = make_request(tmp_path), tmp_path / "compiled"
    real = (tmp_path / "shards/data/fineweb10B/fineweb_train_000001.bin").read_bytes()
    for _ in range(2):
        done, log, note = run(request, home)
        assert (done.exit, note) == ("ok", ""), done.reason
        assert b"found ['left0']" in log, "from the compile run, and nothing of the run before"
    kept = home / ("t" * 40) / FILES / "inductor" / "left0"
    assert kept.read_bytes() != real, "the compile run read made-up tokens"
    assert len(kept.read_bytes()) == len(real)
    assert sorted(path.name for path in home.iterdir()) == ["t" * 40]


def test_it_starts_from_the_cache_of_the_baseline(tmp_path: Path) -> None:
    home = tmp_path / "compiled"
    run(make_request(tmp_path / "a", tree="b" * 40), home)
    _, log, _ = run(make_request(tmp_path / "b"), home)
    assert b"found ['left0', 'left1']" in log


HARM = {
    "a file changed": lambda place: (place / FILES / "inductor" / "left0").write_bytes(b"y"),
    "a file added": lambda place: (place / FILES / "more").write_bytes(b""),
    "a file renamed": lambda place: (place / FILES / "inductor" / "left0").rename(place / FILES / "other"),
    "a link": lambda place: (place / FILES / "link").symlink_to("/etc/passwd"),
    "a pipe": lambda place: os.mkfifo(place / FILES / "pipe"),
    "no digest": lambda place: (place / "digest").unlink(),
    "a link for a digest": lambda place: [
        (place / "digest").rename(place / "d"),
        (place / "digest").symlink_to("d"),
    ],
    "the form of older versions": lambda place: [
        leavings.remove(place),
        (place / "inductor").mkdir(parents=True),
    ],
    "nothing": lambda place: leavings.remove(place),
}


def keep(place: Path) -> None:
    (place / FILES / "inductor").mkdir(parents=True)
    (place / FILES / "inductor" / "left0").write_bytes(b"x")
    (place / "digest").write_text(compiling.digest_of(place / FILES))


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_a_damaged_cache_is_seen(tmp_path: Path, harm: Callable[[Path], object]) -> None:
    keep(tmp_path / "kept")
    assert compiling.is_sound(tmp_path / "kept")
    harm(tmp_path / "kept")
    assert not compiling.is_sound(tmp_path / "kept")


def test_a_damaged_cache_is_made_anew_and_that_is_said(tmp_path: Path) -> None:
    place = tmp_path / "compiled" / ("t" * 40)
    keep(place)
    HARM["a file changed"](place)
    made = prepare_cache(tmp_path / "compiled", make_request(tmp_path), "", ())
    assert made.note == "its compile cache was damaged and is made anew"
    assert compiling.is_sound(place) and made.folder == place / FILES


def test_a_cache_that_is_too_large_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "CACHE_LIMITS", leavings.Limits(1000, 10))
    made = prepare_cache(tmp_path / "compiled", make_request(tmp_path), "", ())
    assert made.folder is None
    assert made.note.startswith("its compile cache is not kept: inductor/left0 has 0.01 MiB")
    assert list((tmp_path / "compiled").iterdir()) == []


def test_a_compile_run_that_fails_or_takes_too_long_leaves_what_it_has(tmp_path: Path) -> None:
    failing = make_request(tmp_path / "a", CARRY + "raise ValueError('odd tokens')\n")
    made = prepare_cache(tmp_path / "compiled", failing, "", ())
    assert made.note == "its compile run ended early: ValueError: odd tokens"
    assert made.folder is not None and (made.folder / "inductor" / "left0").exists()
    slow = make_request(tmp_path / "b", CARRY + "time.sleep(60)\n", tree="s" * 40)
    reference, _, _ = run(make_request(tmp_path / "c"), tmp_path / "compiled")
    quick = msgspec.structs.replace(reference, wall_seconds=4.0)
    made = prepare_cache(tmp_path / "compiled", slow, "", (quick,))
    assert made.note.startswith("its compile run ended early: still running after 8 s")


@pytest.mark.parametrize("changes", [{"steps": 2}, {"sandbox": "seccomp"}, {"sandbox": "none"}])
def test_where_no_compile_run_is_made_runs_start_empty(tmp_path: Path, changes: dict) -> None:
    request = make_request(tmp_path, steps=changes.get("steps"))
    slot = dataclasses.replace(request.slot, sandbox=changes.get("sandbox", "default"))
    made = prepare_cache(tmp_path / "compiled", dataclasses.replace(request, slot=slot), "", ())
    assert made == compiling.Compiled()
    assert not (tmp_path / "compiled").exists()


def test_links_and_deep_folders_in_a_cache_are_no_way_out(tmp_path: Path) -> None:
    more = CARRY + "os.symlink('/etc/passwd', cache + '/link'); os.mkfifo(cache + '/pipe')\n"
    made = prepare_cache(tmp_path / "a" / "compiled", make_request(tmp_path / "a", more), "", ())
    assert made.folder and [
        str(entry.path) for entry in leavings.walk(made.folder) if not entry.is_folder
    ] == ["inductor/left0"]
    more = (
        CARRY + "os.chdir(cache)\nfor _ in range(300):\n    os.mkdir('d')\n    os.chdir('d')\nos.chdir('/')\n"
    )
    made = prepare_cache(tmp_path / "b" / "compiled", make_request(tmp_path / "b", more), "", ())
    assert made.folder is None and "too many folders" in made.note


def test_a_made_up_shard_has_the_form_and_nothing_else_of_a_real_one(tmp_path: Path) -> None:
    real = write_shards(tmp_path, 5000) / "data/fineweb10B/fineweb_train_000001.bin"
    make_up_shard(real, tmp_path / "made.bin", seed=1)
    old, new = (np.fromfile(path, "<u2", offset=1024) for path in (real, tmp_path / "made.bin"))
    assert (tmp_path / "made.bin").read_bytes()[:1024] == real.read_bytes()[:1024]
    assert len(old) == len(new) and new.max() <= old.max()
    marks = old == old[0]
    assert (new[marks] == old[0]).all()
    assert 0.03 < (new[~marks] == old[~marks]).mean() < 0.1, "as often as chance has it: 1 in 16"


COMPILED = """
import torch
torch._inductor.config.compile_threads = 1
print("total", float(torch.compile(lambda x: (x * 2).relu().sum())(torch.ones(64))), flush=True)
from torch._dynamo.utils import counters
print("compiled", counters["inductor"]["fxgraph_cache_miss"], flush=True)
"""


@pytest.mark.long
def test_the_compiler_finds_what_the_compile_run_made(tmp_path: Path) -> None:
    request = make_request(tmp_path, COMPILED)
    done, log, note = run(request, tmp_path / "compiled")
    assert (done.exit, note) == ("ok", ""), done.reason
    assert b"total 128.0" in log and b"compiled 0" in log
