"""Shapes and dtypes of operators that work on elements one by one."""

from __future__ import annotations

from patchrun.core.graph.values import (
    DTYPES,
    BadGraph,
    Dtype,
    Number,
    Outcome,
    Spec,
    broadcast,
    float_type,
    made,
    promote,
)  # fmt: skip


def same(self: Spec) -> Outcome:
    """abs, neg, relu and the like: the dtype stays."""
    return made(self.shape, self.dtype)


def real(self: Spec) -> Outcome:
    """exp, sin, tanh and the like: of integers float32."""
    return made(self.shape, float_type(self.dtype))


def flag(self: Spec) -> Outcome:
    """isnan, logical_not."""
    return made(self.shape, "bool")


def gelu(self: Spec, *, approximate: str = "none") -> Outcome:
    return made(self.shape, self.dtype)


def with_numbers(self: Spec, first: Number = 0, second: Number = 0, third: Number = 0) -> Outcome:
    """elu, hardtanh, leaky_relu, softplus, threshold: numbers that shape the function."""
    return made(self.shape, self.dtype)


def clamp(self: Spec, min: Number | None = None, max: Number | None = None) -> Outcome:
    return made(self.shape, promote(self, *(bound for bound in (min, max) if bound is not None)))


def clamp_tensor(self: Spec, min: Spec | None = None, max: Spec | None = None) -> Outcome:
    bounds = [bound for bound in (min, max) if bound is not None]
    return made(broadcast(self.shape, *(bound.shape for bound in bounds)), promote(self, *bounds))


def rounded(self: Spec, *, decimals: int = 0) -> Outcome:
    return made(self.shape, self.dtype)


def nan_to_num(
    self: Spec, nan: Number | None = None, posinf: Number | None = None, neginf: Number | None = None
) -> Outcome:
    return made(self.shape, self.dtype)


def _shape(*operands: Spec | Number) -> tuple[int, ...]:
    return broadcast(*(operand.shape for operand in operands if isinstance(operand, Spec)))


def arithmetic(self: Spec, other: Spec | Number) -> Outcome:
    """mul, maximum, remainder, atan2 between tensors and numbers."""
    return made(_shape(self, other), promote(self, other))


def scaled_sum(self: Spec, other: Spec | Number, alpha: Number = 1) -> Outcome:
    """add, sub, rsub."""
    return made(_shape(self, other), promote(self, other))


def division(self: Spec, other: Spec | Number) -> Outcome:
    return made(_shape(self, other), float_type(promote(self, other)))


def division_mode(self: Spec, other: Spec | Number, *, rounding_mode: str | None) -> Outcome:
    dtype = promote(self, other)
    return made(_shape(self, other), float_type(dtype) if rounding_mode is None else dtype)


def scalar_first(self: Number, other: Spec) -> Outcome:
    """pow and remainder of a number by a tensor."""
    return made(other.shape, promote(self, other))


def comparison(self: Spec, other: Spec | Number) -> Outcome:
    return made(_shape(self, other), "bool")


def shift(self: Spec, other: Spec | Number) -> Outcome:
    dtype = promote(self, other)
    if DTYPES[dtype][1] == 2:
        raise BadGraph("bits of a floating-point tensor")
    return made(_shape(self, other), dtype)


def real_pair(self: Spec, other: Spec | Number) -> Outcome:
    """logaddexp, xlogy, atan2: of integers float32."""
    return made(_shape(self, other), float_type(promote(self, other)))


def lerp(self: Spec, end: Spec, weight: Spec | Number) -> Outcome:
    return made(_shape(self, end, weight), self.dtype)


def fused_product(self: Spec, tensor1: Spec, tensor2: Spec, *, value: Number = 1) -> Outcome:
    """addcmul, addcdiv."""
    return made(_shape(self, tensor1, tensor2), promote(self, tensor1, tensor2))


def where(condition: Spec, self: Spec | Number, other: Spec | Number) -> Outcome:
    if condition.dtype not in ("bool", "uint8"):
        raise BadGraph(f"where needs a condition of bool, not {condition.dtype}")
    return made(_shape(condition, self, other), promote(self, other))


def masked_fill(self: Spec, mask: Spec, value: Spec | Number) -> Outcome:
    if mask.dtype != "bool":
        raise BadGraph(f"masked_fill needs a mask of bool, not {mask.dtype}")
    return made(broadcast(self.shape, mask.shape), self.dtype)


def fill(self: Spec, value: Spec | Number) -> Outcome:
    return made(self.shape, self.dtype)


def copy(self: Spec, src: Spec, non_blocking: bool = False) -> Outcome:
    """``src`` in the shape and dtype of ``self``."""
    if broadcast(self.shape, src.shape) != self.shape:
        raise BadGraph(f"shape {list(src.shape)} does not fit into {list(self.shape)}")
    return made(self.shape, self.dtype)


def to_copy(self: Spec, *, dtype: Dtype | None = None, non_blocking: bool = False) -> Outcome:
    return made(self.shape, dtype or self.dtype)


def to_dtype(self: Spec, dtype: Dtype, non_blocking: bool = False, copy: bool = False) -> Outcome:
    return made(self.shape, dtype)


def type_as(self: Spec, other: Spec) -> Outcome:
    return made(self.shape, other.dtype)


def prelu(self: Spec, weight: Spec) -> Outcome:
    return made(self.shape, self.dtype)


def dropout(input: Spec, p: Number, train: bool) -> Outcome:
    if train:
        raise BadGraph("dropout in training mode: the model is scored after eval(), so pass self.training")
    return made(input.shape, input.dtype)
