"""Reading diffs: the awkward ones stand here as literals."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchrun.core.errors import UnreadableDiff
from patchrun.core.hunks import count_lines, judge_offsets
from patchrun.core.patch import check_named, check_text, read_patch

PLAIN = b"""\
diff --git a/train.py b/train.py
index 1111111..2222222 100644
--- a/train.py
+++ b/train.py
@@ -1,3 +1,3 @@
 import os
-RATE = 1
+RATE = 2
 STEPS = 3
"""
TRADITIONAL = b"""\
--- a/train.py\t2026-01-01 00:00:00
+++ b/train.py\t2026-01-02 00:00:00
@@ -1 +1 @@
-RATE = 1
+RATE = 2
"""
MAIL = b"""\
From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001
From: Ada <ada@example.org>
Date: Thu, 1 Jan 2026 00:00:00 +0000
Subject: [PATCH %d/2] Learn faster

A word about it:
--- this line is no header
+++ nor is this one
---
 train.py | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)

""" + PLAIN + b"""\
--\x20
2.39.5

"""  # fmt: skip
RENAME = b"""\
diff --git a/train.py b/main.py
similarity index 90%
rename from train.py
rename to main.py
"""
MODE = b"""\
diff --git a/train.py b/train.py
old mode 100644
new mode 100755
"""
BINARY = b"""\
diff --git a/weights.bin b/weights.bin
new file mode 100644
index 0000000..1111111
GIT binary patch
literal 4
LcmZQzWMT#Y01f~L

literal 0
HcmV?d00001

"""
SYMLINK = b"""\
diff --git a/link.py b/link.py
new file mode 120000
index 0000000..1111111
--- /dev/null
+++ b/link.py
@@ -0,0 +1 @@
+/etc/passwd
\\ No newline at end of file
"""
SUBMODULE = b"""\
diff --git a/lib b/lib
new file mode 160000
index 0000000..1111111
--- /dev/null
+++ b/lib
@@ -0,0 +1 @@
+Subproject commit 0123456789abcdef0123456789abcdef01234567
"""
DASHES = b"""\
diff --git a/notes.md b/notes.md
--- a/notes.md
+++ b/notes.md
@@ -1,4 +1,3 @@
 one
--- a line of two dashes and a space
-- a signature
+++ two pluses
 end
"""
SPACE = b"""\
diff --git a/my file.py b/my file.py
--- a/my file.py\t
+++ b/my file.py\t
@@ -1 +1 @@
-a = 1
+a = 2
"""
QUOTED = b"""\
diff --git "a/na\\303\\257ve \\"x\\".py" "b/na\\303\\257ve \\"x\\".py"
--- "a/na\\303\\257ve \\"x\\".py"
+++ "b/na\\303\\257ve \\"x\\".py"
@@ -1 +1 @@
-a = 1
+a = 2
"""
LYING = PLAIN.replace(b"+++ b/train.py", b"+++ b/other.py")
ADDED_CR = PLAIN.replace(b"+RATE = 2\n", b"+RATE = 2\r\n")


def codes(data: bytes, limit_kb: int = 1024) -> list[str]:
    return [finding.code for finding in check_text(read_patch(data, limit_kb))]


def targets(data: bytes) -> list[str]:
    return [section.names.target for section in read_patch(data, 1024).sections]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (PLAIN, ["train.py"]),
        (TRADITIONAL, ["train.py"]),
        (MAIL % 1, ["train.py"]),
        (RENAME, ["main.py"]),
        (MODE, ["train.py"]),
        (BINARY, ["weights.bin"]),
        (SYMLINK, ["link.py"]),
        (SUBMODULE, ["lib"]),
        (DASHES, ["notes.md"]),
        (SPACE, ["my file.py"]),
        (QUOTED, ['naïve "x".py']),
        (PLAIN + DASHES + SPACE, ["train.py", "notes.md", "my file.py"]),
        (b"--- train.py\n+++ train.py\n@@ -1 +1 @@\n-a\n+b\n", ["train.py"]),
        (b"--- a/gone.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n", ["gone.py"]),
        (b"--- a/../../etc/passwd\n+++ b/../../etc/passwd\n@@ -1 +1 @@\n-a\n+b\n", ["../../etc/passwd"]),
        (b"--- /etc/passwd\n+++ /etc/passwd\n@@ -1 +1 @@\n-a\n+b\n", ["etc/passwd"]),
    ],
)
def test_the_file_of_each_diff_is_read(data: bytes, expected: list[str]) -> None:
    assert targets(data) == expected


@pytest.mark.parametrize(
    "data", [PLAIN, TRADITIONAL, MAIL % 1, RENAME, MODE, SYMLINK, SUBMODULE, DASHES, SPACE, QUOTED]
)
def test_the_text_of_an_ordinary_diff_has_no_findings(data: bytes) -> None:
    assert codes(data) == []


def test_prose_around_a_diff_is_allowed() -> None:
    prose = (
        b"Here is my patch:\n\n```diff\n" + PLAIN + b"```\n\n- it doubles the rate\n+ nothing else\nBye.\n"
    )
    assert codes(prose) == []
    assert targets(prose) == ["train.py"]


@pytest.mark.parametrize(
    "data", [b"", b" \n\n", b"hello\n", b"--- a/x\n+++ b/x\n", b"@@ -1 +1 @@\n-a\n+b\n", b"\0\1\2"]
)
def test_what_holds_no_diff_cannot_be_read(data: bytes) -> None:
    with pytest.raises(UnreadableDiff) as caught:
        read_patch(data, 1024)
    assert caught.value.exit_code == 1
    assert caught.value.hint


def test_the_message_says_which_kind_of_unreadable() -> None:
    with pytest.raises(UnreadableDiff, match="UTF-16"):
        read_patch(PLAIN.decode().encode("utf-16"), 1024)
    with pytest.raises(UnreadableDiff, match="combined"):
        read_patch(
            b"diff --cc train.py\n--- a/train.py\n+++ b/train.py\n@@@ -1,2 -1,2 +1,2 @@@\n  a\n- b\n", 1024
        )
    with pytest.raises(UnreadableDiff, match="transfer encoding"):
        read_patch(b"Subject: x\nContent-Transfer-Encoding: base64\n\nZGlmZiAtLWdpdA==\n", 1024)


def test_a_diff_of_100_megabytes_is_refused_at_once() -> None:
    data = PLAIN + b"+x = 1\n" * (100 * 2**20 // 7)
    start = time.perf_counter()
    with pytest.raises(UnreadableDiff, match="larger than the 1024 KiB"):
        read_patch(data, 1024)
    assert time.perf_counter() - start < 1


def test_the_limit_is_the_largest_that_is_taken() -> None:
    data = PLAIN + b"#" * (1024 - len(PLAIN))
    assert codes(data, limit_kb=1) == []
    with pytest.raises(UnreadableDiff):
        read_patch(data + b"#", 1)


def test_a_series_is_split_into_its_mails() -> None:
    patch = read_patch(MAIL % 1 + MAIL % 2, 1024)
    assert [part.data for part in patch.parts] == [MAIL % 1, MAIL % 2]
    assert check_text(patch) == [], "a later mail may touch the file again"
    first, second = (section.line for section in patch.sections)
    text = (MAIL % 1 + MAIL % 2).split(b"\n")
    assert text[first - 1] == text[second - 1] == b"diff --git a/train.py b/train.py"


def test_a_mail_without_a_diff_is_skipped() -> None:
    cover = MAIL.replace(PLAIN, b"") % 0
    assert len(read_patch(cover + MAIL % 1, 1024).parts) == 1


def test_two_diffs_for_one_file_are_rejected_with_both_lines() -> None:
    (finding,) = check_text(read_patch(PLAIN + PLAIN, 1024))
    assert finding.code == "PR105"
    assert "line 1" in finding.message and "line 10" in finding.message
    assert finding.line == 10 and finding.path is None


def test_a_rename_beside_a_diff_of_its_source_is_not_two_diffs() -> None:
    assert codes(RENAME + DASHES) == []


@pytest.mark.parametrize(
    "header",
    [
        b"diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/other.py\n",
        b"diff --git a/train.py b/train.py\n--- a/other.py\n+++ b/other.py\n",
        b"diff --git a/train.py b/other.py\n--- a/other.py\n+++ b/other.py\n",
        b"--- a/train.py\n+++ b/other.py\n",
        b"diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n--- a/other.py\n+++ b/other.py\n",
        b"diff --git a/a.py b/b.py\nrename from a.py\nrename to b.py\n--- a/a.py\n+++ b/train.py\n",
    ],
)
def test_a_header_that_contradicts_itself_is_rejected(header: bytes) -> None:
    (finding,) = check_text(read_patch(header + b"@@ -1 +1 @@\n-a\n+b\n", 1024))
    assert finding.code == "PR107"
    assert finding.line == 1


def test_a_changed_file_that_no_header_names_is_rejected() -> None:
    patch = read_patch(PLAIN + QUOTED, 1024)
    assert check_named(patch, ["train.py", 'naïve "x".py']) == []
    (finding,) = check_named(patch, ["train.py", "other.py"])
    assert (finding.code, finding.path) == ("PR107", "other.py")


def test_a_nul_byte_and_bytes_that_are_not_utf8_are_rejected_with_their_line() -> None:
    (finding,) = check_text(read_patch(PLAIN.replace(b"+RATE", b"+R\0TE"), 1024))
    assert (finding.code, finding.line) == ("PR102", 8)
    (finding,) = check_text(read_patch(PLAIN.replace(b"+RATE", b"+R\xe4TE"), 1024))
    assert (finding.code, finding.line) == ("PR101", 8)


@pytest.mark.parametrize(
    "char", ["\u202e", "\u2066", "\u200b", "\ufeff", "\x1b", "\x08", "\u2028", "\U000e0041"]
)
def test_invisible_text_that_comes_in_is_rejected(char: str) -> None:
    (finding,) = check_text(read_patch(PLAIN.replace(b"+RATE", b"+RATE" + char.encode()), 1024))
    assert (finding.code, finding.line) == ("PR103", 8)
    assert f"U+{ord(char):04X}" in finding.message


def test_invisible_text_that_goes_or_stays_is_not_the_patchs_fault() -> None:
    hidden = "\u202e".encode()
    assert codes(PLAIN.replace(b"-RATE", b"-" + hidden).replace(b" STEPS", b" " + hidden)) == []


def test_invisible_text_in_a_file_name_is_rejected() -> None:
    assert "PR103" in codes(PLAIN.replace(b"train.py", "tr\u202eain.py".encode()))


def test_accents_emoji_tabs_and_form_feeds_are_ordinary_text() -> None:
    assert codes(PLAIN.replace(b"+RATE", "+# größer ☃ 🚀\t\x0c RATE".encode())) == []


def test_a_diff_in_crlf_is_one_finding() -> None:
    (finding,) = check_text(read_patch(PLAIN.replace(b"\n", b"\r\n"), 1024))
    assert finding.code == "PR104"
    assert "diff itself" in finding.message


def test_a_line_that_alone_ends_in_crlf_is_rejected_and_one_among_others_is_not() -> None:
    (finding,) = check_text(read_patch(ADDED_CR, 1024))
    assert (finding.code, finding.line) == ("PR104", 8)
    dos = PLAIN.replace(b"import os\n", b"import os\r\n").replace(b"RATE = 2\n", b"RATE = 2\r\n")
    assert codes(dos) == []
    assert codes(dos.replace(b"RATE = 2", b"RATE = \r2")) == ["PR104"]


@pytest.mark.parametrize("more", [b"+EXTRA = 1\n", b"-STEPS = 4\n", b" STEPS = 4\n", b"\n+EXTRA = 1\n"])
def test_lines_that_the_hunk_does_not_count_are_rejected(more: bytes) -> None:
    (finding,) = check_text(read_patch(PLAIN + more, 1024))
    assert (finding.code, finding.line) == ("PR106", 10)


def test_a_signature_a_fence_and_the_next_diff_are_not_surplus() -> None:
    for after in (b"-- \n2.39.5\n", b"--\n2.39.5\n", b"```\n", b"\n\nBest regards\n", DASHES):
        assert codes(PLAIN + after) == []


def test_a_binary_patch_is_rejected() -> None:
    assert codes(BINARY) == ["PR203"]


def test_a_hunk_whose_counts_are_too_large_ends_where_its_lines_do() -> None:
    patch = read_patch(PLAIN.replace(b"@@ -1,3 +1,3 @@", b"@@ -1,300 +1,300 @@") + DASHES, 1024)
    assert [section.names.target for section in patch.sections] == ["train.py", "notes.md"]


def test_many_sections_are_read_in_linear_time() -> None:
    data = b"".join(PLAIN.replace(b"train", b"f%d" % n) for n in range(5000))
    start = time.perf_counter()
    assert codes(data, limit_kb=2048) == []
    assert time.perf_counter() - start < 20


PIECES = [
    "diff --git a/x b/x", "diff --git a/x", "--- a/x", "+++ b/x", "--- /dev/null", "@@ -1,2 +1,2 @@", "@@ -0,0 +1 @@",
    "@@ -1 +1", "@@", "@@@ -1 -1 +1 @@@", "rename from x", "rename to y", "rename to", "old mode 1", "GIT binary patch",
    "Binary files a and b differ", " a", "-a", "+b", "", "\\ No newline at end of file", "From " + "0" * 40 +
    " Mon Sep 17 00:00:00 2001", '--- "a/\\303', '+++ "b/\\9"', "-- ", "\r", "+\r", "+\u202e", "+\udcff", "prose",
]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=20), max_size=30))
def test_any_lines_are_read_or_refused(lines: list[str]) -> None:
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    try:
        patch = read_patch(data, 64)
    except UnreadableDiff:
        return
    findings = check_text(patch)
    assert b"".join(part.data for part in patch.parts) in data or len(patch.parts) > 1
    assert all(finding.line is None or 1 <= finding.line <= data.count(b"\n") + 1 for finding in findings)
    stats = count_lines(patch.sections)
    assert stats.added <= data.count(b"+") and stats.removed <= data.count(b"-")
    for section in patch.sections:
        judge_offsets(section, ["a", "b", "a"])
