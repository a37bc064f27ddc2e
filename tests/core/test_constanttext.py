"""Texts that are put together from constants."""

from __future__ import annotations

import ast

import pytest

from patchrun.core.constanttext import fold_text, read_texts


def fold(code: str, **texts: str) -> str | None:
    return fold_text(ast.parse(code, mode="eval").body, texts)


@pytest.mark.parametrize(
    "code",
    [
        "'svd'", "b'svd'", "'s' + 'vd'", "'s' 'vd'", "''.join(['s', 'v', 'd'])", "''.join(('s', 'vd'))", "'dvs'[::-1]",
        "''.join(reversed('dvs'))", "'xsvdx'[1:-1]", "f'{\"s\"}vd'", "'%svd' % 's'", "'%s%s' % ('s', 'vd')",
        "'{}vd'.format('s')", "'SVD'.lower()", "'qvd'.replace('q', 's')", "chr(115) + 'vd'", "str('svd')",
        "b'svd'.decode()", "'svd_'.removesuffix('_')", "(n := 'svd')", "''.join('svd')", "'_svd_'.strip('_')",
    ],
)  # fmt: skip
def test_texts_of_constants(code: str) -> None:
    assert fold(code) == "svd"


def test_names_that_hold_a_text() -> None:
    assert fold("'s' + rest", rest="vd") == "svd"
    assert fold("other") is None
    module = ast.parse("a = 'svd'\nb: str = 's' + 'vd'\nc = 'x'\nc = 'svd'\nd = f()\nfor e in 'svd': pass")
    assert read_texts(ast.walk(module)) == {"a": "svd", "b": "svd"}


@pytest.mark.parametrize(
    "code",
    [
        "f('svd')", "1", "'s' * n", "'x' * 10**9", "'{:>999999999}'.format('x')", "'%999999999s' % 's'", "'%d' % 's'",
        "'%s' % x", "'{0}'.format('s')", "'abc'[::0]", "'abc'[i:]", "chr(-1)", "chr(99999999)", "'a'.replace('a')",
        "'a'.join(x)", "'" + "x" * 300 + "'", "x.svd", "'a'.join([])", "'{}'.format('a', 'b')",
        "+".join(["'a'"] * 40),
    ],
)  # fmt: skip
def test_what_cannot_or_should_not_be_told(code: str) -> None:
    assert fold(code) is None
