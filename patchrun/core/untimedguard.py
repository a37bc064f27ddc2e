"""Training before the clock: how many steps a warm-up makes, and what undoes them.

The guard names what starts the clock (``t0``). A step of training (``backward``, ``autograd.grad``, an optimizer's
``step``, a function that does such) in the main code before the start is untimed: the loops around it, what their trip
counts come from, and the calls that save and restore state, must stay.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from patchrun.core.bindings import Binding
from patchrun.core.foldtext import fold_text
from patchrun.core.guardsource import (
    COMPREHENSIONS,
    LOOPS,
    Item,
    Source,
    Trees,
    dump,
    last_name,
    make_item,
    names_in,
    span_of,
)
from patchrun.core.track import Guard

GRADIENTS = frozenset({"backward", "autograd.grad"})
RESETS = frozenset({"load_state_dict", "zero_grad", "reset", "reset_parameters", "set_rng_state"})
SAVERS = frozenset({"load_state_dict", "state_dict", "deepcopy"})
STATE_WRITES = frozenset(
    {"load_state_dict", "copy_", "lerp_", "set_", "add_", "swap_tensors", "_foreach_copy_"}
)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def collect_untimed(guard: Guard, files: Sequence[Source], trees: Trees) -> list[Item]:
    """The untimed steps, the heads of their loops with what these come from, and the resets after them."""
    items: list[Item] = []
    for file in files:
        start = _find_start(guard, file)
        found = _Untimed(file, start).find() if start else _training_elsewhere(file)
        items += sorted(found, key=lambda item: item.line)
    return items


def _training_elsewhere(file: Source) -> Iterator[Item]:
    """The functions of a file without a clock that train."""
    for node in file.find(ast.Attribute):
        if _kind_of(node) in GRADIENTS:
            function = file.function_of(node)
            yield make_item(file, node, f"trains in {getattr(function, 'name', '')}", "grow")


def _find_start(guard: Guard, file: Source) -> Binding | None:
    """Where the clock starts first: at module level, else in a function that trains."""
    starts = [one for one in file.bindings if one.name in guard.match and (one.is_local or not one.scope)]
    training = [node.lineno for node in file.find(ast.Call) if _kind_of(node) in GRADIENTS]

    def trains(binding: Binding) -> bool:
        span = span_of(file, binding)
        return span is None or any(span[0] <= line <= span[1] for line in training)

    return min(filter(trains, starts), key=lambda one: (one.is_local, one.line), default=None)


def _kind_of(node: ast.AST) -> str:
    """What step of training a call is: its function's last name, after ``autograd`` if it is ``grad``."""
    func = node.func if isinstance(node, ast.Call) else node
    name = last_name(func)
    if name == "grad" and isinstance(func, ast.Attribute):
        return f"{last_name(func.value)}.grad"
    return name


@dataclass(frozen=True)
class _Untimed:
    """A file and where its clock starts."""

    file: Source
    start: Binding

    def find(self) -> Iterator[Item]:
        steps = list(self._steps())
        yield from (make_item(self.file, node, _step_key(self.file, node), "grow") for node in steps)
        yield from self._trip_counts(_outer_loops(self.file, steps))
        looped = (node for node in steps if _loops_around(self.file, node))
        first = min((node.lineno for node in looped), default=self.start.line)
        yield from self._resets()
        yield from self._writes(first)
        yield from self._replaced()

    @cached_property
    def _training(self) -> frozenset[str]:
        """The functions of the file that train, by their last names; also those that call these."""
        names: set[str] = set()
        while True:
            more = {
                name
                for name, calls in self._calls
                if name not in names and not calls.isdisjoint(GRADIENTS | names)
            }
            if not more:
                return frozenset(names - {"step", "forward", "__init__"})
            names |= more

    @cached_property
    def _calls(self) -> Sequence[tuple[str, set[str]]]:
        """The name of each function, and what it calls."""
        calls: dict[Function, set[str]] = {}
        for node in self.file.find(ast.Call):
            for around in self.file.around(node):
                if isinstance(around, Function):
                    calls.setdefault(around, set()).update((_kind_of(node), last_name(node.func)))
        return [(function.name, names) for function, names in calls.items()]

    @cached_property
    def _main(self) -> Sequence[ast.AST]:
        """The nodes of the main code before the clock: outside definitions, but for the one that the clock is in."""
        span = span_of(self.file, self.start)
        nodes = []
        for statement in self.file.statements:
            owner = next((one for one in self.file.around(statement) if isinstance(one, Function)), None)
            inside = owner is None if span is None else owner is None or owner.lineno == span[0]
            if inside and (
                statement.lineno < self.start.line or (span is not None and owner is None)
            ):  # fmt: skip
                nodes.append(statement)
        return nodes

    @cached_property
    def _expressions(self) -> Sequence[ast.AST]:
        """The expressions of these statements, each once, in the order of the source."""
        found = {
            node: None
            for statement in self._main
            for child in ast.iter_child_nodes(statement)
            if not isinstance(child, ast.stmt | ast.excepthandler | ast.match_case)
            for node in ast.walk(child)
            if isinstance(node, ast.expr)
        }
        return sorted(found, key=lambda node: (node.lineno, node.col_offset))

    def _steps(self) -> Iterator[ast.AST]:
        own = span_of(self.file, self.start)
        for node in self._expressions:
            if _is_step(node):
                yield node
            elif isinstance(node, ast.Name | ast.Attribute) and last_name(node) in self._training:
                definition = self.file.definitions.get(last_name(node))
                if own is None or definition is None or definition.lineno != own[0]:
                    yield node

    def _trip_counts(self, loops: Iterable[ast.AST]) -> Iterator[Item]:
        """What binds the names in the heads of loops that train."""
        kinds = GRADIENTS | self._training
        training = [one for one in loops if any(_kind_of(node) in kinds for node in ast.walk(one))]
        names = {last_name(node) for one in training for node in ast.walk(_count_of(one))} - {""}
        for binding in self.file.bindings:
            plain = binding.form not in ("parameter", "import", "importfrom") and not binding.form.endswith(
                "def"
            )
            if plain and not binding.is_local and binding.name.rpartition(".")[2] in names:
                yield make_item(self.file, binding.node, f"steps from {dump(*binding.parts)}")

    def _resets(self) -> Iterator[Item]:
        """The calls that restore state, and every statement that touches what is restored."""
        saved: set[str] = set()
        for node in self._expressions:
            if isinstance(node, ast.Call) and last_name(node.func) in RESETS:
                yield make_item(
                    self.file, node, f"reset {dump(node)} in {self.file.control_of(node)}", "keep"
                )
                saved |= {name for argument in node.args for name in names_in(argument)}
        for node in self._expressions:
            if isinstance(node, ast.Name) and node.id in saved:
                statement = next(one for one in self.file.around(node) if isinstance(one, ast.stmt))
                shown = _count_of(statement) if isinstance(statement, LOOPS) else statement
                yield make_item(self.file, node, f"saved {node.id} {dump(shown)}", "new")

    def _writes(self, first: int) -> Iterator[Item]:
        """What writes state between the untimed steps and the clock."""
        for node in self._expressions:
            if node.lineno < first:
                continue
            if (
                isinstance(node, ast.Call)
                and last_name(node.func) in STATE_WRITES
                or (
                    isinstance(node, ast.Attribute)
                    and node.attr == "data"
                    and not isinstance(node.ctx, ast.Load)
                )
            ):
                yield make_item(self.file, node, f"write {dump(node)}", "new")

    def _replaced(self) -> Iterator[Item]:
        """What makes saving and restoring something else."""
        for binding in self.file.bindings:
            leaf = binding.name.rpartition(".")[2]
            if leaf in SAVERS and binding.form not in ("import", "importfrom"):
                yield make_item(self.file, binding.node, f"{binding.qualified} {dump(*binding.parts)}", "new")


def _is_step(node: ast.AST) -> bool:
    match node:
        case ast.Attribute():
            return _kind_of(node) in GRADIENTS
        case ast.Call(func=ast.Name(id="getattr"), args=[_, name, *_]):
            return fold_text(name) in GRADIENTS
        case ast.Call():
            return _kind_of(node) == "step"
    return False


def _outer_loops(file: Source, steps: Iterable[ast.AST]) -> list[ast.AST]:
    return list({one: None for node in steps for one in file.around(node) if isinstance(one, LOOPS)})


def _step_key(file: Source, node: ast.AST) -> str:
    heads = (dump(_count_of(one)) for one in _loops_around(file, node))
    return f"step {_kind_of(node)} {' '.join(heads)}"


def _loops_around(file: Source, node: ast.AST) -> list[ast.AST]:
    return [one for one in file.around(node) if isinstance(one, LOOPS + COMPREHENSIONS)]


def _count_of(loop: ast.AST) -> ast.AST:
    """What says how often a loop runs."""
    if isinstance(loop, ast.While):
        return loop.test
    return loop.iter if isinstance(loop, ast.For | ast.AsyncFor) else loop.generators[0].iter
