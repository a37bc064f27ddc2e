"""What flows through a graph: tensors known by shape and dtype, and the refusal of what does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple, TypeAlias

# Bytes of an element and rank of its kind: bool 0, integer 1, float 2.
DTYPES = {
    "bool": (1, 0),
    "uint8": (1, 1),
    "int8": (1, 1),
    "int16": (2, 1),
    "int32": (4, 1),
    "int64": (8, 1),
    "float16": (2, 2),
    "bfloat16": (2, 2),
    "float32": (4, 2),
    "float64": (8, 2),
}
LARGEST_BYTES = 1 << 30  # of one tensor
MOST_DIMENSIONS = 16


class BadGraph(Exception):
    """The graph is none that may be computed; the message says what was refused and what to write instead."""


@dataclass(frozen=True)
class Spec:
    """A tensor's shape and dtype. BadGraph where it would be larger than a model of any track needs."""

    shape: tuple[int, ...]
    dtype: str

    def __post_init__(self) -> None:
        if len(self.shape) > MOST_DIMENSIONS:
            raise BadGraph(f"a tensor of {len(self.shape)} dimensions: {MOST_DIMENSIONS} are allowed")
        if any(size < 0 for size in self.shape):
            raise BadGraph(f"a tensor of shape {list(self.shape)}")
        if self.bytes > LARGEST_BYTES:
            raise BadGraph(f"a tensor of {self.bytes:,} bytes, shape {list(self.shape)[:MOST_DIMENSIONS]}")

    @property
    def numel(self) -> int:
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.numel * DTYPES[self.dtype][0]

    @property
    def is_float(self) -> bool:
        return DTYPES[self.dtype][1] == 2

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


class MemoryFormat(str):
    """The name of a memory format as an argument."""


class Dtype(str):
    """The name of a dtype as an argument, apart from other words."""


Number: TypeAlias = int | float
Ints: TypeAlias = tuple[int, ...]
Specs: TypeAlias = tuple[Spec, ...]


class Outcome(NamedTuple):
    """What an operator gives: its outputs, its floating-point operations, and whether the outputs are new memory.

    ``single``: one tensor, not a tuple of them.
    """

    outputs: Specs
    flops: int
    fresh: bool = True
    single: bool = True


def view(spec: Spec, shape: Sequence[int]) -> Outcome:
    """The same elements under another shape, no work."""
    return Outcome((Spec(tuple(shape), spec.dtype),), 0, fresh=False)


def made(shape: Sequence[int], dtype: str, flops: int | None = None) -> Outcome:
    """A new tensor; an operation for each element unless said otherwise."""
    spec = Spec(tuple(shape), str(dtype))
    return Outcome((spec,), spec.numel if flops is None else flops)


def place_dim(dim: int, rank: int) -> int:
    """A dimension counted from the front; BadGraph outside of the tensor. A scalar has one for this purpose."""
    most = max(rank, 1)
    if not -most <= dim < most:
        raise BadGraph(f"dimension {dim} of a tensor that has {rank}")
    return dim % most


def broadcast(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The common shape, by numpy's rule; BadGraph where there is none."""
    rank = max((len(shape) for shape in shapes), default=0)
    wide = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    sizes = []
    for column in zip(*wide, strict=True):
        kinds = {size for size in column if size != 1}
        if len(kinds) > 1:
            raise BadGraph(f"shapes {' and '.join(str(list(shape)) for shape in shapes)} do not go together")
        sizes.append(kinds.pop() if kinds else 1)
    return tuple(sizes)


def fit_shape(shape: Sequence[int], numel: int) -> tuple[int, ...]:
    """``shape`` with its one -1 filled in so that it holds ``numel`` elements."""
    known = prod(size for size in shape if size != -1)
    if list(shape).count(-1) == 1 and known > 0:
        shape = [numel // known if size == -1 else size for size in shape]
    if any(size < 0 for size in shape) or prod(shape) != numel:
        raise BadGraph(f"{numel:,} elements do not fit shape {list(shape)[:MOST_DIMENSIONS]}")
    return tuple(shape)


def promote_types(a: str, b: str) -> str:
    """The smallest dtype that holds both, by torch's table."""
    (size_a, rank_a), (size_b, rank_b) = DTYPES[a], DTYPES[b]
    if a == b or rank_a != rank_b:
        return a if rank_a >= rank_b else b
    if rank_a == 2:
        return "float32" if size_a == size_b else max(a, b, key=lambda name: DTYPES[name][0])
    if "uint8" in (a, b):
        other = b if a == "uint8" else a
        return "int16" if other == "int8" else other
    return a if size_a > size_b else b


def promote(*operands: Spec | Number) -> str:
    """The dtype of arithmetic between tensors and numbers: torch's rule of three priorities.

    Tensors with dimensions come before scalar tensors, these before plain numbers; a lower one counts only where its
    kind (bool, integer, float) is higher.
    """
    tiers: list[str | None] = [None, None, None]
    for operand in operands:
        tier, dtype = _rank_operand(operand)
        known = tiers[tier]
        tiers[tier] = dtype if known is None else promote_types(known, dtype)
    result = _combine(tiers[0], _combine(tiers[1], tiers[2]))
    assert result is not None
    return result


def _rank_operand(operand: Spec | Number) -> tuple[int, str]:
    if isinstance(operand, Spec):
        return (0 if operand.shape else 1), operand.dtype
    if isinstance(operand, bool):
        return 2, "bool"
    return 2, "int64" if isinstance(operand, int) else "float32"


def _combine(higher: str | None, lower: str | None) -> str | None:
    if higher is None or lower is None:
        return higher or lower
    if DTYPES[higher][1] == 2:
        return higher
    if higher == "bool" or DTYPES[lower][1] == 2:
        return promote_types(higher, lower)
    return higher


def float_type(dtype: str) -> str:
    """The dtype in which functions with real values are computed."""
    return dtype if DTYPES[dtype][1] == 2 else "float32"
