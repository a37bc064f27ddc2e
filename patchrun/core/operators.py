"""Operators of array libraries by whatever name they are reached: functions, methods, dispatcher entries, texts.

``torch.linalg.svd(x)``, ``x.svd()``, ``torch.ops.aten.linalg_svd``, ``getattr(x, "s" + "vd")`` and
``methodcaller("svd")`` are one operator. What ``x`` is cannot be told from a text, so its methods count by their names.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from patchrun.core.constanttext import fold_text, read_texts
from patchrun.core.names import Use

LIBRARIES = frozenset({"torch", "numpy", "scipy", "jax"})
DECOMPOSITIONS = frozenset({
    "eig", "eigh", "eigs", "eigsh", "lobpcg", "lstsq", "pca_lowrank", "pinv", "qr", "svd", "svd_lowrank", "svds",
})  # fmt: skip
LOOKUPS = frozenset({
    "getattr", "methodcaller", "attrgetter", "__getattribute__", "__getattr__", "getattr_static", "get", "pop",
    "__getitem__", "itemgetter", "import_module", "__import__", "get_overload", "_get_operation_overload",
    "_jit_get_operation", "_get_schema", "find_op", "call_function", "call_method",
})  # fmt: skip
NAMESPACES = frozenset({"vars", "globals", "locals", "dir"})
MARKS = re.compile(r"[.:]+")


def plain_name(name: str) -> str:
    """The operator's own name: ``_linalg_svd.out`` and ``torch.linalg.svd`` are ``svd``."""
    leaf = next(
        (part for part in reversed(MARKS.split(name)) if part not in ("", "default", "out", "U", "S")), ""
    )
    leaf = leaf.strip("_").removeprefix("linalg_").removesuffix("_out").removesuffix("_default")
    return leaf.strip("_")


def operators_of(rules: Iterable[str]) -> dict[str, str]:
    """The operators among dotted names of a track's rules -> the rule: ``torch.linalg.svd`` -> ``svd``."""
    return {
        plain_name(rule): rule for rule in rules if rule.split(".")[0] in LIBRARIES and rule.count(".") >= 1
    }


def find_operators(nodes: Sequence[ast.AST], names: Iterable[str]) -> Iterator[Use]:
    """Each of ``nodes``, all nodes of some code, that reaches for an operator among the plain ``names``."""
    wanted, own, texts = frozenset(names), _own_methods(nodes), read_texts(nodes)
    computed = False
    for node in nodes:
        reached = {plain_name(name) for name in _reached(node, texts)} & wanted
        if reached and id(node) not in own:
            yield from (Use(f".{name}", "read", node) for name in sorted(reached))
        computed = computed or _is_computed(node, texts)
    if computed:  # some lookup takes a text that cannot be told: each text that could be it counts
        yield from _find_texts(nodes, wanted)


def _reached(node: ast.AST, texts: Mapping[str, str]) -> Iterator[str]:
    """The names that a single node looks up in something."""
    match node:
        case ast.Attribute(attr=attr, ctx=ast.Load()):
            yield attr
        case ast.MatchClass(kwd_attrs=names):
            yield from names
        case ast.ImportFrom(module=str(module), names=names) if module.split(".")[0] in LIBRARIES:
            yield from (alias.name for alias in names)
        case ast.Call(func=func, args=args) if _leaf(func) in LOOKUPS:
            yield from filter(None, (fold_text(arg, texts) for arg in args))
        case ast.Subscript(value=value, slice=key) if _is_namespace(value):
            yield from filter(None, [fold_text(key, texts)])


def _is_computed(node: ast.AST, texts: Mapping[str, str]) -> bool:
    match node:
        case ast.Call(func=func, args=[_, key, *_]) if _leaf(func) == "getattr":
            return fold_text(key, texts) is None
        case ast.Call(func=func, args=[key, *_]) if _leaf(func) in LOOKUPS - {"getattr", "get", "pop"}:
            return fold_text(key, texts) is None
        case ast.Subscript(value=value, slice=key) if _is_namespace(value):
            return fold_text(key, texts) is None
    return False


def _find_texts(nodes: Iterable[ast.AST], wanted: frozenset[str]) -> Iterator[Use]:
    for node in nodes:
        if isinstance(node, ast.expr) and (text := fold_text(node, {})) and plain_name(text) in wanted:
            yield Use(f".{plain_name(text)}", "read", node)


def _leaf(func: ast.AST) -> str:
    return getattr(func, "attr", None) or getattr(func, "id", None) or ""


def _is_namespace(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return _leaf(node.func) in NAMESPACES
    return isinstance(node, ast.Attribute) and node.attr == "__dict__"


def _own_methods(nodes: Iterable[ast.AST]) -> set[int]:
    """The nodes ``self.x`` inside a class that itself defines a method ``x``."""
    own: set[int] = set()
    for kind in (node for node in nodes if isinstance(node, ast.ClassDef)):
        defined = {one.name for one in kind.body if isinstance(one, ast.FunctionDef)}
        own |= {
            id(node) for node in ast.walk(kind)
            if isinstance(node, ast.Attribute) and node.attr in defined
            and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
        }  # fmt: skip
    return own
