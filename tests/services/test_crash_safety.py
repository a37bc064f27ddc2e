"""Killed, out of disk, read-only: nothing finished is lost, nothing is left half, and the next try completes.

``PATCHRUN_CRASH_TRIALS`` kills each command so often (3 by default, 200 before a release).
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from patchrun.adapters import process
from patchrun.adapters.store import Arena
from patchrun.services import importer, standings, tournament, verify
from tests import killed
from tests.conftest import TINY, change
from tests.services.test_tournament import fill, hand_in

TRIALS = int(os.environ.get("PATCHRUN_CRASH_TRIALS", "3"))
RUN_SECONDS = 6.0  # two or three runs of the tiny track


@dataclass
class Scene:
    """An arena with something in it, another one beside, and a folder for files."""

    arena: Arena
    other: Arena
    folder: Path
    count: int = 0

    def fresh(self, name: str) -> Path:
        """A name in the folder that was not used yet."""
        self.count += 1
        return self.folder / f"{name}-{self.count}"

    def diff(self) -> Path:
        """A patch that nobody has handed in yet."""
        path = self.fresh("diff")
        path.write_bytes(change("STEPS = 100", f"STEPS = {200 + self.count}", 2))
        return path

    def attempt(self) -> str:
        """The id of a new attempt."""
        return hand_in(self.arena, self.diff().read_bytes(), agent=f"agent-{self.count}").attempt.id


@pytest.fixture
def scene(plain: Arena, tmp_path: Path) -> Scene:
    hand_in(plain)
    fill(plain, tournament.plan_waiting(plain)[0], {"baseline": 10.0, "human": 7.0, "submission": 8.0})
    plain.repo.git("clone", "--quiet", "--mirror", str(plain.repo.path), str(tmp_path / "other.git"))
    return Scene(plain, Arena.open(tmp_path / "other.git"), tmp_path)


def shard_file(path: Path) -> Path:
    """Held-back tokens of the owner's own, in the speedrun's form."""
    import numpy as np

    head = np.zeros(256, dtype=np.int32)
    head[:3] = 20240520, 1, 400
    path.write_bytes(head.tobytes() + (np.arange(400) % 16).astype(np.uint16).tobytes())
    return path


def exchange(scene: Scene) -> tuple[str, ...]:
    hand_in(scene.other, scene.diff().read_bytes(), agent=f"other-{scene.count}")
    scene.attempt()
    return "sync", str(scene.other.repo.path)


COMMANDS: dict[str, Callable[[Scene], tuple[str, ...]]] = {
    "submit": lambda scene: ("submit", str(scene.diff()), "--record", "1", "--agent", "ada", "--no-run"),
    "withdraw": lambda scene: ("withdraw", scene.attempt()),
    "disqualify": lambda scene: ("disqualify", scene.attempt(), "--reason", "cheats"),
    "sync": exchange,
    "gc": lambda scene: ("gc",),
    "final commit": lambda scene: ("final", "commit", "--tokens", str(shard_file(scene.fresh("tokens")))),
    "classify": lambda scene: (
        "classify", scene.attempt(), "--depth", "Shallow", "--provenance", "Imported", "--reason", "fewer steps",
    ),
    "leaderboard": lambda scene: ("leaderboard",),
}  # fmt: skip


def pause(draw: random.Random, lasted: float) -> bool:
    """Wait for some part of a command's usual time; whether the kill is to reach what it started too."""
    time.sleep(draw.uniform(0.0, 1.0) * lasted)
    return draw.random() < 0.5


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_any_moment(scene: Scene, name: str) -> None:
    arenas = (scene.arena, scene.other) if name == "sync" else (scene.arena,)
    began = time.monotonic()
    outcome, said = killed.start(scene.arena.repo.path, COMMANDS[name](scene)).finish()
    lasted = time.monotonic() - began
    assert outcome == 0, said
    draw = random.Random(f"{name} {TRIALS}")
    for _ in range(TRIALS):
        words = COMMANDS[name](scene)
        before = [arena.repo.refs("refs/") for arena in arenas]
        child = killed.start(scene.arena.repo.path, words)
        child.kill(whole=pause(draw, lasted))
        for arena, refs in zip(arenas, before, strict=True):
            killed.require_whole(arena, refs)
    outcome, said = killed.start(scene.arena.repo.path, COMMANDS[name](scene)).finish()
    assert outcome == 0, said
    assert [verify.verify(arena).problems for arena in arenas] == [()] * len(arenas)


@pytest.mark.long
def test_training_is_killed_at_any_moment(tiny: Arena) -> None:
    """A study goes on from the runs that were stored: none is lost, none counts twice."""
    handed = hand_in(tiny, (TINY / "patches" / "0001-Raise-the-learning-rate.patch").read_bytes())
    draw, ends = random.Random(TRIALS), ("--sandbox", "none")
    for _ in range(TRIALS):
        planned = sum(len(study.arms) * study.blocks for study in tiny.studies())
        again = planned and len(tiny.runs()) == planned
        before = tiny.repo.refs("refs/")
        words = ("rerun", handed.attempt.id, *ends) if again else ("run", "--pending", *ends)
        child = killed.start(tiny.repo.path, words)
        child.kill(whole=pause(draw, RUN_SECONDS))
        killed.require_whole(tiny, before)
        assert not tiny.repo.refs("refs/patchrun/extra/")
    outcome, said = killed.start(tiny.repo.path, ("run", "--pending", *ends)).finish()
    assert outcome in (0, 1) and verify.verify(tiny).problems == (), said
    assert len(tiny.runs()) == sum(len(study.arms) * study.blocks for study in tiny.studies())


def test_an_arena_is_made_whole_or_not_at_all(plain_track: Path, tmp_path: Path) -> None:
    words = ("init", "--track", str(plain_track), "--no-data", "--shared")
    began = time.monotonic()
    assert killed.start(tmp_path, (*words, str(tmp_path / "whole"))).finish()[0] == 0
    lasted = time.monotonic() - began
    draw = random.Random(TRIALS)
    for trial in range(TRIALS):
        target = tmp_path / f"arena-{trial}"
        child = killed.start(tmp_path, (*words, str(target)))
        child.kill(whole=pause(draw, lasted))
        assert not target.exists() or verify.verify(Arena.open(target)).problems == ()
        if not target.exists():
            assert killed.start(tmp_path, (*words, str(target))).finish()[0] == 0


def test_a_report_is_written_whole_or_not_at_all(scene: Scene) -> None:
    target = scene.folder / "site"
    began = time.monotonic()
    assert killed.start(scene.arena.repo.path, ("report", str(target))).finish()[0] == 0
    lasted = time.monotonic() - began
    before = (target / "index.html").read_bytes()
    draw = random.Random(TRIALS)
    for _ in range(TRIALS):
        scene.attempt()
        child = killed.start(scene.arena.repo.path, ("report", str(target)))
        child.kill(whole=pause(draw, lasted))
        page = (target / "index.html").read_bytes()
        assert page == before or b"</html>" in page
    assert killed.start(scene.arena.repo.path, ("report", str(target))).finish()[0] == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 48 MB; its mount is undone in the end."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = process.run(("mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)))
    if not done.ok:
        pytest.skip(f"cannot mount here: {done.errors}")
    yield folder
    process.run(("umount", "--lazy", str(folder)))


@pytest.fixture
def on_disk(small_disk: Path, plain_track: Path) -> Arena:
    importer.init(small_disk / "arena", str(plain_track))
    arena = Arena.open(small_disk / "arena")
    hand_in(arena)
    fill(arena, tournament.plan_waiting(arena)[0], {"baseline": 10.0, "human": 7.0, "submission": 8.0})
    return arena


def test_a_full_disk_is_said_and_nothing_is_half_stored(
    on_disk: Arena, small_disk: Path, tmp_path: Path
) -> None:
    diff = tmp_path / "more.diff"
    diff.write_bytes(change("STEPS = 100", "STEPS = 70", 2))
    words = ("submit", str(diff), "--record", "1", "--agent", "bob", "--no-run")
    before = on_disk.repo.refs()
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while file.write(bytes(4096)):
            pass
    outcome, said = killed.start(on_disk.repo.path, words).finish()
    assert outcome == 2 and "No space left on device" in said and "bug" not in said, said
    filler.unlink()
    killed.free_locks(on_disk)
    assert on_disk.repo.refs() == before and verify.verify(on_disk).problems == ()
    assert killed.start(on_disk.repo.path, words).finish()[0] == 0 and len(on_disk.attempts()) == 2


def test_a_read_only_arena_can_be_read(on_disk: Arena, small_disk: Path, tmp_path: Path) -> None:
    board = standings.board(on_disk)
    attempt = on_disk.attempts()[0]
    (on_disk.folder / "remembered").rename(on_disk.folder / "elsewhere")
    on_disk.repo.watch.end()  # an open file keeps a disk from becoming read-only
    assert process.run(("mount", "-o", "remount,ro", str(small_disk))).ok
    try:
        assert standings.board(Arena.open(on_disk.repo.path)) == board
        for words in (("leaderboard",), ("show", attempt.id), ("status",), ("records",), ("verify",)):
            outcome, said = killed.start(on_disk.repo.path, words).finish()
            assert outcome == 0, said
        for words in (("withdraw", attempt.id), ("disqualify", attempt.id, "--reason", "x")):
            outcome, said = killed.start(on_disk.repo.path, words).finish()
            assert outcome == 2 and "ead-only file system" in said and "bug" not in said, said
    finally:
        process.run(("mount", "-o", "remount,rw", str(small_disk)))


@pytest.mark.parametrize("name", ["packed-refs.lock", "packed-refs.new", "objects/info/commit-graph.lock"])
def test_a_lock_of_a_dead_owner_is_named_and_mended(scene: Scene, name: str) -> None:
    ref = next(iter(scene.arena.repo.refs("refs/patchrun/attempts/")))
    lock = scene.arena.repo.path / name
    lock.parent.mkdir(exist_ok=True)
    scene.arena.repo.git("pack-refs", "--all")
    lock.touch()
    os.utime(lock, (0, 0))
    [problem] = verify.verify(scene.arena).problems
    assert str(lock) in problem and "stale lock" in problem
    outcome, said = killed.start(scene.arena.repo.path, ("doctor", "--mend")).finish()
    assert "removed 1 stale locks" in said and not lock.exists(), (outcome, said)
    assert verify.verify(scene.arena).problems == () and ref in scene.arena.repo.refs()
