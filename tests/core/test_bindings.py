# ruff: noqa: E501 - a table of code
"""What binds a name: every statement and expression, and what writes into a namespace."""

from __future__ import annotations

import ast

import pytest

from patchrun.core.bindings import find_bindings
from patchrun.core.names import read_aliases


def bindings(text: str) -> list[str]:
    nodes = ast.parse(text).body
    return [one.qualified for one in find_bindings(nodes, read_aliases(nodes))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = b = 1", ["a", "b"]),
        ("a: int = 1", ["a"]),
        ("a += 1", ["a"]),
        ("(a, [b, *c]) = x", ["a", "b", "c"]),
        ("del a", ["a"]),
        ("for a in x: pass", ["a"]),
        ("with x as a: pass", ["a"]),
        ("try: pass\nexcept E as a: pass", ["a"]),
        ("import a.b, c as d\nfrom e import f, g as h\nfrom i import *", ["a", "d", "f", "h", "*"]),
        ("def a(b, /, c, *d, e, **f): pass", ["a", "a.b", "a.c", "a.e", "a.d", "a.f"]),
        ("class A:\n    b = 1\n    def c(self): d = 1", ["A", "A.b", "A.c", "A.c.self", "A.c.d"]),
        ("def f():\n    global a\n    a = 1\n    b = 1", ["f", "a", "f.b"]),
        ("def f():\n    global g\n    def g(): pass", ["f", "g"]),
        ("print(a := 1)", ["a"]),
        ("x = [a for a in b if (c := a)]", ["x", "c"]),
        ("f = lambda a: a", ["f"]),
        (
            "match x:\n    case [a, *b]: pass\n    case {'k': c, **d}: pass\n    case P(e) as g: pass",
            ["a", "b", "d", "c", "g", "e"],
        ),
        ("A.b = 1", ["A.b"]),
        ("import m as n\nn.b.c = 1", ["n", "m.b.c"]),
        ("f(x).b = 1", ["?.b"]),
        ("setattr(A, 'b', 1)\ndelattr(f(), 'c')", ["A.b", "?.c"]),
        ("globals()['a'] = 1", ["a"]),
        ("import sys\nsys.modules[__name__].a = 1", ["sys", "__main__.a"]),
        ("A.__dict__['b'] = 1", ["A.b"]),
        ("@x.setter\ndef y(self): pass", ["y", "y.self"]),
    ],
)
def test_bindings(text: str, expected: list[str]) -> None:
    assert sorted(bindings(text)) == sorted(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(a := 1)", ["a"]),
        ("_ = lambda x=(a := 1): x", ["_", "a"]),
        ("f = lambda: (a := 1)", ["f", "<lambda>.a"]),
        ("def f(x=(a := 1)) -> (b := 2): ...", ["f", "f.x", "a", "b"]),
        ("def f(x: (a := 1)): ...", ["f", "f.x", "a"]),
        ("@(a := f)\ndef g(): ...", ["g", "a"]),
        ("class A((a := B), m=(b := C)): ...", ["A", "a", "b"]),
        ("class A:\n    x = (a := 1)", ["A", "A.x", "A.a"]),
        ("f'{(a := 1)}'", ["a"]),
        ("x: (a := 1) = 2", ["x", "a"]),
        ("[x for x in b if (a := x)]", ["a"]),
        ("[0 for A.b in x]", ["A.b"]),
        ("{0: 1 for (x, A.b) in y}", ["A.b"]),
        ("for A.b, (c, *d) in x: e = 1", ["A.b", "c", "d", "e"]),
        ("async def f():\n    async for a in x: ...\n    async with y as b: ...", ["f", "f.a", "f.b"]),
        ("with x as (a, [b]), y as c: ...", ["a", "b", "c"]),
        ("try: ...\nexcept* E as a: ...", ["a"]),
        ("match x:\n    case (1 as a) | (2 as a): ...", ["a", "a"]),
        ("def f():\n    a = 1\n    def g():\n        nonlocal a\n        a = 2", ["f", "f.a", "f.g", "f.a"]),
        ("class A:\n    global a\n    a = 1", ["A", "a"]),
        ("def f():\n    a = 1\n    def g():\n        global a", ["f", "f.a", "f.g"]),
        ("def f():\n    global a\n    import b as a\n    for a in x: ...", ["f", "a", "a"]),
        ("exec('a = 1\\nfor b in x: pass')", ["a", "b"]),
        ("exec('a' + ' = 1')", ["a"]),
        ("exec('a = ' + str(x))", ["a"]),
        ("exec(compile('a = 1', '', 'exec'))", ["a"]),
        ("eval('(a := 1)')", ["a"]),
        ("exec(')')\nexec(x)", []),
    ],
)
def test_forms_that_hide_a_binding(text: str, expected: list[str]) -> None:
    assert sorted(bindings(text)) == sorted(expected)


@pytest.mark.parametrize(
    "text",
    [
        "globals().update(a=1)", "globals().update({'a': 1})", "globals().update([('a', 1)])", "vars().update(dict(a=1))",
        "globals().setdefault('a', 1)", "globals().__setitem__('a', 1)", "globals().pop('a')", "locals()['a'] = 1",
        "globals()['a' + ''] = 1", "globals()[f\"{'a'}\"] = 1", "del globals()['a']", "globals().__ior__({'a': 1})",
        "import operator\noperator.setitem(globals(), 'a', 1)", "dict.update(globals(), a=1)",
        "dict.__setitem__(globals(), 'a', 1)", "f.__globals__['a'] = 1", "(lambda: 0).__globals__.update(a=1)",
        "import sys\nsys._getframe().f_globals['a'] = 1", "with x as globals()['a']: ...", "[0 for globals()['a'] in x]",
        "getattr(f, '__globals__')['a'] = 1", "f = lambda: globals().update(a=1)",
    ],
)  # fmt: skip
def test_writes_into_the_modules_namespace(text: str) -> None:
    assert "a" in bindings(text)


@pytest.mark.parametrize(
    "text",
    [
        "setattr(A, 'b', 1)", "setattr(A, 'b' + '', 1)", "object.__setattr__(A, 'b', 1)", "type.__setattr__(A, 'b', 1)",
        "A.__setattr__('b', 1)", "A.__setattr__(A, 'b', 1)", "vars(A)['b'] = 1", "vars(A).update(b=1)",
        "A.__dict__.update({'b': 1})", "A.__dict__ |= {'b': 1}", "from functools import partial\npartial(setattr, A, 'b')(1)",
        "for A.b in x: ...", "del A.b", "A.b += 1", "x, A.b = y", "with x as A.b: ...", "import builtins\nbuiltins.setattr(A, 'b', 1)",
    ],
)  # fmt: skip
def test_writes_to_an_attribute(text: str) -> None:
    assert "A.b" in bindings(text)


def test_a_namespace_under_another_name() -> None:
    assert set(bindings("g = globals()\ng['a'] = 1\ng |= {'b': 1}\ng.update(c=1)")) == {"g", "a", "b", "c"}


@pytest.mark.parametrize(
    "text",
    [
        "x['a'] = 1", "x.update(a=1)", "f(a=1)", "globals()['b']", "print('a')", "getattr(x, 'a')", "vars(x).get('a')",
        "lambda a: a", "[a for a in x]", "{a: a for a in x}", "x.a", "x == {'a': 1}", "dict(a=1)", "x |= {'a': 1}",
    ],
)  # fmt: skip
def test_what_binds_no_such_name(text: str) -> None:
    assert "a" not in bindings(text)


def test_type_parameters_live_in_their_definition() -> None:
    class TypeVar(ast.AST):
        _fields = ("name", "bound")

    tree = ast.parse("def f(): ...\nclass A: ...")
    for node in tree.body:
        parameter = TypeVar(name="T", bound=None)
        parameter.lineno = 1
        node.type_params = [parameter]
        node._fields = (*node._fields, "type_params")
    assert [one.qualified for one in find_bindings(tree.body, {})] == ["f", "f.T", "A", "A.T"]


def test_a_long_sum_and_a_deep_nest_exhaust_nothing() -> None:
    deep = ast.parse("a = " + "+".join("x" * 1) + "+x" * 2000)
    assert [one.name for one in find_bindings(deep.body, {})] == ["a"]


def test_where_a_local_is_seen() -> None:
    body = ast.parse("a = 1\ndef f(b):\n    c = 1\nclass A:\n    d = 1").body
    assert [one.name for one in find_bindings(body, {}) if one.is_local] == ["b", "c"]
