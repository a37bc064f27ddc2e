# ruff: noqa: E501 - a spelling stands in one line
"""Operators of array libraries, by whatever name they are reached."""

from __future__ import annotations

import ast

import pytest

from patchrun.core.operators import find_operators, operators_of, plain_name


def reached(code: str) -> set[str]:
    return {use.name for use in find_operators(list(ast.walk(ast.parse(code))), {"svd", "bincount"})}


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("svd", "svd"), ("torch.svd", "svd"), ("torch.linalg.svd", "svd"), ("linalg_svd", "svd"), ("_linalg_svd", "svd"),
        ("aten::linalg_svd", "svd"), ("aten::svd.U", "svd"), ("linalg_svd.default", "svd"), ("svd_out", "svd"),
        ("index_add_", "index_add"), ("svd_lowrank", "svd_lowrank"), ("svdvals", "svdvals"), ("", ""), ("__", ""),
    ],
)  # fmt: skip
def test_an_operators_own_name(name: str, plain: str) -> None:
    assert plain_name(name) == plain


def test_only_names_of_array_libraries_are_operators() -> None:
    rules = ["subprocess", "os.system", "torch.linalg.svd", "numpy.bincount", "socket"]
    assert operators_of(rules) == {"svd": "torch.linalg.svd", "bincount": "numpy.bincount"}


@pytest.mark.parametrize(
    "code",
    [
        "x.svd()", "torch.Tensor.svd(x)", "torch.linalg.svd(x)", "torch.ops.aten.linalg_svd(x)",
        "torch.ops.aten.linalg_svd.default(x)", "torch._C._linalg.linalg_svd(x)", "torch._VF.svd(x)", "f = x.svd",
        "list(map(torch.Tensor.svd, xs))", "functools.partial(torch.Tensor.svd, x)", "L.svd(x)", "np.linalg.svd(x)",
        "scipy.linalg.svd(x)", "getattr(x, 'svd')()", "getattr(x, 's' + 'vd')()", "getattr(x, 'dvs'[::-1])()",
        "n = 'svd'\ngetattr(x, n)()", "methodcaller('svd')(x)", "operator.attrgetter('linalg.svd')(torch)(x)",
        "torch.linalg.__dict__['svd'](x)", "vars(torch)['svd'](x)", "vars(torch.linalg)['s' 'vd'](x)",
        "torch._C._jit_get_operation('aten::linalg_svd')", "torch.ops.aten.__getattr__('svd')(x)",
        "object.__getattribute__(x, 'svd')()", "for n in ['svd']:\n    getattr(x, n)()",
        "match torch.linalg:\n    case object(svd=f):\n        f(x)", "from torch.linalg import svd as f",
        "from torch._VF import svd", "class T(torch.Tensor):\n    def f(self):\n        return self.svd()",
        "class T(torch.Tensor):\n    def svd(self):\n        return super().svd()", "x.\U0001d42c\U0001d42f\U0001d41d()",
        "torch.__dict__.get('svd')(x)", "inspect.getattr_static(torch, 'svd')", "d = {'a': 'svd'}\ngetattr(x, d['a'])()",
        "def f(x, n='svd'):\n    return getattr(x, n)()", "torch.linalg.svd.__call__(x)",
    ],
)  # fmt: skip
def test_every_way_to_reach_it(code: str) -> None:
    assert reached(code) == {".svd"}


@pytest.mark.parametrize(
    "code",
    [
        "x.svdvals()", "svd = 1\nprint(svd)", "def svd(x): ...\nsvd(x)", "print('svd')", "options = {'svd': 1}",
        "seconds['svd'] += 1", "x.svd = 1", "# svd", "parser.add_argument('--svd')", "getattr(x, 'grad')",
        "class P:\n    def svd(self):\n        return 1\n    def go(self):\n        return self.svd()",
        "getattr(x, name)", "NAME = 'svd'", "f(svd=True)", "x.usvd()", "'svd' in names", "names.index('svd')",
        "print(f'svd of {x}')",
    ],
)  # fmt: skip
def test_what_only_has_its_name(code: str) -> None:
    assert reached(code) == set()
