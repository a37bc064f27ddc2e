"""The checked graph of a language model: what it reads, what each operator gives, what it costs.

Nothing that the file says of shapes is believed but those of its inputs, which must be the saved tensors' own; all
others, the operations and the bytes follow from the operators (``core.graph.operators``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from patchrun.core.graph import document as form
from patchrun.core.graph.document import Document, Input, Node
from patchrun.core.graph.operators import GETITEM, infer_outcome
from patchrun.core.graph.values import BadGraph, Dtype, MemoryFormat, Outcome, Spec
from patchrun.core.oneline import shorten

MOST_TENSORS = 100_000  # of all operators together: a split gives thousands
NUMBER_BYTES = 8  # what a number among the arguments counts where it may be data


@dataclass(frozen=True)
class Costs:
    """One call on a whole batch: floating-point operations; bytes written, and the most held at one time."""

    flops: int
    written_bytes: int
    peak_bytes: int


@dataclass(frozen=True)
class ModelGraph:
    """A graph that may be computed.

    ``outcomes``: what each node gives. ``drop``: the values that nobody reads after each node. ``constant_bytes``:
    distinct constants, and numbers in lists and of floating point.
    """

    document: Document
    outcomes: tuple[Outcome, ...]
    drop: tuple[tuple[int, ...], ...]
    costs: Costs
    constant_bytes: int

    @property
    def saved(self) -> tuple[Input, ...]:
        """The inputs that come from the saved model."""
        return tuple(given for given in self.document.inputs if given.kind == "saved")

    def to_program(self) -> bytes:
        """The graph for the interpreter: JSON with the shapes that it must find."""
        inputs = [
            {"kind": given.kind, "dtype": given.dtype, "shape": given.shape, "data": given.data}
            for given in self.document.inputs
        ]
        nodes = [
            {
                "op": node.op,
                "args": node.args,
                "kwargs": node.kwargs,
                "gives": [[spec.dtype, spec.shape] for spec in outcome.outputs],
                "single": outcome.single,
                "drop": drop,
            }
            for node, outcome, drop in zip(self.document.nodes, self.outcomes, self.drop, strict=True)
        ]
        return msgspec.json.encode({"inputs": inputs, "nodes": nodes, "output": self.document.output})


def check_graph(
    document: Document, batch: int, context: int, vocab_size: int, constants_kb: float
) -> ModelGraph:
    """The graph of a model that maps token ids [batch, context] to logits [batch, context, vocab_size].

    Raises:
        BadGraph: something in it may not be computed, does not fit, or is too large.
    """
    if document.error:
        raise BadGraph(shorten(document.error, 1000))
    specs: list[Outcome] = [_read_input(given, batch, context) for given in document.inputs]
    if [given.kind for given in document.inputs].count("tokens") != 1:
        raise BadGraph("the graph does not read the token ids exactly once")
    tensors = 0
    for node in document.nodes:
        specs.append(_infer_node(node, specs))
        tensors += len(specs[-1].outputs)
        if tensors > MOST_TENSORS:
            raise BadGraph(f"its operators give more than {MOST_TENSORS:,} tensors")
    outcomes = tuple(specs[len(document.inputs) :])
    _check_output(document, specs, (batch, context, vocab_size))
    constants = count_constants(document)
    if constants > constants_kb * 1024:
        raise BadGraph(
            f"its constants and buffers outside the saved model hold {constants / 1024:.1f} KiB, {constants_kb:g} are "
            "allowed: compute masks and tables in forward() from torch.arange"
        )
    drop, costs = _find_lifetimes(document, specs)
    return ModelGraph(document, outcomes, drop, costs, constants)


def _read_input(given: Input, batch: int, context: int) -> Outcome:
    spec = Spec(given.shape, given.dtype)
    if given.kind == "tokens" and spec != Spec((batch, context), "int64"):
        raise BadGraph(f"the graph reads token ids as {spec}, not as int64[{batch}, {context}]")
    if given.kind == "saved" and not given.names:
        raise BadGraph("a saved tensor without a name")
    if given.kind == "constant" and len(given.read_data()) != spec.bytes:
        raise BadGraph(f"a constant {spec} with {len(given.read_data())} bytes")
    return Outcome((spec,), 0)


def _infer_node(node: Node, values: list[Outcome]) -> Outcome:
    if node.op == GETITEM:
        return _open_tuple(node, values)
    args = [_read_argument(argument, values) for argument in node.args]
    kwargs = {word: _read_argument(argument, values) for word, argument in node.kwargs.items()}
    return infer_outcome(node.op, args, kwargs)


def _open_tuple(node: Node, values: list[Outcome]) -> Outcome:
    """One tensor of those that an operator gave."""
    if len(node.args) != 2 or node.kwargs:
        raise BadGraph("getitem needs a value and a place")
    source, place = node.args
    if not isinstance(source, form.Ref) or not isinstance(place, form.Int):
        raise BadGraph("getitem needs a value and a place")
    outcome = _find_value(source, values)
    if outcome.single or not 0 <= place.value < len(outcome.outputs):
        raise BadGraph(f"getitem {place.value} of {len(outcome.outputs)} tensors")
    return Outcome((outcome.outputs[place.value],), 0, fresh=False)


def _find_value(ref: form.Ref, values: list[Outcome]) -> Outcome:
    if ref.index >= len(values):
        raise BadGraph(f"a node reads value {ref.index}, which comes after it")
    return values[ref.index]


def _read_argument(argument: form.Argument, values: list[Outcome]) -> Any:
    """The argument as the operators' functions take it."""
    match argument:
        case form.Ref():
            outcome = _find_value(argument, values)
            if not outcome.single:
                raise BadGraph("a tuple of tensors where one is needed")
            return outcome.outputs[0]
        case form.Int() | form.Float() | form.Bool() | form.Text():
            return argument.value
        case form.Infinite():
            return argument.sign * float("inf")
        case form.DtypeArgument():
            return Dtype(argument.name)
        case form.MemoryFormat():
            return MemoryFormat(argument.name)
        case form.Items():
            return tuple(_read_argument(item, values) for item in argument.values)
        case _:
            return None


def _check_output(document: Document, values: list[Outcome], shape: tuple[int, ...]) -> None:
    outcome = _find_value(form.Ref(document.output), values)
    spec = outcome.outputs[0] if outcome.single else None
    if spec is None or not spec.is_float or spec.shape != shape:
        raise BadGraph(f"the model returns {spec or 'a tuple'}, not floating-point logits {list(shape)}")


def count_constants(document: Document) -> int:
    """Bytes of constants: each content once; numbers that stand in lists or are of floating point count too."""
    contents = {given.data: len(given.data) * 3 // 4 for given in document.inputs if given.kind == "constant"}
    arguments = [argument for node in document.nodes for argument in (*node.args, *node.kwargs.values())]
    numbers = sum(_count_numbers(argument) for argument in arguments)
    return sum(contents.values()) + NUMBER_BYTES * numbers


def _count_numbers(argument: form.Argument) -> int:
    if isinstance(argument, form.Items):
        return sum(isinstance(item, form.Int | form.Float) for item in argument.values)
    return int(isinstance(argument, form.Float))


def _reads(node: Node) -> list[int]:
    """The values that a node reads."""
    found = []
    for argument in (*node.args, *node.kwargs.values()):
        for item in argument.values if isinstance(argument, form.Items) else (argument,):
            if isinstance(item, form.Ref):
                found.append(item.index)
    return found


def _find_lifetimes(document: Document, values: list[Outcome]) -> tuple[tuple[tuple[int, ...], ...], Costs]:
    """Which values each node is the last to read, and what that costs in memory.

    A view keeps the memory of all that the operator read; new memory goes when neither it nor a view of it is read.
    """
    first, count = len(document.inputs), len(values)
    last_read, last_held = list(range(count)), list(range(count))
    for number, node in enumerate(document.nodes, first):
        for index in _reads(node):
            last_read[index] = number
    last_read[document.output] = count
    for number in range(count - 1, -1, -1):
        last_held[number] = max(last_held[number], last_read[number])
        if number >= first and not values[number].fresh:
            for index in _reads(document.nodes[number - first]):
                last_held[index] = max(last_held[index], last_held[number])
    drop: list[list[int]] = [[] for _ in document.nodes]
    for number, last in enumerate(last_read):
        if number >= first and last < count:
            drop[last - first].append(number)
    return tuple(map(tuple, drop)), _count_costs(values[first:], last_held[first:], first)


def _count_costs(outcomes: list[Outcome], last_held: list[int], first: int) -> Costs:
    sizes = [_fresh_bytes(outcome) for outcome in outcomes]
    ends: dict[int, int] = {}
    held = peak = 0
    for number, size in enumerate(sizes):
        held += size
        peak = max(peak, held)
        end = last_held[number] - first
        ends[end] = ends.get(end, 0) + size
        held -= ends.pop(number, 0)
    return Costs(sum(outcome.flops for outcome in outcomes), sum(sizes), peak)


def _fresh_bytes(outcome: Outcome) -> int:
    return sum(spec.bytes for spec in outcome.outputs) if outcome.fresh else 0


def match_names(graph: ModelGraph, saved: Mapping[str, Spec]) -> tuple[str, ...]:
    """For each of ``graph.saved`` the tensor of the file that fills it: the first of its names that is there.

    Raises:
        BadGraph: one is missing, of another shape, or not of the model.
    """
    chosen = []
    for given in graph.saved:
        name = next((name for name in given.names if name in saved), None)
        if name is None:
            raise BadGraph(f"the saved model lacks {shorten(given.names[0], 80)}, which build_model() has")
        _check_tensor(name, saved[name], Spec(given.shape, given.dtype))
        chosen.append(name)
    known = {name for given in graph.saved for name in given.names}
    if strange := sorted(set(saved) - known):
        raise BadGraph(f"the saved model holds {shorten(strange[0], 80)}, which build_model() does not have")
    return tuple(chosen)


def _check_tensor(name: str, spec: Spec, wanted: Spec) -> None:
    if spec.shape != wanted.shape:
        raise BadGraph(
            f"size mismatch for {shorten(name, 80)}: {list(spec.shape)} is saved, {list(wanted.shape)} is what "
            "build_model() has"
        )
    if spec.is_float != wanted.is_float:
        raise BadGraph(f"{shorten(name, 80)} is saved as {spec.dtype}, build_model() has {wanted.dtype}")


FLOPS_FACTOR = 1.5
BYTES_FACTOR = 4.0  # unfused code writes several times what fused code does for the same work
MOST_FLOPS = 10**12  # of a batch, where there is no reference
MOST_WRITTEN = 16 << 30
MOST_PEAK = 1 << 30


def judge_costs(costs: Costs, references: tuple[Costs, ...]) -> None:
    """BadGraph where a graph costs more than its references allow (the code before the record, the human's)."""
    flops = max((each.flops for each in references), default=0)
    if flops and costs.flops > FLOPS_FACTOR * flops:
        raise BadGraph(
            f"a batch takes {costs.flops:.3g} floating-point operations, {FLOPS_FACTOR:g} times the {flops:.3g} of the "
            "reference code are allowed: what is scored is not on the clock, so it may not grow"
        )
    written = max((each.written_bytes for each in references), default=0)
    peak = max((each.peak_bytes for each in references), default=0)
    _judge(costs.flops, MOST_FLOPS, "floating-point operations a batch")
    _judge(
        costs.written_bytes, BYTES_FACTOR * written or MOST_WRITTEN, "bytes of intermediate results a batch"
    )
    _judge(costs.peak_bytes, BYTES_FACTOR * peak or MOST_PEAK, "bytes of intermediate results at one time")


def _judge(seen: int, most: float, what: str) -> None:
    if seen > most:
        raise BadGraph(f"it takes {seen:.3g} {what}, {most:.3g} are allowed")
