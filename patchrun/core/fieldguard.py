"""Settings that a guard names: fields of a class or object, which calls can set as well as assignments.

``Hyperparameters(val_tokens=5)``, ``dataclasses.replace(args, val_tokens=5)``, ``args = Other()``.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence

from patchrun.core.foldtext import fold_text
from patchrun.core.guardsource import Item, Source, dump, last_name, make_item

COPIERS = frozenset(
    {"replace", "_replace", "evolve", "SimpleNamespace", "update", "__ior__", "__init__", "_make"}
)
ANSWERS = frozenset(
    {"__getattribute__", "__getattr__", "__new__", "__init__", "__post_init__", "__init_subclass__"}
)


def collect_field_writes(names: Collection[str], file: Source, before: Sequence[Source]) -> list[Item]:
    """What sets a field of these names by a keyword, a mapping or its place, or replaces what holds it."""
    classes = {name for one in before for name in _holding_classes(one, names)}
    if not classes:
        return []
    objects = {name for one in before for name in _holding_objects(one, classes)}
    return [
        *_keyword_writes(names, file, classes),
        *_altered_classes(file, classes),
        *_replaced_holders(file, classes | objects, classes),
    ]


def _holding_classes(file: Source, names: Collection[str]) -> Iterator[str]:
    for binding in file.bindings:
        owner = binding.scope or binding.name.rpartition(".")[0]
        if binding.name.rpartition(".")[2] in names and owner and not binding.is_local:
            yield owner.rpartition(".")[2]


def _holding_objects(file: Source, classes: Collection[str]) -> Iterator[str]:
    for binding in file.bindings:
        value = getattr(binding.node, "value", None)
        if not binding.scope and isinstance(value, ast.Call) and last_name(value.func) in classes:
            yield binding.name


def _keyword_writes(names: Collection[str], file: Source, classes: Collection[str]) -> Iterator[Item]:
    for node in file.find(ast.Call):
        called = last_name(node.func)
        makes = called in classes
        if makes and (node.args or any(word.arg is None for word in node.keywords)):
            yield make_item(file, node, f"made by place {dump(node)}")
        for word in node.keywords:
            written = word.arg in names or (word.arg is None and _has_key(word.value, names))
            if written and (makes or called in COPIERS) and last_name(word.value) != word.arg:
                yield make_item(file, node, f"keyword {word.arg} {dump(word.value)}")
        if called in COPIERS and any(_has_key(one, names) for one in node.args):
            yield make_item(file, node, f"mapping {dump(node)}")


def _has_key(node: ast.AST, names: Collection[str]) -> bool:
    """Whether a mapping that is spelled out sets one of the names."""
    return any(
        (isinstance(one, ast.Dict) and any(key and fold_text(key) in names for key in one.keys))
        or (isinstance(one, ast.keyword) and one.arg in names)
        for one in ast.walk(node)
    )


def _altered_classes(file: Source, classes: Collection[str]) -> Iterator[Item]:
    """What makes a class of settings answer otherwise than by its fields."""
    for binding in file.bindings:
        if binding.scope.rpartition(".")[2] in classes and binding.name in ANSWERS:
            yield make_item(file, binding.node, f"{binding.qualified} {dump(*binding.parts)}")
        elif isinstance(node := binding.node, ast.ClassDef) and node.name in classes:
            added = [one for one in node.decorator_list if "dataclass" not in dump(one)]
            yield from (make_item(file, one, f"{node.name} {dump(one)}") for one in (*added, *node.bases))


def _replaced_holders(file: Source, holders: Collection[str], classes: Collection[str]) -> Iterator[Item]:
    """What binds the settings object or its class to something else than an unaltered instance."""
    for binding in file.bindings:
        owner, _, leaf = binding.name.rpartition(".")
        remade = owner in holders and leaf.startswith("__")  # args.__class__ = Other
        if not remade and (binding.name not in holders or binding.scope or binding.form == "classdef"):
            continue
        value = getattr(binding.node, "value", None)
        plain = isinstance(value, ast.Call) and last_name(value.func) in classes and not value.args
        if not plain:
            yield make_item(file, binding.node, f"holder {binding.name} {dump(*binding.parts)}")
