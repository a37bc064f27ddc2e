# ruff: noqa: E501 - a change stands in one piece
"""Training before the clock, and what undoes it."""

from __future__ import annotations

import pytest

from tests.core.speedrun_changes import Change, at_top, before_clock, check, guards_named

WARM_UP = "warmup_steps = 10\n"
GUARDS = guards_named("warm-up")
SPELLINGS = [
    ("more", [("warmup_steps = 10", "warmup_steps = 1200")]),
    ("range", [("for step in range(warmup_steps)", "for step in range(1200)")]),
    ("list", [("warmup_steps = 10\n", "warmup_steps = 10\nwarmup_steps = 1200\n")]),
    ("walrus", [("range(warmup_steps)", "range(warmup_steps := 1200)")]),
    (
        "for bind",
        [("initial_state = dict(", "for warmup_steps in (1200,):\n    pass\ninitial_state = dict(")],
    ),
    ("globals", [("initial_state = dict(", "globals()['warmup_steps'] = 1200\ninitial_state = dict(")]),
    (
        "nested loop",
        [
            (
                "for step in range(warmup_steps):\n    inputs, targets = next(train_loader)\n    model(inputs, targets, get_window(step)).backward()\n",
                "for step in range(warmup_steps):\n    for _ in range(100):\n        inputs, targets = next(train_loader)\n        model(inputs, targets, get_window(step)).backward()\n",
            )
        ],
    ),
    ("no reset model", [('model.load_state_dict(initial_state["model"])\n', "")]),
    ("no reset opt", [("    opt.load_state_dict(opt_state)\n", "    pass\n")]),
    (
        "reset never",
        [
            (
                'model.load_state_dict(initial_state["model"])\n',
                'if rank < 0:\n    model.load_state_dict(initial_state["model"])\n',
            )
        ],
    ),
    ("no deepcopy", [("model=copy.deepcopy(model.state_dict())", "model=model.state_dict()")]),
    (
        "state refreshed",
        [
            (
                'model.load_state_dict(initial_state["model"])\n',
                'initial_state["model"] = copy.deepcopy(model.state_dict())\nmodel.load_state_dict(initial_state["model"])\n',
            )
        ],
    ),
    (
        "state updated",
        [
            (
                'model.load_state_dict(initial_state["model"])\n',
                'initial_state.update(model=copy.deepcopy(model.state_dict()))\nmodel.load_state_dict(initial_state["model"])\n',
            )
        ],
    ),
    (
        "state lerp",
        [
            (
                'model.load_state_dict(initial_state["model"])\n',
                '[a.copy_(b) for a, b in zip(initial_state["model"].values(), model.state_dict().values())]\nmodel.load_state_dict(initial_state["model"])\n',
            )
        ],
    ),
    ("kept and loaded", [("optimizer2.reset()\n", "optimizer2.reset()\nmodel.load_state_dict(kept)\n")]),
    (
        "params kept",
        [
            (
                "optimizer2.reset()\n",
                "optimizer2.reset()\nfor p, q in zip(model.parameters(), kept):\n    p.data.copy_(q)\n",
            )
        ],
    ),
    (
        "second loop",
        before_clock(
            "for step in range(1200):\n    model(*next(train_loader), 128).backward()\n    optimizer2.step()"
        ),
    ),
    (
        "function loop",
        at_top(
            "def more():\n    for _ in range(1200):\n        model(*next(train_loader), 128).backward()\n        optimizer2.step()"
        )
        + before_clock("more()"),
    ),
    (
        "comprehension",
        before_clock(
            "[(model(*next(train_loader), 128).backward(), optimizer2.step()) for _ in range(1200)]"
        ),
    ),
    (
        "while",
        before_clock(
            "while training_steps < 1200:\n    model(*next(train_loader), 128).backward()\n    training_steps += 1"
        ),
    ),
    (
        "autograd.grad",
        before_clock(
            "for _ in range(1200):\n    g = torch.autograd.grad(model(*next(train_loader), 128), list(model.parameters()))\n    for p, d in zip(model.parameters(), g):\n        p.data -= 0.1 * d"
        ),
    ),
    (
        "map",
        at_top("def once(_):\n    model(*next(train_loader), 128).backward()\n    optimizer2.step()")
        + before_clock("list(map(once, range(1200)))"),
    ),
    (
        "load_state_dict noop",
        [
            (
                "    def reset(self):\n",
                "    def load_state_dict(self, state):\n        pass\n\n    def reset(self):\n",
            )
        ],
    ),
    ("load replaced", [(WARM_UP, "model.load_state_dict = lambda s: None\n" + WARM_UP)]),
    (
        "getattr backward",
        before_clock(
            "for _ in range(1200):\n    getattr(model(*next(train_loader), 128), 'back' + 'ward')()"
        ),
    ),
    (
        "class body",
        before_clock(
            "class Warm:\n    for _ in range(1200):\n        model(*next(train_loader), 128).backward()"
        ),
    ),
    (
        "default arg",
        before_clock("def f(x=[model(*next(train_loader), 128).backward() for _ in range(1200)]):\n    pass"),
    ),
    (
        "lambda",
        before_clock("go = lambda: [model(*next(train_loader), 128).backward() for _ in range(1200)]\ngo()"),
    ),
    (
        "backward call",
        before_clock("for _ in range(1200):\n    model(*next(train_loader), 128).backward.__call__()"),
    ),
    (
        "torch backward",
        before_clock("for _ in range(1200):\n    torch.autograd.backward(model(*next(train_loader), 128))"),
    ),
    (
        "step break",
        [
            (
                "    for opt in optimizers:\n        opt.step()\n    model.zero_grad(set_to_none=True)\nmodel.load",
                "    for opt in optimizers:\n        for _ in range(9):\n            opt.step()\n    model.zero_grad(set_to_none=True)\nmodel.load",
            )
        ],
    ),
]


@pytest.mark.parametrize("change", [one for _, one in SPELLINGS], ids=[name for name, _ in SPELLINGS])
def test_every_way_to_train_untimed_asks_a_person(change: Change) -> None:
    assert check(change, GUARDS) == {"warm-up": "review"}
