"""Shapes, dtypes and their promotion, against torch where torch has a say."""

from __future__ import annotations

import itertools

import pytest
import torch

from patchrun.core.graph.values import (
    DTYPES,
    BadGraph,
    Spec,
    broadcast,
    fit_shape,
    place_dim,
    promote,
    promote_types,
)


@pytest.mark.parametrize(("a", "b"), list(itertools.product(DTYPES, DTYPES)))
def test_promotion_is_torchs(a: str, b: str):
    expected = torch.promote_types(getattr(torch, a), getattr(torch, b))
    assert f"torch.{promote_types(a, b)}" == str(expected)


KINDS = ("bool", "uint8", "int64", "float16", "bfloat16", "float32", "float64")
NUMBERS = (True, 3, 2.5)


@pytest.mark.parametrize(("kind", "other"), list(itertools.product(KINDS, KINDS)))
def test_scalars_and_tensors_are_told_apart(kind: str, other: str):
    """A scalar tensor or a number only counts where its kind is higher."""
    wide, scalar = torch.zeros(2, dtype=getattr(torch, kind)), torch.zeros((), dtype=getattr(torch, other))
    seen = promote(Spec((2,), kind), Spec((), other))
    assert f"torch.{seen}" == str(torch.result_type(wide, scalar))
    for number in NUMBERS:
        assert f"torch.{promote(Spec((2,), kind), number)}" == str(torch.result_type(wide, number))
        assert f"torch.{promote(number, Spec((), other))}" == str(torch.result_type(number, scalar))


def test_broadcasting():
    assert broadcast((4, 1, 3), (5, 1), ()) == (4, 5, 3)
    assert broadcast((0, 3), (1, 3)) == (0, 3)
    with pytest.raises(BadGraph, match=r"\[2, 3\] and \[4\] do not go together"):
        broadcast((2, 3), (4,))


def test_one_size_may_be_left_open():
    assert fit_shape((2, -1), 6) == (2, 3)
    for shape in ((2, -1, -1), (4, -1), (5,), (-2, -3), (0, -1)):
        with pytest.raises(BadGraph):
            fit_shape(shape, 6)


def test_dimensions_count_from_either_end():
    assert (place_dim(-1, 3), place_dim(2, 3), place_dim(0, 0)) == (2, 2, 0)
    for dim in (3, -4, 1 << 62):
        with pytest.raises(BadGraph):
            place_dim(dim, 3)


@pytest.mark.parametrize(
    "shape", [(1 << 40,), (1 << 20, 1 << 20), (-1,), (1,) * 17, ((1 << 63) - 1, (1 << 63) - 1), (0, -3)]
)
def test_tensors_that_are_none_or_too_large(shape: tuple[int, ...]):
    with pytest.raises(BadGraph):
        Spec(shape, "float32")
