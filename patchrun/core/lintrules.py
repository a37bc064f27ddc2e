"""Which of the linter's rules are asked for, which of them end a run, and which problems a patch brought in."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from patchrun.core.codes import make_finding
from patchrun.core.filepair import FilePair
from patchrun.core.findings import Finding
from patchrun.core.pyfile import PyFile, take_new

SELECTED = ("E9", "F", "PLE")
UNDEFINED = "F821"
FATAL = frozenset({
    "invalid-syntax", UNDEFINED, "F404", "F406", "F407", "F501", "F502", "F503", "F505", "F506", "F507", "F508",
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
    return [
        make_finding(
            "PR303" if _ends_a_run(pair, problem) else "PR304",
            f"{problem.code} {problem.message}",
            pair.path,
            problem.line,
        )
        for problem in sorted(fresh, key=lambda problem: (problem.line, problem.column))
    ]


def _ends_a_run(pair: FilePair, problem: Problem) -> bool:
    """Fatal by rule; an undefined name only where Python would look it up, not in a quoted annotation."""
    if problem.code != UNDEFINED or pair.after is None:
        return problem.code in FATAL or problem.code.startswith("E9")
    names = (node for node in ast.walk(_reparse(pair.after)) if isinstance(node, ast.Name))
    return any(node.lineno == problem.line and f"`{node.id}`" in problem.message for node in names)


def _reparse(file: PyFile) -> ast.Module:
    """The tree with this file's own line numbers, which statements shared with the baseline lack."""
    return ast.parse("\n".join(file.lines))
