"""Headers and boundaries of the diffs inside a text."""

from __future__ import annotations

import pytest

from patchrun.core.sections import read_names, read_sections


def sections(text: str) -> list[tuple[int, int, int]]:
    return [(one.line, len(one.header), len(one.hunks)) for one in read_sections(text.split("\n"), 1)]


def test_counts_decide_where_a_hunk_ends() -> None:
    first = "--- a/x\n+++ b/x\n@@ -1,3 +1,2 @@\n a\n--- a/y\n+++ b/y\n-c\n@@ -9 +8 @@\n-d\n+e\n"
    text = first + "prose\n--- a/z\n+++ b/z\n@@ -1 +1 @@\n-a\n+b\n"
    assert sections(text) == [(1, 2, 8), (12, 2, 3)]


def test_a_hunk_without_counts_has_one_line_on_each_side() -> None:
    assert sections("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n+c\n") == [(1, 2, 3)]


def test_an_empty_line_counts_as_context() -> None:
    assert sections("--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@ def f():\n a\n\n-b\n+c\n") == [(1, 2, 5)]


def test_the_marker_of_a_missing_newline_belongs_to_the_hunk() -> None:
    text = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\nend"
    assert sections(text) == [(1, 2, 5)]


@pytest.mark.parametrize(
    "header", ["@@ -1,-3 +1 @@", "@@ -x +1 @@", "@@ -1" + "0" * 5000 + " +1 @@", "@@@ -1 -1 +1 @@@"]
)
def test_a_malformed_hunk_header_ends_the_section(header: str) -> None:
    assert sections(f"diff --git a/x b/x\n--- a/x\n+++ b/x\n{header}\n-a\n+b\n") == [(1, 3, 0)]


@pytest.mark.parametrize(
    ("header", "target", "agree"),
    [
        (["diff --git a/x.py b/x.py"], "x.py", True),
        (["diff --git a/deep/er/x.py b/deep/er/x.py"], "deep/er/x.py", True),
        (["diff --git a/two words b/two words"], "two words", True),
        (["diff --git a/x b/y"], "x", False),
        (['diff --git "a/\\316\\261" "b/\\316\\261"'], "α", True),
        (['diff --git a/x "b/\\316\\261"'], "x", False),
        (["diff --git a/x b/x", "--- a/x", "+++ /dev/null"], "x", True),
        (["diff --git a/x b/x", "--- /dev/null", "+++ b/x"], "x", True),
        (["diff --git a/x b/x", "--- a/x\t", "+++ b/x\t"], "x", True),
        (["diff --git a/x b/x\r", "--- a/x\r", "+++ b/x\r"], "x", True),
        (["--- x.py\t2026-01-01", "+++ x.py\t2026-01-02"], "x.py", True),
        (["--- x.py.orig", "+++ x.py"], "x.py", False),
        (["--- /dev/null", "+++ /dev/null"], "", False),
        (["diff --git a/x b/y", "rename from x", "rename to y"], "y", True),
        (["diff --git a/x b/y", "copy from x", "copy to y", "--- a/x", "+++ b/y"], "y", True),
        (["diff --git a/x b/y", "rename from x", "rename to y", "--- a/z", "+++ b/y"], "y", False),
        (['diff --git a/x "b/\\316\\261"', "rename from x", 'rename to "\\316\\261"'], "α", True),
    ],
)
def test_names_are_read_from_every_header_line(header: list[str], target: str, agree: bool) -> None:
    names = read_names(header)
    assert (names.target, names.agree) == (target, agree)


def test_every_spelled_name_is_kept() -> None:
    names = read_names(["diff --git a/x b/y", "--- a/z", "+++ b/w"])
    assert names.spelled == {"x", "y", "z", "w"}


@pytest.mark.parametrize(
    ("quoted", "plain"), [('"a/t\\ta\\"b\\\\"', 't\ta"b\\'), ('"a/\\377"', "\udcff"), ('"a/\\a\\b"', "\a\b")]
)
def test_quoting_is_undone_as_git_does_it(quoted: str, plain: str) -> None:
    assert read_names([f"--- {quoted}", f"+++ {quoted}"]).target == plain


def test_added_lines_carry_their_numbers_in_the_whole_diff() -> None:
    (section,) = read_sections(["x", "y", "--- a/x", "+++ b/x", "@@ -1,2 +1,2 @@", " a", "-b", "+c", ""], 11)
    assert list(section.added_lines()) == [(13, "--- a/x"), (14, "+++ b/x"), (18, "+c")]
