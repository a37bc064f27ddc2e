"""Attacks on the clock by arrival: consoles that are not the log, lines held back, work outside the clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from patchrun.adapters.store import Arena
from patchrun.core.console import DIFFERENT
from patchrun.core.logjudge import judge_submission
from patchrun.core.outside import judge_outside
from tests.attacks.case import Outcome
from tests.attacks.set_ups import Check, SetUp
from tests.core import test_arrival, test_console, test_logjudge, test_outside

CASES: list[SetUp] = []
CONSOLES = {
    "a huge clock": 3, "no clock": 3, "a negative clock": 3, "a clock that is set back": 6, "an extra validation": 1,
    "a line twice": 1, "a line missing": 1, "two lines swapped": 2, "two lines merged": 2,
    "a step line in a warning": 2, "a step line as a warning's second line": 2, "everything twice": 1,
}  # fmt: skip


def add(number: int, name: str, outcome: Outcome, evidence: str) -> Callable[[Check], Check]:
    def keep(check: Check) -> Check:
        CASES.append(SetUp(number, name, outcome, evidence, check=check))
        return check

    return keep


def add_console(name: str, number: int) -> None:
    @add(number, f"on the console: {name}", "run", DIFFERENT)
    def _(arena: Arena, folder: Path) -> None:
        assert test_console.problem(test_console.CONSOLE) == ""
        assert test_console.problem(test_console.REFUSED[name])


def add_burst(name: str) -> None:
    @add(
        7,
        f"console lines: {name}",
        "run",
        "its lines do not arrive when they say, or the earliest start counts",
    )
    def _(arena: Arena, folder: Path) -> None:
        said, seconds = test_arrival.verdict(test_arrival.BURSTS[name])
        assert said or seconds >= test_arrival.verdict(test_arrival.HONEST)[1] - 1e-6


def add_hidden(name: str) -> None:
    @add(8, f"by figures from outside: {name}", "run", "work outside the clock")
    def _(arena: Arena, folder: Path) -> None:
        hidden = test_outside.run("submission", 0, **test_outside.HIDDEN[name])
        assert "work outside the clock" in judge_outside([hidden], test_outside.REFERENCES).disqualified
        honest = judge_outside([test_outside.run("submission", 0)], test_outside.REFERENCES)
        assert (honest.disqualified, honest.reviews) == ("", ())


for _name, _number in CONSOLES.items():
    add_console(_name, _number)
for _name in test_arrival.BURSTS:
    add_burst(_name)
for _name in test_outside.HIDDEN:
    add_hidden(_name)


@add(6, "one line with nanms, all others held back", "run", DIFFERENT)
def _(arena: Arena, folder: Path) -> None:
    lines = test_logjudge.LINES
    last = "step:4/4 train_time:nanms"
    seen = test_logjudge.arrived([last, *lines], 0.001, 0.001)
    judged = judge_submission(test_logjudge.log_of(lines), seen, test_logjudge.REFERENCE)
    assert judged.exit == "failed" and judged.reason.startswith(DIFFERENT)


@add(
    9,
    "training in the time that shorter validations leave",
    "run",
    "what passes between training lines counts",
)
def _(arena: Arena, folder: Path) -> None:
    test_arrival.test_training_in_the_time_of_shorter_validations_counts()


@add(9, "training in validations that no reference arm makes", "run", "of which 6 are not timed")
def _(arena: Arena, folder: Path) -> None:
    test_logjudge.test_training_in_validations_that_the_reference_arms_do_not_make_is_on_the_clock()


@add(7, "a small claim and all lines at once", "run", "its lines do not arrive when they say")
def _(arena: Arena, folder: Path) -> None:
    for factor in (0.2, 0.01, 0.001):
        test_arrival.test_a_small_claim_buys_no_burst(factor)


@add(
    7,
    "a first line held back by a script of pauses",
    "run",
    "a review: time before the first timed line",
)
def _(arena: Arena, folder: Path) -> None:
    for hidden in (0.5, 1.0, 3.0):
        test_outside.test_a_short_run_held_back_is_seen_by_time_alone(hidden)


@add(8, "CPU work in the warm-up where there is no GPU", "run", "work outside the clock")
def _(arena: Arena, folder: Path) -> None:
    for cpu in test_outside.CPU_HIDDEN:
        test_outside.test_where_there_is_no_gpu_counter_cpu_time_is_compared(cpu)
