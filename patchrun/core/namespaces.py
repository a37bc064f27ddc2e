"""What writes a name through its namespace: ``setattr``, ``globals()[...]``, ``vars(x).update``, ``x.__dict__``."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from patchrun.core.foldtext import fold_text, is_whole
from patchrun.core.names import Aliases, resolve

NAMESPACES = frozenset({"globals", "locals", "vars"})
NAMESPACE_ATTRIBUTES = frozenset({"__globals__", "f_globals", "f_locals"})
SETTERS = frozenset({
    "setattr", "delattr", "object.__setattr__", "object.__delattr__", "type.__setattr__", "type.__delattr__",
})  # fmt: skip
ITEM_SETTERS = frozenset({
    "operator.setitem", "operator.delitem", "dict.__setitem__", "dict.__delitem__", "dict.setdefault", "dict.pop",
})  # fmt: skip
MERGERS = frozenset({"dict.update", "dict.__ior__", "operator.ior", "operator.__ior__"})
ITEM_METHODS = frozenset({"setdefault", "__setitem__", "__delitem__", "pop"})
MERGE_METHODS = frozenset({"update", "__ior__"})
MODULE = "__main__"
Written = Iterator[tuple[str, ast.AST | None]]


class Writes:
    """Finds the attributes and namespace items that code writes; knows which names stand for a namespace.

    ``statements``: those of the scope that is walked, among which ``g = globals()`` may stand.
    """

    def __init__(self, aliases: Aliases, statements: Iterable[ast.AST]) -> None:
        self.aliases = aliases
        self.spaces: dict[str, str] = {}
        for node in statements:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if space := self._space(value):
                    self.spaces[name] = space

    def find(self, node: ast.AST) -> Written:
        """(dotted name, value or None) of each write of one node; ``?.x`` of an object that has no name."""
        match node:
            case ast.Attribute(ctx=ast.Store() | ast.Del(), attr=attr):
                yield resolve(node, self.aliases) or f"?.{attr}", None
            case ast.Subscript(ctx=ast.Store() | ast.Del(), value=value, slice=key):
                if (name := self._item(value, key)) or (name := resolve(node, self.aliases)):
                    yield name, None
            case ast.AugAssign(target=target, op=ast.BitOr(), value=value) if space := self._space(target):
                yield from self._merge(space, [value], [])
            case ast.Call():
                yield from self._find_call(node)

    def _find_call(self, node: ast.Call) -> Written:
        called = resolve(node.func, self.aliases) or ""
        args = list(node.args)
        if called in ("functools.partial", "partial") and args:  # partial(setattr, x, "y")
            called, args = resolve(args[0], self.aliases) or "", args[1:]
        if called in SETTERS and len(args) >= 2:
            yield from self._attribute(args)
        elif called in ITEM_SETTERS and len(args) >= 2:
            name = self._item(args[0], args[1])
            yield from [(name, args[2] if len(args) > 2 else None)] if name else []
        elif called in MERGERS and args:
            if space := self._space(args[0]):
                yield from self._merge(space, args[1:], node.keywords)
        elif isinstance(node.func, ast.Attribute):
            yield from self._find_method(node.func, args, node.keywords)

    def _find_method(self, func: ast.Attribute, args: list[ast.expr], words: list[ast.keyword]) -> Written:
        if func.attr in ("__setattr__", "__delattr__") and args:
            yield from self._attribute(args if len(args) == 3 else [func.value, *args])
        elif func.attr in ITEM_METHODS and args:
            name = self._item(func.value, args[0])
            yield from [(name, args[1] if len(args) > 1 else None)] if name else []
        elif func.attr in MERGE_METHODS and (space := self._space(func.value)):
            yield from self._merge(space, args, words)

    def _attribute(self, args: list[ast.expr]) -> Written:
        """``setattr(owner, name, value)``."""
        name = fold_text(args[1])
        if name is not None and is_whole(name):
            base = resolve(args[0], self.aliases) or "?"
            yield f"{base}.{name}", args[2] if len(args) > 2 else None

    def _merge(self, space: str, values: Iterable[ast.AST], words: Iterable[ast.keyword]) -> Written:
        for value in values:
            match value:
                case ast.Dict(keys=keys, values=entries):
                    pairs = [(key, entry) for key, entry in zip(keys, entries, strict=True) if key]
                case ast.Call(func=ast.Name(id="dict"), args=inner, keywords=more):
                    yield from self._merge(space, inner, more)
                    continue
                case ast.List(elts=elements) | ast.Tuple(elts=elements):
                    pairs = [(one.elts[0], one.elts[1]) for one in elements
                             if isinstance(one, ast.Tuple | ast.List) and len(one.elts) == 2]  # fmt: skip
                case _:
                    continue
            for key, entry in pairs:
                if is_whole(name := fold_text(key)):
                    yield _in_space(space, str(name)), entry
        yield from ((_in_space(space, word.arg), word.value) for word in words if word.arg)

    def _item(self, value: ast.AST, key: ast.AST) -> str | None:
        space, name = self._space(value), fold_text(key)
        return _in_space(space, str(name)) if space and is_whole(name) else None

    def _space(self, node: ast.AST) -> str | None:
        """The dotted name of what a namespace belongs to, ``__main__`` for the module's own."""
        match node:
            case ast.Name(id=name):
                return self.spaces.get(name)
            case ast.NamedExpr(value=value):
                return self._space(value)
            case ast.Call(func=func, args=[]) if resolve(func, self.aliases) in NAMESPACES:
                return MODULE
            case ast.Call(func=func, args=[owner]) if resolve(func, self.aliases) == "vars":
                return resolve(owner, self.aliases) or "?"
            case ast.Attribute(value=owner, attr="__dict__"):
                return resolve(owner, self.aliases) or "?"
            case ast.Attribute(attr=attr) if attr in NAMESPACE_ATTRIBUTES:
                return MODULE
            case ast.Call(func=func, args=[owner, name]) if resolve(func, self.aliases) == "getattr":
                return self._space(ast.Attribute(value=owner, attr=fold_text(name) or "", ctx=ast.Load()))
        return None


def _in_space(space: str, name: str) -> str:
    return name if space == MODULE else f"{space}.{name}"
