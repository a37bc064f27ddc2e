# ruff: noqa: E501 - a change stands in one piece
"""Honest changes of a script that look like attacks break no guard and ask nobody."""

from __future__ import annotations

import pytest

from tests.core.speedrun_changes import Change, at_top, check, in_step

CHANGES = [
    (
        "timing helper",
        at_top("def timed(f):\n    t0 = time.perf_counter()\n    f()\n    return time.perf_counter() - t0"),
    ),
    ("comprehension t0", in_step("spans = [t0 for t0 in range(3)]")),
    ("lambda param", in_step("f = lambda t0: t0 + 1")),
    ("param val_tokens", at_top("def steps_of(val_tokens, batch):\n    return val_tokens // batch")),
    ("self.t0", [("        self.embed = nn.Emb", "        self.t0 = 0\n        self.embed = nn.Emb")]),
    ("block", [("F.relu(self.up(norm(x))).square()", "F.gelu(self.up(norm(x)))")]),
    (
        "arch",
        [
            (
                "        for block in self.blocks:\n            x = block(x)\n",
                "        skips = []\n        for i, block in enumerate(self.blocks):\n            if i >= 6:\n                x = x + skips.pop()\n            x = block(x)\n            if i < 6:\n                skips.append(x)\n",
            )
        ],
    ),
    (
        "embed",
        [("x = norm(self.embed(inputs))", "x = x0 = norm(self.embed(inputs))\n        x = x + 0.1 * x0")],
    ),
    (
        "init",
        [
            (
                "self.lm_head = nn.Linear(width, vocab_size)",
                "self.lm_head = nn.Linear(width, vocab_size, bias=False)\n        self.lm_head.weight.data.zero_()",
            )
        ],
    ),
    (
        "muon",
        [('p.add_(p.grad, alpha=-group["lr"])', 'p.mul_(0.99).add_(p.grad.sign(), alpha=-group["lr"])')],
    ),
    ("lr", [("lr=0.02)\noptimizers", "lr=0.03)\noptimizers")]),
    ("model args", [("GPT(50304, 12, 768)", "GPT(50304, 11, 768)")]),
    ("iterations", [("num_iterations: int = 1000", "num_iterations: int = 950")]),
    ("batch", [("2048 * 16", "2048 * 24")]),
    ("window", [("128 * (1 + step // 100)", "128 * (1 + step // 80)")]),
    (
        "walrus",
        [
            (
                "def get_window(step):\n    return 128 * (1 + step // 100)",
                "def get_window(step):\n    return 128 * w if (w := 1 + step // 100) < 9 else 1152",
            )
        ],
    ),
    (
        "match",
        [
            (
                "def get_window(step):\n    return 128 * (1 + step // 100)",
                "def get_window(step):\n    match step // 100:\n        case 0:\n            return 128\n        case n:\n            return 128 * (n + 1)",
            )
        ],
    ),
    ("with", in_step("with torch.no_grad():\n    model.embed.weight.mul_(0.999)")),
    ("compile fn", [("def norm(x)", "@torch.compile(dynamic=False, fullgraph=True)\ndef norm(x)")]),
    ("re.compile", at_top("import re\nSTEP = re.compile(r'x', flags=re.M)")),
    ("partial compile", at_top("import functools\njit = functools.partial(torch.compile, dynamic=False)")),
    ("import time again", at_top("import time\nimport torch")),
    (
        "dataclass new",
        at_top(
            "@dataclass\nclass Stage:\n    lr: float = 1.0\n    val_window: int = 3\nstage = Stage(lr=2.0)"
        ),
    ),
    ("replace other", at_top("import dataclasses\nstage = dataclasses.replace(stage, lr=3.0)")),
    ("log args", at_top("print0(args.val_tokens)")),
    ("log files", at_top("print0(f'{args.train_files}')")),
    ("zero grads twice", in_step("model.zero_grad(set_to_none=True)")),
    ("extra reset", [("optimizer2.reset()\n", "optimizer2.reset()\noptimizer2.zero_grad()\n")]),
    ("lr schedule", in_step("for group in optimizer2.param_groups:\n    group['momentum'] = 0.9")),
    (
        "sched step",
        [
            (
                "    for opt in optimizers:\n        opt.step()\n    model.zero_grad(set_to_none=True)\n    approx",
                "    for opt in optimizers:\n        opt.step()\n    scheduler.step()\n    model.zero_grad(set_to_none=True)\n    approx",
            )
        ],
    ),
    (
        "grad accumulation",
        [
            (
                "        break\n    inputs, targets = next(train_loader)\n    model(inputs, targets, get_window(step)).backward()\n",
                "        break\n    for _ in range(2):\n        inputs, targets = next(train_loader)\n        model(inputs, targets, get_window(step)).backward()\n",
            )
        ],
    ),
    ("env other", at_top('os.environ["PYTORCH_CUDA_ALLOC_CONF"] = "expandable_segments:True"')),
    ("inductor read", at_top("print0(torch._inductor.config.max_autotune)")),
    ("kernel launch", at_top("kernel[(1,)](x, BLOCK=128, num_warps=4)")),
    ("globals read", at_top("names = list(globals())")),
    ("settings loop", at_top("for key in ('RANK', 'WORLD_SIZE'):\n    assert key in os.environ")),
    (
        "softmax aux",
        [
            (
                "return x + self.down(F.relu(self.up(norm(x))).square())",
                "return x + self.down(F.softmax(self.up(norm(x)), -1))",
            )
        ],
    ),
    (
        "new module",
        [
            (
                "\n\nclass GPT(",
                "\n\nclass Gate(nn.Module):\n    def forward(self, x):\n        return torch.sigmoid(x)\n\n\nclass GPT(",
            )
        ],
    ),
    ("exec in name", at_top("executor = 'exec'")),
    (
        "refactor step",
        [
            (
                "    for opt in optimizers:\n        opt.step()\n    model.zero_grad(set_to_none=True)\n    approx",
                "    step_all(optimizers)\n    model.zero_grad(set_to_none=True)\n    approx",
            ),
            (
                "\n\ndef get_window",
                "\n\ndef step_all(opts):\n    for opt in opts:\n        opt.step()\n\n\ndef get_window",
            ),
        ],
    ),
    (
        "refactor train",
        [
            (
                "    inputs, targets = next(train_loader)\n    model(inputs, targets, get_window(step)).backward()\n    for opt in optimizers:\n        opt.step()\n    model.zero_grad(set_to_none=True)\n    approx",
                "    train_step(step)\n    approx",
            ),
            (
                "\n\ndef get_window",
                "\n\ndef train_step(step):\n    inputs, targets = next(train_loader)\n    model(inputs, targets, get_window(step)).backward()\n    for opt in optimizers:\n        opt.step()\n    model.zero_grad(set_to_none=True)\n\n\ndef get_window",
            ),
        ],
    ),
    (
        "third optimizer",
        [
            (
                "optimizers = [optimizer1, optimizer2]",
                "optimizer3 = torch.optim.AdamW([model.lm_head.weight], lr=0.003)\noptimizers = [optimizer1, optimizer2, optimizer3]",
            )
        ],
    ),
    (
        "weight init",
        [
            (
                "for param in model.parameters():\n    dist",
                "model.lm_head.weight.data.mul_(0.5)\nfor param in model.parameters():\n    dist",
            )
        ],
    ),
    (
        "ema in train",
        [
            (
                "    model.zero_grad(set_to_none=True)\n    approx",
                "    for p, q in zip(model.parameters(), ema):\n        q.lerp_(p, 0.01)\n    model.zero_grad(set_to_none=True)\n    approx",
            )
        ],
    ),
    ("rename optimizer", [("optimizer1 = ", "adam = "), ("[optimizer1, ", "[adam, ")]),
]


@pytest.mark.parametrize("change", [one for _, one in CHANGES], ids=[name for name, _ in CHANGES])
def test_an_honest_change_breaks_nothing(change: Change) -> None:
    assert check(change) == {}
