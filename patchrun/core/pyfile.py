"""A Python file as a value: its statements, compared by what they mean rather than by how they are laid out.

A patched file shares the statements that stand unchanged in its baseline, so only what changed is parsed.
"""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
import warnings
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeVar

from patchrun.core.codes import make_finding
from patchrun.core.findings import Finding
from patchrun.core.names import imported_modules, read_aliases

MAX_DEPTH = 200
UTF8 = ("utf-8", "utf-8-sig")
LAYOUT_FIELDS = ("ctx", "kind", "type_comment")
PLACES_TRIED = 8
Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Statement:
    """A top-level statement: its source lines and its node, numbered as in the file for which it was parsed first."""

    source: str
    node: ast.stmt

    @cached_property
    def canonical(self) -> str:
        """The text that all equal nodes share; RecursionError where it is nested too deeply."""
        return canonical_text(self.node)


@dataclass(frozen=True)
class Block:
    """Statements that share lines, and the lines from the first of them up to the next block."""

    lines: tuple[str, ...]
    statements: tuple[Statement, ...]


@dataclass(frozen=True)
class PyFile:
    """A parsed file: its path, its lines as Python counts them, and its blocks in order."""

    path: str
    lines: tuple[str, ...]
    blocks: tuple[Block, ...]

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        return tuple(statement for block in self.blocks for statement in block.statements)

    @property
    def nodes(self) -> list[ast.stmt]:
        return [statement.node for statement in self.statements]

    @cached_property
    def tree(self) -> ast.Module:
        """The whole tree, numbered as this file is: statements shared with another file need not be."""
        return ast.parse("\n".join(self.lines))

    @cached_property
    def aliases(self) -> dict[str, str]:
        """What the file's names stand for (see ``names.read_aliases``)."""
        return read_aliases(self.nodes)

    @cached_property
    def modules(self) -> frozenset[str]:
        """The modules that the file imports."""
        return frozenset(imported_modules(self.nodes))

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the code: the same for files that differ in comments and layout only."""
        try:
            text = "\n".join(statement.canonical for statement in self.statements)
        except RecursionError:
            text = "\n".join(self.lines)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class TreeCode:
    """The blob ids of a tree by path, and those of its files that are Python."""

    oids: Mapping[str, str]
    parsed: Mapping[str, PyFile]

    @property
    def digest(self) -> str:
        """SHA-256 (hex): by its code for each file in ``parsed``, by blob id for the others."""
        digest = hashlib.sha256()
        for path, oid in sorted(self.oids.items()):
            content = f"ast:{self.parsed[path].digest}" if path in self.parsed else f"blob:{oid}"
            digest.update(f"{path}\0{content}\0".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def parse(path: str, data: bytes, known: PyFile | None = None, check_depth: bool = True) -> PyFile | Finding:
    """The file, or the finding (PR301, PR302, PR305) that says why it is none; shares what ``known`` has too."""
    text = _decode(path, data)
    if isinstance(text, Finding):
        return text
    lines = tuple(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    try:
        file = PyFile(path, lines, _read_blocks(lines, known.blocks if known else ()))
        for statement in set(file.statements if check_depth else ()) - set(known.statements if known else ()):
            _ = statement.canonical
        return file
    except SyntaxError as error:
        return make_finding("PR301", f"{path} is not Python: {error.msg}", path, error.lineno or None)
    except (RecursionError, MemoryError):
        return make_finding("PR302", f"{path} is nested too deeply to be checked", path)
    except ValueError as error:
        return make_finding("PR301", f"{path} is not Python: {error}", path)


@lru_cache(maxsize=64)
def parse_baseline(path: str, data: bytes) -> PyFile | Finding:
    """A file that is trusted to be no trap, parsed once in a process however many patches are made against it."""
    return parse(path, data, check_depth=False)


def _decode(path: str, data: bytes) -> str | Finding:
    """The text; PR305 where it is not UTF-8, or where Python would read it in another encoding."""
    try:
        if tokenize.detect_encoding(io.BytesIO(data).readline)[0] not in UTF8:
            return make_finding("PR305", f"{path} declares an encoding that is not UTF-8", path, 1)
        return data.decode("utf-8-sig")
    except (SyntaxError, UnicodeDecodeError) as error:
        return make_finding("PR305", f"{path} is not UTF-8: {error}", path, 1)


def canonical_text(node: ast.AST) -> str:
    """One text for all trees that are equal but for layout: no positions, quote prefixes, type comments.

    Docstrings count. Raises RecursionError beyond a depth of 200.
    """
    parts: list[str] = []
    _write(node, parts.append, 0)
    return "\n".join(parts)


def changed_statements(before: PyFile | None, after: PyFile | None) -> tuple[list[ast.stmt], list[ast.stmt]]:
    """The top-level statements that only one side has: (of ``before``, of ``after``), in their order.

    A statement with the same source lines on both sides stays out, as often as the other side has it.
    """
    old, new = (file.statements if file else () for file in (before, after))
    return _surplus(old, new), _surplus(new, old)


def take_new(
    before: Iterable[Item],
    after: Iterable[Item],
    key: Callable[[Item], object],
    is_kept: Callable[[Item], bool],
) -> list[Item]:
    """The items of ``after`` beyond as many of the same key in ``before``; ``is_kept`` ones are the old ones first."""
    return _beyond(before, sorted(after, key=is_kept, reverse=True), key)


def first_line(node: ast.AST) -> int:
    """Where a node begins, its decorators included."""
    return min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])


def _surplus(ours: Sequence[Statement], theirs: Sequence[Statement]) -> list[ast.stmt]:
    shared = set(ours) & set(theirs)
    ours, theirs = ([one for one in side if one not in shared] for side in (ours, theirs))
    return [one.node for one in _beyond(theirs, ours, lambda one: one.source)]


def _beyond(before: Iterable[Item], after: Iterable[Item], key: Callable[[Item], object]) -> list[Item]:
    left = Counter(map(key, before))
    fresh = []
    for item in after:
        name = key(item)
        left[name] -= 1
        if left[name] < 0:
            fresh.append(item)
    return fresh


def _read_blocks(lines: Sequence[str], known: Sequence[Block]) -> tuple[Block, ...]:
    """The blocks of a file, those of ``known`` where its lines are the same.

    Pieces that are Python each by itself are the same Python joined; where a piece is not, the whole is parsed.
    """
    if known:
        try:
            pieces = list(_cut(lines, known))
            return tuple(
                block
                for piece in pieces
                for block in ([piece] if isinstance(piece, Block) else _parse_blocks(lines, *piece))
            )
        except SyntaxError:
            pass
    return tuple(_parse_blocks(lines, 0, len(lines)))


def _cut(lines: Sequence[str], known: Sequence[Block]) -> Iterator[Block | tuple[int, int]]:
    """``lines`` as known blocks, in their order, and the ranges between them."""
    places = defaultdict(list)
    for number, line in enumerate(lines):
        places[line].append(number)
    done = 0
    for block in known:
        candidates = places[block.lines[0]]
        first = bisect_left(candidates, done)
        for at in candidates[first : first + PLACES_TRIED]:
            end = at + len(block.lines)
            if lines[at:end] == block.lines:
                if at > done:
                    yield done, at
                yield block
                done = end
                break
    if done < len(lines):
        yield done, len(lines)


def _parse_blocks(lines: Sequence[str], start: int, end: int) -> Iterator[Block]:
    """The blocks of ``lines[start:end]``, their nodes numbered as in the whole file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        body = ast.parse("\n" * start + "\n".join(lines[start:end])).body
    groups: list[list[ast.stmt]] = []
    for node in body:
        if groups and first_line(node) <= groups[-1][-1].end_lineno:
            groups[-1].append(node)
        else:
            groups.append([node])
    starts = [start, *(first_line(group[0]) - 1 for group in groups[1:]), end]
    for group, first, after in zip(groups, starts, starts[1:], strict=False):
        yield Block(tuple(lines[first:after]), tuple(_read_statement(lines, node) for node in group))


def _read_statement(lines: Sequence[str], node: ast.stmt) -> Statement:
    source = "\n".join(lines[first_line(node) - 1 : node.end_lineno])
    return Statement(source, node)


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
