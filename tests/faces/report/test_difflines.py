"""A diff as rows: numbers, signs, highlighting that loses nothing, findings beside their lines, the stated limit."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchrun.core.findings import Finding
from patchrun.faces.report.difflines import DiffRows, read_rows
from tests.conftest import change
from tests.faces.report.sites import EVIL_DIFF, EVIL_LINE, EVIL_PATH

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.diff"))
GOOD = change("STEPS = 100", "STEPS = 60", 2)


def plain(markup: object) -> str:
    return unescape(re.sub(r"<[^>]*>", "", str(markup)))


def shown(found: DiffRows) -> list[str]:
    signs = {"add": "+", "del": "-", "ctx": " ", "sign": "", "hunk": "", "head": ""}
    return [signs[row.kind] + plain(row.text) for file in found.files for row in file.rows]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_line_of_a_diff_is_shown_as_it_is(path: Path) -> None:
    found = read_rows(path.read_bytes())
    assert shown(found) == path.read_text().splitlines() and not found.is_cut


def test_lines_are_numbered_on_their_side() -> None:
    [file] = read_rows(GOOD).files
    assert [(row.kind, row.old, row.new) for row in file.rows if row.kind not in ("head", "hunk")] == [
        ("ctx", 1, 1), ("del", 2, None), ("add", None, 2), ("ctx", 3, 3), ("ctx", 4, 4), ("ctx", 5, 5),
    ]  # fmt: skip


def test_python_is_highlighted_and_other_text_is_not() -> None:
    python, text = read_rows(GOOD), read_rows(GOOD.replace(b"train.py", b"notes.txt"))
    assert '<span class="m">60</span>' in "".join(row.text for row in python.files[0].rows)
    assert "<span" not in "".join(row.text for row in text.files[0].rows)


def test_a_hunk_that_begins_in_a_string_does_not_colour_the_next_one() -> None:
    hunks = '@@ -1,2 +1,2 @@\n-old words\n+new words\n """\n@@ -9 +9 @@\n-x = 1\n+x = 2\n'
    [file] = read_rows(f"--- a/t.py\n+++ b/t.py\n{hunks}".encode()).files
    assert file.rows[-1].text == 'x = <span class="m">2</span>'


def test_findings_stand_below_the_line_they_name() -> None:
    notes = [
        Finding(code="PR401", severity="error", message="of the file", path="train.py", line=2),
        Finding(code="PR103", severity="error", message="of the diff", line=3),
        Finding(code="PR301", severity="error", message="elsewhere", path="other.py", line=2),
        Finding(code="PR302", severity="info", message="of no line", path="train.py"),
    ]
    [file] = read_rows(GOOD, notes).files
    found = {(row.kind, row.new): [note.code for note in row.findings] for row in file.rows if row.findings}
    assert found == {("add", 2): ["PR401"], ("head", None): ["PR103"]}


def test_markup_in_a_diff_is_escaped_and_hidden_characters_are_shown() -> None:
    found = read_rows(EVIL_DIFF)
    source = "".join(row.text for file in found.files for row in file.rows)
    assert not re.search(r"<(?!/?span)", source)
    assert found.files[0].path == EVIL_PATH and any(EVIL_LINE in line for line in shown(found))
    assert "⟨U+202E⟩back⟨U+0007⟩" in source


def test_a_long_diff_is_cut_and_says_so() -> None:
    lines = "".join(f"+x{k} = '<&\"{k}'\n" for k in range(20_000))
    diff = f"--- a/t.py\n+++ b/t.py\n@@ -0,0 +1,20000 @@\n{lines}".encode()
    found = read_rows(diff)
    assert found.is_cut and (found.added, found.lines) == (20_000, 20_003)
    size = sum(len(row.text.encode()) for row in found.files[0].rows)
    assert 50_000 < size < 150_000 and found.shown == len(found.files[0].rows)


def test_many_small_files_are_cut_too() -> None:
    diff = "".join(f"--- a/{k}.py\n+++ b/{k}.py\n@@ -0,0 +1 @@\n+x = {k}\n" for k in range(3000)).encode()
    found = read_rows(diff)
    assert found.is_cut and 50 < len(found.files) < 150 and found.added == 3000


def test_a_long_line_is_cut() -> None:
    found = read_rows(GOOD.replace(b"STEPS = 60", b"STEPS = 60 # " + b"y" * 100_000))
    assert max(len(line) for line in shown(found)) < 410


@pytest.mark.parametrize("diff", [b"", b"no diff", b"\xff\xfe\x00"])
def test_what_is_no_diff_has_no_rows(diff: bytes) -> None:
    assert read_rows(diff) == DiffRows((), 0, 0, 0, 0)


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=20), max_size=12
    )
)
def test_any_python_keeps_its_lines(texts: list[str]) -> None:
    body = "".join(f"+{text}\n" for text in texts)
    diff = f"--- a/t.py\n+++ b/t.py\n@@ -0,0 +1,{len(texts)} @@\n{body}".encode()
    found = read_rows(diff)
    rows = [row for file in found.files for row in file.rows if row.kind == "add"]
    assert len(rows) == len(texts)
    assert all(re.search(r"<(?!/?span)", row.text) is None for row in rows)
