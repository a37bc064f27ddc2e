"""Which code runs in an optimizer's step only."""

from __future__ import annotations

import ast

import pytest

from patchrun.core.names import read_aliases
from patchrun.core.stepping import StepCode

HEAD = "import functools\nimport torch\nfrom torch import nn\nfrom torch.optim import Optimizer\n"
CLASS = (
    "class Own(Optimizer):\n    def __init__(self, p):\n        {init}\n    def step(self):\n        {step}\n"
)


def in_step(code: str) -> bool:
    """Whether every ``MARK`` of the code runs in the step only."""
    body = ast.parse(HEAD + code).body
    stepping = StepCode(body, read_aliases(body))
    marks = [one for part in body for one in ast.walk(part) if isinstance(one, ast.Name) and one.id == "MARK"]
    assert marks
    return all(stepping.holds(mark) for mark in marks)


def own(step: str = "pass", init: str = "pass") -> str:
    return CLASS.format(step=step, init=init)


@pytest.mark.parametrize(
    "code",
    [
        own("MARK"),
        own("f(1)") + "def f(x): MARK",
        own("f(1)") + "def g(x): MARK\ndef f(x): return g(x)",
        own("map(f, [1])") + "def f(x): MARK",
        own("fast(1)") + "def f(x): MARK\nfast = torch.compile(f)",
        own("fast(1)") + "def f(x, n): MARK\nfast = functools.partial(f, n=5)",
        own("f(1)") + "@torch.compile\ndef f(x): MARK",
        own("f(1)") + "f = lambda x: MARK",
        own("pass") + "class More(Own):\n    def step(self): MARK",
        "class A(torch.optim.AdamW):\n    def step(self): MARK",
        "class F(torch.autograd.Function):\n    def backward(ctx, g): MARK",
        "def main(p):\n    MARK(p.grad)",
        "def main(p):\n    p.grad = f(p.grad)\ndef f(x): MARK",
        "def main(p):\n    p.register_post_accumulate_grad_hook(f)\ndef f(p): MARK",
        own("return {'f': f}['f'](1)") + "def f(x): MARK",
    ],
)
def test_it_does(code: str) -> None:
    assert in_step(code)


@pytest.mark.parametrize(
    "code",
    [
        "MARK",
        "def f(x): MARK",
        "def f(x): g(x)\ndef g(x): f(x); MARK",
        "def main():\n    MARK(table)",
        own(init="MARK"),
        own("f(1)", "f(2)") + "def f(x): MARK",
        own("f(1)") + "def f(x): MARK\nf(table)",
        own("f(1)") + "def f(x): MARK\ndef build_model(): return f(table)",
        own("f(1)") + "def f(x): MARK\nfast = torch.compile(f)\nfast(table)",
        own("f(1)") + "def f(x): MARK\nTABLE = apply(f, table)",
        own("f(1)") + "def f(x): MARK\ndef g(): return f\ndef main(): g()(table)",
        "class Net(nn.Module):\n    def __init__(self): MARK",
        "class Own:\n    def step(self): MARK",
        "class Optimizer:\n    pass\nclass Own(nn.Module, Optimizer):\n    def forward(self): MARK",
        own("f(1)") + "def f(x=MARK): pass\nf()",
    ],
)
def test_it_does_not(code: str) -> None:
    assert not in_step(code)


def test_an_import_belongs_to_the_step_where_all_that_it_binds_does() -> None:
    for code, inside in ((own("svd(1)"), True), (own("svd(1)") + "svd(2)", False), ("", False)):
        body = ast.parse(f"from torch.linalg import svd\n{HEAD}{code}").body
        assert StepCode(body, read_aliases(body)).holds(body[0]) == inside
