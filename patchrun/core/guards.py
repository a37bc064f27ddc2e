"""Guards: code that must stay as it is, found by what it is and not by where it stands, compared as AST.

Scripts of a real ladder are module-level code: a timer is a handful of assignments, not a definition. A guard
collects what it protects from all Python files of a tree, before and after a patch:

- ``assign``: assignments to the names (annotations do not matter) and ``call``: calls of the names, both where their
  text holds ``containing``; ``branch``: ``if`` statements whose test uses the names; ``function``: definitions so
  named: all of these must stay the same, in order;
- ``string``: the set of string constants that match the patterns must stay the same; ``new-string``: it must not grow;
- ``setting``: no new assignment below the dotted names (aliases of imports are followed); ``keyword``: no new keyword
  argument, ``allowed`` ones apart, in calls of the names.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from patchrun.core.codes import make_finding
from patchrun.core.findings import Finding
from patchrun.core.track import Guard

GROWING = {"new-string", "setting", "keyword"}


@dataclass(frozen=True)
class Broken:
    """A guard that a patch breaks; ``path`` and ``line`` point into the patched file, None where code is gone."""

    guard: Guard
    path: str | None
    line: int | None
    text: str


@dataclass(frozen=True)
class _Item:
    """Something a guard protects: what is compared, and where it stands."""

    key: str
    path: str
    line: int
    text: str


def check_guards(
    guards: Iterable[Guard], before: Mapping[str, str | ast.Module], after: Mapping[str, str | ast.Module]
) -> list[Finding]:
    """The findings on what ``find_broken`` names: PR404 for review, else PR405 (new), PR402 (gone) or PR401."""
    return [_to_finding(broken) for broken in find_broken(guards, before, after)]


def _to_finding(broken: Broken) -> Finding:
    guard = broken.guard
    if guard.severity == "review":
        code = "PR404"
    elif guard.kind in GROWING:
        code = "PR405"
    else:
        code = "PR402" if broken.path is None else "PR401"
    verb = {"PR405": "newly uses", "PR402": "takes away"}.get(code, "changes")
    return make_finding(code, f"the patch {verb} what the track guards as {guard.name}: {broken.text}",
                        broken.path, broken.line)  # fmt: skip


def find_broken(
    guards: Iterable[Guard], before: Mapping[str, str | ast.Module], after: Mapping[str, str | ast.Module]
) -> list[Broken]:
    """The guards that the change from ``before`` to ``after`` breaks; ``Track.at_record`` sets their severities.

    ``before``, ``after``: source or syntax tree by path, of all Python files. Files that do not parse are another
    check's concern and count as empty; files that did not change are not looked at.
    """
    old = _read_all({path: source for path, source in before.items() if after.get(path) != source})
    new = _read_all({path: source for path, source in after.items() if before.get(path) != source})
    found = []
    for guard in guards:
        change = _first_change(guard, _collect(guard, old), _collect(guard, new))
        if change:
            found.append(Broken(guard, *change))
    return found


@dataclass(frozen=True)
class _File:
    """A parsed file: its nodes by type, and what its imports call what."""

    path: str
    nodes: Mapping[type[ast.AST], list[ast.AST]]
    aliases: Mapping[str, str]


def _read_all(sources: Mapping[str, str | ast.Module]) -> list[_File]:
    return [file for path in sorted(sources) if (file := _read_file(path, sources[path]))]


def _read_file(path: str, source: str | ast.Module) -> _File | None:
    try:
        tree = source if isinstance(source, ast.Module) else ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    nodes: dict[type[ast.AST], list[ast.AST]] = {}
    for node in ast.walk(tree):
        nodes.setdefault(type(node), []).append(node)
    return _File(path, nodes, _aliases([*nodes.get(ast.Import, ()), *nodes.get(ast.ImportFrom, ())]))


def _first_change(
    guard: Guard, old: list[_Item], new: list[_Item]
) -> tuple[str | None, int | None, str] | None:
    """Where the first difference that matters stands in the patched code."""
    known = Counter(item.key for item in old)
    for item in new:
        if known[item.key] <= 0:
            return item.path, item.line, item.text
        known[item.key] -= guard.kind not in GROWING and guard.kind != "string"
    if guard.kind in GROWING:
        return None
    present = {item.key for item in new}
    gone = [
        item for item in old if known[item.key] > 0 and (guard.kind != "string" or item.key not in present)
    ]
    if gone:
        return None, None, gone[0].text
    if guard.kind != "string" and [item.key for item in old] != [item.key for item in new]:
        return new[0].path, new[0].line, "the same parts in another order"
    return None


def _collect(guard: Guard, files: Iterable[_File]) -> list[_Item]:
    """What the guard protects, file by file, in the order of the source."""
    types, keys_of = _KINDS[guard.kind]
    items = []
    for file in files:
        nodes = (node for kind in types for node in file.nodes.get(kind, ()))
        found = [
            _Item(key, file.path, node.lineno, ast.unparse(node).split("\n", 1)[0][:120])
            for node in nodes
            for key in keys_of(guard, node, file.aliases)
        ]
        items += sorted(found, key=lambda item: item.line)
    return items


def _aliases(imports: Iterable[ast.AST]) -> dict[str, str]:
    """Local name -> dotted name, from the imports anywhere in a file."""
    found = {}
    for node in imports:
        if isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _dotted(node: ast.AST, aliases: Mapping[str, str]) -> str:
    """``a.b.c`` of a name or attribute with imports resolved, else empty."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([aliases.get(node.id, node.id), *reversed(parts)])


def _left(node: ast.AST) -> list[ast.expr]:
    """The left sides of a statement that assigns."""
    if isinstance(node, ast.Assign | ast.Delete):
        return node.targets
    return [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign | ast.NamedExpr) else []


def _targets(node: ast.AST) -> list[ast.expr]:
    """The names and attributes that a statement assigns to, tuples taken apart."""
    leaves = (leaf for side in _left(node) for leaf in ast.walk(side))
    return [leaf for leaf in leaves if isinstance(leaf, ast.Name | ast.Attribute)]


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _assign_keys(guard: Guard, node: ast.AST, aliases: Mapping[str, str]) -> Iterator[str]:
    named = any(_last(target) in guard.match for target in _targets(node))
    if named and guard.containing in ast.unparse(node):
        left = " = ".join(ast.unparse(side) for side in _left(node))
        operator, value = getattr(node, "op", None), getattr(node, "value", None)
        yield f"{left} {type(operator).__name__} {ast.dump(value) if value is not None else ''}"


def _is_call(guard: Guard, node: ast.AST, aliases: Mapping[str, str]) -> bool:
    return isinstance(node, ast.Call) and _dotted(node.func, aliases) in guard.match


def _call_keys(guard: Guard, node: ast.AST, aliases: Mapping[str, str]) -> Iterator[str]:
    if _is_call(guard, node, aliases) and guard.containing in ast.unparse(node):
        yield ast.dump(node)


def _branch_keys(guard: Guard, node: ast.AST, aliases: Mapping[str, str]) -> Iterator[str]:
    if isinstance(node, ast.If) and any(
        _last(leaf) in guard.match
        for leaf in ast.walk(node.test)
        if isinstance(leaf, ast.Name | ast.Attribute)
    ):
        yield ast.dump(node)


def _function_keys(guard: Guard, node: ast.AST, aliases: Mapping[str, str]) -> Iterator[str]:
    name = getattr(node, "name", "")
    if any(fnmatchcase(name, pattern) for pattern in guard.match):
        yield ast.dump(node)


def _string_keys(guard: Guard, node: ast.AST, aliases: Mapping[str, str]) -> Iterator[str]:
    text = node.value if isinstance(node, ast.Constant) else None
    if isinstance(text, str) and any(fnmatchcase(text, pattern) for pattern in guard.match):
        yield text


def _setting_keys(guard: Guard, node: ast.AST, aliases: Mapping[str, str]) -> Iterator[str]:
    for target in _targets(node):
        name = _dotted(target, aliases)
        if any(name.startswith(f"{prefix}.") for prefix in guard.match):
            yield name
    if isinstance(node, ast.Call):
        names = [_dotted(node.func, aliases), *(_dotted(argument, aliases) for argument in node.args)]
        if any(name == prefix or name.startswith(f"{prefix}.") for name in names for prefix in guard.match):
            yield ast.dump(node)


def _keyword_keys(guard: Guard, node: ast.AST, aliases: Mapping[str, str]) -> Iterator[str]:
    if _is_call(guard, node, aliases):
        assert isinstance(node, ast.Call)
        yield from (str(word.arg) for word in node.keywords if word.arg not in guard.allowed)


_ASSIGNMENTS = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.NamedExpr, ast.Delete)
_KINDS = {
    "assign": (_ASSIGNMENTS, _assign_keys),
    "call": ((ast.Call,), _call_keys),
    "branch": ((ast.If,), _branch_keys),
    "function": ((ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef), _function_keys),
    "string": ((ast.Constant,), _string_keys),
    "new-string": ((ast.Constant,), _string_keys),
    "setting": ((*_ASSIGNMENTS, ast.Call), _setting_keys),
    "keyword": ((ast.Call,), _keyword_keys),
}
