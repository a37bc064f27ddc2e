"""Options of a compiler: keywords in calls of it under any name, and what sets or hands on its configuration."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence

from patchrun.core.bindings import Definition
from patchrun.core.foldtext import fold_text
from patchrun.core.guardsource import Item, Source, Trees, dump, last_name, make_item
from patchrun.core.names import BUILTINS, Use, find_uses
from patchrun.core.track import Guard

PARTIALS = frozenset({"functools.partial", "functools.partialmethod"})


def collect_settings(guard: Guard, files: Sequence[Source], trees: Trees) -> list[Item]:
    """Writes and calls below the names, and the names themselves where they are handed on."""
    items = []
    for file in files:
        for use in sorted(find_uses(file.tree.body, file.aliases), key=lambda use: use.line):
            if key := _setting_key(guard, file, use):
                items.append(make_item(file, use.node, key, "new"))
    return items


def _setting_key(guard: Guard, file: Source, use: Use) -> str:
    rule = next((name for name in guard.match if use.name == name or use.name.startswith(f"{name}.")), None)
    if rule is None or use.kind == "import":
        return ""
    if use.kind == "write":
        return use.name
    if use.kind == "call":
        return f"{use.name} {dump(use.node)}"
    handed_on = use.name == rule or use.name.rpartition(".")[2].startswith("__")
    return f"read {use.name}" if handed_on and not _is_alias(file, use.node) else ""


def _is_alias(file: Source, node: ast.AST) -> bool:
    """Whether a name is only given another name, which is followed from there on."""
    match file.parents.get(node):
        case ast.Assign(targets=[ast.Name()], value=value):
            return value is node
        case ast.Call(func=func):
            return func is node
        case ast.Attribute():
            return True
    return False


def collect_keywords(guard: Guard, files: Sequence[Source], trees: Trees) -> list[Item]:
    """The keywords, but allowed ones, of each call of the names: direct, as a method, partial, or of an alias."""
    return [
        make_item(file, node, word, "new")
        for file in files
        for node, words in _calls(guard, file)
        for word in words
        if word not in guard.allowed
    ]


def _calls(guard: Guard, file: Source) -> Iterator[tuple[ast.Call, list[str]]]:
    aliases = _aliases_of(file, guard.match)
    for node in file.find(ast.Call):
        if _is_call_of(guard, file, node, aliases) or _passes(guard, file, node, aliases):
            handed_on = {word for word in node.keywords if file.resolve(word.value) in guard.match}
            yield node, [str(word.arg) for word in node.keywords if word not in handed_on]


def _is_call_of(guard: Guard, file: Source, node: ast.Call, aliases: Collection[str]) -> bool:
    dotted = file.resolve(node.func).removesuffix(".__call__")
    if dotted in guard.match or last_name(node.func) in aliases:
        return True
    last_names = {rule.rpartition(".")[2] for rule in guard.match}
    match node.func:
        case ast.Attribute(value=value, attr=attr):  # a module's own method of that name
            return attr in last_names and not _is_imported(file, value)
        case ast.Call(func=ast.Name(id="getattr"), args=[_, name, *_]):
            return fold_text(name) in last_names
        case ast.Name():
            return False
    return any(last_name(one) in aliases or file.resolve(one) in guard.match for one in ast.walk(node.func))


def _passes(guard: Guard, file: Source, node: ast.Call, aliases: Collection[str]) -> bool:
    """Whether a call takes the compiler as an argument, as ``partial`` does, and so its keywords."""
    given = [*node.args, *(word.value for word in node.keywords)]
    return any(file.resolve(one) in guard.match or last_name(one) in aliases for one in given)


def _is_imported(file: Source, node: ast.AST) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and (node.id in file.aliases or node.id in BUILTINS)


def _aliases_of(file: Source, names: Collection[str]) -> set[str]:
    """The names that are bound to the compiler itself, by whatever statement."""
    last = {name.rpartition(".")[2] for name in names} | {*file.aliases}
    nodes = [node for node in file.find(ast.Name, ast.Attribute, ast.Call)
             if isinstance(node, ast.Call) or last_name(node) in last]  # fmt: skip
    held = {around for node in nodes if _is_value(file, node, names) for around in (node, *file.around(node))}
    if not held:
        return set()
    return {
        binding.name.rpartition(".")[2]
        for binding in file.bindings
        if any(part in held and not isinstance(part, Definition) for part in binding.parts)
    }


def _is_value(file: Source, node: ast.AST, names: Collection[str]) -> bool:
    """Whether an expression is the compiler as a value: not called, nor handed to anything but ``partial``."""
    if file.resolve(node) not in names:
        return False
    parent = file.parents.get(node)
    if not isinstance(parent, ast.Call) or (parent.func is not node and node not in parent.args):
        return True
    return node in parent.args and file.resolve(parent.func) in PARTIALS
