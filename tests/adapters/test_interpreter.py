"""The line to the process that computes graphs: real modules, models that break it, and what it may see."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from boxes import needs_bwrap
from graphs import as_model, export_module, open_interpreter
from models.honest import HONEST, B, T, V, rotary_tables
from torch import nn

from patchrun.adapters.child import Stopped
from patchrun.adapters.interpreter import Cap, GraphFault, Interpreter
from patchrun.core.graph import document as form
from patchrun.core.graph.model import ModelGraph
from patchrun.core.graph.values import BadGraph, Spec

IDS = np.random.default_rng(0).integers(V, size=(B, T)).astype(np.uint16)


torch.set_num_threads(1)  # as the interpreter has it: sums over threads are rounded in another order


@pytest.fixture(scope="module")
def interpreter() -> Iterator[Interpreter]:
    with open_interpreter() as process:
        yield process


class Table(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(V, V)

    def forward(self, ids):
        return self.table(ids)


@pytest.fixture(scope="module")
def table() -> ModelGraph:
    return export_module(Table(), B, T, V)


def pretend_training(model: nn.Module) -> nn.Module:
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


CLOSE = {"StockAttention", "StockEncoder"}  # eager takes a fast path of its own


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_model_gives_its_own_logits(interpreter: Interpreter, name: str, tmp_path: Path):
    torch.manual_seed(0)
    kind = HONEST[name]
    graph = export_module(kind(), B, T, V)
    rotary_tables.cache_clear()  # it holds what the export left there
    model = pretend_training(kind())
    state = {key: tensor.float() for key, tensor in model.state_dict().items()}
    if name == "Tied":
        del state["head.weight"]
    interpreter.load(graph, as_model(state, tmp_path), V)
    interpreter.limit(Cap(60, "in the test"))
    with torch.inference_mode(), torch.compiler.set_stance("force_eager"):
        eager = model(torch.from_numpy(IDS.astype(np.int64))).float().numpy()
    logits = interpreter.logits(IDS)
    same = np.allclose(logits, eager, atol=1e-5) if name in CLOSE else np.array_equal(logits, eager)
    assert same, np.abs(logits - eager).max()


def test_tensors_that_are_not_the_models(interpreter: Interpreter, table: ModelGraph, tmp_path: Path):
    good = np.zeros((V, V), np.float32)
    for tensors, said in (
        ({"other": good}, "lacks table.weight"),
        ({"table.weight": good, "more": good}, "holds more, which build_model"),
        ({"table.weight": good[:3]}, r"size mismatch for table.weight: \[3, 32\]"),
        ({"table.weight": good.astype(np.int32)}, "saved as int32"),
        ({}, "lacks table.weight"),
    ):
        with pytest.raises(BadGraph, match=said):
            interpreter.load(table, as_model(tensors, tmp_path), V)


def test_weights_of_another_precision_are_cast(interpreter: Interpreter, table: ModelGraph, tmp_path: Path):
    weights = np.random.default_rng(0).normal(size=(V, V)).astype(np.float16)
    interpreter.load(table, as_model({"table.weight": weights}, tmp_path), V)
    assert np.array_equal(interpreter.logits(IDS), weights.astype(np.float32)[IDS])


def test_a_token_outside_of_a_table_is_an_error_and_the_process_goes_on(
    interpreter: Interpreter, table: ModelGraph, tmp_path: Path
):
    interpreter.load(table, as_model({"table.weight": np.eye(V, dtype=np.float32)}, tmp_path), V)
    with pytest.raises(GraphFault, match="IndexError"):
        interpreter.logits(np.full((B, T), V))
    assert interpreter.logits(IDS).shape == (B, T, V)


def test_a_shape_that_was_not_inferred_is_an_error(
    interpreter: Interpreter, table: ModelGraph, tmp_path: Path
):
    (outcome,) = table.outcomes
    forged = replace(table, outcomes=(outcome._replace(outputs=(Spec((B, T, V + 1), "float32"),)),))
    interpreter.load(forged, as_model({"table.weight": np.eye(V, dtype=np.float32)}, tmp_path), V)
    with pytest.raises(GraphFault, match=r"aten.embedding.default gives torch.float32 \[4, 16, 32\]"):
        interpreter.logits(IDS)


def test_nothing_is_known_of_the_model_before(interpreter: Interpreter, table: ModelGraph, tmp_path: Path):
    first, second = np.eye(V, dtype=np.float32), 2 * np.eye(V, dtype=np.float32)
    for weights in (first, second, first):
        interpreter.load(table, as_model({"table.weight": weights}, tmp_path), V)
        assert np.array_equal(interpreter.logits(IDS), weights[IDS])


def slow(table: ModelGraph) -> ModelGraph:
    """A graph that no check would let pass: it computes for long."""
    big = form.Node("aten.ones.default", (form.Items(tuple(map(form.Int, (1 << 26,)))),))
    sines = [form.Node("aten.sin.default", (form.Ref(3 + number),)) for number in range(200)]
    spec = table.outcomes[0]._replace(outputs=(Spec((1 << 26,), "float32"),))
    nodes = (*table.document.nodes, big, *sines)
    document = form.Document(1, table.document.inputs, nodes, table.document.output)
    drop = ((), (), *((3 + number,) for number in range(200)))
    return replace(table, document=document, outcomes=(*table.outcomes, *[spec] * 201), drop=drop)


def test_a_graph_that_computes_too_long_is_cut_off(table: ModelGraph, tmp_path: Path):
    graph = slow(export_module(Table(), B, T, V))
    with open_interpreter() as own:
        own.load(graph, as_model({"table.weight": np.eye(V, dtype=np.float32)}, tmp_path), V)
        own.limit(Cap(0.3, "in the test"))
        with pytest.raises(GraphFault, match=r"more than 0\.3 s of CPU in the test"):
            own.logits(IDS)
    with pytest.raises(ProcessLookupError):
        os.kill(own.process.pid, 0)


def test_a_process_that_dies_is_a_fault_with_the_way_it_ended(table: ModelGraph, tmp_path: Path):
    with open_interpreter() as own:
        os.kill(own.process.pid, signal.SIGSEGV)
        with pytest.raises(GraphFault, match="ended by signal 11"):
            own.load(table, as_model({"table.weight": np.eye(V, dtype=np.float32)}, tmp_path), V)
            own.logits(IDS)


def test_a_wish_to_stop(table: ModelGraph, tmp_path: Path):
    with open_interpreter() as own:
        own.load(slow(table), as_model({"table.weight": np.eye(V, dtype=np.float32)}, tmp_path), V)
        own.stop = lambda: True
        began = time.monotonic()
        with pytest.raises(Stopped):
            own.logits(IDS)
    assert time.monotonic() - began < 30


@needs_bwrap
def test_in_the_sandbox_it_computes_the_same(interpreter: Interpreter, table: ModelGraph, tmp_path: Path):
    weights = as_model(
        {"table.weight": np.random.default_rng(0).normal(size=(V, V)).astype(np.float32)}, tmp_path
    )
    with open_interpreter("bwrap") as own:
        own.load(table, weights, V)
        own.limit(Cap(30, "in the test"))
        inside = own.logits(IDS)
        assert 0 <= own.cpu_seconds < 10
    interpreter.load(table, weights, V)
    assert np.array_equal(inside, interpreter.logits(IDS))
