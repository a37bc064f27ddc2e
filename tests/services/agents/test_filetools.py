"""An agent's hands: what they reach, and that they reach no further than the workspace."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from patchrun.services.agents import filetools
from patchrun.services.agents.filetools import ToolError, create, cut, edit, search, view

CODE = "import os\n\n\ndef f(x):\n    return x + 1\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace with a repository, links that lead out, and a neighbour that must not be reached."""
    folder = tmp_path / "work"
    (folder / "sub").mkdir(parents=True)
    (folder / "hints").mkdir()
    (folder / "train.py").write_text(CODE)
    (folder / "sub" / "more.py").write_text("y = 'x + 1'\n")
    (folder / "TASK.md").write_text("the task\n")
    (folder / "hints" / "tier-1.md").write_text("a hint about x + 1\n")
    (tmp_path / "secret.txt").write_text("secret x + 1\n")
    (folder / "link.py").symlink_to("../secret.txt")
    (folder / "away").symlink_to(tmp_path)
    (folder / "inner").symlink_to("sub")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return folder


OUTSIDE = [
    "../secret.txt", "/etc/passwd", "sub/../../secret.txt", "..", "/", "link.py", "away/secret.txt", "away",
    "inner/more.py", ".git/config", ".GIT/config", "sub/.git", "", "  ", "a\0b", "x" * 500,
]  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
def test_nothing_leads_out_of_the_workspace(folder: Path, name: str) -> None:
    before = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
    for act in (
        lambda: view(folder, name),
        lambda: search(folder, "secret", name),
        lambda: edit(folder, name, "secret", "taken"),
        lambda: create(folder, name, "taken"),
    ):
        with pytest.raises(ToolError):
            act()
    assert {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()} == before


def test_a_name_below_a_link_cannot_be_made(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="symbolic link"):
        create(folder, "away/new.py", "x")
    assert not (tmp_path / "new.py").exists()


def test_view_numbers_lines(folder: Path) -> None:
    assert view(folder, "train.py", 4, 5) == "    4  def f(x):\n    5      return x + 1"
    assert view(folder, "train.py").count("\n") == 5
    assert view(folder, "train.py", 6, 99).strip() == "6"


@pytest.mark.parametrize(("first", "last"), [(7, None), (3, 2), (0, 1)])
def test_lines_that_do_not_exist(folder: Path, first: int, last: int | None) -> None:
    with pytest.raises(ToolError, match="train.py has 6 lines"):
        view(folder, "train.py", first, last)


def test_view_lists_a_folder_without_gits_files(folder: Path) -> None:
    assert view(folder, ".").splitlines() == [
        "TASK.md (9 bytes)", "away (a link)", "hints/tier-1.md (19 bytes)", "inner (a link)", "link.py (a link)",
        "sub/more.py (12 bytes)", f"train.py ({len(CODE)} bytes)",
    ]  # fmt: skip
    assert view(folder, "sub") == "sub/more.py (12 bytes)"


def test_a_long_file_comes_in_parts(folder: Path) -> None:
    (folder / "long.py").write_text("".join(f"x{number} = {number}\n" for number in range(1, 2001)))
    told = view(folder, "long.py")
    assert told.splitlines()[0] == "    1  x1 = 1" and told.endswith("view long.py from line 601]")
    assert view(folder, "long.py", 601).splitlines()[0] == "  601  x601 = 601"


def test_one_endless_line_is_cut(folder: Path) -> None:
    (folder / "wide.py").write_text("x" * 1_000_000)
    assert len(view(folder, "wide.py")) < 2100
    (folder / "wide.py").write_text(("x" * 1900 + "\n") * 100)
    told = view(folder, "wide.py")
    assert len(told) < filetools.SHOWN_CHARACTERS + 100 and "more lines" in told


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"x" * (2 << 20) + b"x"])
def test_what_is_no_text_is_not_shown(folder: Path, data: bytes) -> None:
    (folder / "odd.bin").write_bytes(data)
    with pytest.raises(ToolError, match="odd.bin"):
        view(folder, "odd.bin")


def test_a_pipe_does_not_hang(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(ToolError, match="not a plain file"):
        view(folder, "pipe")


def test_search_finds_lines_with_their_places(folder: Path) -> None:
    assert search(folder, r"x \+ 1").splitlines() == [
        "hints/tier-1.md:1:a hint about x + 1", "sub/more.py:1:y = 'x + 1'", "train.py:5:    return x + 1",
    ]  # fmt: skip
    assert search(folder, "x", "sub") == "sub/more.py:1:y = 'x + 1'"
    assert search(folder, "^def", "train.py") == "train.py:4:def f(x):"
    assert search(folder, "nothing like it") == "no line matches"


@pytest.mark.parametrize("pattern", ["", "(", "[", "a\nb", "x" * 301, "a\0b", "*{1,"])
def test_a_bad_pattern_is_told(folder: Path, pattern: str) -> None:
    try:
        assert search(folder, pattern) == "no line matches"
    except ToolError as error:
        assert str(error)


@pytest.mark.parametrize("pattern", ["--open-files-in-pager=touch owned", "-Otouch owned", "-f/etc/passwd"])
def test_a_pattern_is_never_an_option(folder: Path, pattern: str) -> None:
    assert search(folder, pattern) == "no line matches"
    assert not (folder / "owned").exists()


def test_a_file_name_is_never_an_option(folder: Path) -> None:
    create(folder, "--untracked", "x + 1\n")
    create(folder, ":(exclude)train.py", "x + 1\n")
    assert "train.py:5:" in search(folder, "x")
    assert search(folder, "x", "--untracked") == "--untracked:1:x + 1"


def test_many_matches_are_cut(folder: Path) -> None:
    (folder / "long.py").write_text("x = 1\n" * 20_000)
    told = search(folder, "x = 1")
    assert len(told) < filetools.SHOWN_CHARACTERS + 100 and "characters left out" in told


def test_edit_replaces_exactly_one_occurrence(folder: Path) -> None:
    assert edit(folder, "train.py", "x + 1", "x + 2") == "train.py: replaced at line 5"
    assert (folder / "train.py").read_text() == CODE.replace("x + 1", "x + 2")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("x + 9", "y", "occurs 0 times in train.py: copy it exactly"),
        ("x", "y", "occurs 2 times in train.py: give more"),
        ("", "y", "old text is empty"),
        ("x + 1", "x + 1", "the same"),
        ("x + 1", "\ud800", "UTF-8"),
        ("x + 1", "x" * (3 << 20), "larger than 2 MiB"),
    ],
)
def test_an_edit_that_is_not_clear_changes_nothing(folder: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ToolError, match=said):
        edit(folder, "train.py", old, new)
    assert (folder / "train.py").read_text() == CODE


def test_line_ends_stay_as_they_are(folder: Path) -> None:
    (folder / "dos.py").write_bytes(b"a = 1\r\nb = 2\r\n")
    edit(folder, "dos.py", "b = 2", "b = 3")
    assert (folder / "dos.py").read_bytes() == b"a = 1\r\nb = 3\r\n"


@pytest.mark.parametrize("name", ["TASK.md", "hints/tier-1.md", "ATTEMPTS.md", "."])
def test_what_is_no_part_of_the_patch_is_only_read(folder: Path, name: str) -> None:
    with pytest.raises(ToolError, match="stays as it is"):
        edit(folder, name, "the", "a")
    with pytest.raises(ToolError):
        create(folder, name, "x")


def test_create_makes_folders_and_never_overwrites(folder: Path) -> None:
    assert create(folder, "extra/deep/new.py", "x = 1\ny = 2\n") == "extra/deep/new.py: written, 2 lines"
    with pytest.raises(ToolError, match="exists: edit it"):
        create(folder, "train.py", "x")
    with pytest.raises(ToolError, match="train.py/new.py"):
        create(folder, "train.py/new.py", "x")


def test_cut_keeps_beginning_and_end() -> None:
    assert cut("abc", 10) == "abc"
    assert cut("a" * 10 + "b" * 10, 10) == "aaaaa\n[10 characters left out]\nbbbbb"
