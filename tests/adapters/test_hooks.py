"""The pre-receive hook of a shared arena, fed by hand with what git says of a push."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from patchrun.adapters import process
from patchrun.adapters.gitrepo import PATCHRUN, GitRepo
from patchrun.adapters.hooks import SETTINGS, guard

NONE = "0" * 40
WHEN = "2026-01-02T03:04:05+00:00"


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    made = GitRepo.init(tmp_path / "shared.git")
    guard(made)
    return made


@pytest.fixture
def commit(repo: GitRepo) -> str:
    return repo.commit(repo.store_files({"run.json": b"{}"}), [], "run\n", PATCHRUN, WHEN)


def ask(repo: GitRepo, *lines: str, env: dict[str, str] | None = None) -> tuple[bool, str]:
    """Whether the hook lets the push pass, and what it says."""
    hook = repo.path / "hooks" / "pre-receive"
    said = "".join(f"{line}\n" for line in lines).encode()
    done = process.run((str(hook),), input=said, cwd=repo.path, env=env)
    return done.ok, done.errors


def test_new_results_pass(repo: GitRepo, commit: str) -> None:
    refs = (
        "refs/patchrun/runs/b1/s-b0p0s1",
        "refs/patchrun/verdicts/a/b",
        "refs/patchrun/also/runs/b1/x/0123",
    )
    assert ask(repo, *(f"{NONE} {commit} {ref}" for ref in refs)) == (True, "")


@pytest.mark.parametrize(
    ("old", "new", "ref", "words"),
    [
        ("old", "new", "refs/patchrun/runs/b1/x", "exists already"),
        ("old", NONE, "refs/patchrun/runs/b1/x", "would be deleted"),
        (NONE, "new", "refs/heads/main", "only results"),
        (NONE, "new", "refs/heads/patchrun/runs/x", "only results"),
        (NONE, "new", "refs/tags/patchrun", "only results"),
        (NONE, "new", "refs/patchrun/human/12", "the ladder is the owner's"),
        (NONE, "f" * 40, "refs/patchrun/runs/b1/x", "is no result: a missing object"),
    ],
)
def test_nothing_else_does(repo: GitRepo, commit: str, old: str, new: str, ref: str, words: str) -> None:
    ids = {"old": commit, "new": commit}
    passed, said = ask(
        repo, f"{NONE} {commit} refs/patchrun/runs/b1/good", f"{ids.get(old, old)} {ids.get(new, new)} {ref}"
    )
    assert not passed and words in said


def test_guarding_twice_is_guarding_once(repo: GitRepo) -> None:
    guard(repo)
    for name, value in SETTINGS.items():
        assert repo.git("config", "--get-all", name).stdout.decode().split() == [value]


def test_many_are_looked_at_by_few_processes_and_one_stranger_is_found(
    repo: GitRepo, commit: str, tmp_path: Path
) -> None:
    counted = tmp_path / "bin" / "git"
    counted.parent.mkdir()
    counted.write_text(f'#!/bin/sh\necho . >> {tmp_path}/count\nexec {shutil.which("git")} "$@"\n')
    counted.chmod(0o755)
    env = {"PATH": f"{counted.parent}:/usr/bin:/bin"}
    lines = [f"{NONE} {commit} refs/patchrun/runs/b1/s-{k}" for k in range(300)]
    assert ask(repo, *lines, env=env) == (True, "")
    assert (tmp_path / "count").read_text().count(".") == 1
    blob = repo.write_blob(b"text")
    lines[200] = f"{NONE} {blob} refs/patchrun/runs/b1/stranger"
    assert ask(repo, *lines[190:210], env=env) == (
        False, "patchrun: refs/patchrun/runs/b1/stranger is no result: a blob",
    )  # fmt: skip


def test_where_git_does_not_answer_nothing_passes(repo: GitRepo, commit: str, tmp_path: Path) -> None:
    broken = tmp_path / "bin" / "git"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    env = {"PATH": f"{broken.parent}:/usr/bin:/bin"}
    passed, said = ask(repo, f"{NONE} {commit} refs/patchrun/runs/b1/x", env=env)
    assert not passed and "is no result: a missing object" in said
