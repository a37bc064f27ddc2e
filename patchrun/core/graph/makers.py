"""Shapes and dtypes of operators that make tensors out of numbers."""

from __future__ import annotations

from math import ceil

from patchrun.core.graph.values import BadGraph, Dtype, Ints, Number, Outcome, Spec, made


def _kind(*numbers: Number) -> str:
    return "int64" if all(isinstance(number, int) for number in numbers) else "float32"


def filled(size: Ints, *, dtype: Dtype | None = None, pin_memory: bool | None = None) -> Outcome:
    """zeros, ones."""
    return made(size, dtype or "float32")


def full(
    size: Ints, fill_value: Number, *, dtype: Dtype | None = None, pin_memory: bool | None = None
) -> Outcome:
    kind = "bool" if isinstance(fill_value, bool) else _kind(fill_value)
    return made(size, dtype or kind)


def like(self: Spec, *, dtype: Dtype | None = None, pin_memory: bool | None = None) -> Outcome:
    """zeros_like, ones_like."""
    return made(self.shape, dtype or self.dtype)


def full_like(
    self: Spec, fill_value: Number, *, dtype: Dtype | None = None, pin_memory: bool | None = None
) -> Outcome:
    return made(self.shape, dtype or self.dtype)


def new(self: Spec, size: Ints, *, dtype: Dtype | None = None, pin_memory: bool | None = None) -> Outcome:
    """new_zeros, new_ones."""
    return made(size, dtype or self.dtype)


def new_full(
    self: Spec, size: Ints, fill_value: Number, *, dtype: Dtype | None = None, pin_memory: bool | None = None
) -> Outcome:
    return made(size, dtype or self.dtype)


def scalar_tensor(s: Number, *, dtype: Dtype | None = None, pin_memory: bool | None = None) -> Outcome:
    return made((), dtype or "float32")


def arange(end: Number, *, dtype: Dtype | None = None, pin_memory: bool | None = None) -> Outcome:
    return arange_step(0, end, 1, dtype=dtype)


def arange_start(
    start: Number, end: Number, *, dtype: Dtype | None = None, pin_memory: bool | None = None
) -> Outcome:
    return arange_step(start, end, 1, dtype=dtype)


def arange_step(
    start: Number,
    end: Number,
    step: Number = 1,
    *,
    dtype: Dtype | None = None,
    pin_memory: bool | None = None,
) -> Outcome:
    try:
        count = ceil((end - start) / step)
    except (ZeroDivisionError, OverflowError, ValueError):
        raise BadGraph(f"arange from {start} to {end} by {step}") from None
    return made((max(count, 0),), dtype or _kind(start, end, step))


def linspace(
    start: Number, end: Number, steps: int, *, dtype: Dtype | None = None, pin_memory: bool | None = None
) -> Outcome:
    return made((steps,), dtype or "float32")


def eye(n: int, *, dtype: Dtype | None = None, pin_memory: bool | None = None) -> Outcome:
    return made((n, n), dtype or "float32")


def eye_wide(n: int, m: int, *, dtype: Dtype | None = None, pin_memory: bool | None = None) -> Outcome:
    return made((n, m), dtype or "float32")
