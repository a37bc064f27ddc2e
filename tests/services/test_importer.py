"""An arena is made whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from patchrun.adapters import process
from patchrun.adapters.gitrepo import clean_environment
from patchrun.adapters.keys import commitment, load_key
from patchrun.adapters.store import Arena
from patchrun.core.errors import ArenaError, ManifestError, SetupError, UsageError
from patchrun.services import importer
from tests.conftest import SCRIPT


def git(arena: Arena, *words: str) -> bytes:
    """What a user's own git says in the arena."""
    done = process.run(["git", "-C", arena.repo.path.parent, *words], env=clean_environment())
    assert done.ok, done.errors
    return done.stdout


def test_baselines_and_human_patches_are_there_for_anyones_git(plain: Arena) -> None:
    assert git(plain, "show", "baseline/1:train.py").decode() == SCRIPT
    assert git(plain, "show", "baseline/2:train.py").decode() == SCRIPT.replace("RATE = 1", "RATE = 2")
    assert b"STEPS = 50" in git(plain, "show", "refs/patchrun/human/2:train.py")
    assert git(plain, "rev-parse", "refs/patchrun/human/1^{tree}") == git(
        plain, "rev-parse", "baseline/2^{tree}"
    )
    assert git(plain, "rev-parse", "refs/patchrun/human/2^") == git(plain, "rev-parse", "baseline/2")
    assert git(plain, "log", "--format=%an %ad", "--date=short", "refs/patchrun/human/2").startswith(
        b"Grace 2026-01-03"
    )


def test_baselines_have_no_history(plain: Arena) -> None:
    assert git(plain, "rev-list", "--count", "baseline/2") == b"1\n"


def test_the_same_track_gives_the_same_commits(tmp_path: Path, plain: Arena, plain_track: Path) -> None:
    importer.init(tmp_path / "again", str(plain_track))
    again = Arena.open(tmp_path / "again")
    assert dict(again.code) == dict(plain.code)
    assert again.identity != plain.identity, "every arena has a key of its own"


def test_the_key_lies_outside_and_is_committed_to(plain: Arena, home: Path) -> None:
    key = load_key(plain.identity)
    assert commitment(key) == plain.identity
    path = next((home / "data").rglob("*.key"))
    assert path.stat().st_mode & 0o777 == 0o600
    everything = b"".join(file.read_bytes() for file in plain.repo.path.rglob("*") if file.is_file())
    assert key not in everything and key.hex().encode() not in everything


def test_a_missing_or_foreign_key_is_named(plain: Arena, home: Path) -> None:
    path = next((home / "data").rglob("*.key"))
    path.write_text("00" * 32)
    with pytest.raises(SetupError, match="not the key that the arena committed to"):
        load_key(plain.identity)
    path.unlink()
    with pytest.raises(SetupError, match="not on this machine"):
        load_key(plain.identity)


def test_main_holds_the_track_and_a_page(plain: Arena) -> None:
    names = git(plain, "ls-tree", "--name-only", "main").decode().split()
    assert names == ["README.md", "arena.json", "records.toml", "track.toml"]
    assert json.loads(git(plain, "show", "main:arena.json"))["key_commitment"] == plain.identity
    assert plain.track.name == "plain" and plain.ladder.get(2).ai_system == "Deep Thought"


def test_the_report_counts(tmp_path: Path, plain_track: Path) -> None:
    made = importer.init(tmp_path / "a", str(plain_track))
    assert (made.baselines, made.humans, made.absent) == (2, 2, {})


def test_a_last_record_without_human_patch_is_a_ladder_too(tmp_path: Path, plain_track: Path) -> None:
    records = plain_track / "records.toml"
    records.write_text(records.read_text().replace('patch = "patches/2.patch"\n', ""))
    importer.init(tmp_path / "a", str(plain_track))
    arena = Arena.open(tmp_path / "a")
    assert arena.human(2) is None and arena.baseline(2)


def test_a_gap_inside_the_ladder_is_refused(tmp_path: Path, plain_track: Path) -> None:
    records = plain_track / "records.toml"
    records.write_text(records.read_text().replace('patch = "patches/1.patch"\n', ""))
    with pytest.raises(ManifestError, match=r"record.0.patch: missing, and record 2 builds on it"):
        importer.init(tmp_path / "a", str(plain_track))
    assert not (tmp_path / "a").exists()


def test_a_patch_that_does_not_apply_leaves_nothing(tmp_path: Path, plain_track: Path) -> None:
    (plain_track / "patches/2.patch").write_text((plain_track / "patches/1.patch").read_text())
    with pytest.raises(
        ManifestError, match="record 2: .*2.patch does not apply: error: patch failed: train.py:1"
    ):
        importer.init(tmp_path / "a", str(plain_track))
    assert [path.name for path in tmp_path.iterdir()] == ["plain"]


def test_a_missing_patch_or_manifest_is_named(tmp_path: Path, plain_track: Path) -> None:
    (plain_track / "patches/1.patch").unlink()
    with pytest.raises(ManifestError, match="record 1: .*1.patch: No such file"):
        importer.init(tmp_path / "a", str(plain_track))
    (plain_track / "records.toml").unlink()
    with pytest.raises(ManifestError, match="records.toml: cannot be read"):
        importer.init(tmp_path / "a", str(plain_track))


@pytest.mark.parametrize("name", ["nowhere", "/", "pockett"])
def test_no_track_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no track at .*\n.*name one of pocket, nanogpt"):
        importer.init(tmp_path / "a", name)


def test_a_folder_in_use_is_left_alone(tmp_path: Path, plain_track: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine").write_text("x")
    with pytest.raises(UsageError, match="exists and is not empty"):
        importer.init(tmp_path / "a", str(plain_track))
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["mine"]


def test_an_empty_folder_is_taken(tmp_path: Path, plain_track: Path) -> None:
    (tmp_path / "a").mkdir()
    importer.init(tmp_path / "a", str(plain_track))
    assert Arena.open(tmp_path / "a").track.name == "plain"


def test_the_working_directory_is_taken_and_stays(
    tmp_path: Path, plain_track: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    made = importer.init(Path(), str(plain_track))
    assert [path.name for path in Path.cwd().iterdir()] == [".git"] and made.baselines == 2
    assert [path.name for path in (tmp_path / "here").iterdir()] == [".git"], "it is the same folder"
    assert Arena.open(Path.cwd()).track.name == "plain"


def test_what_is_no_arena(tmp_path: Path) -> None:
    with pytest.raises(ArenaError, match="is not an arena\n.*patchrun init"):
        Arena.open(tmp_path)
    process.run(["git", "init", "-q", "--bare", tmp_path / "bare"], env=clean_environment())
    with pytest.raises(ArenaError, match="is not an arena"):
        Arena.open(tmp_path / "bare")
    with pytest.raises(ArenaError, match="no arena at"):
        Arena.find(tmp_path / "bare")


def test_an_arena_is_found_from_below(plain: Arena) -> None:
    below = plain.repo.path.parent / "some" / "where"
    below.mkdir(parents=True)
    assert Arena.find(below).repo.path == plain.repo.path
