"""Whole graphs as literals: what is checked, what they cost, what tensors they take."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec
import pytest

from patchrun.core.graph import document as form
from patchrun.core.graph.document import Document, Input, Node, Ref
from patchrun.core.graph.model import Costs, ModelGraph, check_graph, judge_costs, match_names
from patchrun.core.graph.values import BadGraph, Spec

B, T, V, W = 2, 4, 5, 3
TOKENS = Input("tokens", "int64", (B, T))
TABLE = Input("saved", "float32", (V, W), ("table.weight",))
HEAD = Input("saved", "float32", (V, W), ("head.weight", "tied.weight"))
INPUTS = (TOKENS, TABLE, HEAD)
MODEL = (
    Node("aten.embedding.default", (Ref(1), Ref(0))),
    Node("aten.linear.default", (Ref(3), Ref(2))),
)


def ints(*numbers: int) -> form.Items:
    return form.Items(tuple(map(form.Int, numbers)))


def graph(
    *nodes: Node, inputs: tuple[Input, ...] = INPUTS, output: int | None = None, **options: Any
) -> ModelGraph:
    made = nodes or MODEL
    end = len(inputs) + len(made) - 1 if output is None else output
    return check_graph(Document(1, inputs, made, end), B, T, V, options.get("constants_kb", 1))


def refuse(words: str, *nodes: Node, **options: Any) -> None:
    with pytest.raises(BadGraph, match=words):
        graph(*nodes, **options)


def test_a_model_and_its_costs():
    checked = graph()
    assert [outcome.outputs[0].shape for outcome in checked.outcomes] == [(B, T, W), (B, T, V)]
    lookup, product = B * T * W, 2 * B * T * W * V
    assert checked.costs == Costs(lookup + product, 4 * B * T * (W + V), 4 * B * T * (W + V))
    assert checked.drop == ((), (3,))
    assert checked.constant_bytes == 0


def test_memory_goes_when_nobody_reads_it_any_more_views_included():
    sines = [Node("aten.sin.default", (Ref(number),)) for number in range(4, 14)]
    assert graph(*MODEL, *sines).costs.peak_bytes == 2 * 4 * B * T * V
    halves = (
        Node("aten.embedding.default", (Ref(1), Ref(0))),
        Node("aten.transpose.int", (Ref(3), form.Int(0), form.Int(1))),
        Node("aten.linear.default", (Ref(3), Ref(2))),
        Node("aten.transpose.int", (Ref(4), form.Int(0), form.Int(1))),
        Node("aten.linear.default", (Ref(6), Ref(2))),
        Node("aten.add.Tensor", (Ref(5), Ref(7))),
    )
    kept = graph(*halves)
    assert kept.costs.peak_bytes == 4 * B * T * 3 * V
    assert kept.drop[3] == (4,), "the first view goes, the memory below it stays"


def test_the_program_says_what_must_come_out():
    program = msgspec.json.decode(graph().to_program())
    assert program["output"] == 4
    assert program["nodes"][1]["gives"] == [["float32", [B, T, V]]]
    assert program["nodes"][1]["args"] == [["t", 3], ["t", 2]]


def test_an_error_of_the_exporter_is_told():
    with pytest.raises(BadGraph, match="the model cannot"):
        check_graph(Document(1, error="the model cannot\x1b[31m"), B, T, V, 1)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("does not read the token ids exactly once", {"inputs": (TABLE, TABLE, HEAD)}),
        ("does not read the token ids exactly once", {"inputs": (TOKENS, TABLE, TOKENS)}),
        (r"int32\[2, 4\], not as int64", {"inputs": (Input("tokens", "int32", (B, T)), TABLE, HEAD)}),
        (r"int64\[2, 5\], not as", {"inputs": (Input("tokens", "int64", (B, 5)), TABLE, HEAD)}),
        ("without a name", {"inputs": (TOKENS, Input("saved", "float32", (V, W)), HEAD)}),
        (r"returns float32\[2, 4, 3\]", {"output": 3}),
        ("comes after it", {"output": 99}),
        ("bytes, shape", {"inputs": (TOKENS, Input("saved", "float32", (1 << 30, 3), ("x",)), HEAD)}),
    ],
)
def test_graphs_that_are_no_language_models(words: str, options: dict[str, Any]):
    refuse(words, **options)


def of(op: str, *args: form.Argument, **kwargs: form.Argument) -> Node:
    return Node(f"aten.{op}", args, kwargs)


X = Ref(4)
REFUSED = {
    "random numbers": of("rand_like.default", X),
    "random numbers ": of("randn.default", ints(2)),
    "random numbers: do so only": of("bernoulli.p", X, form.Float(0.5)),
    "memory that nobody wrote": of("empty_like.default", X),
    "memory that nobody": of("empty.memory_format", ints(2)),
    "new_empty": of("new_empty.default", X, ints(2)),
    "table of counts": of("scatter_add.default", X, form.Int(2), Ref(0), X),
    "scatter_reduce.two": of("scatter_reduce.two", X, form.Int(2), Ref(0), X, form.Text("sum")),
    "index_put": of("index_put.default", X, form.Items((Ref(0),)), X, form.Bool(True)),
    "index_add": of("index_add.default", X, form.Int(0), Ref(0), X),
    "bincount": of("bincount.default", Ref(0)),
    "histc": of("histc.default", X),
    "put.default": of("put.default", X, Ref(0), X, form.Bool(True)),
    "one_hot": of("one_hot.default", Ref(0), form.Int(5)),
    "it sorts": of("topk.default", X, form.Int(2)),
    "sort.default": of("sort.default", X),
    "argsort": of("argsort.default", X),
    "kthvalue": of("kthvalue.default", X, form.Int(1)),
    "_unique2": of("_unique2.default", Ref(0)),
    "unique_consecutive": of("unique_consecutive.default", Ref(0)),
    "searchsorted": of("searchsorted.Tensor", X, X),
    "nonzero": of("nonzero.default", X),
    "by strides": of("as_strided.default", X, ints(2), ints(1)),
    "write the rotation": of("view_as_complex.default", X),
    "polar": of("polar.default", X, X),
    "fft": of("fft_fft.default", X),
    "save the result as a parameter": of("linalg_svd.default", X),
    "in place": of("add_.Tensor", X, X),
    "relu_": of("relu_.default", X),
    "torch.where": of("_local_scalar_dense.default", X),
    "embedding_dense_backward": of("embedding_dense_backward.default", X, Ref(0), form.Int(5), form.Int(-1)),
    "docs/evaluation.md": of("_softmax_backward_data.default", X, X, form.Int(-1)),
    "set_": of("set_.source_Tensor", X, X),
    "operator higher_order.cond": Node("higher_order.cond", (X,)),
    "operator torch.ops.mylib.op": Node("torch.ops.mylib.op", (X,)),
    "operator os.system": Node("os.system", (form.Text("id"),)),
    "operator aten.__class__": Node("aten.__class__", (X,)),
    "operator  is": Node("", (X,)),
    "dropout in training": of("dropout.default", X, form.Float(0.5), form.Bool(True)),
    "mixes the rows": of("batch_norm.default", X, form.Nothing(), form.Nothing(), form.Nothing(), form.Nothing(),
                         form.Bool(True), form.Float(0.1), form.Float(1e-5), form.Bool(False)),
    "size that depends on values": of("index.Tensor", X, form.Items((Ref(5),))),
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_operators_that_are_not_computed(words: str):
    mask = of("gt.Scalar", X, form.Int(0))
    node = REFUSED[words]
    nodes = (*MODEL, mask, node) if "values" in words else (*MODEL, node)
    with pytest.raises(BadGraph) as caught:
        graph(*nodes)
    assert words.strip() in str(caught.value)


BROKEN = {
    "lacks an argument": of("add.Tensor", X),
    "has too many": of("sin.default", X, X),
    "names a strange one": of("sin.default", X, out=X),
    "gets a number as a shape": of("zeros.default", form.Int(3)),
    "gets a float as a size": of("zeros.default", form.Items((form.Float(3.0),))),
    "gets a bool as a dimension": of("softmax.int", X, form.Bool(True)),
    "gets a word as a dimension": of("softmax.int", X, form.Text("-1")),
    "gets a list as a tensor": of("sin.default", form.Items((X,))),
    "gets None as a tensor": of("sin.default", form.Nothing()),
    "gets a dtype as a number": of("add.Tensor", X, form.DtypeArgument("bool")),
    "reads what comes later": of("sin.default", Ref(5)),
    "reads what never comes": of("sin.default", Ref(400)),
    "opens what is no tuple": Node("getitem", (X, form.Int(0))),
    "opens without a place": Node("getitem", (X,)),
    "does not fit": of("add.Tensor", X, Ref(1)),
    "is too large": of("ones.default", ints(1 << 40)),
    "overflows": of("ones.default", ints((1 << 62), (1 << 62))),
    "is negative": of("ones.default", ints(-3)),
    "ranges without end": of("arange.start_step", form.Int(0), form.Int(9), form.Int(0)),
    "ranges to infinity": of("arange.default", form.Infinite(1)),
    "ranges very far": of("arange.default", form.Int((1 << 63) - 1)),
    "repeats very often": of("repeat.default", X, ints(1 << 40, 1, 1)),
    "expands very far": of("expand.default", Ref(4), ints(1 << 40, B, T, V)),
    "pads very far": of("pad.default", X, ints(0, 1 << 50)),
    "splits into very many": of("split.Tensor", Ref(4), form.Int(0), form.Int(0)),
    "unfolds by nothing": of("unfold.default", X, form.Int(1), form.Int(2), form.Int(0)),
    "has an equation of dots": of("einsum.default", form.Text("...a->a"), form.Items((X,))),
    "has an equation without sense": of("einsum.default", form.Text("abc->abz"), form.Items((X,))),
    "has an equation of another rank": of("einsum.default", form.Text("ab->a"), form.Items((X,))),
    "permutes twice the same": of("permute.default", X, ints(0, 0, 1)),
    "has dimension 9": of("unsqueeze.default", X, form.Int(9)),
    "multiplies what does not fit": of("matmul.default", X, X),
    "reads the future": of("gru.input", X, X, form.Items((X,)), form.Bool(True), form.Int(1), form.Float(0),
                           form.Bool(False), form.Bool(True), form.Bool(True)),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_calls_that_make_no_sense(name: str):
    with pytest.raises(BadGraph):
        graph(*MODEL, BROKEN[name])


def test_a_tuple_is_opened():
    pieces = of("split.Tensor", X, form.Int(3), form.Int(-1))
    first = Node("getitem", (Ref(5), form.Int(0)))
    again = of("cat.default", form.Items((Ref(6), Ref(7))), form.Int(-1))
    assert graph(*MODEL, pieces, first, Node("getitem", (Ref(5), form.Int(1))), again)
    for place in (2, -1):
        refuse(f"getitem {place} of 2", *MODEL, pieces, Node("getitem", (Ref(5), form.Int(place))))
    refuse("a tuple of tensors where one is needed", *MODEL, pieces, of("sin.default", Ref(5)))
    refuse("returns a tuple", *MODEL, pieces)


def test_operators_that_give_very_many_tensors():
    flat = of("reshape.default", X, ints(-1))
    long = of("repeat.default", Ref(5), ints(100))
    pieces = [of("split.Tensor", Ref(6), form.Int(1))] * 30
    refuse("more than 100,000 tensors", *MODEL, flat, long, *pieces)


def constant(count: int, byte: bytes = b"\1") -> Input:
    return Input("constant", "uint8", (count,), data=b64encode(byte * count).decode())


def test_constants_count_by_bytes_each_content_once():
    many = (*INPUTS, constant(900), constant(900))
    nodes = (Node("aten.embedding.default", (Ref(1), Ref(0))), Node("aten.linear.default", (Ref(5), Ref(2))))
    assert graph(*nodes, inputs=many).constant_bytes == 900
    others = (*INPUTS, constant(900), constant(900, b"\2"))
    refuse(r"hold 1\.8 KiB, 1 are allowed: compute masks and tables in forward", *nodes, inputs=others)
    refuse(
        "a constant uint8",
        *nodes,
        inputs=(*INPUTS, constant(9), Input("constant", "uint8", (9,), data="AQID")),
    )


def test_a_table_in_the_arguments_counts_too():
    table = of("pad.default", X, form.Items(tuple(form.Int(0) for _ in range(200))))
    with pytest.raises(BadGraph):
        graph(*MODEL, table)
    fills = [of("mul.Tensor", Ref(number), form.Float(1.0)) for number in range(4, 204)]
    refuse(r"hold 1\.6 KiB", *MODEL, *fills)


SAVED = {"table.weight": Spec((V, W), "float32"), "head.weight": Spec((V, W), "float32")}


def test_tensors_are_found_by_any_of_their_names():
    assert match_names(graph(), SAVED) == ("table.weight", "head.weight")
    tied = {"table.weight": SAVED["table.weight"], "tied.weight": SAVED["head.weight"]}
    assert match_names(graph(), tied) == ("table.weight", "tied.weight")


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("lacks table.weight", {"table.weight": None}),
        ("lacks head.weight", {"head.weight": None}),
        ("holds extra, which", {"extra": Spec((1,), "float32")}),
        (r"size mismatch for table.weight: \[3, 5\]", {"table.weight": Spec((W, V), "float32")}),
        ("saved as int64", {"table.weight": Spec((V, W), "int64")}),
    ],
)
def test_tensors_that_are_others(words: str, changes: dict[str, Spec | None]):
    tensors = {name: spec for name, spec in (SAVED | changes).items() if spec}
    with pytest.raises(BadGraph, match=words):
        match_names(graph(), tensors)


def test_costs_are_bounded_by_the_larger_reference():
    small, large = Costs(100, 1000, 100), Costs(200, 2000, 200)
    judge_costs(Costs(300, 8000, 800), (small, large))
    for costs in (Costs(301, 10, 10), Costs(10, 8001, 10), Costs(10, 10, 801)):
        with pytest.raises(BadGraph, match="are allowed"):
            judge_costs(costs, (small, large))


def test_without_a_reference_there_are_bounds_all_the_same():
    judge_costs(Costs(10**9, 1 << 30, 1 << 28), ())
    for costs in (Costs(10**13, 0, 0), Costs(0, 1 << 40, 0), Costs(0, 0, 1 << 31)):
        with pytest.raises(BadGraph, match="are allowed"):
            judge_costs(costs, ())


def test_counting_stored_text_by_products_costs_what_counting_costs():
    """Pairs of 100,000 stored tokens, counted by comparison and product, are beyond any model's operations."""
    text = Input("saved", "float32", (100_000,), ("text",))
    vocabulary = 512
    nodes = (
        Node("aten.arange.default", (form.Int(vocabulary),)),
        Node("aten.unsqueeze.default", (Ref(3), form.Int(1))),
        Node("aten.eq.Tensor", (Ref(5), Ref(4))),
        Node("aten._to_copy.default", (Ref(6),), {"dtype": form.DtypeArgument("bfloat16")}),
        Node("aten.t.default", (Ref(7),)),
        Node("aten.matmul.default", (Ref(8), Ref(7))),
    )
    made = (
        *nodes,
        Node("aten.embedding.default", (Ref(1), Ref(0))),
        Node("aten.linear.default", (Ref(10), Ref(2))),
    )
    checked = graph(*made, inputs=(*INPUTS, text))
    assert checked.costs.flops > 5e10
    with pytest.raises(BadGraph, match="floating-point operations"):
        judge_costs(checked.costs, (graph().costs,))
