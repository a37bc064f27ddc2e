"""What the names in a file mean: dotted names through aliases, their uses, and what binds a name.

Aliases are those of the whole file, whatever the order: a check that asks a person may see too much, not too little.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

IMPORTERS = frozenset({"__import__", "importlib.import_module"})
BUILTINS = frozenset(dir(builtins))
SAME_MODULE = {"posix": "os", "nt": "os", "_io": "io", "_thread": "threading", "_ctypes": "ctypes", "_socket": "socket",
               "posixpath": "os.path", "genericpath": "os.path", "_pickle": "pickle"}  # fmt: skip
SAME_NAME = {"io.open": "open", "importlib.__import__": "__import__", "_posixsubprocess.fork_exec": "os.fork"}
REEXPORTED = frozenset({"os", "sys", "subprocess", "socket", "ctypes", "builtins", "importlib", "pickle", "threading",
                        "gc", "inspect", "mmap", "shutil", "pathlib"})  # fmt: skip
Aliases = Mapping[str, str]
BLOCKS = frozenset({"body", "handlers", "orelse", "finalbody", "cases"})


@dataclass(frozen=True)
class Use:
    """A dotted name at a place: ``kind`` is import, read, write or call; ``node`` is where."""

    name: str
    kind: str
    node: ast.AST

    @property
    def line(self) -> int:
        return self.node.lineno


def read_aliases(nodes: Iterable[ast.AST], known: Aliases = MappingProxyType({})) -> dict[str, str]:
    """Name -> dotted name for every import, and for plain assignments of what an import or a builtin gave."""
    statements = list(_statements(nodes))
    imports = (node for node in statements if isinstance(node, ast.Import | ast.ImportFrom))
    aliases = {bound: dotted for node in imports for bound, dotted in imported_names(node)}
    for node in statements:
        match node:
            case ast.Assign(targets=[ast.Name(id=name), *_], value=value) if name not in aliases:
                if dotted := _resolve_known(value, {**known, **aliases} if known else aliases):
                    aliases[name] = dotted
    return aliases


def imported_modules(nodes: Iterable[ast.AST]) -> set[str]:
    """The dotted names of the modules that ``import x`` and ``from x import y`` statements below ``nodes`` load."""
    statements = list(_statements(nodes))
    plain = {alias.name for node in statements if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in statements if isinstance(node, ast.ImportFrom) and node.module}


def resolve(node: ast.AST, aliases: Aliases) -> str | None:
    """The dotted name that an expression spells: ``o.system`` with ``import os as o`` is ``os.system``.

    Sees through ``__import__("os")``, ``importlib.import_module``, ``getattr`` with a literal name,
    ``vars(x)["y"]``, ``x.__dict__["y"]``, ``sys.modules["x"]`` and ``__builtins__``; None for other expressions.
    """
    match node:
        case ast.Name(id=name):
            return _normalise(aliases.get(name, name))
        case ast.Attribute(value=value, attr=attr):
            base = resolve(value, aliases)
            return base and _normalise(f"{base}.{attr}")
        case ast.NamedExpr(value=value):
            return resolve(value, aliases)
        case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]):
            return _normalise(name) if resolve(func, aliases) in IMPORTERS else None
        case ast.Call(func=func, args=[value, ast.Constant(value=str(name)), *_]):
            base = resolve(value, aliases) if resolve(func, aliases) == "getattr" else None
            return base and _normalise(f"{base}.{name}")
        case ast.Subscript(value=value, slice=ast.Constant(value=str(name))):
            return _resolve_item(value, name, aliases)
        case ast.Subscript(value=value, slice=ast.Name(id="__name__")):
            return "__main__" if resolve(value, aliases) == "sys.modules" else None
    return None


def is_within(name: str, rule: str) -> bool:
    """Whether a dotted name is ``rule``, lies below it, or is a star import that brings it in."""
    return name == rule or name.startswith(f"{rule}.") or (name.endswith(".*") and rule.startswith(name[:-1]))


def find_uses(nodes: Iterable[ast.AST], aliases: Aliases) -> Iterator[Use]:
    """Every imported or built-in name below ``nodes``, the longest that each expression spells, in no order."""
    stack = list(nodes)
    while stack:
        node = stack.pop()
        match node:
            case ast.Import() | ast.ImportFrom():
                yield from (
                    Use(_see_through(_normalise(dotted)), "import", node)
                    for _, dotted in imported_names(node, whole=True)
                )
            case ast.Name() | ast.Attribute():
                stack += yield from _use_name(node, aliases)
            case ast.Call():
                stack += yield from _use_call(node, aliases)
            case ast.Subscript():
                stack += yield from _use_item(node, aliases)
            case _:
                stack += ast.iter_child_nodes(node)


def _use_name(node: ast.Name | ast.Attribute, aliases: Aliases) -> Generator[Use, None, list[ast.AST]]:
    reads = isinstance(node.ctx, ast.Load)
    if (dotted := _resolve_known(node, aliases)) and (reads or isinstance(node, ast.Attribute)):
        yield Use(dotted, "read" if reads else "write", node)
    return _below(node)


def _use_call(node: ast.Call, aliases: Aliases) -> Generator[Use, None, list[ast.AST]]:
    called, itself = _resolve_known(node.func, aliases), _resolve_known(node, aliases)
    if called:
        yield Use(called, "call", node)
    if itself:
        yield Use(itself, "read", node)
        return []
    if (written := _written_name(node, aliases)) and _is_known(node.args[0], aliases):
        yield Use(written, "write", node)
    rest = [*node.args, *(keyword.value for keyword in node.keywords)]
    return [*(_below(node.func) if called else [node.func]), *rest]


def _use_item(node: ast.Subscript, aliases: Aliases) -> Generator[Use, None, list[ast.AST]]:
    writes = not isinstance(node.ctx, ast.Load)
    if itself := _resolve_known(node, aliases):
        yield Use(itself, "write" if writes else "read", node)
    if writes and (base := _resolve_known(node.value, aliases)):
        yield Use(base, "write", node)
    return [node.value, node.slice]


def _below(node: ast.AST) -> list[ast.AST]:
    """What stands left of the dots of a dotted name, if it is more than a name."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return [] if isinstance(node, ast.Name) else [node]


def _resolve_known(node: ast.AST, aliases: Aliases) -> str | None:
    dotted = resolve(node, aliases) if _is_known(node, aliases) else None
    return dotted and _see_through(dotted)


def _is_known(node: ast.AST, aliases: Aliases) -> bool:
    """Whether an expression begins with an imported or built-in name, or may after a star import."""
    while not isinstance(node, ast.Name):
        inner = getattr(node, "value", None) or getattr(node, "func", None)
        if not isinstance(inner, ast.AST):
            return False
        node = inner
    return node.id in aliases or node.id in BUILTINS or node.id == "__builtins__" or "*" in aliases


def _resolve_item(value: ast.AST, name: str, aliases: Aliases) -> str | None:
    """What ``value["name"]`` is, where ``value`` is a namespace."""
    match value:
        case ast.Call(func=func, args=[]) if resolve(func, aliases) in ("globals", "locals", "vars"):
            return _normalise(aliases.get(name, name))
        case ast.Call(func=func, args=[owner]) if resolve(func, aliases) == "vars":
            base = resolve(owner, aliases)
        case _:
            base = _see_through(resolve(value, aliases) or "")
            if base in ("sys.modules", "__builtins__", "builtins"):
                return _normalise(name)
            base = base.removesuffix(".__dict__") if base and base.endswith(".__dict__") else None
    return base and _normalise(f"{base}.{name}")


def _normalise(dotted: str) -> str:
    """One name for what several modules offer: ``posix.system`` is ``os.system``, ``builtins.exec`` is ``exec``."""
    dotted = dotted.removeprefix("builtins.").removeprefix("__builtins__.")
    head, dot, rest = dotted.partition(".")
    if head in SAME_MODULE:
        dotted = f"{SAME_MODULE[head]}{dot}{rest}"
    return SAME_NAME.get(dotted, dotted)


def _see_through(dotted: str) -> str:
    """The name without the module on whose back it came: ``torch.os.system`` is ``os.system``."""
    parts = dotted.split(".")
    last = next((at for at in range(len(parts) - 1, 0, -1) if parts[at] in REEXPORTED), 0)
    return _normalise(".".join(parts[last:])) if last else dotted


def _root(dotted: str) -> str:
    return dotted.split(".")[0]


def imported_names(node: ast.Import | ast.ImportFrom, whole: bool = False) -> Iterator[tuple[str, str]]:
    """(bound name, dotted name) of an import; ``import a.b`` binds a, and names a.b where ``whole``."""
    for alias in node.names:
        if isinstance(node, ast.Import):
            bound = alias.asname or _root(alias.name)
            yield bound, alias.name if alias.asname or whole else _root(alias.name)
        else:
            yield (
                alias.asname or alias.name,
                f"{'.' * node.level}{node.module or ''}.{alias.name}".lstrip("."),
            )


def _statements(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The statements below ``nodes``, nested blocks and definitions included, expressions left out."""
    waiting = list(nodes)[::-1]
    while waiting:
        node = waiting.pop()
        yield node
        for field in reversed(node._fields):
            if field in BLOCKS and isinstance(inner := getattr(node, field), list):
                waiting += reversed(inner)


def _written_name(node: ast.AST, aliases: Aliases) -> str | None:
    """The dotted name that an attribute, an item of a namespace, or ``setattr`` writes; ``?.x`` of any object."""
    match node:
        case ast.Attribute(ctx=ast.Store() | ast.Del(), attr=attr):
            return resolve(node, aliases) or f"?.{attr}"
        case ast.Subscript(ctx=ast.Store() | ast.Del()):
            return resolve(node, aliases)
        case ast.Call(func=func, args=[value, ast.Constant(value=str(name)), *_]):
            setter = resolve(func, aliases) in ("setattr", "delattr")
            base = resolve(value, aliases)
            return f"{base or '?'}.{name}" if setter else None
    return None
