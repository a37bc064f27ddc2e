"""A Python file as a value: parsed once, compared by what it means rather than by how it is laid out."""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from patchrun.core.codes import make_finding
from patchrun.core.findings import Finding

MAX_DEPTH = 200
UTF8 = ("utf-8", "utf-8-sig")
LAYOUT_FIELDS = ("ctx", "kind", "type_comment")
Item = TypeVar("Item")


@dataclass(frozen=True)
class PyFile:
    """A parsed file: its lines as Python counts them, its tree, and the text that equal trees share."""

    path: str
    lines: tuple[str, ...]
    tree: ast.Module
    canonical: str

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the tree: the same for files that differ in comments and layout only."""
        return hashlib.sha256(self.canonical.encode("utf-8", "surrogatepass")).hexdigest()

    @cached_property
    def statements(self) -> tuple[tuple[str, ast.stmt], ...]:
        """Each top-level statement with its source lines."""
        return tuple((self._source(statement), statement) for statement in self.tree.body)

    def _source(self, statement: ast.stmt) -> str:
        decorators = getattr(statement, "decorator_list", ())
        start = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
        return "\n".join(self.lines[start - 1 : statement.end_lineno])


def parse(path: str, data: bytes) -> PyFile | Finding:
    """The file, or the finding (PR301, PR302, PR305) that says why it is none."""
    try:
        if tokenize.detect_encoding(io.BytesIO(data).readline)[0] not in UTF8:
            return make_finding("PR305", f"{path} declares an encoding that is not UTF-8", path, 1)
        text = data.decode("utf-8-sig")
    except (SyntaxError, UnicodeDecodeError) as error:
        return make_finding("PR305", f"{path} is not UTF-8: {error}", path, 1)
    return _parse_text(path, text)


def _parse_text(path: str, text: str) -> PyFile | Finding:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
        lines = tuple(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
        return PyFile(path, lines, tree, canonical_text(tree))
    except SyntaxError as error:
        return make_finding("PR301", f"{path} is not Python: {error.msg}", path, error.lineno or None)
    except (RecursionError, MemoryError):
        return make_finding("PR302", f"{path} is nested too deeply to be checked", path)
    except ValueError as error:
        return make_finding("PR301", f"{path} is not Python: {error}", path)


def canonical_text(node: ast.AST) -> str:
    """One text for all trees that are equal but for layout: no positions, quote prefixes, type comments.

    Docstrings count. Raises RecursionError beyond a depth of 200.
    """
    parts: list[str] = []
    _write(node, parts.append, 0)
    return "\n".join(parts)


def digest_tree(oids: Mapping[str, str], parsed: Mapping[str, PyFile]) -> str:
    """SHA-256 (hex) of a tree: by AST for the files in ``parsed``, by blob id for the others."""
    digest = hashlib.sha256()
    for path, oid in sorted(oids.items()):
        content = f"ast:{parsed[path].digest}" if path in parsed else f"blob:{oid}"
        digest.update(f"{path}\0{content}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def changed_statements(before: PyFile | None, after: PyFile | None) -> tuple[list[ast.stmt], list[ast.stmt]]:
    """The top-level statements that only one side has: (of ``before``, of ``after``), in their order.

    A statement with the same source lines on both sides stays out, however often the other side has it fewer.
    """
    old = before.statements if before else ()
    new = after.statements if after else ()
    return _surplus_statements(old, new), _surplus_statements(new, old)


def take_new(
    before: Iterable[Item],
    after: Iterable[Item],
    key: Callable[[Item], object],
    is_kept: Callable[[Item], bool],
) -> list[Item]:
    """The items of ``after`` beyond as many of the same key in ``before``; ``is_kept`` ones are the old ones first."""
    left = Counter(key(item) for item in before)
    fresh = []
    for item in sorted(after, key=is_kept, reverse=True):
        if left[key(item)] > 0:
            left[key(item)] -= 1
        else:
            fresh.append(item)
    return fresh


def _surplus_statements(
    ours: Sequence[tuple[str, ast.stmt]], theirs: Sequence[tuple[str, ast.stmt]]
) -> list[ast.stmt]:
    left = Counter(source for source, _ in theirs)
    surplus = []
    for source, statement in ours:
        if left[source] > 0:
            left[source] -= 1
        else:
            surplus.append(statement)
    return surplus


_fields: dict[type[ast.AST], tuple[str, ...]] = {}


def _write(node: ast.AST, write: Callable[[str], None], depth: int) -> None:
    kind = node.__class__
    fields = _fields.get(kind)
    if fields is None:
        fields = _fields[kind] = tuple(name for name in kind._fields if name not in LAYOUT_FIELDS)
    if depth > MAX_DEPTH:
        raise RecursionError(f"more than {MAX_DEPTH} levels")
    write(kind.__name__)
    for name in fields:
        value = getattr(node, name, None)
        if value.__class__ is list:
            write("[")
            for item in value:
                _write_value(item, write, depth)
            write("]")
        else:
            _write_value(value, write, depth)


def _write_value(value: object, write: Callable[[str], None], depth: int) -> None:
    if isinstance(value, ast.AST):
        _write(value, write, depth + 1)
    else:  # a decimal of a huge integer literal would be refused by Python
        write(hex(value) if value.__class__ is int else repr(value))
