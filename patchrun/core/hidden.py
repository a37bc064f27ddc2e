"""Characters that one does not see, and where they are ordinary text: emoji sequences, joiners of scripts that join.

Sources: Unicode Technical Standard 51 (emoji sequences), the Unicode Standard 23.2 (joiners) and 23.4 (variation
selectors), Unicode Technical Report 36 (what hides or reorders text).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from patchrun.core.findings import Severity

HIDDEN = re.compile(
    "[\x01-\x08\x0b\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e01ef]"
)
LOOK_ALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501\u051b\u051d\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425"
    "\u0406\u0408\u0405\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf",
    "aeopcyxijshdqwABEKMHOPCTXIJSABEZHIKMNOPTYXo",
)  # Cyrillic and Greek letters that no font tells from Latin ones (Unicode Technical Standard 39)
JOINER, NON_JOINER, SOFT_HYPHEN = "\u200d", "\u200c", "\u00ad"
EMOJI_LOOK = "\ufe0e\ufe0f"
FLAG, TAG_END = "\U0001f3f4", "\U000e007f"
FLAG_OF_REGION = re.compile(f"{FLAG}[\U000e0030-\U000e0039\U000e0061-\U000e007a]{{3,6}}{TAG_END}")
KEYCAP = re.compile("[0-9#*]\ufe0f\u20e3")
JOINING = ("ARABIC", "SYRIAC", "MONGOLIAN", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL", "TELUGU",
           "KANNADA", "MALAYALAM", "SINHALA", "KHMER", "MYANMAR", "TIBETAN", "TAI THAM", "BALINESE")  # fmt: skip
SKIN = range(0x1F3FB, 0x1F400)
TECHNICAL = "\u00a9\u00ae\u2122\u2139\u203c\u2049\u3030\u303d\u3297\u3299"


def find_hidden(text: str) -> Iterator[tuple[str, Severity]]:
    """Each hidden character of ``text`` that its neighbours do not account for, and how bad it is."""
    if not HIDDEN.search(text):
        return
    ordinary = {
        at
        for pattern in (FLAG_OF_REGION, KEYCAP)
        for match in pattern.finditer(text)
        for at in range(*match.span())
    }
    for match in HIDDEN.finditer(text):
        at, char = match.start(), match[0]
        if at in ordinary or _belongs(text, at):
            continue
        yield char, "warning" if char == SOFT_HYPHEN and _is_between_letters(text, at) else "error"


def read_alike(name: str) -> str | None:
    """The plain name that a name of other letters is taken for, None where it is not; one letter alone is a symbol."""
    plain = name.translate(LOOK_ALIKES)
    return plain if plain != name and plain.isascii() and len(name) > 1 else None


def _belongs(text: str, at: int) -> bool:
    """Whether the character at ``at`` is what a writer of emoji or of a joining script has to type."""
    char, before, after = text[at], text[at - 1 : at], text[at + 1 : at + 2]
    if char == JOINER and _is_emoji(after):
        return _is_emoji(before) or (
            before in EMOJI_LOOK and before != "" and _is_emoji(text[at - 2 : at - 1])
        )
    if char in (JOINER, NON_JOINER):
        return _joins(before) and (_joins(after) or not after.isalnum())
    return char in EMOJI_LOOK and _is_emoji(before)


def _is_emoji(char: str) -> bool:
    """Whether a character can stand in an emoji sequence: a symbol beyond letters, or a skin tone."""
    return bool(char) and (
        unicodedata.category(char) == "So" or ord(char) in SKIN or char in TECHNICAL or char in "↔↕⬅➡"
    )


def _joins(char: str) -> bool:
    return bool(char) and unicodedata.name(char, "").startswith(JOINING)


def _is_between_letters(text: str, at: int) -> bool:
    return text[at - 1 : at].isalpha() and text[at + 1 : at + 2].isalpha()
