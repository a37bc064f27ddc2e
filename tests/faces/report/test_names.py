"""Pages are named by ids and hashes; words of strangers are shown, cut and harmless."""

from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchrun.core.errors import UsageError
from patchrun.faces.report import names

ANY = st.text(st.characters(codec=None), max_size=300)


@given(ANY)
def test_no_page_is_named_by_a_stranger(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    assert re.fullmatch(r"submission/[0-9a-f]{8,64}\.html", names.submission_page(text))
    assert re.fullmatch(r"agent/[0-9a-f]{20}\.html", names.agent_page(text))


def test_pages_of_records_and_spans() -> None:
    assert names.record_page("12") == names.record_page(12) == "record/12.html"
    assert names.record_page("30..62") == "record/30-62.html"
    with pytest.raises(UsageError):
        names.record_page("../../etc/passwd")


def test_ids_name_their_pages() -> None:
    assert names.submission_page("ab" * 10) == f"submission/{'ab' * 10}.html"
    assert names.submission_page("../x") != names.submission_page("../y")


@pytest.mark.parametrize("char", ["\u202e", "\u200b", "\x00", "\x1b", "\r", "\ufeff", "\U000e0041", "\ud800"])
def test_what_cannot_be_seen_is_shown(char: str) -> None:
    assert names.reveal(f"a{char}b") == f"a⟨U+{ord(char):04X}⟩b"


def test_what_can_be_seen_stays() -> None:
    text = "tab\tline\nä 漢 🙂 <b>"
    assert names.reveal(text) == text


@given(ANY, st.integers(1, 400), st.booleans())
def test_a_cut_is_bounded_escaped_and_true(text: str, most: int, end: bool) -> None:
    shown = names.cut(text, most, end=end)
    assert len(shown.encode()) <= most + len("…".encode())
    assert not re.search(r"[<>\"']", shown)
    whole, piece = names.reveal(text), unescape(str(shown))
    if piece == whole:
        return
    assert whole.endswith(piece.removeprefix("…")) if end else whole.startswith(piece.removesuffix("…"))


def test_a_short_text_is_not_cut() -> None:
    assert names.cut("a<b", 10) == "a&lt;b" and names.cut("", 10) == ""
