"""Questions to git processes that stay give what git commands give, also after a damaged object."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from patchrun.adapters.gitrepo import PATCHRUN, GitRepo
from patchrun.adapters.objects import Questions
from patchrun.core.errors import ArenaError

WHEN = "2026-01-02T03:04:05+00:00"


@pytest.fixture
def ask(repo: GitRepo) -> Iterator[Questions]:
    with Questions(repo) as ask:
        yield ask


def pids(ask: Questions) -> list[int]:
    return [child.pid for child in ask._running.values()]


def test_objects_come_as_stored_from_one_process(repo: GitRepo, ask: Questions) -> None:
    tree = repo.store_files({"a b.txt": b"\0one\n\n", "empty": b"", "large": b"x" * 300_000})
    commit = repo.commit(tree, [], "words\n", PATCHRUN, WHEN)
    assert ask.find(f"{commit}:a b.txt") == b"\0one\n\n" and ask.find(f"{commit}:empty") == b""
    started = pids(ask)
    assert ask.read(f"{commit}:large") == b"x" * 300_000
    assert ask.tree_of(commit) == ask.tree_of(commit) == tree
    later = repo.write_blob(b"later")
    assert ask.read(later) == b"later" and pids(ask) == started


def test_what_is_absent(repo: GitRepo, ask: Questions) -> None:
    blob = repo.write_blob(b"text")
    assert (
        ask.find("0" * 40) is None and ask.find(f"{blob}:path") is None and ask.find("no such name") is None
    )
    assert ask.find(f"{blob}\n{blob}") is None and ask.find("") is None
    with pytest.raises(ArenaError, match="has no " + "0" * 40):
        ask.read("0" * 40)
    with pytest.raises(ArenaError, match="has no "):
        ask.tree_of(blob)
    assert ask.read(blob) == b"text"


def damage(repo: GitRepo, oid: str, keep: int) -> None:
    """Cut the file of an object, as a full disk or a power cut does."""
    path = repo.path / "objects" / oid[:2] / oid[2:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:keep])


@pytest.mark.parametrize("keep", [0, 20, 200_000])
def test_a_damaged_object_is_an_error_and_the_next_one_is_read(
    repo: GitRepo, ask: Questions, keep: int
) -> None:
    good, bad = repo.write_blob(b"good"), repo.write_blob(random.Random(1).randbytes(300_000))
    damage(repo, bad, keep)
    assert ask.read(good) == b"good"
    with pytest.raises(ArenaError, match=f"has no {bad}|{bad} cannot be read"):
        ask.read(bad)
    assert ask.read(good) == b"good"


def test_diffs_are_git_s_own(repo: GitRepo, ask: Questions) -> None:
    one = repo.store_files({"a.py": b"one\nEND\n", "run.sh": b"x\n"})
    two = repo.store_files({"a.py": b"two\nEND\n", "new.py": b"END\n" * 3})
    assert ask.diff(one, two) == repo.diff(one, two) and ask.diff(two, one) == repo.diff(two, one)
    assert ask.diff(one, one) == b"" and len(pids(ask)) == 1


def test_no_diff_where_a_tree_is_none_or_damaged(repo: GitRepo, ask: Questions) -> None:
    one, two = repo.store_files({"a": b"one\n"}), repo.store_files({"a": b"two\n"})
    blob = repo.resolve(f"{two}:a")
    for other in ("0" * 40, blob, "END", "", f"{two}\n{two}", two[:12]):
        assert ask.diff(one, other) == ask.diff(other, one) == b""
    damage(repo, blob, 0)
    assert ask.diff(one, two) == b""
    assert ask.diff(one, repo.store_files({"a": b"three\n"})) != b""


def test_its_processes_end_with_it(repo: GitRepo) -> None:
    with Questions(repo) as ask:
        tree = repo.store_files({"a": b"one\n"})
        ask.find("HEAD")
        ask.diff(tree, tree)
        running = list(ask._running.values())
        assert len(running) == 2 and all(child.poll() is None for child in running)
    assert all(child.poll() is not None for child in running) and not ask._running
