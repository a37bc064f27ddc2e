"""Which code runs in an optimizer's step only: there a decomposition works on gradients (see ``core.pyrules``).

A function belongs to the step where every mention of it stands in an optimizer's method, in the backward of an autograd
function, in a call that is given a ``.grad``, in the registration of a gradient hook, or in such a function again.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from patchrun.core.names import Aliases, is_within, resolve

WRAPPERS = ("torch.compile", "torch.jit.script", "torch.no_grad", "torch.inference_mode", "functools.partial",
            "functools.wraps", "functools.lru_cache", "functools.cache")  # fmt: skip
STEPPERS = ("torch.optim", "torch.autograd.Function")
HOOKS = frozenset({"register_hook", "register_post_accumulate_grad_hook"})
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class StepCode:
    """The code of a file, given as its top-level statements, that runs in an optimizer's step only."""

    def __init__(self, statements: Sequence[ast.stmt], aliases: Aliases) -> None:
        self.inside = _find_step_nodes(statements, aliases)
        self.mentions: dict[str, list[int]] = defaultdict(list)
        for node in (node for statement in statements for node in ast.walk(statement)):
            if isinstance(node, ast.Name):
                self.mentions[node.id].append(id(node))

    def holds(self, node: ast.AST) -> bool:
        """Whether a node runs there; an import does where all that it binds is mentioned there and nowhere else."""
        if not isinstance(node, ast.Import | ast.ImportFrom):
            return id(node) in self.inside
        bound = {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        mentions = [one for name in bound for one in self.mentions.get(name, ())]
        return bool(mentions) and self.inside.issuperset(mentions)


def _find_step_nodes(statements: Sequence[ast.stmt], aliases: Aliases) -> set[int]:
    """The ids of the nodes below ``statements``, a file's top-level ones, that run in an optimizer's step only."""
    classes = _optimizer_classes(statements, aliases)
    defined = {name: one for one in statements for name in [_defined_name(one, aliases)] if name}
    inside = {id(node) for one in statements for node in _step_parts(one, classes)}
    mentions = {name: set(_mentions(one, inside, defined)) for name, one in defined.items()}
    reached = _close(_mentioned_inside(statements, inside, defined), mentions)
    outside = [one for one in statements if _defined_name(one, aliases) not in reached]
    barred = _close({name for one in outside for name in _mentions(one, inside, defined)}, mentions)
    for name in reached - barred:
        inside |= {id(node) for node in ast.walk(defined[name])}
    return inside


def _optimizer_classes(statements: Iterable[ast.stmt], aliases: Aliases) -> set[str]:
    """The names of the classes that derive from torch's optimizers or autograd functions, directly or not."""
    classes = [one for one in statements if isinstance(one, ast.ClassDef)]
    own = {one.name: one.name for one in classes}
    found: set[str] = set()
    for one in classes:
        bases = {resolve(base, {**aliases, **own}) or "" for base in one.bases}
        steps = bases & found or any(is_within(base, root) for base in bases for root in STEPPERS)
        if steps and not any(is_within(base, "torch.nn") for base in bases):
            found.add(one.name)
    return found


def _defined_name(statement: ast.stmt, aliases: Aliases) -> str | None:
    """The name of a function, of a lambda, or of a function in a wrapper, that a top-level statement defines."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda()):
            return name
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=func)):
            wraps = resolve(func.func if isinstance(func, ast.Call) else func, aliases) in WRAPPERS
            return name if wraps else None
    return None


def _step_parts(statement: ast.stmt, classes: set[str]) -> Iterator[ast.AST]:
    """Every node of a statement that by itself belongs to the step."""
    holds_gradient = _find_gradients(statement)
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call) and (
            id(node) in holds_gradient or getattr(node.func, "attr", "") in HOOKS
        ):
            yield from ast.walk(node)
            continue
        if isinstance(node, ast.ClassDef) and node.name in classes:
            methods = [
                one for one in node.body if isinstance(one, Function) and not one.name.startswith("__")
            ]
            yield from (part for method in methods for part in ast.walk(method))
        waiting += ast.iter_child_nodes(node)


def _find_gradients(statement: ast.stmt) -> set[int]:
    """The ids of the nodes that are a ``.grad``, or hold one."""
    parents: dict[int, ast.AST] = {}
    gradients: list[ast.AST] = []
    for node in ast.walk(statement):
        parents |= {id(child): node for child in ast.iter_child_nodes(node)}
        if isinstance(node, ast.Attribute) and node.attr == "grad":
            gradients.append(node)
    found: set[int] = set()
    for gradient in gradients:
        node: ast.AST | None = gradient
        while node is not None and id(node) not in found:
            found.add(id(node))
            node = parents.get(id(node))
    return found


def _mentions(statement: ast.stmt, inside: set[int], defined: Mapping[str, ast.stmt]) -> Iterator[str]:
    """The defined names that a statement mentions outside the step."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and node.id in defined and id(node) not in inside:
            yield node.id


def _mentioned_inside(
    statements: Iterable[ast.stmt], inside: set[int], defined: Mapping[str, ast.stmt]
) -> set[str]:
    nodes = (node for one in statements for node in ast.walk(one) if id(node) in inside)
    return {node.id for node in nodes if isinstance(node, ast.Name) and node.id in defined}


def _close(names: set[str], mentions: Mapping[str, set[str]]) -> set[str]:
    """The names and all that they mention, directly or not."""
    closed: set[str] = set()
    waiting = list(names)
    while waiting:
        if (name := waiting.pop()) not in closed:
            closed.add(name)
            waiting += mentions.get(name, ())
    return closed
