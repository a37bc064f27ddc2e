"""What a power cut or a kill leaves behind, and what the next command makes of it: on real git and real files."""

from __future__ import annotations

import json
import os
import sys
import zlib
from pathlib import Path

import pytest

from patchrun.adapters import durable, process
from patchrun.adapters.durable import UNFINISHED, Watch, announce, find_unfinished, replace_file, sync_disk
from patchrun.adapters.gitrepo import PATCHRUN, GitRepo, RefExists
from patchrun.core.errors import ArenaError

WHEN = "2026-01-02T03:04:05+00:00"
ONE, TWO = "refs/patchrun/attempts/one", "refs/patchrun/submissions/one"


def store(repo: GitRepo, words: str) -> str:
    """A commit that nothing names yet."""
    return repo.commit(repo.store_files({"a": words.encode()}), [], words, PATCHRUN, WHEN)


def die_after(repo: GitRepo, refs: dict[str, str], created: list[str]) -> None:
    """A transaction whose owner died when it had created some of its refs; it holds the locks of the others."""
    folder = repo.path / UNFINISHED
    folder.mkdir(exist_ok=True)
    (folder / "1-dead.json").write_text(json.dumps(refs))
    for name, oid in refs.items():
        place = repo.path / (name if name in created else f"{name}.lock")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{oid}\n")


def files(repo: GitRepo) -> list[str]:
    return [path.name for path in (repo.path / UNFINISHED).iterdir()]


def loose(repo: GitRepo, oid: str) -> Path:
    return repo.path / "objects" / oid[:2] / oid[2:]


def test_the_rest_of_a_transaction_is_created(repo: GitRepo) -> None:
    refs = {ONE: store(repo, "one"), TWO: store(repo, "two")}
    die_after(repo, refs, [ONE])
    assert GitRepo(repo.path).finish() == [TWO] and repo.refs() == refs
    assert GitRepo(repo.path).finish() == [] and not list(repo.path.rglob("*.lock"))


def test_a_transaction_that_had_created_nothing_is_forgotten(repo: GitRepo) -> None:
    refs = {ONE: store(repo, "one"), TWO: store(repo, "two")}
    die_after(repo, refs, [])
    assert repo.finish() == [] and repo.refs() == {}
    repo.create_refs(refs)  # its locks are gone
    assert repo.refs() == refs


def test_a_transaction_that_would_have_been_refused_is_not_completed(repo: GitRepo) -> None:
    mine, theirs = store(repo, "mine"), store(repo, "theirs")
    repo.create_refs({TWO: theirs})
    die_after(repo, {ONE: mine, TWO: mine}, [ONE])
    (repo.path / TWO).write_text(f"{theirs}\n")
    assert repo.finish() == [] and repo.refs() == {ONE: mine, TWO: theirs}


@pytest.mark.parametrize("left", [b"", b"\0" * 41, b"1234", b"0" * 20])
def test_a_ref_without_a_value_is_created_again(repo: GitRepo, left: bytes) -> None:
    refs = {ONE: store(repo, "one"), TWO: store(repo, "two")}
    die_after(repo, refs, [ONE, TWO])
    (repo.path / TWO).write_bytes(left)
    assert repo.finish() == [TWO] and repo.refs() == refs


def test_damaged_refs_of_the_waiting_room_go(repo: GitRepo) -> None:
    name = "refs/patchrun-incoming/x/attempts/one"
    die_after(repo, {}, [])
    (repo.path / name).parent.mkdir(parents=True)
    (repo.path / name).touch()
    repo.finish()
    assert not (repo.path / name).exists()


@pytest.mark.parametrize("left", [b"", b"\0" * 30, None])
def test_a_damaged_object_goes_and_can_be_stored_again(repo: GitRepo, left: bytes | None) -> None:
    oid = repo.write_blob(b"content")
    whole = loose(repo, oid).read_bytes()
    die_after(repo, {}, [])
    loose(repo, oid).chmod(0o644)
    loose(repo, oid).write_bytes(whole[:-3] if left is None else left)
    assert repo.write_blob(b"content") == oid  # git sees its name and writes nothing
    with pytest.raises(ArenaError):
        repo.read(oid)
    repo.finish()
    assert not loose(repo, oid).exists()
    repo.write_blob(b"content")
    assert repo.read(oid) == b"content"


def test_an_object_of_another_content_goes_and_one_from_before_is_not_read(repo: GitRepo) -> None:
    forged, old = repo.write_blob(b"content"), repo.write_blob(b"old")
    for oid in (forged, old):
        loose(repo, oid).chmod(0o644)
        loose(repo, oid).write_bytes(zlib.compress(b"blob 5\0other"))
    os.utime(loose(repo, old), (1, 1))
    die_after(repo, {}, [])
    repo.finish()
    assert not loose(repo, forged).exists() and loose(repo, old).exists()


def test_a_file_that_was_cut_short_says_nothing(repo: GitRepo) -> None:
    die_after(repo, {}, [])
    (repo.path / UNFINISHED / "1-dead.json").write_text('{"refs/x": "12')
    assert repo.finish() == [] and files(repo) == []


def test_a_living_owner_is_left_alone(repo: GitRepo) -> None:
    with announce(repo.path, {ONE: store(repo, "one")}):
        assert list(find_unfinished(repo.path)) == []
        assert len(files(repo)) == 2  # the transaction's and that of who writes objects
    assert len(files(repo)) == 1


def test_a_program_that_inherits_the_handle_keeps_it_alive(repo: GitRepo) -> None:
    """Whoever is interrupted leaves the file to the next, which waits until git has ended too."""
    with pytest.raises(KeyboardInterrupt), announce(repo.path, {ONE: "1" * 40}) as handle:
        child = process.spawn((sys.executable, "-c", "input()"), stdin=-1, pass_fds=(handle,))
        raise KeyboardInterrupt
    assert list(find_unfinished(repo.path)) == [] and len(files(repo)) == 1
    child.communicate(b"\n")
    assert list(find_unfinished(repo.path)) == [{ONE: "1" * 40}] and files(repo) == []


def test_a_refused_transaction_leaves_no_file(repo: GitRepo) -> None:
    repo.create_refs({ONE: store(repo, "one")})
    with pytest.raises(RefExists):
        repo.create_refs({ONE: store(repo, "two")})
    repo.watch.end()
    assert files(repo) == []


def test_objects_without_a_ref_are_synced_at_the_end(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(durable, "sync_disk", synced.append)
    watch = Watch(repo.path)
    watch.begin()
    watch.begin()
    assert synced == [repo.path] and len(files(repo)) == 1
    watch.end()
    watch.end()
    assert synced == [repo.path] * 2 and files(repo) == []
    watch.begin()
    watch.settle()
    watch.end()
    assert len(synced) == 3  # nothing was written after all was on disk


def test_a_fork_leaves_its_parents_file(repo: GitRepo) -> None:
    repo.write_blob(b"x")
    if (child := os.fork()) == 0:
        repo.watch.end()
        os._exit(0)
    os.waitpid(child, 0)
    assert len(files(repo)) == 1


def test_the_order_of_disk_and_refs(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a ref is created its objects are synced; when the call returns so is the ref."""
    seen: list[bool] = []
    commit = store(repo, "one")
    monkeypatch.setattr(durable, "sync_disk", lambda path: seen.append((repo.path / ONE).exists()))
    repo.create_refs({ONE: commit})
    assert seen == [False, True]


def test_a_disk_that_does_not_take_it_is_an_error(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = store(repo, "one")

    def refuse(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "sync_disk", refuse)
    with pytest.raises(ArenaError, match=f"cannot write in {repo.path}: No space left on device"):
        repo.create_refs({ONE: commit})
    assert repo.refs() == {}


def test_a_file_is_replaced(tmp_path: Path) -> None:
    replace_file(tmp_path / "list", b"one\n")
    replace_file(tmp_path / "list", b"two\n")
    assert [path.name for path in tmp_path.iterdir()] == ["list"]
    assert (tmp_path / "list").read_bytes() == b"two\n"


def test_what_is_not_there_cannot_be_synced(tmp_path: Path) -> None:
    sync_disk(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_disk(tmp_path / "none")


def test_who_pushes_here_syncs_too(repo: GitRepo) -> None:
    said = process.run(("git", f"--git-dir={repo.path}", "config", "core.fsync")).stdout.decode()
    assert said.strip() == "objects,derived-metadata,reference"
