"""Which hunks of a patch only work together, told by names: a definition and its uses, a signature and its calls.

Names that the patch brings in (or takes away) link the hunk that binds them with those that mention them. A name that
is local to a function links inside it only. What names cannot tell is found by trying (see ``services.pieces``).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from patchrun.core.pieces import Hunk

Key = tuple[str, str]
ATTRIBUTE = "."
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True)
class Mention:
    """A name at a line (from 0): ``key`` is (scope, name), the scope empty for the module, ``.`` for attributes."""

    path: str
    line: int
    key: Key
    binds: bool


def link_hunks(
    before: Mapping[str, ast.Module], after: Mapping[str, ast.Module], hunks: Sequence[Hunk]
) -> dict[tuple[int, int], str]:
    """Pairs of indices of hunks that belong together, each with the reason in words."""
    old, new = (
        [mention for path, tree in trees.items() for mention in find_mentions(path, tree)]
        for trees in (before, after)
    )
    known, made = ({one.key for one in mentions} for mentions in (old, new))
    left = [(hunk.path, (hunk.old_first, hunk.old_end)) for hunk in hunks]
    right = [(hunk.path, (hunk.new_first, hunk.new_end)) for hunk in hunks]
    return (
        _pair_up(old, known - made, left, "takes away")
        | _pair_up(new, _changed_signatures(before, after), right, "changes the arguments of")
        | _pair_up(new, made - known, right, "brings in")
    )


Place = tuple[str, tuple[int, int]]


def _pair_up(
    mentions: Iterable[Mention], keys: set[Key], places: Sequence[Place], verb: str
) -> dict[tuple[int, int], str]:
    """The first hunk that binds a name of ``keys`` with every other hunk that mentions it."""
    users: dict[Key, list[tuple[int, bool]]] = {}
    for mention in mentions:
        if mention.key in keys and (place := _place_of(mention, places)) is not None:
            users.setdefault(mention.key, []).append((place, mention.binds))
    pairs: dict[tuple[int, int], str] = {}
    for (_, name), found in users.items():
        binding = sorted({place for place, binds in found if binds})
        for first in binding[:1]:
            for second in sorted({place for place, _ in found} - {first}):
                pairs.setdefault((min(first, second), max(first, second)), f"{verb} {name}")
    return pairs


def _place_of(mention: Mention, places: Sequence[Place]) -> int | None:
    for index, (path, (first, end)) in enumerate(places):
        if path == mention.path and first <= mention.line < end:
            return index
    return None


def find_mentions(path: str, tree: ast.Module) -> Iterator[Mention]:
    """Every name that a file binds or uses, with its line."""
    yield from _walk(path, tree.body, "", [])


def _walk(
    path: str, nodes: Iterable[ast.AST], scope: str, locals_: list[tuple[str, set[str]]]
) -> Iterator[Mention]:
    for node in nodes:
        if name := getattr(node, "name", None) if isinstance(node, ast.stmt) else None:
            yield Mention(path, node.lineno - 1, (_scope_of(name, locals_), name), True)
        if isinstance(node, ast.ClassDef):  # who changes its arguments changes those of the class
            makers = (child for child in node.body if getattr(child, "name", "") == "__init__")
            yield from (Mention(path, child.lineno - 1, ("", node.name), True) for child in makers)
        if isinstance(node, FUNCTION):
            inner = f"{scope}.{getattr(node, 'name', '<lambda>')}"
            deeper = [*locals_, (inner, _bound_in(node))]
            yield from _walk(path, ast.iter_child_nodes(node), inner, deeper)
            continue
        yield from _mention(path, node, locals_)
        yield from _walk(path, ast.iter_child_nodes(node), scope, locals_)


def _mention(path: str, node: ast.AST, locals_: list[tuple[str, set[str]]]) -> Iterator[Mention]:
    match node:
        case ast.Name(id=name, ctx=context):
            yield Mention(
                path, node.lineno - 1, (_scope_of(name, locals_), name), not isinstance(context, ast.Load)
            )
        case ast.Attribute(attr=name, ctx=context):
            line = (node.end_lineno or node.lineno) - 1
            yield Mention(path, line, (ATTRIBUTE, name), not isinstance(context, ast.Load))
            yield Mention(path, line, ("", name), False)  # a module's function, or a method, by its name
        case ast.arg(arg=name):
            yield Mention(path, node.lineno - 1, (_scope_of(name, locals_), name), True)
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            for alias in names:
                bound = (alias.asname or alias.name).split(".")[0]
                yield Mention(path, node.lineno - 1, (_scope_of(bound, locals_), bound), True)


def _scope_of(name: str, locals_: list[tuple[str, set[str]]]) -> str:
    """The innermost function that binds a name; empty for the module (and for classes, whose names are attributes)."""
    return next((scope for scope, bound in reversed(locals_) if name in bound), "")


def _bound_in(function: FUNCTION) -> set[str]:
    """The names that a function binds itself: arguments and assignments, nested functions left out."""
    bound, waiting = set(), list(ast.iter_child_nodes(function))
    shared: set[str] = set()
    while waiting:
        node = waiting.pop()
        match node:
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                bound.add(name)
            case ast.Global(names=names):
                shared |= set(names)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
                continue
            case ast.Lambda():
                continue
        waiting += ast.iter_child_nodes(node)
    return bound - shared


def _changed_signatures(before: Mapping[str, ast.Module], after: Mapping[str, ast.Module]) -> set[Key]:
    """The names of functions whose arguments are not what they were: their calls may have to follow."""
    old, new = (_signatures(trees.values()) for trees in (before, after))
    return {("", name) for name in old.keys() & new.keys() if old[name] != new[name]}


def _signatures(trees: Iterable[ast.Module]) -> dict[str, list[str]]:
    """Name -> arguments of every definition; a class is called by its own name with those of ``__init__``."""
    found: dict[str, list[str]] = {}
    for node in (node for tree in trees for node in ast.walk(tree)):
        match node:
            case ast.FunctionDef(name=name, args=args) | ast.AsyncFunctionDef(name=name, args=args):
                found.setdefault(name, []).append(ast.dump(args))
            case ast.ClassDef(name=name, body=body):
                own = [ast.dump(inner.args) for inner in body if getattr(inner, "name", "") == "__init__"]
                found.setdefault(name, []).extend(own)
    return found
