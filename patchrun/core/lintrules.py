"""Which of the linter's rules are asked for, which of them end a run, and which problems a patch brought in."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from patchrun.core.codes import make_finding
from patchrun.core.filepair import FilePair
from patchrun.core.findings import Finding
from patchrun.core.pyfile import take_new

SELECTED = ("E9", "F", "PLE")
UNDEFINED = frozenset({"F821", "F823"})
FATAL = frozenset({
    "invalid-syntax", "F821", "F404", "F406", "F407", "F501", "F502", "F503", "F505", "F506", "F507", "F508",
    "F509", "F521", "F524", "F525", "F621", "F622", "F633", "F701", "F702", "F704", "F706", "F707", "F823", "PLE0100",
    "PLE0101", "PLE0115", "PLE0117", "PLE0118", "PLE1142", "PLE1700",
})  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """What the linter says of a place: its rule's code, and line and column, both from 1."""

    code: str
    message: str
    line: int
    column: int


def judge_problems(pair: FilePair, before: Sequence[Problem], after: Sequence[Problem]) -> list[Finding]:
    """PR303 for new problems that end a run, PR304 for other new ones; those of the baseline are not the patch's."""
    fresh = take_new(before, after, lambda problem: (problem.code, problem.message), pair.is_kept)
    names = _read_names(pair) if any(problem.code in UNDEFINED for problem in fresh) else {}
    ordered = sorted(fresh, key=lambda problem: (problem.line, problem.column))
    return [_judge(pair.path, problem, names) for problem in ordered]


def _judge(path: str, problem: Problem, names: Mapping[tuple[int, str], bool]) -> Finding:
    """An undefined name rejects where it is surely looked up: not in a quoted annotation, not in a branch."""
    words = f"{problem.code} {problem.message}"
    quoted = re.search(r"`(.+?)`", problem.message)
    reached = names.get((problem.line, quoted[1] if quoted else ""))
    harmless = problem.code not in FATAL and not problem.code.startswith("E9")
    if harmless or (problem.code in UNDEFINED and reached is None):
        return make_finding("PR304", words, path, problem.line)
    if problem.code in UNDEFINED and not reached:
        words += " (in a branch that may never be taken)"
        return make_finding("PR303", words, path, problem.line, severity="review")
    return make_finding("PR303", words, path, problem.line)


def _read_names(pair: FilePair) -> dict[tuple[int, str], bool]:
    """(line, name) of every name, and whether one there is reached whenever the code around it runs."""
    found: dict[tuple[int, str], bool] = {}
    stack: list[tuple[ast.AST, bool]] = [(pair.after.tree, True)] if pair.after else []
    while stack:
        node, always = stack.pop()
        if isinstance(node, ast.Name):
            found[node.lineno, node.id] = always or found.get((node.lineno, node.id), False)
        optional = set(map(id, _optional_parts(node)))
        stack += ((child, always and id(child) not in optional) for child in ast.iter_child_nodes(node))
    return found


def _optional_parts(node: ast.AST) -> list[ast.AST]:
    """The children of a node that run only under a condition; those of ``if __name__ == ...`` run in a script."""
    match node:
        case ast.If(test=test):
            runs = any(isinstance(inner, ast.Name) and inner.id == "__name__" for inner in ast.walk(test))
            return [*([] if runs else node.body), *node.orelse]
        case ast.IfExp():
            return [node.body, node.orelse]
        case ast.BoolOp():
            return node.values[1:]
        case ast.Try():
            return list(node.handlers)
        case ast.Match():
            return list(node.cases)
    return []
