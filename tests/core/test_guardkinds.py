# ruff: noqa: E501 - a change stands in one piece
"""The clock, the console and what they read: every way to bind a name breaks their guards."""

from __future__ import annotations

import pytest

from tests.core.speedrun_changes import Change, at_top, before_clock, check, guards_named, in_step

GUARDS = guards_named("timer", "timer start", "console", "step lines", "synchronisation")
SPELLINGS = [
    ("for", in_step("for t0 in (time.perf_counter(),):\n    pass")),
    (
        "with",
        in_step("from contextlib import nullcontext\nwith nullcontext(time.perf_counter()) as t0:\n    pass"),
    ),
    ("walrus", in_step("print0(t0 := time.perf_counter())")),
    ("walrus lambda default", in_step("_ = lambda x=(t0 := time.perf_counter()): x")),
    ("walrus comp", in_step("[0 for _ in (0,) if (t0 := time.perf_counter())]")),
    ("match", in_step("match time.perf_counter():\n    case t0:\n        pass")),
    ("match star", in_step("match [time.perf_counter()]:\n    case [t0, *_]:\n        pass")),
    ("match mapping", in_step("match {0: 1}:\n    case {**t0}:\n        pass")),
    ("except", in_step("try:\n    raise ValueError\nexcept ValueError as t0:\n    pass")),
    ("import as", in_step("import zero as t0")),
    ("import from", in_step("from zero import value as t0")),
    ("def", in_step("def t0(): pass")),
    ("global", at_top("def bump():\n    global t0\n    t0 = time.perf_counter()") + in_step("bump()")),
    ("globals item", in_step("globals()['t0'] = time.perf_counter()")),
    ("globals update", in_step("globals().update(t0=time.perf_counter())")),
    ("vars |=", in_step("v = vars()\nv |= {'t0': time.perf_counter()}")),
    ("setattr module", in_step("import sys\nsetattr(sys.modules[__name__], 't0', time.perf_counter())")),
    ("exec", in_step("exec('t0 = time.perf_counter()')")),
    ("exec folded", in_step("exec('t' + '0 = time.perf_counter()')")),
    ("star target", in_step("*_, t0 = 1, time.perf_counter()")),
    ("aug", in_step("t0 += 0.5")),
    ("no time in it", in_step("t0 = now()")),
    ("del", in_step("del t0")),
    ("print0.__globals__", in_step("print0.__globals__['t0'] = time.perf_counter()")),
    ("training_time by for", in_step("for training_time_ms in (0,):\n    pass")),
    ("print0 rebound", at_top("print0 = print")),
    ("print0 wrapped", before_clock("print0 = quiet(print0)")),
    ("print0 import", before_clock("from log import print0")),
    ("print builtin", before_clock("def print(*a): pass")),
    ("print0.__code__", before_clock("print0.__code__ = other.__code__")),
    ("time imported", at_top("import fake as time")),
    ("time rebound for", at_top("for time in (fake,):\n    pass")),
    ("time.perf_counter", at_top("time.perf_counter = lambda: 0.0")),
    ("perf_counter in for", at_top("for time.perf_counter in (len,):\n    pass")),
    ("sync removed", [("training_time_ms = 0\ntorch.cuda.synchronize()\n", "training_time_ms = 0\n")]),
    (
        "sync removed val",
        [("        model.train()\n        torch.cuda.synchronize()\n", "        model.train()\n")],
    ),
    (
        "t0 conditional",
        [
            (
                "t0 = time.perf_counter()\ntrain_steps = args.num_iterations\nfor step in range(train_steps + 1):\n",
                "t0 = 0\ntrain_steps = args.num_iterations\nfor step in range(train_steps + 1):\n    if step == 10:\n        t0 = time.perf_counter()\n",
            )
        ],
    ),
    (
        "t0 moved into if",
        [
            (
                "t0 = time.perf_counter()\ntrain_steps = args.num_iterations\nfor step in range(train_steps + 1):\n",
                "train_steps = args.num_iterations\nfor step in range(train_steps + 1):\n    if step == 0:\n        t0 = time.perf_counter()\n",
            )
        ],
    ),
    ("exec compile", in_step("exec(compile('t0 = 1', '', 'exec'))")),
    ("exec hole", in_step("exec('t0 = ' + str(step))")),
    ("eval", in_step("eval('globals().update(t0=1)')")),
    ("__import__ main", in_step("__import__('__main__').t0 = 1")),
    ("ior", in_step("globals().__ior__({'t0': 1})")),
    ("global with", at_top("def bump():\n    global t0\n    with timer() as t0:\n        pass")),
    ("global import", at_top("def bump():\n    global t0\n    import zero as t0")),
]


@pytest.mark.parametrize("change", [one for _, one in SPELLINGS], ids=[name for name, _ in SPELLINGS])
def test_every_way_to_bind_a_guarded_name_is_seen(change: Change) -> None:
    assert check(change, GUARDS)
