"""Names of agents: which are taken, which are one name, and which look like another.

A name is compared as NFKC without case, without spaces at its ends and without characters that nobody sees (UAX 15 and
31 of the Unicode standard). What looks like another name is flagged, not refused: two people may be called alike.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

import msgspec

from patchrun.core.errors import UsageError

T = TypeVar("T", bound=msgspec.Struct)
LONGEST_NAME, LONGEST_TEXT = 100, 2000
JOINERS = "\u200c\u200d"  # Persian and emoji need them
SELECTORS = re.compile(
    "[\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef\u034f\u115f\u1160\u3164\uffa0\u200c\u200d]"
)
VISIBLE = ("L", "N", "S")
CATEGORIES = {
    "Cc": "a control character",
    "Cs": "half a character (a surrogate)",
    "Cf": "an invisible character that steers text",
    "Co": "a character of private use",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}
SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN")
LOOKS = dict(
    zip(
        "аеорсухіјѕԁһԛԝѵգոսցհօքαβγικνορτυχϲϳ01|‐‑‒–—−",
        "aeopcyxijsdhqwvqnughoqaβyiknoptuxcjoll------",
        strict=True,
    )
) | {"rn": "m", "vv": "w", "ѡ": "w", "ь": "b", "к": "k", "м": "m", "т": "t", "н": "h", "в": "b"}
PAIRS = re.compile("rn|vv")


def check_name(text: str, what: str = "the agent's name") -> str:
    """A name as it is stored: without spaces at its ends.

    Raises:
        UsageError: it is empty, too long, or holds what steers text or cannot be kept by git or UTF-8.
    """
    name = text.strip()
    if problem := find_problem(name):
        raise UsageError(f"{what} {problem}", "use letters, digits, spaces and signs such as - _ . / + : @")
    return name


def find_problem(name: str) -> str:
    """Why ``name`` names nobody, empty where it does."""
    if not name.strip():
        return "is empty"
    if len(name) > LONGEST_NAME:
        return f"has {len(name)} characters, {LONGEST_NAME} at most: {name[:20]!a}..."
    if bad := find_character(name):
        return f"holds {bad}: {name!a}"
    if re.search("[<>]", name):
        return f"holds < or >, which git cannot keep: {name!a}"
    plain = unicodedata.normalize("NFKC", name)
    if not any(unicodedata.category(sign)[0] in VISIBLE for sign in SELECTORS.sub("", plain)):
        return f"has no letter, digit or symbol: {name!a}"
    return ""


def find_character(text: str, allowed: str = JOINERS) -> str:
    """The first character that no text of a person's may hold, in words; empty where there is none."""
    for sign in text:
        if sign not in allowed and (words := CATEGORIES.get(unicodedata.category(sign))):
            return f"{words} (U+{ord(sign):04X})"
        if ord(sign) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(sign) <= 0xFDEF:
            return f"no character (U+{ord(sign):04X})"
    return ""


def check_words(text: str, what: str) -> str:
    """Free text as it is stored: a reason, a model's name, who says so. Lines and tabs may be in it.

    Raises:
        UsageError: it is too long, or holds what steers text or cannot be kept as UTF-8.
    """
    if problem := find_words_problem(text):
        raise UsageError(
            f"{what} {problem}", "write plain text, without such characters, and shorter if need be"
        )
    return text


def find_words_problem(text: str) -> str:
    """Why ``text`` is not kept as free text, empty where it is."""
    if len(text) > LONGEST_TEXT:
        return f"has {len(text)} characters, {LONGEST_TEXT} at most"
    bad = "" if text.isprintable() else find_character(text, JOINERS + "\n\t")
    return f"holds {bad}" if bad else ""


@lru_cache(4096)
def fold_name(name: str) -> str:
    """What two spellings of one name share."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(SELECTORS.sub("", folded).split())


@lru_cache(4096)
def draw_name(name: str) -> str:
    """What names that look alike share: a rough picture of the folded name."""
    signs = "".join(LOOKS.get(sign, sign) for sign in fold_name(name))
    return PAIRS.sub(lambda pair: LOOKS[pair[0]], signs)


def is_same(one: str, other: str) -> bool:
    """Two spellings of one name."""
    return one == other or fold_name(one) == fold_name(other)


def mixed_scripts(name: str) -> tuple[str, ...]:
    """The scripts that one word of ``name`` mixes with letters that look Latin; empty where none does."""
    for word in re.split(r"[^\w]+|_", unicodedata.normalize("NFKC", name)):
        letters = {sign: unicodedata.name(sign, "?").split(" ", 1)[0] for sign in word if sign.isalpha()}
        found = tuple(kind for kind in SCRIPTS if kind in letters.values())
        foreign = [sign for sign, kind in letters.items() if kind in SCRIPTS[1:]]
        if "LATIN" in found and foreign and all(sign.casefold() in LOOKS for sign in foreign):
            return found
    return ()


def find_lookalikes(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of different names that look alike, each with the first one that looks so."""
    seen: dict[str, str] = {}
    pairs = []
    for name in dict.fromkeys(names):
        first = seen.setdefault(draw_name(name), name)
        if not is_same(first, name):
            pairs.append((first, name))
    return pairs


def describe_doubts(name: str, others: Iterable[str]) -> list[str]:
    """What a reader should know of ``name`` among ``others``: it looks like another, or mixes scripts."""
    doubts = [f"{name} looks like {other}, another agent here" for other in dict.fromkeys(others)
              if draw_name(other) == draw_name(name) and not is_same(other, name)]  # fmt: skip
    if scripts := mixed_scripts(name):
        doubts.append(
            f"{name} mixes {' and '.join(kind.capitalize() for kind in scripts)} letters in one word"
        )
    return doubts


def settle_name(name: str, known: Iterable[str]) -> str:
    """The first of the ``known`` spellings of this name; the name itself where there is none."""
    return next((other for other in known if is_same(other, name)), name)


def first_spellings(names: Iterable[str]) -> dict[str, str]:
    """Name -> the first spelling of it among ``names``, of those that are spelled otherwise."""
    first: dict[str, str] = {}
    found = {}
    for name in dict.fromkeys(names):
        spelling = first.setdefault(fold_name(name), name)
        if spelling != name:
            found[name] = spelling
    return found


def respell(values: Sequence[T], spellings: Mapping[str, str]) -> list[T]:
    """Attempts or transcripts under the spellings of their agents' names."""
    return [
        msgspec.structs.replace(one, agent=spellings[one.agent]) if one.agent in spellings else one
        for one in values
    ]
