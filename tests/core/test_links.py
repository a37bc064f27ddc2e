"""Which hunks only work together, told from names; the awkward cases as literals."""

from __future__ import annotations

import ast
import difflib

import pytest

from patchrun.core.links import link_hunks
from patchrun.core.pieces import Hunk


def links(before: str, after: str) -> dict[tuple[int, int], str]:
    old, new = before.splitlines(), after.splitlines()
    codes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    hunks = [Hunk("t.py", a, b, c, d) for tag, a, b, c, d in codes if tag != "equal"]
    return link_hunks({"t.py": ast.parse(before)}, {"t.py": ast.parse(after)}, hunks)


MIDDLE = "\nkept = 1\n\n"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("a = 1" + MIDDLE + "b = 2", "a = 3" + MIDDLE + "b = 4", {}),
        ("a = 1" + MIDDLE + "b = 2", "new = 3" + MIDDLE + "b = new", {(0, 1): "brings in new"}),
        (
            "import os" + MIDDLE + "b = 2",
            "import os, sys" + MIDDLE + "b = sys.path",
            {(0, 1): "brings in sys"},
        ),
        ("a = 1" + MIDDLE + "b = old(2)\n", "def f(): pass" + MIDDLE + "b = f()\n", {(0, 1): "brings in f"}),
        ("old = 1" + MIDDLE + "b = old", "a = 1" + MIDDLE + "b = 2", {(0, 1): "takes away old"}),
        # two uses of a name of somebody else's library, bound nowhere
        ("a = 1" + MIDDLE + "b = 2", "a = torch.compile(1)" + MIDDLE + "b = torch.compile(2)", {}),
    ],
    ids=["constants", "assignment", "import", "function", "removal", "library"],
)
def test_modules(before: str, after: str, expected: dict) -> None:
    found = links(before, after)
    assert {pair: found[pair] for pair in expected} == expected and len(found) == len(expected)


METHODS = """
class A:
    def __init__(self):
        {init}

    def other(self):
        return 0

    def forward(self, x):
        {use}
"""


def test_an_attribute_links_the_methods_that_set_and_read_it() -> None:
    before = METHODS.format(init="self.a = 1", use="return x")
    after = METHODS.format(init="self.gain = 2", use="return x * self.gain")
    assert links(before, after) == {(0, 1): "brings in gain"}


def test_a_local_name_links_inside_its_function_only() -> None:
    before = "def f(x):\n    return x\n\nk = 1\n\ndef g(x):\n    return x\n"
    after = "def f(x):\n    y = x\n    return y\n\nk = 1\n\ndef g(x):\n    y = 2 * x\n    return y\n"
    assert links(before, after) == {}
    before = "def f(x):\n    a = 1\n    b = 2\n    return x\n"
    after = "def f(x):\n    y = 1\n    b = 2\n    return x * y\n"
    assert (0, 1) in links(before, after)


def test_a_changed_signature_links_the_calls() -> None:
    before = "def f(x):\n    return x\n\nk = 1\n\na = f(1)\n"
    after = "def f(x, y):\n    return x\n\nk = 1\n\na = f(1, 2)\n"
    assert links(before, after) == {(0, 1): "changes the arguments of f"}
    before = "class A:\n    def __init__(self):\n        pass\n\nk = 1\n\na = A()\n"
    after = before.replace("__init__(self)", "__init__(self, n)").replace("A()", "A(3)")
    assert links(before, after) == {(0, 1): "changes the arguments of A"}


def test_names_link_across_files() -> None:
    hunks = [Hunk("a.py", 0, 1, 0, 1), Hunk("b.py", 0, 1, 0, 1)]
    before = {"a.py": ast.parse("x = 1"), "b.py": ast.parse("y = 1")}
    after = {"a.py": ast.parse("fresh = 1"), "b.py": ast.parse("y = a.fresh")}
    assert link_hunks(before, after, hunks) == {(0, 1): "brings in fresh"}


def test_no_python_no_links() -> None:
    assert link_hunks({}, {}, [Hunk("a.txt", 0, 1, 0, 1), Hunk("b.txt", 0, 1, 0, 1)]) == {}
