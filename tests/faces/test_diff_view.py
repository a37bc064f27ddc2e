"""A diff on terminals of several widths: what stands where, beside what, and nothing that steers."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from patchrun.core.codes import make_finding
from patchrun.core.pieces import FileChange, Hunk
from patchrun.faces.diff_view import DiffView, Line, lay_out
from tests.core.test_ablation import ablate

OLD = b"".join(b"line %d\n" % k for k in range(1, 21))
NEW = OLD.replace(b"line 5\n", b"five\nand more\n").replace(b"line 15\n", b"")
HUNKS = [Hunk("train.py", 4, 5, 4, 6), Hunk("train.py", 14, 15, 15, 15)]
CHANGE = FileChange("train.py", OLD, NEW)


def draw(view: DiffView, width: int, colour: bool = False) -> str:
    file = io.StringIO()
    console = Console(
        file=file, width=width, force_terminal=colour, color_system="standard" if colour else None,
        highlight=False, markup=False, emoji=False,
    )  # fmt: skip
    for part in view.render(width):
        console.print(part)
    return file.getvalue()


def numbers(lines: list[Line]) -> list[tuple[int | None, int | None]]:
    return [(line.old, line.new) for line in lines]


def test_three_lines_of_context_and_old_before_new() -> None:
    first, second = lay_out(CHANGE, HUNKS, paired=False)
    assert numbers(first) == [(2, 2), (3, 3), (4, 4), (5, None), (None, 5), (None, 6), (6, 7), (7, 8), (8, 9)]
    assert numbers(second) == [(12, 13), (13, 14), (14, 15), (15, None), (16, 16), (17, 17), (18, 18)]


def test_columns_pair_old_with_new() -> None:
    first, _ = lay_out(CHANGE, HUNKS, paired=True)
    assert numbers(first)[3:5] == [(5, 5), (None, 6)]
    assert [line.starts for line in first[3:5]] == [True, False]


@pytest.mark.parametrize("gap", range(1, 9))
def test_neighbours_share_their_context_and_no_line_comes_twice(gap: int) -> None:
    old = b"".join(b"%d\n" % k for k in range(30))
    lines = old.split(b"\n")
    lines[10], lines[10 + gap] = b"x", b"y"
    hunks = [Hunk("t", 10, 11, 10, 11), Hunk("t", 10 + gap, 11 + gap, 10 + gap, 11 + gap)]
    stretches = lay_out(FileChange("t", old, b"\n".join(lines)), hunks, paired=True)
    seen = [line.old for stretch in stretches for line in stretch]
    assert seen == sorted(set(seen)) and len(stretches) == (1 if gap <= 7 else 2)


def test_the_ends_of_a_file_and_files_that_come_and_go() -> None:
    [rows] = lay_out(FileChange("t", b"a\nb\n", b"x\nb\n"), [Hunk("t", 0, 1, 0, 1)], paired=True)
    assert numbers(rows) == [(1, 1), (2, 2)]
    [rows] = lay_out(FileChange("t", None, b"a\nb\n"), [Hunk("t", 0, 0, 0, 2, True)], paired=False)
    assert numbers(rows) == [(None, 1), (None, 2)]
    [rows] = lay_out(FileChange("t", b"a\n", None), [Hunk("t", 0, 1, 0, 0, True)], paired=True)
    assert numbers(rows) == [(1, None)]


def test_wide_terminals_show_both_sides_in_one_row() -> None:
    text = draw(DiffView([CHANGE], {"train.py": HUNKS}), 140)
    [row] = [line for line in text.splitlines() if "line 5" in line]
    assert "- line 5" in row and "+ five" in row and row.index("- line 5") < row.index("+ five")


def test_narrow_terminals_show_one_below_the_other() -> None:
    lines = [line.split() for line in draw(DiffView([CHANGE], {"train.py": HUNKS}), 80).splitlines()]
    assert lines.index(["5", "-", "line", "5"]) < lines.index(["5", "+", "five"])


@pytest.mark.parametrize("width", [60, 80, 119, 120, 200])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    long = FileChange("train.py", b"x" * 500 + b"\n", b"y" * 500 + b"\n")
    for line in draw(DiffView([long], {"train.py": [Hunk("train.py", 0, 1, 0, 1)]}), width).splitlines():
        assert len(line) <= width


FINDINGS = (
    make_finding("PR501", "writes files", "train.py", 6),
    make_finding("PR109", "a hunk was moved", "train.py", 1),
    make_finding("PR101", "of the whole diff"),
)


@pytest.mark.parametrize("width", [80, 160])
def test_a_finding_stands_beside_its_line_and_others_at_the_head(width: int) -> None:
    lines = draw(DiffView([CHANGE], {"train.py": HUNKS}, FINDINGS), width).splitlines()
    told = next(k for k, line in enumerate(lines) if "writes files" in line)
    assert any("and more" in line for line in lines[told - (width == 80) : told + 1])
    heads = "\n".join(lines[:3])
    assert "train.py:1: PR109" in heads and "the diff: PR101" in heads
    assert sum("writes files" in line for line in lines) == 1


@pytest.mark.parametrize("width", [80, 160])
def test_what_a_piece_is_worth_stands_at_its_hunk(width: int) -> None:
    found = ablate()
    hunks = [piece.hunks[0] for piece in found.pieces]
    text = draw(DiffView([CHANGE], {"train.py": hunks}, (), found), width)
    assert "piece 1: pays, +2.5" in text and "piece 2: noise" in text and "piece 3: harms, -0.5" in text


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("width", [80, 160])
def test_hostile_lines_paths_and_findings_are_spelled(width: int, colour: bool) -> None:
    path = "evil\x1b]0;x\x07.py"
    change = FileChange(path, b"a = 1\n", b'a = "\x1b[2J\xff\r\xe2\x80\xae[bold red]x[/]"\n')
    finding = make_finding("PR501", "sees \x9b31m", path, 1)
    text = draw(DiffView([change], {path: [Hunk(path, 0, 1, 0, 1)]}, [finding]), width, colour)
    for bad in ("\x1b]", "\x1b[2J", "\x07", "\r", "\u202e", "\x9b"):
        assert bad not in text
    flat = "".join(text.split())
    assert "\\x1b[2J" in text or "\\x1b" in flat
    assert "[boldred]" in flat, "rich's own markup is text too"
    assert ("\x1b[" in text) == colour


def test_colours_are_there_on_a_terminal() -> None:
    change = FileChange("t.py", b"import os\n", b"import sys\n")
    text = draw(DiffView([change], {"t.py": [Hunk("t.py", 0, 1, 0, 1)]}), 80, colour=True)
    assert "\x1b[1;31m-" in text and "\x1b[1;32m+" in text
