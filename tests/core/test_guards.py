"""Guards: what they see, wherever it stands, and what they let pass."""

from __future__ import annotations

import ast

import pytest

from patchrun.core.guards import check_guards, find_broken
from patchrun.core.track import Guard
from tests.core.speedrun_changes import check

BASE = """\
import time
import torch
import torch._inductor.config as config
from torch import compile as jit

val_tokens = 1024
FILES = "data/fineweb10B/fineweb_train_*.bin"
config.coordinate_descent_tuning = True


def _load_data_shard(file):
    return file


def print0(text):
    print(text)


model = torch.compile(object(), dynamic=False)
training_time_ms = 0
t0 = time.perf_counter()
for step in range(3):
    last_step = step == 2
    if last_step or (val_loss_every > 0 and step % val_loss_every == 0):
        training_time_ms += 1000 * (time.perf_counter() - t0)
        print0(f"step:{step} val_loss:1 train_time:{training_time_ms:.0f}ms")
    print0("a note")
"""
TIMER = Guard(name="timer", kind="assign", match=("training_time_ms", "timed_steps"))
START = Guard(name="start", kind="assign", match=("t0",), containing="time.")
LINES = Guard(name="lines", kind="call", match=("print0", "print"), containing="train_time:")
TOKENS = Guard(name="tokens", kind="assign", match=("val_tokens",))
FILES = Guard(name="files", kind="string", match=("*fineweb*_train_*", "*fineweb*_val_*"))
SHARD = Guard(name="shard", kind="function", match=("_load_data_*",))
BLOCK = Guard(name="block", kind="branch", match=("val_loss_every",), severity="review")
INDUCTOR = Guard(name="inductor", kind="setting", match=("torch._inductor.config",))
OPTIONS = Guard(name="options", kind="keyword", match=("torch.compile",), allowed=("dynamic", "fullgraph"))
VARIABLES = Guard(name="variables", kind="new-string", match=("TORCHINDUCTOR_*",))
ALL = (TIMER, START, LINES, TOKENS, FILES, SHARD, BLOCK, INDUCTOR, OPTIONS, VARIABLES)


def broken(after: str, before: str = BASE, guards: tuple[Guard, ...] = ALL) -> list[str]:
    return [found.guard.name for found in find_broken(guards, {"a.py": before}, {"a.py": after})]


def test_nothing_changed_nothing_broken() -> None:
    assert broken(BASE) == []
    assert broken(f"# a comment\n{BASE}\n\nx = 1\n") == []


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("training_time_ms += 1000 *", "training_time_ms += 900 *", ["timer", "block"]),
        ("training_time_ms = 0\n", "training_time_ms = -5000\n", ["timer"]),
        ("training_time_ms = 0\n", "", ["timer"]),
        ("t0 = time.perf_counter()\n", "t0 = time.perf_counter() + 5\n", ["start"]),
        ("t0 = time", "t1, t0 = time", ["start"]),
        ("val_loss:1 train_time:", "val_loss:0 train_time:", ["lines", "block"]),
        ('print0("a note")', 'print0("another note")', []),
        ("val_tokens = 1024", "val_tokens: int = 1024", []),
        ("val_tokens = 1024", "val_tokens = 512", ["tokens"]),
        ("fineweb_train_*.bin", "fineweb_train_1*.bin", ["files"]),
        ('FILES = "data', 'FILES = "more/data', ["files"]),
        ("return file", "return file[::2]", ["shard"]),
        (
            "model = torch.compile(object(), dynamic=False)",
            "model = torch.compile(object(), fullgraph=True)",
            [],
        ),
        ("dynamic=False)", 'dynamic=False, mode="max-autotune")', ["options"]),
        ("dynamic=False)", "dynamic=False, **more)", ["options"]),
        ("model = torch", "jit(object(), options={})\nmodel = torch", ["options"]),
        ("model = torch", "config.max_autotune = True\nmodel = torch", ["inductor"]),
        ("model = torch", "torch._inductor.config.max_autotune = True\nmodel = torch", ["inductor"]),
        ("model = torch", 'setattr(config, "max_autotune", True)\nmodel = torch', ["inductor"]),
        ("model = torch", "config.patch(max_autotune=True)\nmodel = torch", ["inductor"]),
        ("config.coordinate_descent_tuning = True\n", "", []),
        ("model = torch", 'E = "TORCHINDUCTOR_MAX_AUTOTUNE"\nmodel = torch', ["variables"]),
        ("step % val_loss_every == 0", "step % 2 == 0 and val_loss_every", ["block"]),
    ],
)
def test_what_breaks_which_guard(old: str, new: str, names: list[str]) -> None:
    after = BASE.replace(old, new, 1)
    assert after != BASE
    assert broken(after) == names


def test_a_pattern_may_move_into_a_call_as_long_as_it_stands() -> None:
    assert broken(BASE.replace('FILES = "data/', 'FILES = str("data/').replace('*.bin"', '*.bin")')) == []


def test_the_place_of_the_break_is_named() -> None:
    after = BASE.replace("training_time_ms = 0", "training_time_ms = 1")
    found = find_broken([TIMER], {"a.py": BASE}, {"a.py": after})[0]
    assert (found.path, found.line) == ("a.py", after.split("\n").index("training_time_ms = 1") + 1)
    assert found.text == "training_time_ms = 1"
    gone = find_broken([TIMER], {"a.py": BASE}, {"a.py": BASE.replace("training_time_ms = 0\n", "")})[0]
    assert (gone.path, gone.line) == (None, None)


def test_another_order_of_the_same_parts_is_a_break() -> None:
    before = "training_time_ms = 0\ntraining_time_ms = 1\n"
    assert broken("training_time_ms = 1\ntraining_time_ms = 0\n", before, (TIMER,)) == ["timer"]


def test_code_may_move_to_another_file() -> None:
    shard = "def _load_data_shard(file):\n    return file\n"
    before = {"a.py": BASE, "b.py": "x = 1\n"}
    after = {"a.py": BASE.replace(shard, ""), "b.py": f"x = 1\n{shard}"}
    assert find_broken([SHARD], before, after) == []
    assert [one.path for one in find_broken([SHARD], before, {**after, "b.py": "x = 2\n"})] == [None]


def test_a_second_definition_or_timer_is_a_break() -> None:
    assert broken(BASE + "\n\ndef _load_data_shard(file):\n    return file\n") == ["shard"]
    assert broken(BASE + "training_time_ms = 0\n") == ["timer"]


def test_files_that_do_not_parse_are_another_checks_concern() -> None:
    assert broken("def (", BASE, (INDUCTOR, VARIABLES)) == []
    assert broken("def (", BASE, (TIMER,)) == ["timer"]


def test_trees_are_taken_as_well_as_text() -> None:
    after = BASE.replace("val_tokens = 1024", "val_tokens = 1")
    assert [
        one.guard.name for one in find_broken(ALL, {"a.py": ast.parse(BASE)}, {"a.py": ast.parse(after)})
    ] == ["tokens"]


def test_severity_follows_the_record() -> None:
    guard = Guard(name="g", kind="assign", match=("x",), from_record=22)
    assert guard.at_record(22) is guard
    early = guard.at_record(21)
    assert early is not None
    assert early.severity == "review"
    assert Guard(name="g", kind="assign", match=("x",), from_record=22, earlier="ignore").at_record(3) is None


@pytest.mark.parametrize(
    ("old", "new", "code", "severity"),
    [
        ("val_tokens = 1024", "val_tokens = 512", "PR401", "error"),
        ("training_time_ms = 0\n", "", "PR402", "error"),
        ("dynamic=False)", 'mode="max-autotune")', "PR405", "error"),
        ("step % val_loss_every == 0", "val_loss_every", "PR404", "review"),
    ],
)
def test_a_break_is_a_finding_with_its_place(old: str, new: str, code: str, severity: str) -> None:
    (finding,) = check_guards(ALL, {"a.py": BASE}, {"a.py": BASE.replace(old, new, 1)})
    assert (finding.code, finding.severity) == (code, severity)
    assert (finding.path is None) == (code == "PR402")
    assert "guards as" in finding.message
    assert finding.hint


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("\n".join(f"def f{at}():\n    t0 = time = {at}" for at in range(500)), ""),
        (
            "def f(x, y):\n" + "\n".join(f"    x{at + 1} = F.cross_entropy(x{at}, y)" for at in range(500)),
            "loss of the model",
        ),
        ("\n".join(f"h{at} = 'data/fineweb10B/fineweb_val_{at}'" for at in range(500)), "file patterns"),
        ("\n".join(f"for i in range(n{at}):\n    loss.backward()" for at in range(500)), "warm-up"),
        ("x = [" + "'data/fineweb10B/fineweb_val_x', " * 500 + "]", "file patterns"),
        ("if x:\n" + "\n".join(f"    t0 = {at}" for at in range(500)), "timer start"),
        ("t0 = 0x" + "f" * 6000, "timer start"),
        ("args.train_files = " + "+".join(["'a'"] * 800), "file patterns"),
        ("\n".join(f"c{at} = torch.compile\nc{at}(x, mode='a')" for at in range(500)), "compile options"),
    ],
)
def test_many_of_one_kind_end_in_a_finding(code: str, name: str) -> None:
    found = check([("training_time_ms = 0\n", f"{code}\ntraining_time_ms = 0\n")])
    assert (name in found) if name else not found
