"""What could steer a terminal never reaches it as it is."""

from __future__ import annotations

import io
import sys

import pytest

from patchrun.faces.plain_text import decode_spelled, echo_plain, spell

HOSTILE = {
    "\x1b[2J": "\\x1b[2J",
    "\x1b]0;title\x07": "\\x1b]0;title\\x07",
    "\x9b31m": "\\x9b31m",  # the eight-bit form of ESC [
    "over\rwritten": "over\\rwritten",
    "back\b\b": "back\\x08\\x08",
    "a\u202eb": "a\\u202eb",
    "zero\u200bwidth": "zero\\u200bwidth",
    "\x00\x7f": "\\x00\\x7f",
    "\u2028": "\\u2028",
    "\ud800": "\\ud800",
    "\U000e0041": "\\U000e0041",
}


@pytest.mark.parametrize("text", HOSTILE)
def test_control_characters_are_spelled(text: str) -> None:
    assert spell(text) == HOSTILE[text] and spell(text).isprintable()


@pytest.mark.parametrize("text", ["", "plain ~!", "tab\tand\nnewline\n", "Zoë, 東京, αβ, ▁▂█"])
def test_honest_text_stays(text: str) -> None:
    assert spell(text) == text and decode_spelled(text.encode()) == text


def test_bytes_that_are_no_text_are_spelled() -> None:
    assert decode_spelled(b"\xff\xfe\x1b[m\n") == "\\xff\\xfe\\x1b[m\n"


def test_an_output_that_lacks_the_letters_gets_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    echo_plain("é\x1b", end="")
    sys.stdout.flush()
    assert raw.getvalue() == b"\\xe9\\x1b"
