"""What two patches share, from literal changes."""

from __future__ import annotations

from patchrun.core.pieces import FileChange, Hunk
from patchrun.core.twopatches import Change, compare_patches, read_changes


def change(first: int, end: int, *new: bytes, path: str = "t.py") -> Change:
    return Change(
        Hunk(path, first, end, first, first + len(new)), tuple(b"x\n" for _ in range(first, end)), new
    )


SAME, OTHER = change(3, 4, b"A\n"), change(3, 4, b"B\n")


def test_the_same_lines_replaced_by_the_same_lines_are_one_change() -> None:
    moved = Change(
        Hunk("t.py", 3, 4, 9, 10), SAME.old, SAME.new
    )  # lower in the new file, for what stands above
    found = compare_patches([SAME], [moved])
    assert found.both == (SAME,) and not found.differ and not found.only_a and not found.only_b


def test_one_place_changed_in_two_ways() -> None:
    found = compare_patches([SAME, change(9, 10, b"C\n")], [OTHER])
    assert found.differ == (((SAME,), (OTHER,)),)
    assert [one.hunk.old_first for one in found.only_a] == [9] and found.only_b == ()


def test_changes_that_overlap_through_a_third_are_one_group() -> None:
    wide = change(0, 6, b"W\n")
    found = compare_patches([change(0, 2, b"A\n"), change(4, 8, b"B\n")], [wide])
    assert len(found.differ) == 1 and len(found.differ[0][0]) == 2 and found.differ[0][1] == (wide,)


def test_lines_added_at_one_place_and_next_to_each_other() -> None:
    one, other = change(5, 5, b"A\n"), change(5, 5, b"B\n")
    assert compare_patches([one], [other]).differ == (((one,), (other,)),)
    after = change(4, 5, b"C\n")
    assert compare_patches([after], [one]).differ == (), "one ends where the other begins"


def test_another_file_is_another_place() -> None:
    found = compare_patches([SAME], [change(3, 4, b"A\n", path="u.py")])
    assert found.both == () and len(found.only_a) == len(found.only_b) == 1


def test_two_empty_patches() -> None:
    assert compare_patches([], []).both == ()


def test_changes_are_read_with_their_lines() -> None:
    files = {"t.py": FileChange("t.py", b"a\nb\n", b"a\nB\nc\n")}
    [one] = read_changes([Hunk("t.py", 1, 2, 1, 3)], files)
    assert one.old == (b"b\n",) and one.new == (b"B\n", b"c\n")
    [gone] = read_changes([Hunk("t.py", 0, 1, 0, 0, True)], {"t.py": FileChange("t.py", b"a\n", None)})
    assert gone.old == (b"a\n",) and gone.new == ()
