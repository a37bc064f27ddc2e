"""Statistics, positions and refusals of hunks."""

from __future__ import annotations

import pytest

from patchrun.core import hunks
from patchrun.core.hunks import Stats, count_lines, explain_refusal, judge_offsets, place_hunks
from patchrun.core.patch import read_patch
from patchrun.core.sections import Section, read_sections

HEAD = "--- a/x.py\n+++ b/x.py\n"
FILE = ["a", "b", "c", "d", "e", "f", "a", "b", "z", ""]


def section(hunks: str) -> Section:
    (one,) = read_sections((HEAD + hunks).split("\n"), 1)
    return one


def test_lines_are_counted_over_files_and_mails() -> None:
    one = section("@@ -1,3 +1,2 @@\n a\n--- b\n-c\n+++ d\n")
    assert count_lines([one, one]) == Stats(files=1, added=2, removed=4)


@pytest.mark.parametrize(
    "hunks", ["@@ -1,5 +1,5 @@\n a\n", "@@ -1,-3 +1 @@\n-a\n+b\n", "@@ -1" + "0" * 5000 + " +1 @@\n-a\n"]
)
def test_a_hunk_that_cannot_be_read_counts_as_nothing(hunks: str) -> None:
    (one,) = read_sections(("diff --git a/x.py b/x.py\n" + HEAD + hunks).split("\n"), 1)
    assert count_lines([one]) == Stats(files=1, added=0, removed=0)
    assert place_hunks(one, FILE) == []


def test_a_hunk_where_its_header_says_is_exact() -> None:
    (place,) = place_hunks(section("@@ -3,2 +3,3 @@\n c\n+new\n d\n"), FILE)
    assert (place.hunk, place.exact, place.matches) == (1, True, (2,))
    assert judge_offsets(section("@@ -3,2 +3,3 @@\n c\n+new\n d\n"), FILE) == []


def test_an_exact_hunk_may_match_elsewhere_too() -> None:
    assert judge_offsets(section("@@ -1,2 +1,2 @@\n a\n-b\n+B\n"), FILE) == []


def test_the_lines_of_earlier_hunks_shift_later_ones() -> None:
    hunks = "@@ -1,2 +1,4 @@\n a\n+1\n+2\n b\n@@ -5,2 +7,1 @@\n e\n-f\n"
    assert [place.exact for place in place_hunks(section(hunks), FILE)] == [True, True]


def test_a_hunk_that_fits_in_one_other_place_is_a_warning_with_the_new_line() -> None:
    (finding,) = judge_offsets(section("@@ -1,2 +1,2 @@\n d\n-e\n+E\n"), FILE)
    assert (finding.code, finding.severity, finding.path, finding.line) == ("PR109", "warning", "x.py", 4)


def test_a_hunk_that_fits_in_several_other_places_rejects_and_names_them() -> None:
    (finding,) = judge_offsets(section("@@ -4,2 +4,2 @@\n a\n-b\n+B\n"), FILE)
    assert (finding.code, finding.severity) == ("PR110", "error")
    assert "lines 1, 7" in finding.message


def test_a_hunk_that_fits_nowhere_as_it_reads_rejects() -> None:
    (finding,) = judge_offsets(section("@@ -4,2 +4,2 @@\n q\n-r\n+s\n"), FILE)
    assert finding.code == "PR110"
    assert "nowhere" in finding.message


def test_a_refusal_is_given_in_gits_words_with_hunk_and_line() -> None:
    data = ("Words.\n" + HEAD + "@@ -1,1 +1,1 @@\n-a\n+A\n@@ -12,1 +12,1 @@\n-q\n+r\n").encode()
    (part,) = read_patch(data, 64).parts
    finding = explain_refusal(part, "error: patch failed: x.py:12\nerror: x.py: patch does not apply")
    assert finding.code == "PR108"
    assert finding.message.startswith("error: patch failed: x.py:12\n")
    assert "hunk #2" in finding.message
    assert (finding.path, finding.line) == (None, 7)


def test_a_corrupt_line_is_counted_from_the_start_of_its_mail() -> None:
    mail = b"From " + b"0" * 40 + b" Mon Sep 17 00:00:00 2001\n\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
    last = read_patch(mail + mail, 64).parts[1]
    assert explain_refusal(last, "error: corrupt patch at line 5").line == 12


def test_other_words_of_git_are_kept_as_they_are() -> None:
    (part,) = read_patch((HEAD + "@@ -1 +1 @@\n-a\n+b\n").encode(), 64).parts
    finding = explain_refusal(part, "error: invalid path '../x'")
    assert (finding.message, finding.line) == ("error: invalid path '../x'", None)


def test_a_hunk_that_takes_nothing_fits_everywhere() -> None:
    assert [hunks._find([], lines) for lines in ([], ["a"])] == [[0], [0, 1]]
    assert hunks._find(["a"], []) == []
