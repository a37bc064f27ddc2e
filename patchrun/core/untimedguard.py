"""Training before the clock: how many steps a warm-up makes, and what undoes them.

The guard names what starts the clock (``t0``). A call of ``backward`` or of an optimizer's step that does not stand in
a loop that is timed is untimed: the loops around it, what their trip counts come from, and the calls that save and
restore state, must stay.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence

from patchrun.core.guardsource import (
    COMPREHENSIONS,
    LOOPS,
    Definition,
    Item,
    Source,
    Trees,
    dump,
    last_name,
    make_item,
    names_in,
)
from patchrun.core.track import Guard

STEPPERS = ("backward", "step", "step_optimizers")
RESETS = frozenset({
    "load_state_dict", "zero_grad", "reset", "reset_parameters", "state_dict", "get_state", "set_rng_state",
})  # fmt: skip


def collect_untimed(guard: Guard, files: Sequence[Source], trees: Trees) -> list[Item]:
    """The untimed steps, the heads of their loops with what these come from, and the resets after them."""
    items: list[Item] = []
    for file in files:
        starts = [binding for binding in file.bindings if binding.name.rpartition(".")[2] in guard.match]
        if not starts:
            items += [make_item(file, node, _step_key(file, node), "grow") for node in _new_places(file)]
            continue
        first = min(starts, key=lambda binding: binding.line)
        found = [*_untimed_steps(file, first.line), *_resets(file, first.node)]
        items += sorted(found, key=lambda item: item.line)
    return items


def _steps(file: Source) -> Iterator[ast.Call]:
    return (node for node in file.find(ast.Call) if last_name(node.func) in STEPPERS)


def _new_places(file: Source) -> Iterator[ast.Call]:
    """Steps in the loops of a file that has no clock."""
    return (node for node in _steps(file) if any(isinstance(one, LOOPS) for one in file.around(node)))


def _step_key(file: Source, node: ast.Call) -> str:
    loops = [one for one in file.around(node) if isinstance(one, LOOPS + COMPREHENSIONS)]
    return f"step {last_name(node.func)} {' '.join(_head(one) for one in loops)}"


def _untimed_steps(file: Source, start: int) -> Iterator[Item]:
    for node in _steps(file):
        around = list(file.around(node))
        loops = [one for one in around if isinstance(one, LOOPS + COMPREHENSIONS)]
        if not loops or any(getattr(one, "lineno", 0) > start for one in loops):
            continue
        if any((one.end_lineno or 0) >= start for one in around if isinstance(one, LOOPS)):
            continue
        yield make_item(file, node, _step_key(file, node), "grow")
        for loop in loops if last_name(node.func) == "backward" else ():
            yield from _trip_count(file, loop)


def _trip_count(file: Source, loop: ast.AST) -> Iterator[Item]:
    count = loop.test if isinstance(loop, ast.While) else _iterable(loop)
    names = {last_name(node) for node in ast.walk(count)} - {""}
    for binding in file.bindings:
        if (
            binding.name.rpartition(".")[2] in names
            and not isinstance(binding.node, Definition)
            and binding.form == "="
        ):
            yield make_item(file, binding.node, f"steps from {dump(*binding.parts)}")


def _iterable(loop: ast.AST) -> ast.AST:
    return loop.iter if isinstance(loop, ast.For | ast.AsyncFor) else loop.generators[0].iter


def _head(loop: ast.AST) -> str:
    return dump(loop.test) if isinstance(loop, ast.While) else dump(_iterable(loop))


def _resets(file: Source, start: ast.AST) -> Iterator[Item]:
    """Between the untimed steps and the clock: calls that restore state, and what is restored, as it was saved."""
    block = _block_of(file, start)
    saved: set[str] = set()
    for node in _calls_in(block, start):
        if last_name(node.func) in RESETS:
            yield make_item(file, node, f"reset {dump(node)}", "keep")
            saved |= {name for argument in node.args for name in names_in(argument)}
    for binding in file.bindings:
        if binding.name.split(".")[0] in saved and binding.line < getattr(start, "lineno", 1):
            if binding.form not in ("import", "importfrom") and not isinstance(binding.node, Definition):
                yield make_item(file, binding.node, f"saved {binding.form} {dump(*binding.parts)}")


def _block_of(file: Source, node: ast.AST) -> list[ast.stmt]:
    for parent in file.around(node):
        body = getattr(parent, "body", None)
        if isinstance(body, list) and isinstance(parent, ast.Module | Definition):
            return body
    return file.tree.body


def _calls_in(block: Collection[ast.stmt], start: ast.AST) -> Iterator[ast.Call]:
    """The calls in a block's statements before ``start``, definitions aside, in the order of the source."""
    for statement in block:
        if statement is start or statement.lineno >= getattr(start, "lineno", 1):
            return
        if not isinstance(statement, Definition):
            calls = [one for one in ast.walk(statement) if isinstance(one, ast.Call)]
            yield from sorted(calls, key=lambda one: (one.lineno, one.col_offset))
