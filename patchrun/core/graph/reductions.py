"""Shapes, dtypes and operations of what runs over dimensions: sums, norms, softmax, scans."""

from __future__ import annotations

from collections.abc import Sequence

from patchrun.core.graph.values import (
    BadGraph,
    Dtype,
    Ints,
    Number,
    Outcome,
    Spec,
    float_type,
    made,
    place_dim,
)  # fmt: skip

NORM_OPERATIONS = 5  # of each element of a softmax or a norm: reading it, two sums, scaling, shifting


def reduced_shape(shape: Sequence[int], dims: Sequence[int] | None, keepdim: bool) -> tuple[int, ...]:
    """``shape`` without ``dims`` (all where there are none), which stay as 1 with ``keepdim``."""
    rank = len(shape)
    gone = {place_dim(dim, rank) for dim in dims} if dims else set(range(rank))
    if keepdim:
        return tuple(1 if place in gone else size for place, size in enumerate(shape))
    return tuple(size for place, size in enumerate(shape) if place not in gone)


def _reduce(self: Spec, dims: Sequence[int] | None, keepdim: bool, dtype: str, each: int = 1) -> Outcome:
    return made(reduced_shape(self.shape, dims, keepdim), dtype, flops=each * self.numel)


def sum_all(self: Spec, *, dtype: Dtype | None = None) -> Outcome:
    return sum_dims(self, None, dtype=dtype)


def sum_dims(self: Spec, dim: Ints | None, keepdim: bool = False, *, dtype: Dtype | None = None) -> Outcome:
    return _reduce(self, dim, keepdim, dtype or (self.dtype if self.is_float else "int64"))


def mean_all(self: Spec, *, dtype: Dtype | None = None) -> Outcome:
    return mean_dims(self, None, dtype=dtype)


def mean_dims(self: Spec, dim: Ints | None, keepdim: bool = False, *, dtype: Dtype | None = None) -> Outcome:
    kind = dtype or self.dtype
    if float_type(kind) != kind:
        raise BadGraph(f"mean of {self.dtype}")
    return _reduce(self, dim, keepdim, kind)


def extreme(self: Spec, dim: Ints = (), keepdim: bool = False) -> Outcome:
    """amax, amin."""
    return _reduce(self, dim, keepdim, self.dtype)


def extreme_all(self: Spec) -> Outcome:
    """max, min of a whole tensor."""
    return _reduce(self, None, False, self.dtype)


def extreme_dim(self: Spec, dim: int, keepdim: bool = False) -> Outcome:
    """max.dim, min.dim: values and where they are."""
    shape = reduced_shape(self.shape, (dim,), keepdim)
    return Outcome((Spec(shape, self.dtype), Spec(shape, "int64")), self.numel, single=False)


def extreme_place(self: Spec, dim: int | None = None, keepdim: bool = False) -> Outcome:
    """argmax, argmin."""
    return _reduce(self, None if dim is None else (dim,), keepdim, "int64")


def truth(self: Spec) -> Outcome:
    """all, any."""
    return _reduce(self, None, False, "bool")


def truth_dim(self: Spec, dim: int, keepdim: bool = False) -> Outcome:
    return _reduce(self, (dim,), keepdim, "bool")


def truth_dims(self: Spec, dim: Ints | None = None, keepdim: bool = False) -> Outcome:
    return _reduce(self, dim, keepdim, "bool")


def prod_dim(self: Spec, dim: int, keepdim: bool = False, *, dtype: Dtype | None = None) -> Outcome:
    return _reduce(self, (dim,), keepdim, dtype or (self.dtype if self.is_float else "int64"))


def spread(self: Spec, unbiased: bool = True) -> Outcome:
    """var, std of a whole tensor."""
    return _reduce(self, None, False, self.dtype, 3)


def spread_dim(self: Spec, dim: Ints | None, unbiased: bool = True, keepdim: bool = False) -> Outcome:
    return _reduce(self, dim, keepdim, self.dtype, 3)


def spread_correction(
    self: Spec, dim: Ints | None = None, *, correction: Number | None = None, keepdim: bool = False
) -> Outcome:
    return _reduce(self, dim, keepdim, self.dtype, 3)


def spread_and_mean(
    self: Spec, dim: Ints | None = None, *, correction: Number | None = None, keepdim: bool = False
) -> Outcome:
    spec = Spec(reduced_shape(self.shape, dim, keepdim), self.dtype)
    return Outcome((spec, spec), 3 * self.numel, single=False)


def logsumexp(self: Spec, dim: Ints, keepdim: bool = False) -> Outcome:
    return _reduce(self, dim, keepdim, float_type(self.dtype), NORM_OPERATIONS)


def vector_norm(
    self: Spec, ord: Number = 2, dim: Ints | None = None, keepdim: bool = False, *, dtype: Dtype | None = None
) -> Outcome:
    return _reduce(self, dim, keepdim, dtype or self.dtype, 2)


def norm_dims(self: Spec, p: Number | None, dim: Ints, keepdim: bool = False) -> Outcome:
    return _reduce(self, dim, keepdim, self.dtype, 2)


def norm_all(self: Spec, p: Number = 2) -> Outcome:
    return _reduce(self, None, False, self.dtype, 2)


def running(self: Spec, dim: int, *, dtype: Dtype | None = None) -> Outcome:
    """cumsum, cumprod."""
    place_dim(dim, len(self.shape))
    return made(self.shape, dtype or (self.dtype if self.is_float else "int64"))


def running_same(self: Spec, dim: int) -> Outcome:
    """logcumsumexp."""
    place_dim(dim, len(self.shape))
    return made(self.shape, self.dtype, NORM_OPERATIONS * self.numel)


def running_extreme(self: Spec, dim: int) -> Outcome:
    """cummax, cummin."""
    place_dim(dim, len(self.shape))
    return Outcome((self, Spec(self.shape, "int64")), self.numel, single=False)


def softmax(self: Spec, dim: int, dtype: Dtype | None = None) -> Outcome:
    """softmax, log_softmax."""
    place_dim(dim, len(self.shape))
    return made(self.shape, dtype or float_type(self.dtype), NORM_OPERATIONS * self.numel)


def softmax_inner(self: Spec, dim: int, half_to_float: bool) -> Outcome:
    """_softmax, _log_softmax."""
    return softmax(self, dim)


def _check_normalized(input: Spec, shape: Sequence[int]) -> None:
    if not shape or tuple(shape) != input.shape[-len(shape) :]:
        raise BadGraph(f"a norm over {list(shape)} of {input}")


def layer_norm(
    input: Spec,
    normalized_shape: Ints,
    weight: Spec | None = None,
    bias: Spec | None = None,
    eps: Number = 1e-5,
    cudnn_enable: bool = True,
) -> Outcome:
    _check_normalized(input, normalized_shape)
    return made(input.shape, input.dtype, NORM_OPERATIONS * input.numel)


def native_layer_norm(
    input: Spec, normalized_shape: Ints, weight: Spec | None, bias: Spec | None, eps: Number
) -> Outcome:
    _check_normalized(input, normalized_shape)
    lead = len(input.shape) - len(normalized_shape)
    side = Spec(input.shape[:lead] + (1,) * len(normalized_shape), input.dtype)
    return Outcome((input, side, side), NORM_OPERATIONS * input.numel, single=False)


def rms_norm(
    input: Spec, normalized_shape: Ints, weight: Spec | None = None, eps: Number | None = None
) -> Outcome:
    _check_normalized(input, normalized_shape)
    return made(input.shape, input.dtype, NORM_OPERATIONS * input.numel)


def group_norm(
    input: Spec,
    num_groups: int,
    weight: Spec | None = None,
    bias: Spec | None = None,
    eps: Number = 1e-5,
    cudnn_enabled: bool = True,
) -> Outcome:
    if len(input.shape) < 2 or num_groups < 1 or input.shape[1] % num_groups:
        raise BadGraph(f"{num_groups} groups of {input}")
    return made(input.shape, input.dtype, NORM_OPERATIONS * input.numel)


def batch_norm(
    input: Spec,
    weight: Spec | None,
    bias: Spec | None,
    running_mean: Spec | None,
    running_var: Spec | None,
    training: bool,
    momentum: Number,
    eps: Number,
    cudnn_enabled: bool,
) -> Outcome:
    if training:
        raise BadGraph("batch_norm in training mode mixes the rows of a batch: use layer_norm or rms_norm")
    return made(input.shape, input.dtype, NORM_OPERATIONS * input.numel)


def weight_norm(v: Spec, g: Spec, dim: int = 0) -> Outcome:
    return made(v.shape, v.dtype, NORM_OPERATIONS * v.numel)


def glu(self: Spec, dim: int = -1) -> Outcome:
    place = place_dim(dim, len(self.shape))
    if not self.shape or self.shape[place] % 2:
        raise BadGraph(f"glu of {self}")
    return made((*self.shape[:place], self.shape[place] // 2, *self.shape[place + 1 :]), self.dtype)


def cosine_similarity(x1: Spec, x2: Spec, dim: int = 1, eps: Number = 1e-8) -> Outcome:
    if x1.shape != x2.shape:
        raise BadGraph("cosine_similarity of different shapes")
    return _reduce(x1, (dim,), False, x1.dtype, NORM_OPERATIONS)
