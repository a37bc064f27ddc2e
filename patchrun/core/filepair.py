"""The two versions of a Python file, and what the patch newly uses and binds in it.

They are compared by their changed top-level statements only: what stands there unchanged, with the same lines on
both sides, cannot have become a breach.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from patchrun.core.bindings import Binding, find_bindings
from patchrun.core.names import Use, find_uses, imported_modules, read_aliases
from patchrun.core.pyfile import PyFile, changed_statements, first_line, take_new


class Placed(Protocol):
    """Anything with a line (1-based) in the patched file."""

    @property
    def line(self) -> int: ...


@dataclass(frozen=True)
class FilePair:
    """The two versions of a Python file; None where the file does not exist (or cannot be parsed)."""

    path: str
    before: PyFile | None
    after: PyFile | None

    @cached_property
    def kept_lines(self) -> frozenset[str]:
        return frozenset(self.before.lines if self.before else ())

    def is_kept(self, item: Placed) -> bool:
        """Whether the line of something in ``after`` stands in ``before`` too."""
        return self.after is not None and self.after.lines[item.line - 1] in self.kept_lines

    def first_new_line(self, node: ast.AST) -> int:
        """The first line of a node of ``after`` that stands nowhere in ``before``, else where the node begins."""
        lines = self.after.lines if self.after else ()
        within = range(first_line(node), (node.end_lineno or node.lineno) + 1)
        return next((line for line in within if lines[line - 1] not in self.kept_lines), node.lineno)

    @cached_property
    def sides(self) -> tuple[list[ast.stmt], list[ast.stmt]]:
        """The top-level statements that only one side has: (before, after)."""
        return changed_statements(self.before, self.after)

    @cached_property
    def nodes(self) -> tuple[list[ast.AST], list[ast.AST]]:
        """Every node below the statements of ``sides``."""
        old, new = ([node for statement in side for node in ast.walk(statement)] for side in self.sides)
        return old, new

    @cached_property
    def uses(self) -> tuple[list[Use], list[Use]]:
        """The dotted names that the changed statements use: (before, after)."""
        old, new = (find_uses(*side) for side in zip(self.sides, self._aliases, strict=True))
        return list(old), list(new)

    @cached_property
    def new_uses(self) -> list[Use]:
        """The uses of names beyond as many of the same name in the baseline."""
        return take_new(*self.uses, lambda use: use.name, self.is_kept)

    @cached_property
    def bindings(self) -> tuple[list[Binding], list[Binding]]:
        """What the changed statements bind: (before, after)."""
        old, new = (find_bindings(*side) for side in zip(self.sides, self._aliases, strict=True))
        return list(old), list(new)

    @cached_property
    def new_bindings(self) -> list[Binding]:
        """The bindings of names beyond as many of the same name in the baseline."""
        return take_new(*self.bindings, lambda binding: binding.qualified, self.is_kept)

    @cached_property
    def modules(self) -> frozenset[str]:
        """The modules that either version imports."""
        return (self.before.modules if self.before else frozenset()) | imported_modules(self.sides[1])

    def defined_before(self, name: str) -> bool:
        """Whether the baseline binds a qualified name anywhere."""
        return name in self._names_before

    @cached_property
    def _names_before(self) -> frozenset[str]:
        everything = find_bindings(self.before.nodes, {}) if self.before else ()
        return frozenset(binding.qualified for binding in everything)

    @cached_property
    def _aliases(self) -> tuple[dict[str, str], dict[str, str]]:
        """What names stand for: (before, after); an import that the patch removes still counts after it."""
        before = self.before.aliases if self.before else {}
        return before, before | read_aliases(self.sides[1], before)
