"""What operators are said to give is what torch gives: one call of each kind, and calls that both refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from patchrun.core.graph.operators import OPERATORS, fits, infer_outcome, shorten_name
from patchrun.core.graph.values import BadGraph, Dtype, MemoryFormat, Spec

FLOATS, WIDE = torch.rand(2, 3, 4) + 0.1, torch.rand(2, 3, 4).double()
INTS, BOOLS, SCALAR = torch.arange(24).view(2, 3, 4), torch.rand(2, 3, 4) > 0.5, torch.tensor(2.5)
ROWS, SQUARE, HALF = torch.rand(3, 4), torch.rand(4, 4), torch.rand(2, 3, 4).bfloat16()
PLACES, ONE, NONE = torch.tensor([[0, 1], [2, 0]]), torch.tensor(1), None
QUERY = torch.rand(2, 2, 5, 4)

CALLS: dict[str, list[tuple[Any, ...]]] = {
    "abs": [(FLOATS,), (INTS,)], "neg": [(FLOATS,)], "relu": [(INTS,)], "sin": [(INTS,), (HALF,), (WIDE,)],
    "exp": [(BOOLS,)], "sigmoid": [(INTS,)], "gelu": [(FLOATS,)], "silu": [(HALF,)], "square": [(INTS,)],
    "logical_not": [(FLOATS,)], "isnan": [(FLOATS,)], "bitwise_not": [(BOOLS,)], "sign": [(INTS,)],
    "elu": [(FLOATS, 1.0)], "leaky_relu": [(FLOATS, 0.1)], "softplus": [(FLOATS,)], "hardtanh": [(FLOATS, -1, 1)],
    "clamp": [(FLOATS, 0.1, 0.5), (INTS, 1, NONE), (INTS, 0.5, NONE)], "clamp_min": [(FLOATS, 0.1)],
    "clamp.Tensor": [(FLOATS, SCALAR, NONE)], "round": [(FLOATS,)], "nan_to_num": [(FLOATS,)],
    "mul.Tensor": [(FLOATS, INTS), (INTS, 2.5), (INTS, SCALAR), (HALF, FLOATS), (HALF, 2.0), (BOOLS, BOOLS)],
    "add.Tensor": [(FLOATS, ROWS), (INTS, True), (BOOLS, 1), (SCALAR, INTS)], "rsub.Scalar": [(INTS, 1)],
    "sub.Tensor": [(ROWS, FLOATS)], "div.Tensor": [(INTS, INTS), (INTS, 2), (HALF, 3)],
    "div.Tensor_mode": [], "maximum": [(FLOATS, WIDE)], "remainder.Scalar": [(INTS, 3)], "fmod.Scalar": [(FLOATS, 2)],
    "pow.Tensor_Scalar": [(FLOATS, 2), (INTS, 2), (INTS, 2.0)], "pow.Scalar": [(2.0, INTS), (2, INTS)],
    "eq.Tensor": [(FLOATS, INTS)], "lt.Scalar": [(INTS, 3)], "logical_and": [(FLOATS, INTS)],
    "bitwise_and.Tensor": [(INTS, INTS)], "__rshift__.Scalar": [(INTS, 1)], "__and__.Scalar": [(INTS, 1)],
    "atan2": [(FLOATS, WIDE)], "lerp.Scalar": [(FLOATS, FLOATS, 0.5)], "addcmul": [(FLOATS, FLOATS, FLOATS)],
    "where.self": [(BOOLS, FLOATS, WIDE)], "where.ScalarOther": [(BOOLS, FLOATS, 0.0), (BOOLS, INTS, 1.5)],
    "masked_fill.Scalar": [(INTS, BOOLS, 3)], "fill.Scalar": [(FLOATS, 1)], "copy": [(FLOATS, INTS)],
    "to.dtype": [(FLOATS, torch.bfloat16)], "type_as": [(FLOATS, INTS)], "dropout": [(FLOATS, 0.5, False)],
    "view": [(FLOATS, [6, -1])], "reshape": [(FLOATS, [-1])], "transpose.int": [(FLOATS, 0, -1)], "t": [(ROWS,)],
    "mT": [(FLOATS,)], "permute": [(FLOATS, [2, 0, 1])], "unsqueeze": [(FLOATS, -1)], "squeeze.dim": [(FLOATS, 0)],
    "squeeze": [(FLOATS[:1],)], "squeeze.dims": [(FLOATS[:1], [0, 1])], "expand": [(ROWS, [5, -1, 4])],
    "flatten.using_ints": [(FLOATS, 1, -1)], "unflatten.int": [(FLOATS, 2, [2, -1])],
    "slice.Tensor": [(FLOATS, 2, 1, 9223372036854775807, 2), (FLOATS, 1, -2, NONE, 1)], "select.int": [(FLOATS, 1, -1)],
    "narrow": [(FLOATS, 2, 1, 2)], "slice_scatter": [(FLOATS, FLOATS[:, :, :2], 2, 1, 3)],
    "select_scatter": [(FLOATS, FLOATS[:, 0], 1, 2)], "split.Tensor": [(FLOATS, 3, 2)], "chunk": [(FLOATS, 3, 2)],
    "split_with_sizes": [(FLOATS, [1, 3], 2)], "unbind.int": [(FLOATS, 1)], "cat": [([FLOATS, WIDE], 1)],
    "stack": [([FLOATS, FLOATS], -1)], "repeat": [(ROWS, [2, 1, 3])], "repeat_interleave.self_int": [(FLOATS, 2, 1)],
    "roll": [(FLOATS, [1], [1])], "flip": [(FLOATS, [1])], "tril": [(SQUARE, 1)], "diagonal": [(FLOATS, 1, 1, 2)],
    "unfold": [(FLOATS, 2, 2, 1)], "pad": [(FLOATS, [1, 0, -1, 2])], "constant_pad_nd": [(FLOATS, [1, 1])],
    "embedding": [(ROWS, PLACES)], "index.Tensor": [(ROWS, [PLACES]), (FLOATS, [NONE, PLACES]),
                                                     (FLOATS, [PLACES % 2, NONE, PLACES])],
    "index_select": [(FLOATS, 1, PLACES[0])], "gather": [(SQUARE, 1, PLACES)], "clone": [(FLOATS,)],
    "sum": [(INTS,)], "sum.dim_IntList": [(BOOLS, [1], True), (HALF, [0, 1]), (FLOATS, NONE)],
    "mean.dim": [(FLOATS, [-1], True)], "mean": [(FLOATS,)], "amax": [(INTS, [1, 2])], "max.dim": [(FLOATS, 1)],
    "argmax": [(FLOATS, 1, True), (FLOATS,)], "any.dim": [(BOOLS, 1)], "prod.dim_int": [(INTS, 1)],
    "var.correction": [(FLOATS, [1])], "std.dim": [(FLOATS, [1])], "var_mean.correction": [(FLOATS, [2])],
    "logsumexp": [(FLOATS, [1])], "linalg_vector_norm": [(FLOATS, 2, [1], True)], "cumsum": [(INTS, 1), (BOOLS, 0)],
    "softmax.int": [(FLOATS, 1), (HALF, -1, torch.float32)], "log_softmax.int": [(FLOATS, 1)],
    "cummax": [(FLOATS, 1)], "logcumsumexp": [(FLOATS, 1)], "glu": [(FLOATS, -1)],
    "layer_norm": [(FLOATS, [4])], "rms_norm": [(FLOATS, [3, 4])],
    "native_layer_norm": [(FLOATS, [4], NONE, NONE, 1e-5)],
    "group_norm": [(FLOATS, 3)], "cosine_similarity": [(FLOATS, FLOATS, -1)],
    "matmul": [(FLOATS, SQUARE), (SQUARE[0], SQUARE), (SQUARE, SQUARE[0]), (FLOATS, torch.rand(5, 1, 4, 6))],
    "mm": [(ROWS, SQUARE)], "bmm": [(FLOATS, FLOATS.mT)], "mv": [(SQUARE, SQUARE[0])], "dot": [(SQUARE[0], SQUARE[1])],
    "outer": [(SQUARE[0], SQUARE[1])], "addmm": [(SQUARE[0], ROWS, SQUARE)], "linear": [(FLOATS, ROWS)],
    "baddbmm": [(FLOATS[:, :, :3], FLOATS, FLOATS.mT)],
    "einsum": [("bij,bkj->bik", [FLOATS, FLOATS]), ("bij->bi", [FLOATS])],
    "scaled_dot_product_attention": [(QUERY, QUERY, QUERY, NONE, 0.0, True)],
    "_scaled_dot_product_flash_attention_for_cpu": [(QUERY, QUERY, QUERY)],
    "conv1d": [(FLOATS, torch.rand(6, 3, 2), NONE, [1], [1], [2])],
    "conv1d.padding": [(FLOATS, torch.rand(6, 3, 3), NONE, [1], "same")],
    "conv2d": [(QUERY, torch.rand(3, 2, 2, 2))],
    "convolution": [(FLOATS, torch.rand(6, 3, 2), NONE, [1], [1], [1], False, [0], 1)],
    "zeros": [([2, 3],)], "full": [([2], 1), ([2], 1.5), ([2], True)], "zeros_like": [(INTS,)],
    "full_like": [(INTS, 2)], "new_zeros": [(HALF, [2])], "new_full": [(HALF, [2], 1)], "arange": [(5,), (5.0,)],
    "arange.start": [(1, 6)], "arange.start_step": [(0, 7, 2), (0, 1, 0.3)], "linspace": [(0, 1, 5)], "eye": [(3,)],
    "scalar_tensor": [(3,)], "_weight_norm": [(ROWS, torch.rand(3, 1))],
}  # fmt: skip
CASES = [
    (name if "." in name else f"{name}.default", args) for name, calls in CALLS.items() for args in calls
]


def as_argument(value: Any) -> Any:
    """An argument of torch's as the inference takes it."""
    if isinstance(value, torch.Tensor):
        return Spec(tuple(value.shape), str(value.dtype).removeprefix("torch."))
    if isinstance(value, list):
        return tuple(map(as_argument, value))
    return Dtype(str(value).removeprefix("torch.")) if isinstance(value, torch.dtype) else value


@pytest.mark.parametrize(
    ("name", "args"), CASES, ids=[f"{number}-{name}" for number, (name, _) in enumerate(CASES)]
)
def test_what_is_inferred_is_what_torch_gives(name: str, args: tuple[Any, ...]):
    short, _, overload = name.partition(".")
    given = getattr(getattr(torch.ops.aten, short), overload)(*args)
    outcome = infer_outcome(f"aten.{name}", as_argument(list(args)), {})
    results = [given] if outcome.single else list(given)
    assert [as_argument(result) for result in results] == list(outcome.outputs)
    assert outcome.flops >= 0


WITH_DROPOUT = {
    "dropout",
    "gru",
    "lstm",
    "rnn_tanh",
    "rnn_relu",
    "scaled_dot_product_attention",
}  # refused if it is on
WITH_DROPOUT |= {"_scaled_dot_product_flash_attention_for_cpu"}


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_exists_changes_nothing_and_draws_nothing(name: str):
    _, short, overload = name.split(".")
    call = getattr(getattr(torch.ops.aten, short), overload)
    assert not call._schema.is_mutable
    assert torch.Tag.nondeterministic_seeded not in call.tags or short in WITH_DROPOUT
    assert torch.Tag.dynamic_output_shape not in call.tags or short == "index", (
        "sizes do not depend on values"
    )


def test_costs_of_products():
    def flops(name: str, *shapes: tuple[int, ...]) -> int:
        return infer_outcome(f"aten.{name}", [Spec(shape, "float32") for shape in shapes], {}).flops

    assert flops("mm.default", (3, 4), (4, 5)) == 2 * 3 * 4 * 5
    assert flops("linear.default", (2, 3, 4), (5, 4), (5,)) == 2 * 6 * 4 * 5 + 30
    assert flops("matmul.default", (7, 3, 4), (4, 5)) == 7 * flops("mm.default", (3, 4), (4, 5))
    attention = flops("scaled_dot_product_attention.default", *[(2, 3, 8, 4)] * 3)
    assert attention == 2 * 3 * 8 * 8 * (2 * 4 + 2 * 4 + 5)


@pytest.mark.parametrize(
    ("value", "hint", "fit"),
    [
        (3, int, True), (True, int, False), (3.0, int, False), (3, float, False), (3.0, int | float, True),
        (None, int | None, True), ((1, 2), tuple[int, ...], True), ((1, 2.0), tuple[int, ...], False),
        ([1], tuple[int, ...], False), ("x", str, True), (Dtype("bool"), str, False), (MemoryFormat("x"), Dtype, False),
        (Spec((1,), "bool"), Spec, True), (1, Spec, False), ((Spec((1,), "bool"), None), tuple[Spec | None, ...], True),
    ],
)  # fmt: skip
def test_arguments_are_of_the_types_that_operators_take(value: object, hint: Any, fit: bool):
    assert fits(value, hint) is fit


@pytest.mark.parametrize(
    "name", ["aten.add", "aten.add.Tensor.x", "add.Tensor", "aten..", "builtins.eval", "getitem"]
)
def test_names_that_only_look_like_operators(name: str):
    with pytest.raises(BadGraph, match="is not computed"):
        infer_outcome(name, [], {})


def test_the_documentation_lists_the_operators():
    page = Path(__file__).parents[3] / "docs" / "evaluation.md"
    listed = page.read_text(encoding="utf-8").split("## Operators")[1].split("`")[3::2]
    assert listed == sorted({shorten_name(name) for name in OPERATORS})
