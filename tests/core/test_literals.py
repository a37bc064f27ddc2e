"""Large and dense literals."""

from __future__ import annotations

import ast
import base64
import random
import string

import pytest

from patchrun.core.literals import describe_text, entropy, find_large_literals

PROSE = "The quick brown fox jumps over the lazy dog, and the dog does not mind it in the least. "
NOISE = base64.b64encode(random.Random(1).randbytes(3000)).decode()


def nodes(text: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse(text)))


def found(new: str, old: str = "") -> list[tuple[int, str]]:
    return list(find_large_literals(nodes(old), nodes(new)))


def test_entropy_in_bits_a_character() -> None:
    assert entropy("") == 0
    assert entropy("aaaa") == 0
    assert entropy("abab") == 1
    assert entropy("abcd" * 10) == 2
    assert entropy(string.ascii_letters[:32]) == 5


@pytest.mark.parametrize(
    "text", [PROSE * 40, "-" * 300, "=" * 500, "x" * 119, "/usr/share/" + "a" * 60, "\n" * 200]
)
def test_ordinary_texts(text: str) -> None:
    assert describe_text(text) is None


@pytest.mark.parametrize(
    "text",
    [
        PROSE * 60,
        NOISE[:200],
        random.Random(2).randbytes(200).hex(),
        NOISE[:90] + " " + NOISE[90:700],
        " ".join(NOISE[at : at + 60] for at in range(0, 900, 60)),
    ],
)
def test_texts_that_look_like_data(text: str) -> None:
    assert describe_text(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"W = {list(range(64))}", "64 numbers"),
        (f"W = {tuple(-x / 3 for x in range(100))}", "100 numbers"),
        (f"W = {[[x, x] for x in range(40)]}", "80 numbers"),
        (f"W = {dict.fromkeys(range(70), 1)}", "140 numbers"),
        (f"W = '{NOISE[:200]}'", "a str literal"),
        (f"W = {random.Random(3).randbytes(600)!r}", "a bytes literal"),
        (f"W = {2**200}", "201 bits"),
        (f"W = 0x{'f' * 5000}", "20000 bits"),
        (f"def f(x='{NOISE[:200]}'): ...", "a str literal"),
        (f"W = f'{NOISE[:200]}{{x}}'", "a str literal"),
    ],
)
def test_large_literals_are_found_once_with_their_line(text: str, words: str) -> None:
    ((line, message),) = found("x = 1\n" + text)
    assert line == 2
    assert words in message


@pytest.mark.parametrize("text", ["W = [1] * 1000", f"W = {list(range(63))}", f"W = {2**100}", "x = range(10**9)",
                                  f'"""{PROSE * 40}"""'])  # fmt: skip
def test_small_literals_are_not(text: str) -> None:
    assert found(text) == []


def test_literals_of_the_baseline_are_known_however_they_move() -> None:
    text = f"W = '{NOISE[:200]}'\nV = {list(range(100))}\n"
    assert found("import os\n" + text, text) == []
    assert len(found(text + f"U = '{NOISE[200:400]}'", text)) == 1
    assert len(found(text + f"U = '{NOISE[:200]}'", text)) == 1, "a second copy is new"


def test_many_small_pieces_are_weighed_together() -> None:
    pieces = "\n".join(f"w{at} = 'abcdefghij klmnopqrst'" for at in range(1100))
    ((line, message),) = found(pieces)
    assert line == 1
    assert "literal data" in message
    assert found(pieces, pieces) == []
    assert found("\n".join(f"w{at} = {at}.5" for at in range(3000)))
