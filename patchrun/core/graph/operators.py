"""The operators that a graph may use: pure functions of tensors, none that counts, sorts, draws or remembers.

Each stands here with the function that infers its shape, dtype and cost; anything else is refused with a word on what
to write instead. What is absent on purpose: random numbers, uninitialised memory, changes in place, views by strides,
operators of higher order, and all by which stored text becomes a table of counts without arithmetic that costs as much:
scattering, accumulating, histograms, sorting, searching, unique.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from patchrun.core.graph import makers, pointwise, products, reductions, views
from patchrun.core.graph.values import BadGraph, Outcome

Infer = Callable[..., Outcome]

GETITEM = "getitem"


def _named(infer: Infer, names: str) -> dict[str, Infer]:
    """``names`` are ``operator`` or ``operator.overload``; the namespace is aten."""
    full = (name if "." in name else f"{name}.default" for name in names.split())
    return {f"aten.{name}": infer for name in full}


_POINTWISE = {
    **_named(
        pointwise.same,
        "abs neg positive relu relu6 sign sgn square floor ceil trunc frac silu mish hardswish hardsigmoid bitwise_not "
        "log_sigmoid selu",
    ),
    **_named(
        pointwise.real,
        "exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal sin cos tan asin acos atan sinh cosh tanh asinh "
        "acosh atanh sigmoid erf erfc sinc deg2rad rad2deg",
    ),
    **_named(pointwise.flag, "logical_not isnan isinf isfinite signbit"),
    **_named(pointwise.gelu, "gelu"),
    **_named(
        pointwise.with_numbers,
        "elu celu hardtanh leaky_relu softplus threshold hardshrink softshrink clamp_min clamp_max",
    ),
    **_named(pointwise.clamp, "clamp clip"),
    **_named(pointwise.clamp_tensor, "clamp.Tensor clip.Tensor"),
    **_named(pointwise.arithmetic, "clamp_min.Tensor clamp_max.Tensor"),
    **_named(pointwise.rounded, "round round.decimals"),
    **_named(pointwise.nan_to_num, "nan_to_num"),
    **_named(
        pointwise.arithmetic,
        "mul.Tensor mul.Scalar multiply.Tensor multiply.Scalar maximum minimum max.other min.other "
        "remainder.Tensor remainder.Scalar fmod.Tensor fmod.Scalar floor_divide floor_divide.Scalar "
        "pow.Tensor_Tensor pow.Tensor_Scalar",
    ),
    **_named(pointwise.scaled_sum, "add.Tensor add.Scalar sub.Tensor sub.Scalar rsub.Tensor rsub.Scalar"),
    **_named(pointwise.division, "div.Tensor div.Scalar true_divide.Tensor true_divide.Scalar"),
    **_named(pointwise.division_mode, "div.Tensor_mode div.Scalar_mode"),
    **_named(pointwise.scalar_first, "pow.Scalar remainder.Scalar_Tensor"),
    **_named(
        pointwise.comparison,
        "eq.Tensor eq.Scalar ne.Tensor ne.Scalar lt.Tensor lt.Scalar le.Tensor le.Scalar gt.Tensor gt.Scalar "
        "ge.Tensor ge.Scalar logical_and logical_or logical_xor",
    ),
    **_named(
        pointwise.shift,
        "bitwise_and.Tensor bitwise_and.Scalar bitwise_or.Tensor bitwise_or.Scalar bitwise_xor.Tensor "
        "bitwise_xor.Scalar __and__.Tensor __and__.Scalar __or__.Tensor __or__.Scalar __xor__.Tensor __xor__.Scalar "
        "bitwise_left_shift.Tensor bitwise_left_shift.Tensor_Scalar bitwise_right_shift.Tensor "
        "bitwise_right_shift.Tensor_Scalar __lshift__.Tensor __lshift__.Scalar __rshift__.Tensor __rshift__.Scalar",
    ),
    **_named(pointwise.real_pair, "atan2 logaddexp logaddexp2 xlogy.Tensor xlogy.Scalar_Other hypot"),
    **_named(pointwise.lerp, "lerp.Scalar lerp.Tensor"),
    **_named(pointwise.fused_product, "addcmul addcdiv"),
    **_named(pointwise.where, "where.self where.Scalar where.ScalarSelf where.ScalarOther"),
    **_named(pointwise.masked_fill, "masked_fill.Scalar masked_fill.Tensor"),
    **_named(pointwise.fill, "fill.Scalar fill.Tensor"),
    **_named(pointwise.copy, "copy"),
    **_named(pointwise.to_copy, "_to_copy"),
    **_named(pointwise.to_dtype, "to.dtype"),
    **_named(pointwise.type_as, "type_as"),
    **_named(pointwise.prelu, "prelu _prelu_kernel"),
    **_named(pointwise.dropout, "dropout"),
}

_VIEWS = {
    **_named(views.alias, "alias detach lift_fresh lift_fresh_copy"),
    **_named(views.clone, "clone contiguous"),
    **_named(views.reshape, "view reshape _unsafe_view view_copy"),
    **_named(views.transpose, "transpose.int swapaxes swapdims"),
    **_named(views.transpose_matrix, "t"),
    **_named(views.transpose_last, "mT"),
    **_named(views.permute, "permute"),
    **_named(views.unsqueeze, "unsqueeze"),
    **_named(views.squeeze, "squeeze"),
    **_named(views.squeeze_dim, "squeeze.dim"),
    **_named(views.squeeze_dims, "squeeze.dims"),
    **_named(views.expand, "expand broadcast_to"),
    **_named(views.expand_as, "expand_as"),
    **_named(views.view_as, "view_as reshape_as"),
    **_named(views.flatten, "flatten.using_ints"),
    **_named(views.unflatten, "unflatten.int"),
    **_named(views.slice_tensor, "slice.Tensor"),
    **_named(views.narrow, "narrow"),
    **_named(views.select, "select.int"),
    **_named(views.slice_scatter, "slice_scatter"),
    **_named(views.select_scatter, "select_scatter"),
    **_named(views.split, "split.Tensor"),
    **_named(views.split_with_sizes, "split_with_sizes split.sizes"),
    **_named(views.chunk, "chunk"),
    **_named(views.unbind, "unbind.int"),
    **_named(views.cat, "cat concat"),
    **_named(views.stack, "stack"),
    **_named(views.repeat, "repeat tile"),
    **_named(views.repeat_interleave, "repeat_interleave.self_int"),
    **_named(views.roll, "roll"),
    **_named(views.flip, "flip"),
    **_named(views.triangle, "tril triu"),
    **_named(views.diagonal, "diagonal"),
    **_named(views.unfold, "unfold"),
    **_named(views.pad, "pad"),
    **_named(views.constant_pad, "constant_pad_nd"),
    **_named(views.embedding, "embedding"),
    **_named(views.index, "index.Tensor"),
    **_named(views.index_select, "index_select"),
    **_named(views.gather, "gather"),
}

_REDUCTIONS = {
    **_named(reductions.sum_all, "sum"),
    **_named(reductions.sum_dims, "sum.dim_IntList"),
    **_named(reductions.mean_all, "mean"),
    **_named(reductions.mean_dims, "mean.dim"),
    **_named(reductions.extreme, "amax amin"),
    **_named(reductions.extreme_all, "max min"),
    **_named(reductions.extreme_dim, "max.dim min.dim"),
    **_named(reductions.extreme_place, "argmax argmin"),
    **_named(reductions.truth, "all any"),
    **_named(reductions.truth_dim, "all.dim any.dim"),
    **_named(reductions.truth_dims, "all.dims any.dims"),
    **_named(reductions.prod_dim, "prod.dim_int"),
    **_named(reductions.spread, "var std"),
    **_named(reductions.spread_dim, "var.dim std.dim"),
    **_named(reductions.spread_correction, "var.correction std.correction"),
    **_named(reductions.spread_and_mean, "var_mean.correction std_mean.correction"),
    **_named(reductions.logsumexp, "logsumexp"),
    **_named(reductions.vector_norm, "linalg_vector_norm"),
    **_named(reductions.norm_dims, "norm.ScalarOpt_dim"),
    **_named(reductions.norm_all, "norm.Scalar"),
    **_named(reductions.running, "cumsum cumprod"),
    **_named(reductions.running_same, "logcumsumexp"),
    **_named(reductions.running_extreme, "cummax cummin"),
    **_named(reductions.softmax, "softmax.int log_softmax.int"),
    **_named(reductions.softmax_inner, "_softmax _log_softmax"),
    **_named(reductions.layer_norm, "layer_norm"),
    **_named(reductions.native_layer_norm, "native_layer_norm"),
    **_named(reductions.rms_norm, "rms_norm"),
    **_named(reductions.group_norm, "group_norm"),
    **_named(reductions.batch_norm, "batch_norm"),
    **_named(reductions.weight_norm, "_weight_norm"),
    **_named(reductions.glu, "glu"),
    **_named(reductions.cosine_similarity, "cosine_similarity"),
}

_PRODUCTS = {
    **_named(products.matmul, "matmul linalg_matmul"),
    **_named(products.mm, "mm"),
    **_named(products.bmm, "bmm"),
    **_named(products.mv, "mv"),
    **_named(products.dot, "dot"),
    **_named(products.outer, "outer ger"),
    **_named(products.addmm, "addmm"),
    **_named(products.baddbmm, "baddbmm"),
    **_named(products.linear, "linear"),
    **_named(products.bilinear, "bilinear"),
    **_named(products.einsum, "einsum"),
    **_named(products.attention, "scaled_dot_product_attention"),
    **_named(products.attention_on_cpu, "_scaled_dot_product_flash_attention_for_cpu"),
    **_named(products.conv, "conv1d conv2d"),
    **_named(products.conv_padded, "conv1d.padding conv2d.padding"),
    **_named(products.convolution, "convolution"),
    **_named(products.gru, "gru.input"),
    **_named(products.lstm, "lstm.input"),
    **_named(products.rnn, "rnn_tanh.input rnn_relu.input"),
}

_MAKERS = {
    **_named(makers.filled, "zeros ones"),
    **_named(makers.full, "full"),
    **_named(makers.like, "zeros_like ones_like"),
    **_named(makers.full_like, "full_like"),
    **_named(makers.new, "new_zeros new_ones"),
    **_named(makers.new_full, "new_full"),
    **_named(makers.scalar_tensor, "scalar_tensor"),
    **_named(makers.arange, "arange"),
    **_named(makers.arange_start, "arange.start"),
    **_named(makers.arange_step, "arange.start_step"),
    **_named(makers.linspace, "linspace"),
    **_named(makers.eye, "eye"),
    **_named(makers.eye_wide, "eye.m"),
}

OPERATORS: Mapping[str, Infer] = {**_POINTWISE, **_VIEWS, **_REDUCTIONS, **_PRODUCTS, **_MAKERS}

_COUNTS = (
    "it can make a table of counts out of stored text; read from tables with indexing, and choose by comparisons and "
    "products"
)
_HINTS = (
    (("rand", "bernoulli", "multinomial", "normal", "poisson", "exponential", "uniform", "dropout"),
     "a model that is scored draws no random numbers: do so only where self.training is true"),
    (("empty",), "it reads memory that nobody wrote: start from torch.zeros"),
    (("one_hot",), "index a table of parameters, or compare with torch.arange"),
    (("topk", "sort", "kthvalue", "median", "mode"),
     "it sorts; compare with amax, or with a threshold that is learned"),
    (("scatter", "index_put", "index_add", "index_copy", "put", "bincount", "hist", "unique", "searchsorted",
      "bucketize", "embedding_bag", "nonzero", "embedding_dense_backward"), _COUNTS),
    (("complex", "polar", "view_as_real", "fft", "real", "imag", "angle"),
     "complex numbers are not computed: write the rotation with cos and sin"),
    (("as_strided", "set_", "resize"), "it looks at memory by strides: use view, transpose, slices or unfold"),
    (("svd", "eig", "qr", "cholesky", "inverse", "solve", "lstsq", "pinv", "inv", "matrix_exp"),
     "do it in training, and save the result as a parameter"),
    (("_assert", "sym_", "item", "_local_scalar_dense"),
     "a value that decides what is computed cannot be exported: choose with torch.where"),
)  # fmt: skip


def explain_refusal(name: str) -> str:
    """Why an operator that is not listed is not computed, and what to write instead."""
    short = shorten_name(name)
    for parts, hint in _HINTS:
        if any(part in short for part in parts):
            return f"operator {name} is not computed: {hint}"
    if short.endswith("_"):
        return f"operator {name} is not computed: it changes a tensor in place"
    return f"operator {name} is not computed: docs/evaluation.md lists those that are"


def shorten_name(name: str) -> str:
    """``aten.add.Tensor`` -> ``add``."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else name


def infer_outcome(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Outcome:
    """What operator ``name`` gives for these arguments (tensors as their specs).

    Raises:
        BadGraph: it is not listed, or the arguments are not such that it takes.
    """
    infer = OPERATORS.get(name)
    if infer is None:
        raise BadGraph(explain_refusal(name))
    try:
        bound = inspect.signature(infer).bind(*args, **kwargs)
    except TypeError as error:
        raise BadGraph(f"{name}: {error}") from None
    hints = _hints(infer)
    for word, value in bound.arguments.items():
        if not fits(value, hints[word]):
            raise BadGraph(f"{name}: {word} cannot be {str(value)[:80]}")
    try:
        return infer(*bound.args, **bound.kwargs)
    except BadGraph as bad:
        raise BadGraph(f"{name}: {bad}") from None


@cache
def _hints(infer: Infer) -> dict[str, Any]:
    return get_type_hints(infer)


def fits(value: object, hint: Any) -> bool:
    """Whether ``value`` is of the annotated type; a bool is no number where numbers are asked for as ``int``."""
    if isinstance(hint, UnionType):
        return any(fits(value, part) for part in get_args(hint))
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(fits(part, get_args(hint)[0]) for part in value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, (float, bool))
    if hint is str:
        return type(value) is str
    return isinstance(value, hint if hint is not None else NoneType)
