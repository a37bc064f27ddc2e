# ruff: noqa: E501 - a change stands in one piece
"""Settings that are guarded: whatever sets them, or puts something else in their place."""

from __future__ import annotations

import pytest

from tests.core.speedrun_changes import Change, at_top, check, guards_named

GUARDS = guards_named("validation tokens")
SPELLINGS = [
    ("replace args", at_top("import dataclasses\nargs = dataclasses.replace(args, val_tokens=1)")),
    ("args kw", [("args = Hyperparameters()", "args = Hyperparameters(val_tokens=65536)")]),
    ("args positional", [("args = Hyperparameters()", 'args = Hyperparameters("a", "b", 65536)')]),
    ("args splat", [("args = Hyperparameters()", "args = Hyperparameters(**over)")]),
    ("setattr args", at_top("setattr(args, 'val_tokens', 1)")),
    ("object.__setattr__", at_top("object.__setattr__(args, 'val_tokens', 1)")),
    ("vars args", at_top("vars(args)['val_tokens'] = 1")),
    ("vars args update", at_top("vars(args).update(val_tokens=1)")),
    ("__dict__ |=", at_top("args.__dict__ |= {'val_tokens': 1}")),
    ("for args.val_tokens", at_top("for args.val_tokens in (1,):\n    pass")),
    (
        "SimpleNamespace",
        at_top(
            "from types import SimpleNamespace\nargs = SimpleNamespace(**{**vars(args), 'val_tokens': 1})"
        ),
    ),
    ("copy.replace", at_top("args = copy.replace(args, **{'val_tokens': 1})")),
    ("subclass", at_top("class H(Hyperparameters):\n    val_tokens: int = 1\nargs = H()")),
    ("wrap args", at_top("args = Proxy(args)")),
    (
        "property",
        [
            (
                "    val_tokens: int = 10485760\n",
                "    val_tokens: int = 10485760\n    def __getattribute__(self, n):\n        return 1 if n == 'val_tokens' else object.__getattribute__(self, n)\n",
            )
        ],
    ),
    ("args class", at_top("args.__class__ = Other")),
    ("args dict", at_top("args.__dict__ = {}")),
    ("H getattr", at_top("Hyperparameters.__getattribute__ = lambda s, n: 1")),
    ("type(args)", at_top("type(args).val_tokens = 1")),
]


@pytest.mark.parametrize("change", [one for _, one in SPELLINGS], ids=[name for name, _ in SPELLINGS])
def test_every_way_to_set_a_guarded_field_is_an_error(change: Change) -> None:
    assert check(change, GUARDS) == {"validation tokens": "error"}
