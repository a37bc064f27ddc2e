"""Which of the linter's problems are the patch's, and which end a run."""

from __future__ import annotations

import re

import pytest

from patchrun.core.filepair import FilePair
from patchrun.core.lintrules import FATAL, SELECTED, Problem, judge_problems
from patchrun.core.pyfile import PyFile, parse


def pair(before: str, after: str) -> FilePair:
    old, new = parse("t.py", before.encode()), parse("t.py", after.encode())
    assert isinstance(old, PyFile) and isinstance(new, PyFile)
    return FilePair("t.py", old, new)


def undefined(name: str, line: int) -> Problem:
    return Problem("F821", f"Undefined name `{name}`", line, 1)


def unused(name: str, line: int) -> Problem:
    return Problem("F401", f"`{name}` imported but unused", line, 8)


def test_a_new_problem_that_ends_a_run_rejects_and_another_informs() -> None:
    found = judge_problems(pair("", "import os\nx = y\n"), [], [unused("os", 1), undefined("y", 2)])
    assert [(one.code, one.severity, one.line) for one in found] == [
        ("PR304", "info", 1),
        ("PR303", "error", 2),
    ]
    assert found[1].message == "F821 Undefined name `y`"
    assert found[1].path == "t.py"


def test_a_problem_of_the_baseline_is_not_the_patchs_wherever_it_moves() -> None:
    both = pair("x = y\n", "import this\nx = y\n")
    assert judge_problems(both, [undefined("y", 1)], [undefined("y", 2)]) == []


def test_one_more_of_the_same_problem_is_reported_at_the_new_line() -> None:
    both = pair("x = y\n", "z = y\nx = y\n")
    (finding,) = judge_problems(both, [undefined("y", 1)], [undefined("y", 1), undefined("y", 2)])
    assert (finding.code, finding.line) == ("PR303", 1)


def test_an_undefined_name_in_a_quoted_annotation_does_not_end_a_run() -> None:
    both = pair("", 'def f(x: "Tensor"):\n    return Tensor\n')
    found = judge_problems(both, [], [undefined("Tensor", 1), undefined("Tensor", 2)])
    assert [one.code for one in found] == ["PR304", "PR303"]


@pytest.mark.parametrize(
    ("source", "severity"),
    [
        ("x\n", "error"),
        ("def f():\n    return x\n", "error"),
        ("for i in range(3):\n    x\n", "error"),
        ("while x:\n    pass\n", "error"),
        ("if x:\n    pass\n", "error"),
        ("with x:\n    pass\n", "error"),
        ("try:\n    x\nexcept NameError:\n    pass\n", "error"),
        ("if __name__ == '__main__':\n    x\n", "error"),
        ("if save:\n    x\n", "review"),
        ("if save:\n    pass\nelse:\n    x\n", "review"),
        ("for i in y:\n    if i:\n        raise StopIteration(f'{x}')\n", "review"),
        ("try:\n    pass\nexcept OSError:\n    x\n", "review"),
        ("y = x if save else 1\n", "review"),
        ("y = save and x\n", "review"),
        ("y = x and save\n", "error"),
        ("match y:\n    case 1:\n        x\n", "review"),
        ("if save:\n    def f():\n        return x\n", "review"),
    ],
)
@pytest.mark.parametrize("code", ["F821", "F823"])
def test_an_undefined_name_rejects_unless_a_branch_may_spare_it(
    source: str, severity: str, code: str
) -> None:
    line = next(number for number, text in enumerate(source.split("\n"), 1) if re.search(r"\bx\b", text))
    (finding,) = judge_problems(pair("", source), [], [Problem(code, "Undefined name `x`", line, 1)])
    assert (finding.code, finding.severity) == ("PR303", severity)


def test_one_sure_use_on_a_line_is_enough() -> None:
    (finding,) = judge_problems(pair("", "y = x + (x if z else 1)\n"), [], [undefined("x", 1)])
    assert finding.severity == "error"


def test_a_name_that_an_unchanged_line_loses_is_an_error_there() -> None:
    before, after = "a = 1\n\n\nprint(a)\n", "\n\n\n\nprint(a)\n"
    old = parse("t.py", before.encode())
    assert isinstance(old, PyFile)
    new = parse("t.py", after.encode(), old)
    assert isinstance(new, PyFile)
    (finding,) = judge_problems(FilePair("t.py", old, new), [], [undefined("a", 5)])
    assert (finding.code, finding.line) == ("PR303", 5)


def test_syntax_that_only_the_linter_refuses_rejects() -> None:
    problem = Problem("invalid-syntax", "Duplicate keyword argument", 1, 1)
    assert [one.code for one in judge_problems(pair("", "x = 1\n"), [], [problem])] == ["PR303"]
    assert [one.code for one in judge_problems(pair("", "x = 1\n"), [], [Problem("E902", "io", 1, 1)])] == [
        "PR303"
    ]


def test_every_fatal_rule_is_among_those_asked_for() -> None:
    assert all(code == "invalid-syntax" or code.startswith(SELECTED) for code in FATAL)
