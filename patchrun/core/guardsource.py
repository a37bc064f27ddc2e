"""A Python file as guards read it: nodes by type, what stands around a node, what names mean and what binds them."""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, TypeVar

from patchrun.core.bindings import Binding, Definition, find_bindings
from patchrun.core.foldtext import fold_text
from patchrun.core.names import read_aliases, resolve
from patchrun.core.pyfile import canonical_text

Node = TypeVar("Node", bound=ast.AST)
LEAVES = (ast.expr_context, ast.operator, ast.boolop, ast.unaryop, ast.cmpop)
TEXTS = (ast.Constant, ast.BinOp, ast.JoinedStr, ast.Call, ast.Subscript)
CONTROL = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.Try, ast.Match)
LOOPS = (ast.For, ast.AsyncFor, ast.While)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
MOST_TEXT = 120


@dataclass(frozen=True)
class Source:
    """A parsed file."""

    path: str
    tree: ast.Module

    @cached_property
    def parents(self) -> Mapping[ast.AST, ast.AST]:
        """What each node stands in directly; outer nodes come first."""
        parents: dict[ast.AST, ast.AST] = {}
        waiting: list[ast.AST] = [self.tree]
        for node in waiting:
            for child in ast.iter_child_nodes(node):
                if not isinstance(child, LEAVES):
                    parents[child] = node
                    waiting.append(child)
        return parents

    @cached_property
    def _by_type(self) -> Mapping[type[ast.AST], list[ast.AST]]:
        nodes: dict[type[ast.AST], list[ast.AST]] = {}
        for node in self.parents:
            nodes.setdefault(type(node), []).append(node)
        return nodes

    @cached_property
    def texts(self) -> Sequence[tuple[ast.AST, str]]:
        """Every expression that makes a text, with the text (see ``foldtext``)."""
        found = ((node, fold_text(node)) for node in self.find(*TEXTS) if not self._is_in_sum(node))
        return [(node, text) for node, text in found if text is not None]

    @cached_property
    def words(self) -> frozenset[str]:
        """Every name, attribute, parameter, keyword and text of the file."""
        names = {last_name(node) for node in self.find(ast.Name, ast.Attribute)}
        words = {node.arg for node in self.find(ast.arg, ast.keyword) if node.arg}
        return frozenset(names | words | {text for _, text in self.texts})

    def _is_in_sum(self, node: ast.AST) -> bool:
        return isinstance(node, ast.BinOp) and isinstance(self.parents.get(node), ast.BinOp)

    @cached_property
    def aliases(self) -> Mapping[str, str]:
        return read_aliases(self.tree.body)

    @cached_property
    def bindings(self) -> Sequence[Binding]:
        return list(find_bindings(self.tree.body, self.aliases))

    @cached_property
    def definitions(self) -> Mapping[str, Definition]:
        """Functions and classes by qualified name, the last of each."""
        return {one.qualified: one.node for one in self.bindings if isinstance(one.node, Definition)}

    def find(self, *kinds: type[Node]) -> Iterator[Node]:
        """The nodes of these types, outer ones first."""
        for kind in kinds:
            yield from self._by_type.get(kind, ())  # type: ignore[misc]

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """What stands around a node, from the inside out."""
        while (parent := self.parents.get(node)) is not None:
            yield parent
            node = parent

    @cached_property
    def statements(self) -> Sequence[ast.stmt]:
        return [node for node in self.parents if isinstance(node, ast.stmt)]

    def function_of(self, node: ast.AST) -> ast.AST | None:
        """The innermost function or lambda around a node."""
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
        return next((one for one in self.around(node) if isinstance(one, kinds)), None)

    def control_of(self, node: ast.AST) -> str:
        """The loops, branches and tries around a node within its function, by kind and by block."""
        words, child = [], node
        for parent in self.around(node):
            if isinstance(parent, Definition | ast.Lambda):
                break
            if isinstance(parent, CONTROL) and not _always_runs(parent, child):
                words.append(f"{type(parent).__name__}.{_block_of(parent, child)}")
            child = parent
        return ">".join(reversed(words))

    def resolve(self, node: ast.AST) -> str:
        """The dotted name that an expression spells, aliases followed; empty where it spells none."""
        return resolve(node, self.aliases) or ""


class Trees(NamedTuple):
    """The files before and after a patch that differ."""

    before: Sequence[Source]
    after: Sequence[Source]


@dataclass(frozen=True)
class Item:
    """Something a guard protects: what is compared, and where it stands.

    ``mode``: ``exact`` items must stay the same, in order; ``set`` ones must be the same set; of ``grow`` there may be
    no more, of ``new`` no other kinds, and ``keep`` ones may not go. ``span``: the lines of the function that a
    local name lives in.
    """

    key: str
    path: str
    line: int
    text: str
    mode: str = "exact"
    name: str = ""
    span: tuple[int, int] | None = None
    node: ast.AST | None = field(default=None, compare=False)


def make_item(source: Source, node: ast.AST, key: str, mode: str = "exact") -> Item:
    return Item(key, source.path, getattr(node, "lineno", 1), first_line_of(node), mode, node=node)


def first_line_of(node: ast.AST) -> str:
    return spell(node).split("\n", 1)[0][:MOST_TEXT]


def spell(node: ast.AST) -> str:
    """The source of a node; its kind where a number has more digits than Python prints, or it is nested too deeply."""
    try:
        return ast.unparse(node)
    except (ValueError, RecursionError):
        return type(node).__name__


def dump(*nodes: ast.AST) -> str:
    """One text for all nodes that are equal but for layout; their kind where they are nested too deeply to compare."""
    try:
        return " ".join(canonical_text(node).replace("\n", " ") for node in nodes)
    except RecursionError:
        return " ".join(type(node).__name__ for node in nodes)


def span_of(source: Source, binding: Binding) -> tuple[int, int] | None:
    """The lines of the function that a local name lives in, None where others see the name."""
    if not binding.is_local:
        return None
    owner = source.definitions.get(binding.scope) or source.function_of(binding.node)
    return (owner.lineno, owner.end_lineno or owner.lineno) if owner else None


def any_within(lines: Sequence[int], span: tuple[int, int]) -> bool:
    """Whether one of the lines, sorted, lies in the span."""
    at = bisect_left(lines, span[0])
    return at < len(lines) and lines[at] <= span[1]


def parse_source(path: str, code: str | ast.Module) -> Source | None:
    """The file; None where it does not parse, which is another check's concern."""
    try:
        return Source(path, code if isinstance(code, ast.Module) else ast.parse(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def last_name(node: ast.AST) -> str:
    """The name, or the last name of an attribute, or a literal key; else empty."""
    match node:
        case (
            ast.Attribute(attr=name) | ast.Name(id=name) | ast.Subscript(slice=ast.Constant(value=str(name)))
        ):
            return name
        case ast.Starred(value=value):
            return last_name(value)
    return ""


def names_in(node: ast.AST) -> set[str]:
    """Every plain name that an expression or statement reads."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)}


def _always_runs(parent: ast.AST, child: ast.AST) -> bool:
    """Whether a block changes nothing about what runs: ``try``, ``if __name__ == "__main__"``."""
    if isinstance(parent, ast.Try):
        return _block_of(parent, child) in ("body", "finalbody")
    return isinstance(parent, ast.If) and any(last_name(one) == "__name__" for one in ast.walk(parent.test))


def _block_of(parent: ast.AST, child: ast.AST) -> str:
    for name, value in ast.iter_fields(parent):
        if value is child or (isinstance(value, list) and child in value):
            return name
    return ""
