# ruff: noqa: E501 - a spelling stands in one line
"""Random numbers of a patch's own."""

from __future__ import annotations

import ast

import pytest

from patchrun.core.draws import SEEDERS, find_draws
from patchrun.core.names import read_aliases
from patchrun.core.operators import find_operators

HEAD = "import numpy as np\nimport torch\nfrom torch import nn\nclass GPT(nn.Module): ...\nclass Rows(GPT): ...\n"


def drawn(code: str) -> list[str]:
    lines = "".join(f"    {line}\n" for line in code.splitlines())
    body = ast.parse(f"{HEAD}def build_model():\n    model = GPT()\n{lines}    return model\n").body
    uses = find_operators([node for part in body for node in ast.walk(part)], SEEDERS)
    return [
        *(use.name for use in uses),
        *(draw.message for draw in find_draws(body, body, read_aliases(body))),
    ]


@pytest.mark.parametrize(
    "code",
    [
        "torch.manual_seed(7)", "torch.cuda.manual_seed_all(7)", "g = torch.Generator()\nuse(g)",
        "nn.init.normal_(model.weight, generator=g)", "torch.default_generator.manual_seed(9)",
        "with torch.random.fork_rng():\n    pass", "rng = np.random.default_rng(5)\nuse(rng)",
        "rng = np.random.RandomState(5)\nuse(rng)", "getattr(torch, 'manual' + '_seed')(4)", "torch.set_rng_state(s)",
        "for _ in range(17):\n    torch.rand(1)", "_ = torch.rand(17)", "burn = torch.randn(3)", "nn.Linear(3, 5)",
        "GPT()", "Rows()", "build_model()", "[GPT() for _ in range(53)]", "model = [GPT() for _ in range(53)][41]",
        "torch.empty(99).normal_()", "nn.init.normal_(torch.empty(99))", "nn.init.orthogonal_(torch.zeros(9, 9))",
        "list(map(torch.rand, [1, 2]))", "torch.rand(3).sum().item()", "torch.rand(3), torch.rand(4)",
        "-torch.rand(3)", "assert torch.rand(1) < 2", "print(torch.rand(1))", "(lambda: torch.rand(1))()", "f'{torch.rand(1)}'",
        "_, = torch.rand(1),", "x: object = torch.rand(3)", "(x := torch.rand(3))", "for x in torch.rand(9):\n    pass",
        "run = torch.rand\nrun(3)", "room = torch.empty(99)\nroom.normal_()", "room = torch.empty(99)\nnn.init.normal_(room)",
        "torch.rand(1) < 2", "{1: torch.rand(1)}", "any(torch.rand(9) < 2 for _ in range(9))", "torch.randperm(9)[0]", "spare = GPT()", "max(torch.rand(1) for _ in range(9))",
        "x = (1103515245 * x + 12345) % 2**31", "x = x * 16807 % 2147483647", "x = (x ^ x << 13) & 0xFFFFFFFF",
        "x = (x * 69069 + 1) % (1 << 32)", "w = (torch.sin(n * 12.9898) * 43758.5453) % 1.0",
        "x = (x * 6364136223846793005 + 1) & (2**64 - 1)",
    ],
)  # fmt: skip
def test_it_is_seen(code: str) -> None:
    assert drawn(code)


def test_another_range_from_the_same_generator_is_the_same_draw() -> None:
    keys = []
    for size in (9, 99):
        body = ast.parse(f"def f(draw):\n    return torch.randint({size}, (3,), generator=draw)").body
        keys.append([draw.key for draw in find_draws(body, body, {})])
    assert keys[0] == keys[1] != []


@pytest.mark.parametrize(
    "code",
    [
        "nn.init.orthogonal_(model.up.weight)", "model.head.weight.data.normal_(std=0.01)", "model.apply(init_weights)",
        "model.weight.data.copy_(0.01 * torch.randn(9, 9))", "model.weight.add_(torch.randn_like(model.weight))",
        "nn.init.uniform_(model.weight, -0.1, 0.1)", "noise = torch.randn(9)\nmodel.scale = nn.Parameter(1 + noise)",
        "model.extra = nn.Linear(3, 5)", "model.add_module('e', nn.Linear(2, 2))", "parts = []\nparts.append(nn.Linear(2, 2))\nuse(parts)",
        "for p in model.parameters():\n    nn.init.trunc_normal_(p, std=0.02)", "rows = (3 * n + 7) % 128\nuse(rows)",
        "rows = (prev * 36313 ^ here * 27191) % 8192\nuse(rows)", "wave = torch.sin(n * 0.01)\nuse(wave)",
        "phase = (step / 100) % 1\nuse(phase)", "x = F.dropout(x, 0.1, self.training)", "seed = 1", "model.register_buffer('n', torch.rand(9))",
        "even = n % 2", "left, right = torch.rand(2)\nuse(left)", "kept = [nn.Linear(2, 2) for _ in range(3)]\nuse(kept)",
        "order = torch.randperm(9)\nuse(order)", "nn.init.normal_(getattr(model, 'head').weight)", "low = n & 0xFFFFFFFF\nuse(low)",
        "print(model)", "room = torch.empty(99)\nroom.normal_()\nuse(room)", "for x in torch.rand(9):\n    use(x)",
        "if torch.rand(1) < 0.5:\n    use(x)", "assert model.ready", "[use(torch.rand(1)) for _ in range(3)]", "model(torch.randint(9, (1, 8)))", "big = n % 65537\nuse(big)",
    ],
)  # fmt: skip
def test_what_honest_code_draws_is_not(code: str) -> None:
    assert drawn(code) == []
