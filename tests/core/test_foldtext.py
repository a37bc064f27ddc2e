# ruff: noqa: E501 - a table of code
"""The text that literals make, without running anything."""

from __future__ import annotations

import ast

import pytest

from patchrun.core.foldtext import HOLE, fold_text, is_whole


def fold(code: str) -> str | None:
    return fold_text(ast.parse(code, mode="eval").body)


@pytest.mark.parametrize(
    "code",
    [
        "'val'", "b'val'", "'v' + 'al'", "'v' + 'a' + 'l'", "f'v{\"al\"}'", "'v%s' % 'al'", "'%s%s' % ('v', 'al')",
        "'v{}'.format('al')", "'{1}{0}'.format('al', 'v')", "'{a}l'.format(a='va')", "''.join(['v', 'al'])",
        "'a'.join(('v', 'l'))", "'lav'[::-1]", "'xval'[1:]", "'VAL'.lower()", "' val '.strip()", "'vol'.replace('o', 'a')",
        "b'val'.decode()", "'val'.encode().decode()", "str('val')", "'xval'.removeprefix('x')",
    ],
)  # fmt: skip
def test_ways_to_make_a_text(code: str) -> None:
    assert fold(code) == "val"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("f'{root}/val'", f"{HOLE}/val"),
        ("root + '/val'", f"{HOLE}/val"),
        ("os.path.join(root, 'a', 'val')", f"{HOLE}/a/val"),
        ("Path('a') / 'val'", "a/val"),
        ("f'{x!r}val'", f"{HOLE}val"),
        ("f'{\"x\":>3}val'", f"{HOLE}val"),
        ("'a{}b'.format(x)", f"a{HOLE}b"),
        ("'%s/%s' % x", f"{HOLE}/{HOLE}"),
    ],
)
def test_parts_that_are_not_known_are_holes(code: str, text: str) -> None:
    assert fold(code) == text
    assert not is_whole(text) or HOLE not in text


@pytest.mark.parametrize(
    "code", ["x", "1", "x + y", "f(x)", "x[0]", "'a'[x]", "'a'.lower(1)", "x.join(['a'])", "'a' * 3", "-'a'", "[]", "x.strip()"]
)  # fmt: skip
def test_what_makes_no_text(code: str) -> None:
    assert fold(code) is None


def test_nothing_grows_without_bound() -> None:
    long = repr("a" * 5000)
    assert len(fold(f"{long} + {long}") or "") <= 2000
    assert len(fold(f"{long}.replace('a', {long})") or "") <= 2000
    assert fold("+".join(["'a'"] * 500)) is not None
    assert fold("(" * 50 + "'a'" + ".strip()" + ")" * 50) == "a"
