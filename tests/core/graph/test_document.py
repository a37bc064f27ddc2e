"""The file of a graph as strangers may write it: one form, with limits, whatever is in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from patchrun.core.graph import document as form
from patchrun.core.graph.document import MOST_BYTES, read_document
from patchrun.core.graph.values import BadGraph

TOKENS = {"kind": "tokens", "dtype": "int64", "shape": [2, 4]}
TABLE = {"kind": "saved", "dtype": "float32", "shape": [5, 5], "names": ["table.weight"]}
LOOKUP = {"op": "aten.embedding.default", "args": [["t", 1], ["t", 0]]}
PLAIN: dict[str, Any] = {"version": 1, "inputs": [TOKENS, TABLE], "nodes": [LOOKUP], "output": 2}


def node(*args: Any, **kwargs: Any) -> bytes:
    return json.dumps(PLAIN | {"nodes": [{"op": "aten.add.Tensor", "args": args, "kwargs": kwargs}]}).encode()


def test_a_graph_is_read():
    read = read_document(json.dumps(PLAIN).encode())
    assert read.inputs[1].names == ("table.weight",)
    assert read.nodes[0].args == (form.Ref(1), form.Ref(0))


def test_every_kind_of_argument():
    parts = [["t", 0], ["i", -3], ["f", 0.5], ["inf", -1], ["b", True], ["n"], ["s", "tanh"], ["d", "bool"]]
    (read,) = read_document(
        node(*parts, ["m", "contiguous_format"], ["l", [["i", 1], ["n"]]], alpha=["i", 2])
    ).nodes
    assert read.args[3] == form.Infinite(-1) and read.args[-1] == form.Items((form.Int(1), form.Nothing()))
    assert read.kwargs == {"alpha": form.Int(2)}


@pytest.mark.parametrize(
    "argument",
    [
        ["i", "3"], ["i", 3.0], ["i", True], ["i", 1 << 63], ["i", -(1 << 63) - 1], ["i", 10**400], ["i"],
        ["f", "nan"], ["f", "1.0"], ["f", None], ["b", 1], ["t", -1], ["t", 0.5], ["t", 10**9], ["t", "0"],
        ["inf", 0], ["inf", 2], ["inf", "inf"], ["d", "complex64"], ["d", "float8_e4m3fn"], ["d", "qint8"], ["d", 7],
        ["s", "x" * 121], ["s", 3], ["m", "channels_last"], ["l", [["l", []]]], ["l", [[["i", 1]]]], ["l", "text"],
        ["l", [["i", 1]] * 4097], ["sym", "s0"], ["e", "s0 + 1"], ["t", 0, 1], [], ["n", None, 1], 3, "x", None, {},
        {"t": 0}, {"as_sym_int": "s0"}, {"as_expr": {"expr_str": "s0*2"}}, [["t", 0]], ["graph", PLAIN],
    ],
)  # fmt: skip
def test_arguments_that_are_none(argument: Any):
    """Symbolic sizes, strings for numbers, overflows, complex dtypes, lists in lists, anything else."""
    with pytest.raises(BadGraph, match="not of its form"):
        read_document(node(argument))


DEEP = 200_000


@pytest.mark.parametrize(
    "text",
    [
        b"", b"null", b"[]", b"{}", b"{", b"\xff\xfe", b'{"version": 1', b'{"version": 2}', b'{"version": "1"}',
        b'{"version": 1, "nodes": {}}', b'{"version": 1, "code": "import os"}', b'{"version": 1, "output": -1}',
        b"[" * DEEP + b"]" * DEEP, b'{"version": 1, "nodes": ' + b"[" * DEEP, b'{"a":' * DEEP,
        b'{"version": 1, "output": 1e999}', b'{"version": 1, "output": NaN}',
        b'{"version": 1, "nodes": [{"op": "aten.add.Tensor", "args": ' + b'["l", [' * 5000,
        b"\x80\x04\x95cposix\nsystem\n", b"PK\x03\x04",
    ],
)  # fmt: skip
def test_files_that_are_no_graphs(text: bytes):
    with pytest.raises(BadGraph, match="not of its form"):
        read_document(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"nodes": [LOOKUP] * 20_001},
        {"inputs": [TOKENS] * 4097},
        {"inputs": [TOKENS | {"shape": [1] * 17}]},
        {"inputs": [TOKENS | {"shape": [-1]}]},
        {"inputs": [TOKENS | {"shape": [1 << 41]}]},
        {"inputs": [TOKENS | {"shape": ["2"]}]},
        {"inputs": [TOKENS | {"dtype": "complex128"}]},
        {"inputs": [TOKENS | {"kind": "pickle"}]},
        {"inputs": [TABLE | {"names": ["x" * 301]}]},
        {"inputs": [TABLE | {"names": ["x"] * 65}]},
        {"inputs": [TABLE | {"path": "/etc/passwd"}]},
        {"nodes": [LOOKUP | {"op": "x" * 200}]},
        {"nodes": [LOOKUP | {"args": [["n"]] * 33}]},
        {"nodes": [LOOKUP | {"subgraph": PLAIN}]},
        {"nodes": [LOOKUP | {"kwargs": {"x" * 130: ["n"]}}]},
        {"error": "x" * 4001},
    ],
)
def test_too_much_or_unknown(changes: dict[str, Any]):
    with pytest.raises(BadGraph, match="not of its form"):
        read_document(json.dumps(PLAIN | changes).encode())


def test_a_file_that_is_too_large_is_not_read():
    with pytest.raises(BadGraph, match=f"{MOST_BYTES:,} are allowed"):
        read_document(b" " * (MOST_BYTES + 1))


def test_a_constant_that_is_no_base64():
    given = form.Input("constant", "uint8", (3,), data="!!!!")
    with pytest.raises(BadGraph, match="not base64"):
        given.read_data()
    assert form.Input("constant", "uint8", (3,), data="AQID").read_data() == b"\x01\x02\x03"
