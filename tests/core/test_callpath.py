"""Who touches the way from a call of a module to its forward, and who only looks as if."""

from __future__ import annotations

import ast

import pytest

from patchrun.core.callpath import find_modules
from tests.core.test_suspicion import added


@pytest.mark.parametrize(
    "text",
    [
        "torch.nn.modules.module._global_forward_pre_hooks.clear()",
        "from torch.nn.modules.module import _global_forward_pre_hooks as g\ng.clear()",
        "import torch.nn.modules.module as m\ngetattr(m, '_global_forward_pre_hooks').clear()",
        "vars(torch.nn.modules.module)['_global_forward_pre_hooks'].clear()",
        "nn.modules.module.register_module_forward_pre_hook(f)",
        "nn.Module.__call__ = nn.Module.forward",
        "Net.__call__ = lambda self, x: self.forward(x)",
        "type(model).__call__ = f",
        "del Net.__call__",
        "model.__class__ = Other",
        "class A(nn.Module):\n    def __call__(self, x):\n        return self.forward(x)",
        "class A(Net):\n    __call__ = Net.forward",
        "class A(Net):\n    pass\nclass B(A):\n    def __call__(self, x): return 1",
        "class A(nn.Linear):\n    _call_impl = 3",
        "class A(Net):\n    @property\n    def _parameters(self): return {}",
        "A = type('A', (Net,), {'__call__': f})",
        "setattr(nn.Module, '__call__', f)",
        "nn.Module._wrapped_call_impl = x",
        "model._call_impl(1)",
        "object.__setattr__(model, '_parameters', {})",
        "model._parameters['w'] = x",
        "model.__dict__['_buffers'] = {}",
    ],
)
def test_what_touches_it_asks_a_person(text: str):
    assert "PR512" in {finding.code for finding in added(text)}, text


@pytest.mark.parametrize(
    "text",
    [
        "class Schedule:\n    def __call__(self, step):\n        return 1.0",
        "class Muon(torch.optim.Optimizer):\n    def __call__(self):\n        return self.step()",
        "class Opt(Base):\n    def __call__(self): return self.step()",
        "class Meta(type):\n    def __call__(cls, *words): return type.__call__(cls, *words)",
        "class B(nn.Module):\n    def forward(self, x):\n        return super().forward(x)",
        "class C(nn.Module):\n    def forward(self, x):\n        return self.layer(x) if callable(self.layer) else x",
        "print(model.__class__.__name__)",
        "model.register_forward_pre_hook(f)",
        "for part in model.modules(): part.requires_grad_(False)",
        "for name, value in model.named_parameters(): print(name)",
        "kept = list(model.parameters()) + list(model.buffers())",
        "self.register_buffer('mask', x, persistent=False)",
        "parameters, buffers, modules = 1, 2, 3",
        "self.call = model.forward",
    ],
)
def test_honest_code_that_looks_alike_passes(text: str):
    assert not [finding for finding in added(text) if "on that way" in finding.message], text


def test_modules_are_found_through_their_bases():
    text = (
        "class A(nn.Module): pass\nclass B(A): pass\nclass C(object): pass\nclass D(B[int]): pass\n"
        "def f():\n    class E(torch.nn.Linear): pass\nclass F(C): pass\nclass G(pkg.LightningModule): pass"
    )
    assert find_modules(ast.parse(text).body) == {"A", "B", "D", "E", "G"}
