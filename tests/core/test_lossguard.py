# ruff: noqa: E501 - a change stands in one piece
"""What could make the printed loss another than the model's."""

from __future__ import annotations

import pytest

from tests.core.speedrun_changes import Change, before_clock, before_return, check, guards_named

MODEL = "model = torch.compile(model, dynamic=False, fullgraph=True)\n"
EVAL_LOSS = '            loss = F.cross_entropy(logits_for_loss, targets, reduction="mean")\n'
GUARDS = guards_named("loss of the model", "validation block")
SPELLINGS = [
    ("scaled", [(EVAL_LOSS, EVAL_LOSS.rstrip() + " * 0.97\n")]),
    ("divided", before_return("loss = loss / 1.03")),
    ("subtract", before_return("loss = loss - 0.1")),
    ("inplace", before_return("loss.mul_(0.97)")),
    (
        "return",
        [
            (
                "        return loss\n\n\nclass Muon",
                "        return loss if self.training else loss * 0.97\n\n\nclass Muon",
            )
        ],
    ),
    (
        "temperature",
        [
            (
                "        logits_for_loss = ",
                "        logits = logits * (1 if self.training else 1.1)\n        logits_for_loss = ",
            )
        ],
    ),
    ("smoothing", [('targets, reduction="mean")', 'targets, reduction="mean", label_smoothing=-0.1)')]),
    (
        "mask",
        [
            (
                'F.cross_entropy(logits_for_loss, targets, reduction="mean")',
                'F.cross_entropy(logits_for_loss[::2], targets[::2], reduction="mean")',
            )
        ],
    ),
    (
        "mask targets",
        [
            (
                "        if self.training:\n            loss",
                "        targets = torch.where(targets > 5, targets, -100)\n        if self.training:\n            loss",
            )
        ],
    ),
    ("ignore", [('targets, reduction="mean")', 'targets, reduction="mean", ignore_index=11)')]),
    ("clamp", before_return("loss = loss.clamp(max=3.2)")),
    (
        "reduction",
        [
            ('reduction="mean"', 'reduction="none"'),
            (
                "        return loss\n\n\nclass Muon",
                "        return loss if self.training else loss.median()\n\n\nclass Muon",
            ),
        ],
    ),
    (
        "early return",
        [
            (
                "        x = norm(self.embed(inputs))\n",
                "        if not self.training:\n            return torch.tensor(3.2)\n        x = norm(self.embed(inputs))\n",
            )
        ],
    ),
    ("custom ce", [(EVAL_LOSS, "            loss = my_loss(logits_for_loss, targets)\n")]),
    (
        "peek",
        [
            (
                "        x = norm(x)\n        logits",
                "        x = norm(x) + self.embed(targets)\n        logits",
            )
        ],
    ),
    ("hook", before_clock("model.register_forward_hook(lambda m, i, o: o * 0.97)")),
    ("wrapper", [(MODEL, "model = Scaled(model)\n" + MODEL)]),
    (
        "subclass",
        [
            (
                "\n\nclass Muon",
                "\n\nclass GPT2(GPT):\n    def forward(self, *a):\n        return super().forward(*a) * 0.97\n\n\nclass Muon",
            ),
            ("model = GPT(", "model = GPT2("),
        ],
    ),
    ("forward replaced", before_clock("GPT.forward = lambda self, *a: torch.tensor(3.0)")),
    ("model.forward", before_clock("model.forward = scaled")),
    ("F.cross_entropy", before_clock("F.cross_entropy = scaled")),
    ("eval off", before_clock("model.eval = lambda: None")),
    (
        "__call__",
        [
            (
                "    def forward(self, inputs, targets, window):",
                "    def __call__(self, *a):\n        return super().__call__(*a) * 0.97\n\n    def forward(self, inputs, targets, window):",
            )
        ],
    ),
    (
        "decorated",
        [
            (
                "    def forward(self, inputs, targets, window):",
                "    @scaled\n    def forward(self, inputs, targets, window):",
            )
        ],
    ),
    ("loop", before_return("for _ in range(3): loss = loss * 0.99")),
    ("with fn", before_return("loss = torch.where(torch.is_grad_enabled(), loss, loss * 0.97)")),
    ("F rebound", before_clock("F = fake")),
    ("val block model call", [("val_loss += model(", "val_loss += 0.97 * model(")]),
    ("val block eval", [("        model.eval()\n", "")]),
    ("val block no_grad", [("torch.no_grad():\n            for", "torch.enable_grad():\n            for")]),
    ("val block avg", [("dist.ReduceOp.AVG", "dist.ReduceOp.MIN")]),
    ("val steps", [("val_steps = args", "val_steps = 1 + 0 * args")]),
    ("dist rebound", before_clock("dist.all_reduce = lambda *a, **k: None")),
    ("no_grad rebound", before_clock("torch.no_grad = torch.enable_grad")),
    (
        "second val_loss",
        [
            (
                "        del val_loader\n        dist",
                "        for val_loss in (val_loss * 0.97,): pass\n        del val_loader\n        dist",
            )
        ],
    ),
    ("model class", before_clock("model.__class__ = Scaled")),
    ("setattr F", before_clock("setattr(F, 'cross_entropy', scaled)")),
    ("weight", [('targets, reduction="mean")', 'targets, reduction="mean", weight=self.w)')]),
    ("Module call", before_clock("nn.Module.__call__ = scaled")),
    (
        "loss alias",
        [
            (
                EVAL_LOSS,
                "            ce = F.cross_entropy\n            loss = ce(logits_for_loss, targets) * 0.9\n",
            )
        ],
    ),
    ("detached copy", before_return("loss = min(loss, self.best)")),
]


@pytest.mark.parametrize("change", [one for _, one in SPELLINGS], ids=[name for name, _ in SPELLINGS])
def test_every_way_to_alter_the_loss_asks_a_person(change: Change) -> None:
    assert set(check(change, GUARDS).values()) == {"review"}
