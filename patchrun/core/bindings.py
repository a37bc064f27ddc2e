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

from patchrun.core.foldtext import HOLE, fold_text
from patchrun.core.names import BLOCKS, Aliases, imported_names, resolve
from patchrun.core.namespaces import Writes

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
LEAVES = (ast.expr_context, ast.operator, ast.boolop, ast.unaryop, ast.cmpop, ast.Constant, ast.Pass)
SILENT = (ast.Name, ast.Constant, ast.BinOp, ast.Compare, ast.Return, ast.Expr, ast.keyword, ast.If)
TYPE_PARAMETERS = frozenset({"TypeVar", "ParamSpec", "TypeVarTuple"})


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
    writes = Writes(aliases, own_statements(nodes))
    module = _enter(scope, (), nodes)
    stack = [(node, module) for node in reversed(nodes)]
    while stack:
        node, where = stack.pop()
        if isinstance(node, SILENT) and (not isinstance(node, ast.Name) or isinstance(node.ctx, ast.Load)):
            stack += _plain_children(node, where)
            continue
        for name in () if where.hides else _plain_names(node):
            yield _make(name, node, where)
        for name, value in writes.find(node):
            owner = where.owner or _Owner("write", node, (node,))
            parts = owner.parts if where.owner or value is None else (node, value)
            yield Binding("", name, owner.node or node, owner.form, parts, False)
        yield from _read_code(node, aliases)
        stack += reversed([pair for pair in _children(node, where) if not isinstance(pair[0], LEAVES)])


def _make(name: str, node: ast.AST, where: _Scope) -> Binding:
    owner = where.owner or _Owner(type(node).__name__.lower(), node, (node,))
    scope, is_local = where.place(name)
    return Binding(scope, name, owner.node or node, owner.form, owner.parts, is_local)


def _enter(name: str, functions: tuple[str, ...], body: Iterable[ast.AST]) -> _Scope:
    shared: dict[str, str] = {}
    for node in own_statements(body):
        if isinstance(node, ast.Global):
            shared |= dict.fromkeys(node.names, "")
        elif isinstance(node, ast.Nonlocal):
            shared |= dict.fromkeys(node.names, ([f for f in functions if f != name] or [""])[-1])
    return _Scope(name, functions, shared)


def own_statements(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
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


def _plain_children(node: ast.AST, where: _Scope) -> list[tuple[ast.AST, _Scope]]:
    """What stands below a node that binds nothing itself, last one first."""
    around = where._replace(owner=None, hides=False) if where.owner or where.hides else where
    return [(one, around) for one in ast.iter_child_nodes(node) if not isinstance(one, LEAVES)][::-1]


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


def _read_code(node: ast.AST, aliases: Aliases) -> Iterator[Binding]:
    """What ``exec`` or ``eval`` of a literal binds, at the place of the call."""
    match node:
        case ast.Call(func=func, args=[code, *_]) if resolve(func, aliases) in ("exec", "eval"):
            text = fold_text(code.args[0] if isinstance(code, ast.Call) and code.args else code)
        case _:
            return
    if text is None:
        return
    try:  # a value that is only known at run time may be any
        body = ast.parse(text.replace(HOLE, " 0 ").strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for binding in find_bindings(body, aliases):
        yield replace(binding, node=node, form="exec", parts=(node,))
