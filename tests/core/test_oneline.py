"""One line of what strangers say."""

from __future__ import annotations

import pytest

from patchrun.core.oneline import shorten


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("as it is", "as it is"),
        ("  two\nlines\tand\r\n tabs ", "two lines and tabs"),
        ("steers \x1b[2J\x07 a terminal", "steers [2J a terminal"),
        ("turned \u202e round", "turned round"),
        ("\n \x00", ""),
        ("ten signs!", "ten signs!"),
        ("eleven sign", "eleven ..."),
    ],
)
def test_text_becomes_one_short_line(text: str, line: str) -> None:
    assert shorten(text, 30 if "eleven" not in text else 10) == line
