"""Every way in which Python code binds a name, in one walk that rules and guards share.

Seen are targets of all statements and expressions, imports, definitions, parameters, patterns, type parameters, and
what writes into a namespace: ``setattr``, ``globals()[...]``, ``vars(x).update``, ``x.__dict__ |= ...``, ``exec`` of a
literal. Iterative, so that no nesting exhausts the stack.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from patchrun.core.foldtext import fold_text, is_whole
from patchrun.core.names import BLOCKS, Aliases, imported_names, resolve

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
NAMESPACES = frozenset({"globals", "locals", "vars"})
NAMESPACE_ATTRIBUTES = frozenset({"__globals__", "f_globals", "f_locals"})
SETTERS = frozenset({"setattr", "delattr", "object.__setattr__", "object.__delattr__", "type.__setattr__", "type.__delattr__"})  # fmt: skip
ITEM_SETTERS = frozenset({"operator.setitem", "operator.delitem", "dict.__setitem__", "dict.__delitem__", "dict.setdefault", "dict.pop"})  # fmt: skip
MERGERS = frozenset({"dict.update", "dict.__ior__", "operator.ior", "operator.__ior__"})
ITEM_METHODS = frozenset({"setdefault", "__setitem__", "__delitem__", "pop"})
MERGE_METHODS = frozenset({"update", "__ior__"})
LEAVES = (ast.expr_context, ast.operator, ast.boolop, ast.unaryop, ast.cmpop, ast.Constant, ast.Pass)
TYPE_PARAMETERS = frozenset({"TypeVar", "ParamSpec", "TypeVarTuple"})
MODULE = "__main__"
MOST_CODE = 100_000


@dataclass(frozen=True)
class Binding:
    """A name bound in ``scope`` ("" is the module, "A.f" a function): what ``node`` does; dotted for attributes.

    ``parts``: the nodes that decide what the name becomes. ``form``: the statement's word. ``is_local``: whether the
    scope is a function's, so that nothing outside it sees the name.
    """

    scope: str
    name: str
    node: ast.AST
    form: str
    parts: tuple[ast.AST, ...]
    is_local: bool

    @property
    def qualified(self) -> str:
        return f"{self.scope}.{self.name}" if self.scope else self.name

    @property
    def line(self) -> int:
        return getattr(self.node, "lineno", 1)


class _Owner(NamedTuple):
    """The statement or clause that a target belongs to."""

    form: str
    node: ast.AST | None
    parts: tuple[ast.AST, ...]


class _Scope(NamedTuple):
    """Where the walk stands: the scope's name, the scopes of names declared global or nonlocal, and a target's owner.

    ``functions``: the functions around, outermost first. ``hides``: in a comprehension's target, whose plain names
    live in a scope of their own.
    """

    name: str
    functions: tuple[str, ...]
    shared: Mapping[str, str]
    owner: _Owner | None = None
    hides: bool = False

    def place(self, name: str) -> tuple[str, bool]:
        """The scope in which a plain name is bound here, and whether it is a function's."""
        scope = self.shared.get(name, self.name)
        return scope, scope in self.functions


def find_bindings(nodes: Iterable[ast.AST], aliases: Aliases, scope: str = "") -> Iterator[Binding]:
    """Every name that ``nodes`` bind, in source order; names declared ``global`` belong to the module."""
    nodes = list(nodes)
    writes = _Writes(aliases, nodes)
    stack = [(node, _enter(scope, (), nodes)) for node in reversed(nodes)]
    while stack:
        node, where = stack.pop()
        for name in () if where.hides else _plain_names(node):
            yield _make(name, node, where)
        for name, value in writes.find(node):
            owner = where.owner or _Owner("write", node, (node,))
            parts = owner.parts if where.owner or value is None else (node, value)
            yield Binding("", name, owner.node or node, owner.form, parts, False)
        yield from _read_code(node, aliases)
        below = [pair for pair in _children(node, where) if not isinstance(pair[0], LEAVES)]
        stack += reversed(below)


def _make(name: str, node: ast.AST, where: _Scope) -> Binding:
    owner = where.owner or _Owner(type(node).__name__.lower(), node, (node,))
    scope, is_local = where.place(name)
    return Binding(scope, name, owner.node or node, owner.form, owner.parts, is_local)


def _enter(name: str, functions: tuple[str, ...], body: Iterable[ast.AST]) -> _Scope:
    shared: dict[str, str] = {}
    for node in _own_statements(body):
        if isinstance(node, ast.Global):
            shared |= dict.fromkeys(node.names, "")
        elif isinstance(node, ast.Nonlocal):
            shared |= dict.fromkeys(node.names, ([f for f in functions if f != name] or [""])[-1])
    return _Scope(name, functions, shared)


def _own_statements(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The statements of one scope, nested blocks included, definitions not entered."""
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Definition):
            for field in BLOCKS.intersection(node._fields):
                if isinstance(inner := getattr(node, field), list):
                    waiting += inner


def _children(node: ast.AST, where: _Scope) -> Iterator[tuple[ast.AST, _Scope]]:
    """The nodes below ``node``, each with the scope that it is evaluated in."""
    around = where._replace(owner=None, hides=False) if where.owner or where.hides else where
    if isinstance(node, Definition):
        yield from _below_definition(node, around)
    elif isinstance(node, ast.Lambda):
        yield node.args, around
        yield node.body, _inner(around, "<lambda>", ())
    elif owner := _read_owner(node):
        target, others = _split_target(node)
        yield from ((one, around._replace(owner=owner, hides=owner.form == "each")) for one in target)
        yield from ((one, around) for one in others)
    else:
        keeps = isinstance(node, ast.Tuple | ast.List | ast.Starred)
        yield from ((child, where if keeps else around) for child in ast.iter_child_nodes(node))


def _below_definition(node: Definition, where: _Scope) -> Iterator[tuple[ast.AST, _Scope]]:
    is_function = not isinstance(node, ast.ClassDef)
    inner = _inner(where, node.name, node.body) if is_function else _class_scope(where, node)
    parameters = [*getattr(node, "type_params", ())]
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.stmt) and child not in parameters:
            yield child, where
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        for argument, default in _parameters(node.args):
            owner = _Owner("parameter", argument, (argument, *default))
            yield _Parameter(argument), inner._replace(owner=owner)
    yield from ((one, inner) for one in (*parameters, *node.body))


class _Parameter(ast.AST):
    """A parameter as something that binds inside its function, apart from its annotation, which does so outside."""

    def __init__(self, argument: ast.arg) -> None:
        super().__init__()
        self.arg = argument.arg
        self.lineno = argument.lineno


def _parameters(arguments: ast.arguments) -> Iterator[tuple[ast.arg, tuple[ast.AST, ...]]]:
    plain = [*arguments.posonlyargs, *arguments.args]
    missing = len(plain) - len(arguments.defaults)
    for at, argument in enumerate(plain):
        yield argument, (arguments.defaults[at - missing],) if at >= missing else ()
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield argument, (default,) if default else ()
    yield from ((one, ()) for one in (arguments.vararg, arguments.kwarg) if one)


def _inner(where: _Scope, name: str, body: Iterable[ast.AST]) -> _Scope:
    inner = f"{where.name}.{name}" if where.name else name
    return _enter(inner, (*where.functions, inner), body)


def _class_scope(where: _Scope, node: ast.ClassDef) -> _Scope:
    inner = f"{where.name}.{node.name}" if where.name else node.name
    return _enter(inner, where.functions, node.body)


def _read_owner(node: ast.AST) -> _Owner | None:
    """What a node with a target is, and the parts of it that decide the value."""
    match node:
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign() | ast.NamedExpr():
            return _Owner("=", node, (node,))
        case ast.Delete():
            return _Owner("del", node, (node,))
        case ast.For(target=target, iter=iterable) | ast.AsyncFor(target=target, iter=iterable):
            return _Owner("for", None, (target, iterable))
        case ast.comprehension(target=target, iter=iterable):
            return _Owner("each", None, (target, iterable))
        case ast.withitem(context_expr=value, optional_vars=ast.AST() as target):
            return _Owner("with", None, (target, value))
    return None


def _split_target(node: ast.AST) -> tuple[list[ast.AST], list[ast.AST]]:
    """The targets of a node, and its other parts."""
    targets: list[ast.AST] = []
    for field in ("targets", "target", "optional_vars"):
        value = getattr(node, field, None)
        targets += value if isinstance(value, list) else [value] if isinstance(value, ast.AST) else []
    return targets, [child for child in ast.iter_child_nodes(node) if child not in targets]


def _plain_names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Import() | ast.ImportFrom():
            yield from (name for name, _ in imported_names(node))
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name
        case _Parameter():
            yield node.arg
        case _ if type(node).__name__ in TYPE_PARAMETERS:
            yield node.name


class _Writes:
    """Finds the attributes and namespace items that code writes; knows which names stand for a namespace."""

    def __init__(self, aliases: Aliases, nodes: Iterable[ast.AST]) -> None:
        self.aliases = aliases
        self.spaces: dict[str, str] = {}
        for node in _own_statements(nodes):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if space := self._space(value):
                    self.spaces[name] = space

    def find(self, node: ast.AST) -> Iterator[tuple[str, ast.AST | None]]:
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

    def _find_call(self, node: ast.Call) -> Iterator[tuple[str, ast.AST | None]]:
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

    def _find_method(
        self, func: ast.Attribute, args: list[ast.expr], words: list[ast.keyword]
    ) -> Iterator[tuple[str, ast.AST | None]]:
        if func.attr in ("__setattr__", "__delattr__") and args:
            yield from self._attribute(args if len(args) == 3 else [func.value, *args])
        elif func.attr in ITEM_METHODS and args:
            name = self._item(func.value, args[0])
            yield from [(name, args[1] if len(args) > 1 else None)] if name else []
        elif func.attr in MERGE_METHODS and (space := self._space(func.value)):
            yield from self._merge(space, args, words)

    def _attribute(self, args: list[ast.expr]) -> Iterator[tuple[str, ast.AST | None]]:
        """``setattr(owner, name, value)``."""
        name = fold_text(args[1])
        if name is not None and is_whole(name):
            base = resolve(args[0], self.aliases) or "?"
            yield f"{base}.{name}", args[2] if len(args) > 2 else None

    def _merge(
        self, space: str, values: Iterable[ast.AST], words: Iterable[ast.keyword]
    ) -> Iterator[tuple[str, ast.AST | None]]:
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


def _read_code(node: ast.AST, aliases: Aliases) -> Iterator[Binding]:
    """What ``exec`` or ``eval`` of a literal binds, at the place of the call."""
    match node:
        case ast.Call(func=func, args=[code, *_]) if resolve(func, aliases) in ("exec", "eval"):
            text = fold_text(code)
        case _:
            return
    if text is None or not is_whole(text) or len(text) > MOST_CODE:
        return
    try:
        body = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for binding in find_bindings(body, aliases):
        yield replace(binding, node=node, form="exec", parts=(node,))
