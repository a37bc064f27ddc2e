"""Hunks and pieces from literals: any part of a patch can be put on alone, exactly."""

from __future__ import annotations

import difflib
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchrun.core.pieces import (
    COARSE,
    FileChange,
    Hunk,
    Piece,
    coarsen,
    cut_lines,
    merge,
    put_on,
    read_hunks,
)

OLD = b"a\nb\n\nc\nd\ne\n"
NEW = b"A\nb\n\nC\nd\nx\ne\n"
DIFF = b"@@ -1 +1 @@\n-a\n+A\n@@ -4 +4 @@\n-c\n+C\n@@ -5,0 +6 @@\n+x\n"
CHANGE = FileChange("t.py", OLD, NEW)


def hunk(first: int, end: int, new: int = 0, path: str = "t.py") -> Hunk:
    return Hunk(path, first, end, new, new + 1)


def test_headers_become_half_open_ranges_from_0() -> None:
    assert read_hunks(CHANGE, DIFF) == [
        Hunk("t.py", 0, 1, 0, 1),
        Hunk("t.py", 3, 4, 3, 4),
        Hunk("t.py", 5, 5, 5, 6),
    ]


def test_content_that_looks_like_a_header_is_content() -> None:
    diff = b"@@ -1 +1 @@\n-@@ -7 +7 @@\n+@@ -9,9 +9,9 @@\n\\ No newline at end of file\n"
    assert len(read_hunks(CHANGE, diff)) == 1


def test_hunks_that_blank_lines_part_are_one() -> None:
    change = FileChange("t.py", b"a\n\n  \nb\nc\nd\n", b"A\n\n  \nB\nc\nD\n")
    found = read_hunks(change, b"@@ -1 +1 @@\n@@ -4 +4 @@\n@@ -6 +6 @@\n")
    assert found == [Hunk("t.py", 0, 4, 0, 4), Hunk("t.py", 5, 6, 5, 6)]


def test_every_subset_is_the_old_file_with_these_lines_changed() -> None:
    hunks = read_hunks(CHANGE, DIFF)
    assert put_on(CHANGE, []) == OLD and put_on(CHANGE, hunks) == NEW
    assert put_on(CHANGE, hunks[1:2]) == b"a\nb\n\nC\nd\ne\n"
    assert put_on(CHANGE, [hunks[2], hunks[0]]) == b"A\nb\n\nc\nd\nx\ne\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, b"new\n"), (b"old\n", None), (b"x\n", b"y\n")],
    ids=["added", "removed", "mode"],
)
def test_a_file_that_comes_or_goes_or_changes_its_mode_is_one_hunk(before, after) -> None:
    change = FileChange("t.py", before, after, "100644", "100755")
    [one] = read_hunks(change, b"")
    assert one.whole and put_on(change, []) == before and put_on(change, [one]) == after


@pytest.mark.parametrize(
    ("data", "lines"),
    [(b"", []), (b"a", [b"a"]), (b"a\r\nb\rc\n", [b"a\r\n", b"b\rc\n"]), (b"\n\n", [b"\n", b"\n"])],
)
def test_lines_are_what_git_counts(data: bytes, lines: list[bytes]) -> None:
    assert cut_lines(data) == lines


texts = st.lists(st.sampled_from([b"a\n", b"b\n", b"\n", b"@@ -1 +1 @@\n", b"\r\n"]), max_size=8).map(
    b"".join
)


@settings(max_examples=150, deadline=None)
@given(before=texts, after=texts)
def test_any_two_texts_are_put_together_from_all_hunks_or_from_none(before: bytes, after: bytes) -> None:
    matcher = difflib.SequenceMatcher(None, cut_lines(before), cut_lines(after), autojunk=False)
    hunks = [Hunk("t", a, b, c, d) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal"]
    change = FileChange("t", before, after)
    assert put_on(change, hunks) == after and put_on(change, []) == before
    for one, other in itertools.combinations(hunks, 2):
        both = put_on(change, [one, other])
        lines = len(cut_lines(before)) + one.added - one.removed + other.added - other.removed
        assert both is not None and len(cut_lines(both)) == lines


def test_places_are_said_in_lines_of_the_old_file() -> None:
    piece = Piece((Hunk("a.py", 4, 5, 4, 5), Hunk("a.py", 9, 12, 9, 9), Hunk("b.py", 7, 7, 7, 9)))
    assert piece.places == "a.py:5,10-12; b.py:7+"
    assert (piece.added, piece.removed) == (3, 4)


def test_merge_joins_chains_and_keeps_the_reasons_in_order() -> None:
    pieces = [Piece((hunk(k, k + 1),)) for k in range(5)]
    joined = merge(pieces, {(0, 2): "brings in x", (2, 4): "brings in y"})
    assert [[h.old_first for h in piece.hunks] for piece in joined] == [[0, 2, 4], [1], [3]]
    assert [piece.reason for piece in joined] == ["brings in x; brings in y", "", ""]
    again = merge(joined, {(1, 2): "PR303"})
    assert [piece.reason for piece in again] == ["brings in x; brings in y", "PR303"]


def test_coarsen_joins_the_smallest_neighbours() -> None:
    sizes = (5, 1, 1, 9)
    pieces = [Piece((Hunk("t", 10 * k, 10 * k + size, 0, 0),)) for k, size in enumerate(sizes)]
    assert [piece.removed for piece in coarsen(pieces, 3)] == [5, 2, 9]
    assert [piece.removed for piece in coarsen(pieces, 2)] == [7, 9]
    assert coarsen(pieces, 9) == pieces and COARSE in coarsen(pieces, 1)[0].reason
