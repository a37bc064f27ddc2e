"""What each kind of guard collects from the files of a tree (see ``guards`` for what the kinds mean)."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from fnmatch import fnmatchcase

from patchrun.core.bindings import Binding
from patchrun.core.compileguard import collect_keywords, collect_settings
from patchrun.core.fieldguard import collect_field_writes
from patchrun.core.guardsource import (
    Item,
    Source,
    Trees,
    any_within,
    dump,
    first_line_of,
    last_name,
    make_item,
    names_in,
    span_of,
    spell,
)
from patchrun.core.lossguard import collect_loss
from patchrun.core.names import BUILTINS, find_uses, imported_names
from patchrun.core.textguard import collect_new_texts, collect_reads, collect_texts
from patchrun.core.track import Guard
from patchrun.core.untimedguard import collect_untimed

Place = tuple[str | None, int | None, str]
Collector = Callable[[Guard, Sequence[Source], Trees], list[Item]]
ASSIGNMENTS = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.NamedExpr, ast.Delete)
WITH_PARTS = ("assign", "call", "function", "branch", "loss", "untimed")


def collect_assignments(guard: Guard, files: Sequence[Source], trees: Trees) -> list[Item]:
    items: list[Item] = []
    fields = _read_fields(trees.before)
    for file in files:
        found = [
            _to_item(file, binding)
            for binding in file.bindings
            if _is_named(binding, guard.match) and _holds(guard, binding)
            if not _is_own_attribute(binding, fields)
        ]
        found += collect_field_writes(guard.match, file, trees.before)
        items += sorted(dict.fromkeys(found), key=lambda item: item.line)
    return items


def _to_item(file: Source, binding: Binding) -> Item:
    key = f"{_to_key(binding)} in {file.control_of(binding.node)}"
    text, span = first_line_of(binding.node), span_of(file, binding)
    return Item(key, file.path, binding.line, text, name=binding.name, span=span, node=binding.node)


def _to_key(binding: Binding) -> str:
    """What is bound how: annotations do not matter, nor does the place."""
    node = binding.node
    if isinstance(node, ASSIGNMENTS):
        sides = node.targets if isinstance(node, ast.Assign | ast.Delete) else [node.target]
        left = " = ".join(spell(side) for side in sides)
        operator, value = getattr(node, "op", None), getattr(node, "value", None)
        return f"{left} {type(operator).__name__} {dump(value) if value is not None else ''}"
    return f"{binding.form} {binding.name} {dump(*binding.parts)}"


def _holds(guard: Guard, binding: Binding) -> bool:
    return not guard.containing or any(guard.containing in spell(part) for part in binding.parts)


def _is_named(binding: Binding, names: Sequence[str]) -> bool:
    """Whether one of the names is bound, or what makes it up (``print0.__code__``)."""
    owner, _, name = binding.name.rpartition(".")
    return name in names or (name.startswith("__") and owner.rpartition(".")[2] in names)


def _read_fields(before: Sequence[Source]) -> set[str]:
    """The names that the baseline binds as an attribute or in a class, not only as plain variables."""
    return {
        binding.name.rpartition(".")[2]
        for file in before
        for binding in file.bindings
        if "." in binding.name or (binding.scope and not binding.is_local)
    }


def _is_own_attribute(binding: Binding, fields: Collection[str]) -> bool:
    """Whether it is ``self.x`` of some object, where ``x`` is known as a plain variable only."""
    owner, _, name = binding.name.rpartition(".")
    return owner in ("self", "cls") and name not in fields


def collect_calls(guard: Guard, files: Sequence[Source], trees: Trees) -> list[Item]:
    return [
        make_item(file, node, f"{dump(node)} in {file.control_of(node)}")
        for file in files
        for node in sorted(file.find(ast.Call), key=_place)
        if file.resolve(node.func) in guard.match and guard.containing in spell(node)
    ]


def collect_branches(guard: Guard, files: Sequence[Source], trees: Trees) -> list[Item]:
    return [
        make_item(file, node, dump(node))
        for file in files
        for node in sorted(file.find(ast.If), key=_place)
        if any(last_name(leaf) in guard.match for leaf in ast.walk(node.test))
    ]


def collect_functions(guard: Guard, files: Sequence[Source], trees: Trees) -> list[Item]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [
        make_item(file, node, dump(node))
        for file in files
        for node in sorted(file.find(*kinds), key=_place)
        if any(fnmatchcase(node.name, pattern) for pattern in guard.match)
    ] + list(_rebound_functions(guard, files))


def _rebound_functions(guard: Guard, files: Sequence[Source]) -> Iterator[Item]:
    """What else binds a guarded function's name; a local of that name is another thing."""
    for file in files:
        for binding in file.bindings:
            name = binding.name.rpartition(".")[2]
            is_definition = binding.form.endswith("def")
            if is_definition or binding.is_local or binding.name.startswith(("self.", "cls.")):
                continue
            if any(fnmatchcase(name, pattern) for pattern in guard.match):
                yield make_item(file, binding.node, _to_key(binding))


def find_replaced_parts(
    guard: Guard, items: Sequence[Item], fresh: Sequence[Item], trees: Trees
) -> Place | None:
    """Where an import or builtin that guarded code reads is bound anew, or a function of it is replaced.

    ``items``, ``fresh``: what the guard collects before and after.
    """
    if guard.kind not in WITH_PARTS:
        return None
    old = [(file, [item for item in items if item.path == file.path]) for file in trees.before]
    wanted = {name for file, ours in old for item in ours for name in _read_parts(file, item)}
    known = Counter(_part_key(one) for file, ours in old for one in _bound_parts(file, wanted, ours))
    for file in trees.after:
        for binding in _bound_parts(file, wanted, [item for item in fresh if item.path == file.path]):
            key = _part_key(binding)
            if known[key] <= 0:
                return file.path, binding.line, f"{binding.name}, which it reads, is bound anew"
            known[key] -= not isinstance(
                binding.node, ast.Import | ast.ImportFrom
            )  # it may be imported twice
    return None


def _read_parts(file: Source, item: Item) -> Iterator[str]:
    """The imported and built-in names that guarded code reads, as spelled and as meant."""
    if item.node is not None:
        yield from (use.name for use in find_uses([item.node], file.aliases) if "." in use.name)
        yield from (name for name in names_in(item.node) if name in file.aliases or name in BUILTINS)


def _bound_parts(file: Source, wanted: set[str], items: Sequence[Item]) -> Iterator[Binding]:
    """The bindings of ``wanted`` names that these pieces of guarded code may see."""
    lines = sorted(item.line for item in items)
    for binding in file.bindings:
        if binding.name not in wanted or (binding.scope and not binding.is_local):
            continue
        span = span_of(file, binding)
        if span is None or any_within(lines, span):
            yield binding


def _part_key(binding: Binding) -> str:
    if isinstance(binding.node, ast.Import | ast.ImportFrom):
        return f"import {binding.name} {dict(imported_names(binding.node)).get(binding.name)}"
    return f"{binding.form} {binding.name} {dump(*binding.parts)}"


def _place(node: ast.AST) -> tuple[int, int]:
    return node.lineno, node.col_offset


KINDS: dict[str, Collector] = {
    "assign": collect_assignments,
    "call": collect_calls,
    "branch": collect_branches,
    "function": collect_functions,
    "string": collect_texts,
    "new-string": collect_new_texts,
    "read": collect_reads,
    "setting": collect_settings,
    "keyword": collect_keywords,
    "loss": collect_loss,
    "untimed": collect_untimed,
}
