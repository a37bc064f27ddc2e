"""What an agent gets has no history and no solution; what comes back is what changed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from patchrun.adapters.store import Arena
from patchrun.core.errors import UsageError
from patchrun.core.selection import Span
from patchrun.services import checkout, hints, validator
from tests.conftest import SCRIPT

ONE = Span(1, 1)


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def copy(plain: Arena, tmp_path: Path) -> Path:
    checkout.checkout(plain, Span(2, 2), tmp_path / "copy")
    return tmp_path / "copy"


def test_a_copy_holds_the_baseline_and_one_commit(copy: Path) -> None:
    assert (copy / "train.py").read_text() == SCRIPT.replace("RATE = 1", "RATE = 2")
    assert git(copy, "log", "--format=%s").split() == ["baseline"]
    assert git(copy, "status", "--short") == ""
    assert git(copy, "for-each-ref", "--format=%(refname)").split() == ["refs/heads/main"]


def test_no_object_of_the_arena_goes_along(copy: Path, plain: Arena) -> None:
    listed = git(copy, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split()
    assert len(listed) == 3, "one blob, one tree, one commit"
    solution = plain.repo.resolve("refs/patchrun/human/2:train.py")
    assert solution not in listed
    config = (copy / ".git" / "config").read_text()
    assert "remote" not in config and str(plain.repo.path) not in config


def test_the_task_says_goal_rules_and_how_to_check(copy: Path) -> None:
    page = (copy / "TASK.md").read_text()
    for words in (
        "Record 2",
        "at most **3.0**",
        "`train.py`",
        "`extra/*.py`",
        "`train.py:load`",
        "patchrun validate",
    ):
        assert words in page
    assert "5.0" not in page and "7.0" not in page, "it does not give the times away"


def test_hints_lie_beside(plain: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "hint-home"
    (home / "plain" / "1").mkdir(parents=True)
    (home / "plain" / "1" / "tier-2.md").write_text("Try fewer steps.\n")
    monkeypatch.setattr(hints, "hint_homes", lambda: [home])
    checkout.checkout(plain, ONE, tmp_path / "hinted", (2,))
    assert (tmp_path / "hinted" / "hints" / "1-tier-2.md").read_text() == "Try fewer steps.\n"
    assert "tier 2" in (tmp_path / "hinted" / "TASK.md").read_text()
    assert git(tmp_path / "hinted", "status", "--short") == ""
    assert checkout.diff_of_folder(plain, ONE, tmp_path / "hinted") == b""
    with pytest.raises(UsageError, match="no tier 3 hint for record 1"):
        checkout.checkout(plain, ONE, tmp_path / "none", (3,))
    assert not (tmp_path / "none").exists()


def test_a_folder_in_use_is_left_alone(plain: Arena, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine").write_text("x")
    with pytest.raises(UsageError, match="not empty"):
        checkout.checkout(plain, ONE, tmp_path / "used")
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["mine"]


def test_an_edited_copy_gives_its_diff(plain: Arena, copy: Path) -> None:
    script = copy / "train.py"
    script.write_text(script.read_text().replace("STEPS = 100", "STEPS = 50"))
    (copy / "extra").mkdir()
    (copy / "extra" / "new.py").write_text("x = 1\n")
    (copy / "__pycache__").mkdir()
    (copy / "__pycache__" / "train.pyc").write_bytes(b"\0")
    (copy / "TASK.md").write_text("scribbles")
    diff = checkout.diff_of_folder(plain, Span(2, 2), copy)
    applied = plain.repo.apply(plain.repo.tree_of(plain.baseline(2)), diff)
    assert applied.tree
    changed = {c.path: c.status for c in plain.repo.changes(plain.baseline(2), applied.tree)}
    assert changed == {"train.py": "M", "extra/new.py": "A"}


def test_committed_work_counts_and_the_copys_own_git_is_not_asked(
    plain: Arena, copy: Path, tmp_path: Path
) -> None:
    script = copy / "train.py"
    script.write_text(script.read_text().replace("STEPS = 100", "STEPS = 50"))
    git(copy, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "faster")
    trap = tmp_path / "trapped"
    (copy / ".git" / "config").write_text(
        f'[core]\n\tfsmonitor = "touch {trap}"\n\trepositoryformatversion = 0\n'
    )
    assert b"STEPS = 50" in checkout.diff_of_folder(plain, Span(2, 2), copy)
    assert not trap.exists()


def test_links_and_modes_come_back_as_such(plain: Arena, copy: Path) -> None:
    (copy / "train.py").chmod(0o755)
    (copy / "link").symlink_to("/etc/passwd")
    diff = checkout.diff_of_folder(plain, Span(2, 2), copy)
    applied = plain.repo.apply(plain.repo.tree_of(plain.baseline(2)), diff)
    assert applied.tree
    modes = {c.path: c.new_mode for c in plain.repo.changes(plain.baseline(2), applied.tree)}
    assert modes == {"train.py": "100755", "link": "120000"}


def test_a_folder_that_is_no_copy(plain: Arena, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(UsageError, match="none of the files of baseline 1"):
        checkout.diff_of_folder(plain, ONE, tmp_path / "other")


def test_the_arena_stores_nothing_of_a_folder(plain: Arena, copy: Path) -> None:
    before = sorted(path for path in (plain.repo.path / "objects").rglob("*"))
    (copy / "train.py").write_text("x = 1\n")
    checkout.diff_of_folder(plain, Span(2, 2), copy)
    assert sorted(path for path in (plain.repo.path / "objects").rglob("*")) == before


def test_what_the_script_and_tools_made_beside_it_is_no_change(plain: Arena, copy: Path) -> None:
    script = copy / "train.py"
    script.write_text(script.read_text().replace("STEPS = 100", "STEPS = 50"))
    only = checkout.diff_of_folder(plain, Span(2, 2), copy)
    (copy / "model.safetensors").write_bytes(os.urandom(400_000))
    for folder in ("logs", ".pytest_cache"):
        (copy / folder).mkdir()
        (copy / folder / "x.txt").write_text("x\n" * 100_000)
    assert checkout.diff_of_folder(plain, Span(2, 2), copy) == only


def test_an_agents_notes_are_left_out(plain: Arena, copy: Path) -> None:
    script = copy / "train.py"
    script.write_text(script.read_text().replace("STEPS = 100", "STEPS = 50"))
    script.chmod(0o755)
    (copy / "notes.md").write_text("# what I tried\n" * 1000)
    found = validator.validate(
        plain.repo, plain.track, plain.baseline(2), checkout.diff_of_folder(plain, Span(2, 2), copy)
    )
    assert found.accepted, found.findings
    assert sorted(one.code for one in found.findings) == ["PR113", "PR206"]
    assert [one.path for one in found.left] == ["notes.md"]
