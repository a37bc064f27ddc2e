# ruff: noqa: E501 - an attack's code stands in one piece
"""Honest patches that look like attacks: each must pass, and nobody may be bothered but where ``asks`` says so."""

from __future__ import annotations

from dataclasses import dataclass

from tests.attacks.ground import Change, at_bottom, at_top, in_build, in_loop, in_main, replace


@dataclass(frozen=True)
class Twin:
    """``like``: the attack's number that it resembles; ``asks``: review codes that it gets."""

    like: int
    name: str
    change: Change
    asks: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        return f"{self.like}-{self.name}".replace(" ", "-")


def mail(change: Change) -> Change:
    head = (
        f"From {'1' * 40} Mon Sep 17 00:00:00 2001\nFrom: Ada <ada@example.org>\n"
        "Date: Thu, 1 Jan 2026 00:00:00 +0000\nSubject: [PATCH] Train less\n\n---\n"
    )
    return lambda text: head.encode() + change(text) + b"-- \n2.39.5\n\n"


RATE = replace(("HEAD_RATE = 0.02\n", "HEAD_RATE = 0.03\n"))
BARS = ", ".join(f"{1 / (step + 1):.3f}" for step in range(40))

TWINS = (
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
    Twin(31, "a module around the model", in_main("wrapped = nn.Sequential(model)")),
    Twin(31, "state of an optimizer", replace(('            average.lerp_(gradients, 1 - group["momentum"])\n', '            average.lerp_(gradients, 1 - group["momentum"])\n            group["count"] = group.get("count", 0) + 1\n'))),
    Twin(1, "a line of progress", in_loop('if step == 3:\n    print("still going", flush=True)')),
    Twin(1, "the step line with another figure", replace(('train_loss:{shown.item():.4f}', 'train_loss:{shown.item():.5f}'))),
    Twin(15, "weights tied by a scatter", in_main("order = torch.zeros(VOCAB_SIZE).scatter_add(0, torch.arange(VOCAB_SIZE), torch.ones(VOCAB_SIZE))"), frozenset({"PR516"})),
    Twin(8, "batches made ready in a thread", at_top("from concurrent.futures import ThreadPoolExecutor"), frozenset({"PR504"})),
    Twin(16, "a hidden layer of many small constants", at_top("WIDTHS = [" + ", ".join(["64"] * 80) + "]"), frozenset({"PR509"})),
    Twin(20, "a plain diff without git's header", lambda text: RATE(text).split(b"\n", 1)[1]),
)  # fmt: skip
