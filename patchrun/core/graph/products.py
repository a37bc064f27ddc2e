"""Shapes, dtypes and operations of what multiplies: matrices, attention, convolutions, recurrent layers.

An addition and a multiplication are two operations, as is usual in the literature: [m, k] @ [k, n] takes 2 m k n.
"""

from __future__ import annotations

from math import prod

from patchrun.core.graph.reductions import NORM_OPERATIONS
from patchrun.core.graph.values import BadGraph, Ints, Number, Outcome, Spec, Specs, broadcast, made


def _mismatch(*specs: Spec) -> BadGraph:
    return BadGraph(f"shapes {' and '.join(str(list(spec.shape)) for spec in specs)} cannot be multiplied")


def matmul(self: Spec, other: Spec) -> Outcome:
    """Vectors, matrices and batches of them, by numpy's rule."""
    if not self.shape or not other.shape:
        raise _mismatch(self, other)
    left = self.shape if len(self.shape) > 1 else (1, *self.shape)
    right = other.shape if len(other.shape) > 1 else (*other.shape, 1)
    if left[-1] != right[-2]:
        raise _mismatch(self, other)
    batch = broadcast(left[:-2], right[:-2])
    rows = left[-2:-1] if len(self.shape) > 1 else ()
    columns = right[-1:] if len(other.shape) > 1 else ()
    work = 2 * prod(batch) * left[-2] * left[-1] * right[-1]
    return made((*batch, *rows, *columns), self.dtype, work)


def of_rank(rank: int, self: Spec, other: Spec) -> Outcome:
    if len(self.shape) != rank or len(other.shape) != rank:
        raise _mismatch(self, other)
    return matmul(self, other)


def mm(self: Spec, mat2: Spec) -> Outcome:
    return of_rank(2, self, mat2)


def bmm(self: Spec, mat2: Spec) -> Outcome:
    if self.shape[:1] != mat2.shape[:1]:
        raise _mismatch(self, mat2)
    return of_rank(3, self, mat2)


def mv(self: Spec, vec: Spec) -> Outcome:
    if len(self.shape) != 2 or len(vec.shape) != 1:
        raise _mismatch(self, vec)
    return matmul(self, vec)


def dot(self: Spec, tensor: Spec) -> Outcome:
    return of_rank(1, self, tensor)


def outer(self: Spec, vec2: Spec) -> Outcome:
    if len(self.shape) != 1 or len(vec2.shape) != 1:
        raise _mismatch(self, vec2)
    return made((*self.shape, *vec2.shape), self.dtype)


def addmm(self: Spec, mat1: Spec, mat2: Spec, *, beta: Number = 1, alpha: Number = 1) -> Outcome:
    product = mm(mat1, mat2)
    return made(product.outputs[0].shape, self.dtype, product.flops + product.outputs[0].numel)


def baddbmm(self: Spec, batch1: Spec, batch2: Spec, *, beta: Number = 1, alpha: Number = 1) -> Outcome:
    product = bmm(batch1, batch2)
    return made(product.outputs[0].shape, self.dtype, product.flops + product.outputs[0].numel)


def linear(input: Spec, weight: Spec, bias: Spec | None = None) -> Outcome:
    """``input`` [..., k], ``weight`` [n, k]."""
    if len(weight.shape) != 2 or not input.shape or input.shape[-1] != weight.shape[1]:
        raise _mismatch(input, weight)
    out = Spec((*input.shape[:-1], weight.shape[0]), input.dtype)
    return Outcome((out,), 2 * out.numel * weight.shape[1] + (out.numel if bias else 0))


def bilinear(input1: Spec, input2: Spec, weight: Spec, bias: Spec | None = None) -> Outcome:
    if len(weight.shape) != 3 or (*input1.shape[-1:], *input2.shape[-1:]) != weight.shape[1:]:
        raise _mismatch(input1, input2, weight)
    out = Spec((*input1.shape[:-1], weight.shape[0]), input1.dtype)
    return Outcome((out,), 4 * out.numel * weight.shape[1] * weight.shape[2])


def einsum(equation: str, tensors: Specs, *, path: Ints | None = None) -> Outcome:
    """Counted as the whole sum, two operations for each combination of indices and each tensor after the first."""
    terms, _, target = equation.replace(" ", "").partition("->")
    inputs = terms.split(",")
    letters = [letter for letter in terms + target if letter != ","]
    if not all(letter.isalpha() for letter in letters) or len(inputs) != len(tensors):
        raise BadGraph(f"einsum {equation!r}: write letters for all dimensions, no dots")
    sizes: dict[str, int] = {}
    for term, tensor in zip(inputs, tensors, strict=True):
        if len(term) != len(tensor.shape):
            raise BadGraph(f"einsum {equation!r} of {tensor}")
        for letter, size in zip(term, tensor.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                (known,) = broadcast((sizes[letter],), (size,))
                sizes[letter] = known
    if "->" not in equation:
        target = "".join(sorted(letter for letter in sizes if terms.count(letter) == 1))
    if len(set(target)) != len(target) or not set(target) <= set(sizes):
        raise BadGraph(f"einsum {equation!r}")
    work = 2 * prod(sizes.values()) * max(1, len(tensors) - 1)
    return made([sizes[letter] for letter in target], tensors[0].dtype, work)


def attention(
    query: Spec,
    key: Spec,
    value: Spec,
    attn_mask: Spec | None = None,
    dropout_p: Number = 0.0,
    is_causal: bool = False,
    *,
    scale: Number | None = None,
    enable_gqa: bool = False,
) -> Outcome:
    """scaled_dot_product_attention: [..., L, E] with [..., S, E] and [..., S, D]."""
    if dropout_p:
        raise BadGraph("attention with dropout: the model is scored after eval(), so pass 0 then")
    if min(len(one.shape) for one in (query, key, value)) < 2 or query.shape[-1] != key.shape[-1]:
        raise _mismatch(query, key, value)
    if key.shape[-2] != value.shape[-2]:
        raise _mismatch(query, key, value)
    shared = key.shape[:-2] if not enable_gqa else query.shape[:-2]
    batch = broadcast(query.shape[:-2], shared)
    rows, columns = query.shape[-2], key.shape[-2]
    scores = prod(batch) * rows * columns
    work = scores * (2 * query.shape[-1] + 2 * value.shape[-1] + NORM_OPERATIONS)
    return made((*batch, rows, value.shape[-1]), query.dtype, work)


def attention_on_cpu(
    query: Spec,
    key: Spec,
    value: Spec,
    dropout_p: Number = 0.0,
    is_causal: bool = False,
    *,
    attn_mask: Spec | None = None,
    scale: Number | None = None,
) -> Outcome:
    """_scaled_dot_product_flash_attention_for_cpu: the output and a logsumexp [B, H, L]."""
    whole = attention(query, key, value, attn_mask, dropout_p, is_causal, scale=scale)
    wide = "float64" if query.dtype == "float64" else "float32"
    return Outcome((*whole.outputs, Spec(query.shape[:-1], wide)), whole.flops, single=False)


def _slide(length: int, size: int, stride: int, padding: int, dilation: int) -> int:
    if size < 1 or stride < 1 or padding < 0 or dilation < 1:
        raise BadGraph(
            f"a convolution of width {size} by {stride}, padded by {padding}, dilated by {dilation}"
        )
    return (length + 2 * padding - dilation * (size - 1) - 1) // stride + 1


def _settings(numbers: Ints, count: int) -> Ints:
    if len(numbers) not in (1, count):
        raise BadGraph(f"{len(numbers)} settings of a convolution over {count} dimensions")
    return numbers * count if len(numbers) == 1 else numbers


def conv(
    input: Spec,
    weight: Spec,
    bias: Spec | None = None,
    stride: Ints = (1,),
    padding: Ints = (0,),
    dilation: Ints = (1,),
    groups: int = 1,
) -> Outcome:
    """conv1d, conv2d: ``input`` [B, C, ...], ``weight`` [O, C / groups, ...]."""
    count = len(weight.shape) - 2
    if count < 1 or len(input.shape) != len(weight.shape) or groups < 1:
        raise _mismatch(input, weight)
    if input.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise _mismatch(input, weight)
    settings = zip(
        input.shape[2:], weight.shape[2:], *(_settings(one, count) for one in (stride, padding, dilation)),
        strict=True,
    )  # fmt: skip
    out = Spec((input.shape[0], weight.shape[0], *(_slide(*one) for one in settings)), input.dtype)
    return Outcome((out,), 2 * out.numel * prod(weight.shape[1:]) + (out.numel if bias else 0))


def convolution(
    input: Spec,
    weight: Spec,
    bias: Spec | None,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    transposed: bool,
    output_padding: Ints,
    groups: int,
) -> Outcome:
    if transposed:
        raise BadGraph("a transposed convolution: write it as a convolution or a matrix product")
    return conv(input, weight, bias, stride, padding, dilation, groups)


def conv_padded(
    input: Spec,
    weight: Spec,
    bias: Spec | None = None,
    stride: Ints = (1,),
    padding: str = "valid",
    dilation: Ints = (1,),
    groups: int = 1,
) -> Outcome:
    """conv1d.padding: "same" keeps the length."""
    out = conv(input, weight, bias, stride, (0,), dilation, groups) if padding == "valid" else None
    if out is None:
        shape = (input.shape[0], weight.shape[0], *input.shape[2:])
        out = made(shape, input.dtype, 2 * prod(shape) * prod(weight.shape[1:]))
    return out


def _recurrent(
    gates: int, states: int, input: Spec, hx: Spec, params: Specs, has_biases: bool, num_layers: int,
    dropout: Number, train: bool, bidirectional: bool, batch_first: bool,
) -> Outcome:  # fmt: skip
    """Output [.., hidden] and ``states`` final states; two operations for each weight at each position."""
    if bidirectional:
        raise BadGraph("a bidirectional layer reads the future: use one direction")
    if train and dropout:
        raise BadGraph("a recurrent layer with dropout in training mode: the model is scored after eval()")
    if len(input.shape) != 3 or len(hx.shape) != 3 or len(params) != num_layers * (4 if has_biases else 2):
        raise BadGraph("a recurrent layer needs [B, T, W], [layers, B, hidden] and its own weights only")
    hidden = hx.shape[-1]
    if any(spec.shape[0] != gates * hidden for spec in params if spec.shape):
        raise BadGraph(f"weights of a recurrent layer that do not fit a state of {hidden}")
    weights = sum(spec.numel for spec in params)
    out = Spec((*input.shape[:-1], hidden), input.dtype)
    work = 2 * weights * input.shape[0] * input.shape[1] + 10 * num_layers * out.numel
    return Outcome((out, *(hx,) * states), work, single=False)


def gru(
    input: Spec, hx: Spec, params: Specs, has_biases: bool, num_layers: int, dropout: Number, train: bool,
    bidirectional: bool, batch_first: bool,
) -> Outcome:  # fmt: skip
    return _recurrent(
        3, 1, input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first
    )


def rnn(
    input: Spec, hx: Spec, params: Specs, has_biases: bool, num_layers: int, dropout: Number, train: bool,
    bidirectional: bool, batch_first: bool,
) -> Outcome:  # fmt: skip
    """rnn_tanh, rnn_relu."""
    return _recurrent(
        1, 1, input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first
    )


def lstm(
    input: Spec, hx: Specs, params: Specs, has_biases: bool, num_layers: int, dropout: Number, train: bool,
    bidirectional: bool, batch_first: bool,
) -> Outcome:  # fmt: skip
    if len(hx) != 2:
        raise BadGraph("an LSTM needs two states")
    return _recurrent(
        4, 2, input, hx[0], params, has_biases, num_layers, dropout, train, bidirectional, batch_first
    )
