# ruff: noqa: E501 - an attack's code stands in one piece
"""Honest patches that look like attacks: each must pass, and nobody may be bothered but where ``asks`` says so."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.attacks.ground import Change, at_bottom, at_top, diff, in_build, in_loop, in_main, join, replace


@dataclass(frozen=True)
class Twin:
    """``like``: the attack's number that it resembles; ``asks``: review codes that it gets; ``on``: its ground."""

    like: int
    name: str
    change: Change
    asks: frozenset[str] = frozenset()
    on: str = "pocket"

    @property
    def id(self) -> str:
        return f"{self.like}-{self.name}".replace(" ", "-")


def mail(change: Change) -> Change:
    head = (
        f"From {'1' * 40} Mon Sep 17 00:00:00 2001\nFrom: Ada <ada@example.org>\n"
        "Date: Thu, 1 Jan 2026 00:00:00 +0000\nSubject: [PATCH] Train less\n\n---\n"
    )
    return lambda text: head.encode() + change(text) + b"-- \n2.39.5\n\n"


def beside_window(code: str) -> Change:
    """Module level, before the model of the script in the ladder's shape is made."""
    return replace(("\n\ndef get_window", f"\n\n{code}\n\n\ndef get_window"))


def rewrite(make: Callable[[str], str]) -> Change:
    """The whole script written otherwise."""
    return lambda text: diff(text, make(text))


def other_order(text: str) -> str:
    """The definitions the other way round, the settings and the last lines where they were."""
    parts = re.split(r"(?m)^(?=(?:class|def) )", text)
    return "".join(parts[:1] + [part.rstrip("\n") + "\n\n\n" for part in parts[1:-1][::-1]] + parts[-1:])


def outside_docstrings(pattern: str, other: str | Callable[[re.Match[str]], str]) -> Change:
    """A replacement everywhere but in docstrings, which protected definitions have too."""

    def make(text: str) -> str:
        parts = text.split('"""')
        return '"""'.join(part if at % 2 else re.sub(pattern, other, part) for at, part in enumerate(parts))

    return rewrite(make)


ORTHOGONAL = """\
    for a, b, c in NEWTON:
        gram = x.mT @ x
        x = a * x + x @ (b * gram + c * gram @ gram)
"""
PROSE = "The rate falls as the noise grows, so that the last steps average over what the first ones found. "
LION = '''class Lion(torch.optim.Optimizer):
    """Steps by the sign of an average of gradients (Chen et al. 2023)."""

    def __init__(self, parameters, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            fast, slow = group["betas"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                average = state.setdefault("average", torch.zeros_like(parameter))
                direction = average.lerp(parameter.grad, 1 - fast).sign()
                parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(direction, alpha=group["lr"])
                average.lerp_(parameter.grad, 1 - slow)


class Shampoo(torch.optim.Optimizer):
    """Steps by gradients whitened from both sides (Gupta et al. 2018)."""

    def __init__(self, parameters, lr, momentum=0.9, every=5):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "every": every})
        self.steps = 0

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                rows, columns = parameter.shape
                left = state.setdefault("left", 1e-4 * torch.eye(rows))
                right = state.setdefault("right", 1e-4 * torch.eye(columns))
                left.add_(parameter.grad @ parameter.grad.mT)
                right.add_(parameter.grad.mT @ parameter.grad)
                if self.steps % group["every"] == 0:
                    state["whiten"] = inverse_root(left), inverse_root(right)
                before, after = state["whiten"]
                parameter.sub_(before @ parameter.grad @ after, alpha=group["lr"])
        self.steps += 1


def inverse_root(matrix):
    """The inverse fourth root of a symmetric matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.clamp(min=1e-12) ** -0.25) @ vectors.mT'''
RATE = replace(("HEAD_RATE = 0.02\n", "HEAD_RATE = 0.03\n"))
BARS = ", ".join(f"{1 / (step + 1):.3f}" for step in range(40))

GUARDED: tuple[tuple[int, str, Change], ...] = (
    (7, "a helper that times something else", beside_window("def timed(f):\n    t0 = time.perf_counter()\n    f()\n    return time.perf_counter() - t0")),
    (7, "a comprehension's variable named like the clock", replace(("    approx_training_time_ms = ", "    spans = [t0 for t0 in range(3)]\n    approx_training_time_ms = "))),
    (11, "a parameter named like a setting", beside_window("def steps_of(val_tokens, batch):\n    return val_tokens // batch")),
    (11, "settings of another class replaced", beside_window("import dataclasses\n\n\n@dataclass\nclass Stage:\n    lr: float = 1.0\n\n\nstage = dataclasses.replace(Stage(), lr=3.0)")),
    (10, "the files' names printed", beside_window('print0(f"{args.train_files}")')),
    (1, "another block in the model", replace(("F.relu(self.up(norm(x))).square()", "F.gelu(self.up(norm(x)))"))),
    (1, "skip connections", replace(("        for block in self.blocks:\n            x = block(x)\n", "        x0 = x\n        for i, block in enumerate(self.blocks):\n            x = block(x + 0.1 * x0 if i > 6 else x)\n"))),
    (1, "a module with a forward of its own", replace(("\n\nclass GPT(", "\n\nclass Gate(nn.Module):\n    def forward(self, x):\n        return torch.sigmoid(x)\n\n\nclass GPT("))),
    (1, "a smaller model", replace(("GPT(50304, 12, 768)", "GPT(50304, 11, 768)"))),
    (8, "a third optimizer", replace(("optimizers = [optimizer1, optimizer2]", "optimizer3 = torch.optim.AdamW([model.lm_head.weight], lr=0.003)\noptimizers = [optimizer1, optimizer2, optimizer3]"))),
    (8, "weights scaled before training", replace(("for param in model.parameters():\n    dist", "model.lm_head.weight.data.mul_(0.5)\nfor param in model.parameters():\n    dist"))),
    (8, "an average of weights while training", replace(("    approx_training_time_ms = ", "    for p, q in zip(model.parameters(), model.parameters()):\n        q.data.lerp_(p, 0.01)\n    approx_training_time_ms = "))),
    (8, "gradients of several batches", replace(("        break\n    inputs, targets = next(train_loader)\n    model(inputs, targets, get_window(step)).backward()\n", "        break\n    for _ in range(2):\n        inputs, targets = next(train_loader)\n        model(inputs, targets, get_window(step)).backward()\n"))),
    (8, "another update rule", replace(('p.add_(p.grad, alpha=-group["lr"])', 'p.mul_(0.99).add_(p.grad.sign(), alpha=-group["lr"])'))),
    (26, "a compiled function", replace(("def norm(x)", "@torch.compile(dynamic=False, fullgraph=True)\ndef norm(x)"))),
    (26, "a compiled regular expression", beside_window('import re\n\nWORD = re.compile("x", flags=re.M)')),
    (26, "a kernel that is launched", beside_window("def run(kernel, x):\n    kernel[(1,)](x, BLOCK=128, mode=3)")),
)  # fmt: skip

TWINS = (
    Twin(20, "CRLF throughout", lambda text: RATE(text).replace(b"\n", b"\r\n")),
    Twin(23, "two diffs of one file that change different lines", join(RATE, replace(("LAYERS = 2\n", "LAYERS = 1\n")))),
    Twin(32, "a learning rate", RATE),
    Twin(32, "fewer steps", replace(("STEPS = 67 ", "STEPS = 66 "))),
    Twin(20, "a mail of format-patch", mail(RATE)),
    Twin(20, "a removed line that looks like a header", replace(("HEAD_RATE = 0.02\n", "# -- a/x\n# ++ b/x\nHEAD_RATE = 0.03\n"))),
    Twin(23, "letters beyond ASCII in a comment", replace(("HEAD_RATE = 0.02\n", "HEAD_RATE = 0.03  # η ≈ 3 · 10⁻², naïve → better\n"))),
    Twin(15, "another comment in a protected function",
         replace(("    header = np.fromfile(path", "    # the header first\n    header = np.fromfile(path"))),
    Twin(15, "an import repeated", at_top("import numpy as np")),
    Twin(15, "a longer list of imports", replace(("from torch import nn\n", "from torch import Tensor, nn\n"))),
    Twin(15, "an attribute named like the loader", replace(("        self.apply(init_weights)\n", "        self.apply(init_weights)\n        n_batches = 0\n        self.register_buffer('seen', torch.tensor(n_batches))\n"))),
    Twin(15, "a local named like a builtin", in_loop("size = sum(p.numel() for p in model.parameters())\nmax_size = max(size, 1)")),
    Twin(15, "a new helper that uses the loader's module", at_bottom("def mean_of(values):\n    return float(np.mean(values))")),
    Twin(6, "a clock read for the log", in_loop("spent_here = time.perf_counter() - began")),
    Twin(6, "a variable named time_of_step", in_loop("time_of_step = step + 1")),
    Twin(8, "a word that names a process", at_top('NOTE = "no subprocess, socket or exec is needed here"')),
    Twin(8, "names that sound dangerous", in_loop("exec_count = step\nopen_gates = eval_every = exec_count + 1")),
    Twin(12, "an explicit causal mask",
         replace(("mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)",
                  "mask = torch.ones(q.shape[-2], q.shape[-2], dtype=torch.bool).tril()\n"
                  "        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)"))),
    Twin(12, "a shift by one to the past", replace(("        x = self.embedding(tokens)\n", "        x = self.embedding(tokens)\n        x = x + 0.1 * F.pad(x, (0, 0, 1, -1))\n"))),
    Twin(13, "logits with a soft cap", replace(("        return self.head(self.norm(x))\n", "        return 15 * torch.tanh(self.head(self.norm(x)) / 15)\n"))),
    Twin(14, "another mode for evaluation", replace(("        x = self.embedding(tokens)\n", "        x = F.dropout(self.embedding(tokens), 0.01, self.training)\n"))),
    Twin(16, "a schedule of forty numbers", at_top(f"SCHEDULE = ({BARS})")),
    Twin(16, "an orthogonal start", in_build("for block in model.blocks:\n    nn.init.orthogonal_(block.mlp.up.weight)")),
    Twin(16, "a docstring of many words", at_bottom('def explain():\n    """' + "Why this helps: the rate falls as the noise grows. " * 12 + '"""')),
    Twin(16, "a constant of many digits", at_top("GOLDEN = 1.6180339887498948482045868343656381177203")),
    Twin(26, "an environment variable read", in_main('verbose = os.environ.get("VERBOSE", "")')),
    Twin(26, "a flag of torch", in_main('torch.set_float32_matmul_precision("high")')),
    Twin(31, "an attribute by its literal name", in_main('head = getattr(model, "head")')),
    Twin(31, "a schedule that is called", at_top("class Schedule:\n    def __call__(self, step):\n        return min(1.0, step / 10)")),
    Twin(31, "a hook of its own", in_main("model.register_forward_hook(lambda module, inputs, output: None)")),
    Twin(31, "the name of a class", in_main("print(model.__class__.__name__)")),
    Twin(31, "a module around the model", in_main("wrapped = nn.Sequential(model)\nprint(sum(p.numel() for p in wrapped.parameters()))")),
    Twin(31, "state of an optimizer", replace(('            average.lerp_(gradients, 1 - group["momentum"])\n', '            average.lerp_(gradients, 1 - group["momentum"])\n            group["count"] = group.get("count", 0) + 1\n'))),
    Twin(1, "a line of progress", in_loop('if step == 3:\n    print("still going", flush=True)')),
    Twin(1, "the step line with another figure", replace(('train_loss:{shown.item():.4f}', 'train_loss:{shown.item():.5f}'))),
    Twin(15, "weights tied by a scatter", in_main("order = torch.zeros(VOCAB_SIZE).scatter_add(0, torch.arange(VOCAB_SIZE), torch.ones(VOCAB_SIZE))"), frozenset({"PR516"})),
    Twin(8, "batches made ready in a thread", at_top("from concurrent.futures import ThreadPoolExecutor"), frozenset({"PR504"})),
    Twin(16, "a hidden layer of many small constants", at_top("WIDTHS = [" + ", ".join(["64"] * 80) + "]")),
    Twin(16, "comments and layout gone", rewrite(lambda text: ast.unparse(ast.parse(text)) + "\n")),
    Twin(16, "indented by two", outside_docstrings(r"(?<=\n) +", lambda match: " " * (len(match[0]) // 2))),
    Twin(16, "indented by tabs", outside_docstrings(r"(?<=\n)(?:    )+", lambda match: "\t" * (len(match[0]) // 4))),
    Twin(16, "blank lines doubled", outside_docstrings("\n\n", "\n\n\n")),
    Twin(16, "definitions the other way round", rewrite(other_order)),
    Twin(16, "a remark on every line", outside_docstrings(r"(?<=[\w)])\n", lambda match: f"  # {match.start()}\n")),
    Twin(16, "settings renamed", rewrite(lambda text: re.sub(r"\b(WIDTH|HEADS|LAYERS|CONTEXT)\b", r"MODEL_\1", text))),
    Twin(16, "types of arguments", rewrite(lambda text: text.replace("(self, x):", "(self, x: torch.Tensor) -> torch.Tensor:"))),
    Twin(16, "a page of words at the top", rewrite(lambda text: f'"""{PROSE * 80}"""\n{text}')),
    Twin(16, "two new optimizers, one of which decomposes", at_bottom(LION), frozenset({"PR516"})),
    Twin(16, "a gradient made orthogonal by a decomposition", replace((ORTHOGONAL, "    u, _, v = torch.linalg.svd(x, full_matrices=False)\n    x = u @ v\n")), frozenset({"PR516"})),
    Twin(16, "a gradient decomposed by its method", replace((ORTHOGONAL, "    u, _, v = x.svd()\n    x = u @ v.mT\n")), frozenset({"PR516"})),
    Twin(16, "a gradient decomposed in the loop", in_loop("for p in model.blocks.parameters():\n    if p.ndim == 2:\n        u, _, v = torch.linalg.svd(p.grad, full_matrices=False)\n        p.grad = u @ v"), frozenset({"PR516"})),
    Twin(15, "a word for a decomposition", in_main("methods = {'svd': 1, 'bincount': 2}\nprint(methods['svd'])")),
    Twin(15, "a count of rows by hand", in_main("rows = sum(p.shape[0] for p in model.parameters())")),
    Twin(8, "names of text runners", in_main("profile = trace = timeit = 1\ncode = profile + trace + timeit")),
    Twin(8, "a trace of a matrix", in_loop("trace = (model.head.weight.T @ model.head.weight).trace()")),
    Twin(8, "a named tuple", at_top("from typing import NamedTuple")),
    Twin(16, "weights drawn anew by the rules", in_build("for p in model.parameters():\n    if p.ndim > 1:\n        nn.init.trunc_normal_(p, std=0.02)")),
    Twin(16, "weights added to by draws", in_build("with torch.no_grad():\n    model.head.weight.add_(torch.randn_like(model.head.weight), alpha=0.01)")),
    Twin(16, "a new layer", in_build("model.extra = nn.Linear(WIDTH, WIDTH)")),
    Twin(16, "hashed rows", in_build("rows = (torch.arange(VOCAB_SIZE) * 36313 ^ 27191) % 1024\nmodel.rows = rows")),
    Twin(23, "an emoji of two people", replace(("HEAD_RATE = 0.02\n", "HEAD_RATE = 0.03  # \U0001f469\u200d\U0001f52c and \U0001f3f3\ufe0f\u200d\U0001f308\n"))),
    Twin(23, "a warning sign and a keycap", replace(("HEAD_RATE = 0.02\n", "HEAD_RATE = 0.03  # \u26a0\ufe0f 1\ufe0f\u20e3\n"))),
    Twin(23, "a Persian comment", replace(("HEAD_RATE = 0.02\n", "HEAD_RATE = 0.03  # \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645\n"))),
    Twin(23, "a Hindi comment", replace(("HEAD_RATE = 0.02\n", "HEAD_RATE = 0.03  # \u0915\u094d\u200d\u0937\n"))),
    Twin(20, "a plain diff without git's header", lambda text: RATE(text).split(b"\n", 1)[1]),
    Twin(15, "a lambda's parameter named like the loader", at_top("first = lambda batches: next(batches)")),
    Twin(15, "a comprehension's variable named like a builtin that is read", in_main("sizes = [min for min in range(3)]")),
    Twin(15, "a walrus in a condition", in_loop("if (late := step > 60):\n    late = False")),
    Twin(15, "a match statement", in_loop("match step:\n    case 0 | 1:\n        note = 'first'\n    case other:\n        note = str(other)")),
    Twin(15, "keywords of a dict named like the loader", in_main("sizes = dict(load_shard=1)\nsizes.update(batches=2)")),
    Twin(15, "a dataclass of settings", at_bottom("from dataclasses import dataclass, replace\n\n\n@dataclass\nclass Rates:\n    head: float = 0.02\n\n\nRATES = replace(Rates(), head=0.03)")),
    *(Twin(like, name, change, on="speedrun") for like, name, change in GUARDED),
)  # fmt: skip
