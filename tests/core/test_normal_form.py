# ruff: noqa: E501 - diffs stand in one piece
"""The normal form of a diff: what is mended, what is refused and why, and that no mend is a way in."""

from __future__ import annotations

import difflib

import pytest

from patchrun.core.edits import NoEdits, Refusal
from patchrun.core.normal_form import normalise

BASE = "import os\n\nRATE = 1\nSTEPS = 100\n\n\ndef load():\n    return 42\n\n\ndef step(rate):\n    return rate * 2\n"
OTHER = "A = 1\nB = 2\n-- a dash\nC = 3\n"
FILES = {"train.py": BASE.encode(), "lib/other.py": OTHER.encode()}
HEAD = "--- a/train.py\n+++ b/train.py\n"
GOOD = f"{HEAD}@@ -1,5 +1,5 @@\n import os\n \n-RATE = 1\n+RATE = 2\n STEPS = 100\n \n"


def normal(diff: str, files: dict[str, bytes] = FILES) -> tuple[str, tuple[str, ...]]:
    found = normalise(diff.encode(), files)
    return found.diff.decode(), found.mends


def apply_strictly(diff: str, files: dict[str, bytes] = FILES) -> dict[str, str]:
    """The files after ``diff`` in normal form: every old line must stand at its number."""
    after = {path: data.decode() for path, data in files.items()}
    for section in diff.split("diff --git ")[1:]:
        head, *hunks = section.split("\n@@ -")
        old, new = (head.split(f"\n{sign} ")[1].split("\n")[0] for sign in ("---", "+++"))
        path = new[2:] if new != "/dev/null" else old[2:]
        lines, out, at = after.get(path, "").splitlines(True), [], 0
        for hunk in hunks:
            header, *body = hunk.split("\n")
            body = body[:-1] if body and body[-1] == "" else body
            start, count = int(header.split(",")[0]), int(header.split(",")[1].split(" ")[0])
            start -= count > 0
            out += lines[at:start]
            old_lines = [line[1:] + "\n" for line in body if line[:1] in (" ", "-")]
            assert lines[start : start + count] == old_lines
            out += [line[1:] + "\n" for line in body if line[:1] in (" ", "+")]
            at = start + count
        after[path] = "".join(out + lines[at:])
    return after


def test_a_good_diff_has_no_mends() -> None:
    diff, mends = normal(GOOD)
    assert mends == ()
    assert apply_strictly(diff)["train.py"] == BASE.replace("RATE = 1", "RATE = 2")


def test_the_normal_form_is_its_own_normal_form() -> None:
    spoiled = GOOD.replace("@@ -1,5 +1,5 @@", "@@").replace("a/train.py", "train.py")
    diff, mends = normal(spoiled)
    assert mends == ("file names", "hunk headers without line numbers")
    assert normal(diff) == (diff, ())


@pytest.mark.parametrize(
    ("spoiled", "mend"),
    [
        (GOOD.replace("-1,5 +1,5", "-1,9 +1,9"), "the counts of @@ lines"),
        (GOOD.replace("-1,5 +1,5", "-40,5 +40,5"), "line numbers"),
        (GOOD.replace("@@ -1,5 +1,5 @@", "@@ ... @@"), "hunk headers without line numbers"),
        (GOOD.replace("@@ -1,5 +1,5 @@\n", ""), "hunk headers without line numbers"),
        (GOOD.replace("\n \n", "\n\n"), None),
        (GOOD[:-1], "the last newline"),
        ("\ufeff" + GOOD, "a byte order mark"),
        (GOOD.replace("\n", "\r\n"), "line ends in CRLF"),
        (GOOD.replace("\n", "\r\n").removesuffix("\r\n"), "line ends in CRLF"),
        (GOOD.replace("a/", "/home/ada/").replace("b/", "/home/ada/"), "file names"),
        (GOOD.replace(" STEPS = 100\n", " STEPS = 100  \n"), "white space at the end of lines"),
        ("".join(f"> {line}\n" for line in GOOD.splitlines()), "indentation or quotation marks before each line"),
        (f"{HEAD}@@ -3 +3 @@\n-RATE = 1\n+RATE = 2\n", "lines without context"),
        ("*** Begin Patch\n*** Update File: train.py\n@@\n-RATE = 1\n+RATE = 2\n*** End Patch\n", "lines without context"),
        ("**train.py**\n```\n<<<<<<< SEARCH\nRATE = 1\n=======\nRATE = 2\n>>>>>>> REPLACE\n```\n", "lines without context"),
    ],
)  # fmt: skip
def test_what_is_mended_gives_the_same_tree(spoiled: str, mend: str | None) -> None:
    diff, mends = normal(spoiled)
    assert apply_strictly(diff)["train.py"] == BASE.replace("RATE = 1", "RATE = 2")
    assert mend is None or mend in mends


def test_html_escapes_are_taken_back_where_the_context_says_that_they_are_escapes() -> None:
    files = {"a.py": b"x = 1 < 2\ny = 3\n"}
    diff, mends = normal(
        "--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n x = 1 &lt; 2\n-y = 3\n+y = 3 &amp; 4\n", files
    )
    assert "HTML escapes" in mends
    assert apply_strictly(diff, files)["a.py"] == "x = 1 < 2\ny = 3 & 4\n"
    mixed = "--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n x = 1 &lt; 2\n-y = 3\n+y = 3 < 4\n"
    with pytest.raises(Refusal, match="says 'x = 1 &lt; 2', and line 1 of a.py is 'x = 1 < 2'"):
        normal(mixed, files)


def test_a_whole_file_given_as_new_is_compared_with_the_one_that_is_there() -> None:
    new = BASE.replace("RATE = 1", "RATE = 2")
    lines = new.splitlines(True)
    diff, mends = normal(
        f"--- /dev/null\n+++ b/train.py\n@@ -0,0 +1,{len(lines)} @@\n" + "".join(f"+{line}" for line in lines)
    )
    assert apply_strictly(diff)["train.py"] == new
    assert mends == ("a whole file given as new: it was compared with the one that is there",)


def test_a_new_file_stays_one() -> None:
    diff, mends = normal("--- /dev/null\n+++ b/lib/more.py\n@@ -0,0 +1,5 @@\n+x = 1\n+y = 2\n")
    assert apply_strictly(diff)["lib/more.py"] == "x = 1\ny = 2\n"
    assert "new file mode 100644" in diff
    assert mends == ()


def test_the_end_of_a_file_without_a_newline_stays_so() -> None:
    files = {"a.py": b"x = 1\ny = 2"}
    diff, _ = normal(
        "--- a/a.py\n+++ b/a.py\n@@\n x = 1\n-y = 2\n\\ No newline at end of file\n+y = 3\n\\ No newline at end of file\n",
        files,
    )
    assert diff.endswith("-y = 2\n\\ No newline at end of file\n+y = 3\n\\ No newline at end of file\n")


@pytest.mark.parametrize(
    ("diff", "reason"),
    [
        (f"{HEAD}@@\n-\n+x = 1\n", r"stand in 5 places of train.py \(lines 2, 5, 6, 9, 10\)"),
        (f"{HEAD}@@ -3,1 +3,1 @@\n-RATE = 1\n+RATE = 2\n@@ -3,1 +3,1 @@\n-RATE = 1\n+RATE = 3\n", "overlap at line 3 of train.py"),
        (f"{HEAD}@@ -3,0 +4,1 @@\n+X = 1\n", "only adds lines, and nothing says beside which lines of train.py"),
        (f"{HEAD}@@ -3,2 +3,2 @@\n-RATE = 7\n+RATE = 2\n STEPS = 100\n", "line 4 of the diff says 'RATE = 7', and line 3 of train.py is 'RATE = 1'"),
        (f"{HEAD}@@ -3,2 +3,2 @@\n-RATE = 1\n+RATE = 2\n@@\n", "has no lines"),
        ("@@ -3,1 +3,1 @@\n-RATE = 1\n+RATE = 2\n", "no line before it names a file"),
        (f"{HEAD}@@ -3,2 +3,3 @@\n-RATE = 1\n+RATE = 2\nSTEPS = 100\n+X = 1\n", "line 7 goes on after the end of a hunk"),
        ("--- a/model.py\n+++ b/model.py\n@@\n-RATE = 1\n+RATE = 2\n", "can mean these files of the baseline: none"),
        ("rename from a\ndiff --git a/train.py b/x.py\nrename from train.py\nrename to x.py\n", "renames, copies or replaces"),
        ("<<<<<<< SEARCH\nRATE = 1\n=======\nRATE = 2\n>>>>>>> REPLACE\n", "names no file"),
        ("train.py\n<<<<<<< SEARCH\nRATE = 1\n=======\nRATE = 2\n", "does not end"),
    ],
)  # fmt: skip
def test_what_can_be_meant_in_two_ways_or_in_none_is_refused(diff: str, reason: str) -> None:
    with pytest.raises(Refusal, match=reason) as refused:
        normal(diff)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("*** train.py\n--- train.py\n***************\n*** 3 ****\n! RATE = 1\n--- 3 ----\n! RATE = 2\n", "a context diff"),
        ("3c3\n< RATE = 1\n---\n> RATE = 2\n", "a diff without context"),
        ("Raise the rate.\n", "no file header and no hunk"),
    ],
)  # fmt: skip
def test_other_formats_are_named(text: str, form: str) -> None:
    with pytest.raises((NoEdits, Refusal), match=form) as refused:
        normal(text)
    assert "git diff" in refused.value.hint


# Each mend as a way in: the tree must be the one that a reader of the diff sees, or there is none.


def test_a_count_hides_no_second_file() -> None:
    hidden = "--- a/lib/other.py\n+++ b/lib/other.py\n@@ -1,1 +1,1 @@\n-A = 1\n+A = 9\n"
    diff, _ = normal(f"{HEAD}@@ -3,9 +3,9 @@\n-RATE = 1\n+RATE = 2\n{hidden}")
    after = apply_strictly(diff)
    assert after["lib/other.py"] == OTHER.replace("A = 1", "A = 9"), "a reader sees a second file"
    assert after["train.py"] == BASE.replace("RATE = 1", "RATE = 2")


def test_a_removed_line_that_looks_like_a_header_is_a_line() -> None:
    diff, _ = normal(
        "--- a/lib/other.py\n+++ b/lib/other.py\n@@ -2,3 +2,3 @@\n B = 2\n--- a dash\n+++ a plus\n C = 3\n"
    )
    assert apply_strictly(diff)["lib/other.py"] == OTHER.replace("-- a dash", "++ a plus")


@pytest.mark.parametrize("name", ["x/train.py", "lib/train.py", "other/lib/other.py"])
def test_a_prefix_that_can_name_two_files_is_refused(name: str) -> None:
    files = {**FILES, "x/train.py": b"RATE = 1\n", "other.py": b"A = 1\n"}
    old = "RATE = 1" if "train" in name else "A = 1"
    diff = f"--- somewhere/{name}\n+++ somewhere/{name}\n@@\n-{old}\n+{old}0\n"
    if name == "lib/train.py":
        assert apply_strictly(normal(diff, files)[0], files)["train.py"] == BASE.replace(
            "RATE = 1", "RATE = 10"
        )
        return
    with pytest.raises(Refusal, match="can mean these files of the baseline: .*, "):
        normal(diff, files)


def test_both_names_must_mean_one_file() -> None:
    with pytest.raises(Refusal, match="lib/other.py, train.py"):
        normal("--- old/train.py\n+++ new/lib/other.py\n@@\n-RATE = 1\n+RATE = 2\n")


def test_a_fence_inside_a_docstring_ends_nothing() -> None:
    files = {"a.py": b'"""Text.\n\n```\ncode\n```\n"""\nx = 1\n'}
    diff, _ = normal(
        '```diff\n--- a/a.py\n+++ b/a.py\n@@\n ```\n code\n ```\n """\n-x = 1\n+x = 2\n```\n', files
    )
    assert apply_strictly(diff, files)["a.py"].endswith("x = 2\n")


def test_a_bare_fence_in_a_hunk_ends_it_and_what_follows_is_not_lost() -> None:
    with pytest.raises(Refusal, match="goes on after the end of a hunk"):
        normal(f"```diff\n{HEAD}@@\n-RATE = 1\n+RATE = 2\n```\n+import os\n")


def test_quoted_lines_do_not_end_the_quotation() -> None:
    quoted = "".join(f"> {line}\n" for line in GOOD.splitlines())
    later = "--- a/lib/other.py\n+++ b/lib/other.py\n@@\n-A = 1\n+A = 9\n"
    after = apply_strictly(normal(quoted + later)[0])
    assert after["lib/other.py"] == OTHER.replace("A = 1", "A = 9"), "an unquoted section is read as one"


def test_colour_codes_inside_code_stay() -> None:
    coloured = GOOD.replace("+RATE = 2", "\x1b[32m+\x1b[m\x1b[32mRATE = 2  # \x1b[0m hidden\x1b[m")
    diff, _ = normal(coloured.replace("--- a", "\x1b[1m--- a"))
    assert "\x1b[0m hidden" in diff, "the rule on hidden text must see it"


@pytest.mark.parametrize("text", ["RATE = 2  # \r\n", "RATE = '\r'\n", "RATE = 2\r\n"])
def test_a_cr_in_some_lines_stays(text: str) -> None:
    diff, mends = normal(GOOD.replace("RATE = 2\n", text))
    assert "\r" in diff
    assert "line ends in CRLF" not in mends


def test_a_margin_before_some_lines_is_none() -> None:
    diff = GOOD.replace(" STEPS = 100\n", "     STEPS = 100\n")
    with pytest.raises(Refusal, match=r"STEPS = 100"):
        normal(diff)


def test_long_diffs_of_equal_lines_take_no_quadratic_time() -> None:
    files = {"a.py": b"x\n" * 20_000}
    diff = "--- a/a.py\n+++ b/a.py\n" + "@@\n x\n-x\n+y\n" * 200
    with pytest.raises(Refusal, match="places of a.py"):
        normal(diff, files)


def test_what_git_takes_keeps_its_tree() -> None:
    new = BASE.replace("RATE = 1", "RATE = 2").replace("    return 42\n", "    return 43\n    # once\n")
    for context in (1, 3, 10):
        lines = difflib.unified_diff(
            BASE.splitlines(True), new.splitlines(True), "a/train.py", "b/train.py", n=context
        )
        diff, mends = normal("".join(lines))
        assert (apply_strictly(diff)["train.py"], mends) == (new, ())
