"""The power goes at any moment: what was stored is there, what is there is whole, the next try completes.

``PATCHRUN_POWER_CUTS`` cuts each recording so often (12 by default).
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from patchrun.adapters import heldout, keys
from patchrun.adapters.store import Arena
from patchrun.core.selection import Span
from patchrun.services import tournament, verify
from tests import killed, powercut
from tests.conftest import change
from tests.powercut import Call, Disk
from tests.powercut_scenes import DIFF, SCENES
from tests.services.test_crash_safety import shard_file
from tests.services.test_tournament import fill, hand_in

CUTS = int(os.environ.get("PATCHRUN_POWER_CUTS", "12"))
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not powercut.is_installed(), reason="strace is absent or may not trace here")


@pytest.fixture
def root(plain: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An arena with results, a submission that waits and a key, and another arena that has more."""
    folder = tmp_path / "root"
    folder.mkdir()
    hand_in(plain)
    fill(
        plain,
        tournament.plan_waiting(plain)[0],
        {"baseline": 10.0, "human": 7.0, "submission": 8.0},
        blocks=range(1),
    )
    plain.repo.git("clone", "--quiet", "--mirror", str(plain.repo.path), str(folder / "other.git"))
    other = Arena.open(folder / "other.git")
    hand_in(other, change("STEPS = 100", "STEPS = 70", 2), agent="bob")
    hand_in(plain, change("STEPS = 100", "STEPS = 80", 2), agent="ann")
    shutil.move(plain.repo.path.parent, folder / "arena")
    shutil.move(os.environ["XDG_DATA_HOME"], folder / "data")
    (folder / "one.diff").write_bytes(DIFF)
    shard_file(folder / "tokens")
    return folder


def record(root: Path, tmp_path: Path, scene: str, *options: str) -> tuple[Disk, list[Call]]:
    """The disk as it was before the scene, and the calls of the scene that concern it."""
    disk = Disk(root)
    argv = (sys.executable, "-m", "tests.powercut_scenes", str(root), scene, *options)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_DATA_HOME": str(root / "data")}
    calls = powercut.record(argv, tmp_path / "trace", env)
    return disk, [call for call in calls if call.concerns(root)]


def cuts(disk: Disk, calls: list[Call], draw: random.Random, count: int, place: Path) -> Iterator[Path]:
    """What the disk may hold after each of ``count`` power cuts, drawn among all moments."""
    moments = sorted(draw.sample(range(len(calls)), min(count, len(calls))))
    for number, call in enumerate(calls):
        disk.do(call)
        for _ in range(moments.count(number)):
            disk.cut(draw, place)
            yield place
            shutil.rmtree(place)


def require_kept(place: Path, before: dict[str, str], scene: str) -> None:
    arena = Arena.open(place / "arena")
    killed.require_whole(arena, before)
    for final in arena.finals():
        assert heldout.load_tokens(final, keys.load_key(final.key_commitment))
    if scene == "submit":
        handed = tournament.hand_in(arena, DIFF, Span(1, 1), "eve")
        assert arena.submission(handed.attempt.id) and handed.attempt.accepted


@pytest.mark.parametrize("scene", SCENES)
def test_nothing_that_was_stored_is_lost(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scene: str
) -> None:
    before = Arena.open(root / "arena").repo.refs("refs/heads/", "refs/patchrun/")
    disk, calls = record(root, tmp_path, scene)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "left" / "data"))
    for place in cuts(disk, calls, random.Random(f"{scene} {CUTS}"), CUTS, tmp_path / "left"):
        stored = dict(line.split(" ") for line in disk.reported)
        require_kept(place, before | stored, scene)
    disk.write(tmp_path / "seen")
    assert powercut.read_files(tmp_path / "seen") == powercut.read_files(root), (
        "the recording lacks something"
    )
    disk.cut(random.Random(0), tmp_path / "left")
    after = Arena.open(tmp_path / "left" / "arena")
    assert verify.verify(after).problems == () and after.repo.refs("refs/patchrun/").keys() >= before.keys() - {
        "refs/heads/main", "refs/heads/baseline/1", "refs/heads/baseline/2",
    }  # fmt: skip


@pytest.mark.parametrize("scene", ["submit", "runs"])
def test_without_the_policy_results_are_lost(root: Path, tmp_path: Path, scene: str) -> None:
    before = Arena.open(root / "arena").repo.refs("refs/heads/", "refs/patchrun/")
    disk, calls = record(root, tmp_path, scene, "--unsynced")
    damaged = 0
    for place in cuts(disk, calls, random.Random(scene), CUTS, tmp_path / "left"):
        stored = dict(line.split(" ") for line in disk.reported)
        try:
            require_kept(place, before | stored, scene)
        except Exception:  # noqa: BLE001 - whatever the damage leads to
            damaged += 1
    assert damaged > 0


WRITES = """
import os, sys
root = sys.argv[1]
handle = os.open(root + "/file", os.O_WRONLY | os.O_CREAT)
os.write(handle, b"content")
if "data" in sys.argv:
    os.fsync(handle)
if "name" in sys.argv:
    os.fsync(os.open(root, os.O_RDONLY))
if "moved" in sys.argv:
    os.rename(root + "/file", root + "/moved")
"""


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ((), {None, b"", b"content", b"short", b"zeros"}),
        (("data",), {None, b"content"}),
        (("name",), {b"", b"content", b"short", b"zeros"}),
        (("data", "name"), {b"content"}),
        (("data", "name", "moved"), {b"content"}),
    ],
)
def test_what_a_disk_keeps(tmp_path: Path, words: tuple[str, ...], left: set[bytes | None]) -> None:
    """A file lasts when its data and its name were synced; otherwise everything that may happen does happen."""
    folder = tmp_path / "root"
    folder.mkdir()
    disk = Disk(folder)
    calls = powercut.record(
        (sys.executable, "-c", WRITES, str(folder), *words), tmp_path / "trace", {**os.environ}
    )
    for call in calls:
        disk.do(call)
    draw, seen, names = random.Random(0), set(), set()
    for number in range(200):
        place = tmp_path / str(number)
        disk.cut(draw, place)
        found = list(place.iterdir())
        names |= {path.name for path in found}
        assert len(found) <= 1
        seen.add(_describe(found[0].read_bytes()) if found else None)
    assert seen == left
    assert names == ({"file", "moved"} if "moved" in words else {"file"})


def _describe(data: bytes) -> bytes:
    if data in (b"", b"content"):
        return data
    return b"short" if b"content".startswith(data) else b"zeros"
