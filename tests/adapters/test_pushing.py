"""Pushes create what is absent on the other side, and never touch what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchrun.adapters.gitrepo import PATCHRUN, GitRepo
from patchrun.adapters.pushing import push_new

WHEN = "2026-01-02T03:04:05+00:00"
PREFIX = "refs/patchrun/"


@pytest.fixture
def there(tmp_path: Path) -> GitRepo:
    return GitRepo.init(tmp_path / "there.git")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "with space").mkdir()
    return tmp_path / "with space"


def commit(repo: GitRepo, words: str, *parents: str) -> str:
    return repo.commit(repo.store_files({"a": words.encode()}), parents, f"{words}\n", PATCHRUN, WHEN)


def test_what_is_absent_is_created_and_nothing_else(repo: GitRepo, there: GitRepo, place: Path) -> None:
    base = commit(repo, "base")
    refs = {f"{PREFIX}runs/b1/s-{k}": commit(repo, f"run {k}", base) for k in range(3)}
    repo.create_refs({**refs, "refs/heads/main": base, f"{PREFIX}runs/b1/own": base})
    before = repo.refs()
    assert push_new(repo, place, str(there.path), refs, PREFIX).ok
    assert there.refs() == refs and repo.refs() == before
    assert there.read(f"{PREFIX}runs/b1/s-2:a") == b"run 2"
    there.git("fsck", "--full", "--strict")


def test_what_is_there_stays_also_where_git_could_move_it_forward(
    repo: GitRepo, there: GitRepo, place: Path
) -> None:
    first = commit(repo, "first")
    assert commit(there, "first") == first
    theirs = {f"{PREFIX}runs/forward": first, f"{PREFIX}runs/aside": commit(there, "theirs")}
    there.create_refs(theirs)
    ours = {f"{PREFIX}runs/{name}": commit(repo, name, first) for name in ("forward", "aside", "new")}
    done = push_new(repo, place, str(there.path), ours, PREFIX)
    assert not done.ok
    refused = [line.split("\t") for line in done.stdout.decode().splitlines() if line.startswith("!")]
    assert sorted(names.partition(":")[2] for _, names, _ in refused) == sorted(theirs)
    assert all("stale info" in why for _, _, why in refused)
    assert there.refs() == {**theirs, f"{PREFIX}runs/new": ours[f"{PREFIX}runs/new"]}


def test_a_remote_that_this_repository_has_a_name_for(repo: GitRepo, there: GitRepo, place: Path) -> None:
    """What it would fetch from there to where says nothing of what is there."""
    repo.git("config", "remote.lab.url", str(there.path))
    repo.git("config", "remote.lab.fetch", "+refs/*:refs/*")
    ours = {f"{PREFIX}runs/one": commit(repo, "one")}
    repo.create_refs(ours)
    assert push_new(repo, place, "lab", ours, PREFIX).ok and there.refs() == ours


def test_a_path_from_here(
    repo: GitRepo, there: GitRepo, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(there.path.parent)
    ours = {f"{PREFIX}runs/one": commit(repo, "one")}
    assert push_new(repo, place, there.path.name, ours, PREFIX).ok and there.refs() == ours


def test_repositories_by_sha256(tmp_path: Path, place: Path) -> None:
    repo, there = (GitRepo.init(tmp_path / name, "sha256") for name in ("one.git", "two.git"))
    ours = {f"{PREFIX}runs/one": commit(repo, "one")}
    assert len(ours[f"{PREFIX}runs/one"]) == 64
    assert push_new(repo, place, str(there.path), ours, PREFIX).ok and there.refs() == ours


def test_what_git_says_comes_back(repo: GitRepo, tmp_path: Path, place: Path) -> None:
    done = push_new(
        repo, place, str(tmp_path / "nowhere"), {f"{PREFIX}runs/one": commit(repo, "one")}, PREFIX
    )
    assert not done.ok and "does not appear to be a git repository" in done.errors


def test_all_of_a_push_or_none_of_it(repo: GitRepo, there: GitRepo, place: Path) -> None:
    there.create_refs({f"{PREFIX}runs/taken": commit(there, "theirs")})
    ours = {f"{PREFIX}runs/{name}": commit(repo, name) for name in ("taken", "free")}
    assert not push_new(repo, place, str(there.path), ours, PREFIX, atomic=True).ok
    assert list(there.refs()) == [f"{PREFIX}runs/taken"]
