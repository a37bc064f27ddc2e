"""Dotted names through aliases and disguises, and what binds a name."""

from __future__ import annotations

import ast

import pytest

from patchrun.core.names import find_uses, imported_modules, is_within, read_aliases, resolve


def uses(text: str) -> set[tuple[str, str]]:
    nodes = ast.parse(text).body
    return {(use.kind, use.name) for use in find_uses(nodes, read_aliases(nodes))}


def names(text: str) -> set[str]:
    return {name for _, name in uses(text)}


DISGUISES = [
    "import os\nos.system('x')",
    "import os as o\no.system('x')",
    "from os import system\nsystem('x')",
    "from os import system as s\ns('x')",
    "import os.path\nos.system('x')",
    "import posix\nposix.system('x')",
    "import os\no = os\no.system('x')",
    "import os\no = p = os\no.system('x')",
    "import os\nf = os.system\nf('x')",
    "__import__('os').system('x')",
    "import builtins\nbuiltins.__import__('os').system('x')",
    "import importlib\nimportlib.import_module('os').system('x')",
    "from importlib import import_module as load\nload('os').system('x')",
    "load = __import__\nload('os').system('x')",
    "import os\ngetattr(os, 'system')('x')",
    "import os\ng = getattr\ng(os, 'system')('x')",
    "import os\nvars(os)['system']('x')",
    "import os\nos.__dict__['system']('x')",
    "import sys\nsys.modules['os'].system('x')",
    "import os\n(o := os).system('x')",
    "def f():\n    import os as o\n    return o.system",
    "if True:\n    import os as o\nprint(o.system)",
    "import os\nx = [lambda: os.system('x')]",
    "import os\nf(1, key=os.system)",
    "import os\n@os.system\ndef f(): ...",
    "import os\nclass A(os.system): ...",
    "import os\ndef f(x=os.system): ...",
    "import os\nf'{os.system(1)}'",
    "try:\n    import os\nexcept ImportError:\n    pass\nos.system",
    "from os import *\nos.system",
    "__builtins__['__import__']('os').system('x')",
    "globals()['__builtins__']['__import__']('os').system",
    "import os\nos.ｓｙｓｔｅｍ('x')",
    "import torch\ntorch.os.system('x')",
    "from torch import os\nos.system('x')",
    "from torch import os as o\no.system('x')",
    "import numpy as np\np = np.os\np.system('x')",
    "import os\nos.sys.modules['os'].system('x')",
]


@pytest.mark.parametrize("text", DISGUISES)
def test_a_name_is_seen_through_aliases_and_disguises(text: str) -> None:
    assert "os.system" in names(text)


@pytest.mark.parametrize("text", ["import os\nos.getcwd()", "system('x')", "self.os.system('x')", "os.system('x')",
                                  "model.eval()", "'os.system'", "# os.system"])  # fmt: skip
def test_other_things_of_that_name_are_not_it(text: str) -> None:
    assert "os.system" not in names(text)
    assert "eval" not in names(text)


def test_the_longest_name_is_reported_once() -> None:
    assert uses("import torch\ntorch.nn.functional.relu(x)") == {
        ("import", "torch"),
        ("call", "torch.nn.functional.relu"),
    }


def test_kinds_of_use() -> None:
    text = "import os, torch as t\nt.a.b = 1\ndel t.c\nos.environ['X'] = y\nsetattr(t, 'd', 1)\nt.e += 1\n"
    text += "print(t.f)\nt.g()"
    assert uses(text) >= {
        ("write", "torch.a.b"),
        ("write", "torch.c"),
        ("write", "os.environ"),
        ("write", "torch.d"),
        ("write", "torch.e"),
        ("read", "torch.f"),
        ("call", "torch.g"),
        ("call", "print"),
    }


def test_arguments_inside_a_long_chain_are_looked_into() -> None:
    assert {"open", "os.fork"} <= names("import os\nfoo(open('x')).bar[os.fork()].baz(1).qux = 2")


def test_a_plain_assignment_to_a_name_is_not_a_use() -> None:
    assert uses("from os import system\nsystem = None") == {("import", "os.system")}


def test_relative_and_star_imports_have_names() -> None:
    assert names("from . import a\nfrom .b import c\nfrom os import *") >= {"a", "b.c", "os.*"}


@pytest.mark.parametrize(
    ("name", "rule", "within"),
    [
        ("os.system", "os.system", True),
        ("os.system.x", "os.system", True),
        ("os.systemd", "os.system", False),
        ("os", "os.system", False),
        ("subprocess.run", "subprocess", True),
        ("os.*", "os.system", True),
        ("os.*", "osx.system", False),
    ],
)
def test_a_rule_covers_what_lies_below_it(name: str, rule: str, within: bool) -> None:
    assert is_within(name, rule) is within


def test_modules_that_are_imported() -> None:
    text = "import a.b as c, d\nfrom e.f import g\n"
    text += "def h():\n    try:\n        import i\n    finally:\n        from . import j"
    assert imported_modules(ast.parse(text).body) == {"a.b", "d", "e.f", "i"}


def test_expressions_that_are_no_name() -> None:
    for text in ("1", "f(x)", "x[0]", "a + b", "lambda: 0", "getattr(x, y)", "vars(x)[y]"):
        assert resolve(ast.parse(text, mode="eval").body, {}) is None
