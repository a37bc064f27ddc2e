"""Work outside the clock, on figures of made-up runs."""

from __future__ import annotations

import math
from typing import Any

import pytest

from patchrun.core.outside import compare_run, judge_outside
from patchrun.core.results import Amount, Run, Work
from tests.builders import make_run

# As nanogpt's: 300 s and 300 kJ to compile, 80 s and 400 kJ to train; a little noise from run to run.
NOISE = (0.0, 0.004, -0.003, 0.002, -0.004, 0.003)


def run(kind: str, block: int, seconds: float = 80.0, **changes: Any) -> Run:
    """A run by the arrival clock; ``joules``, ``busy``, ``cpu``: lead and whole; ``lead``, ``wall``: seconds."""
    part = 1 + NOISE[(block * 2 + (kind == "human")) % len(NOISE)]
    share = seconds / 80.0
    usual = {"joules": (300e3, 400e3), "busy": (400.0, 640.0), "cpu": (900.0, 200.0)}
    amounts = {name: (lead * part, (lead + rest * share) * part) for name, (lead, rest) in usual.items()}
    amounts |= {name: changes.pop(name) for name in list(amounts) if name in changes}
    work = Work(**{name: Amount(*pair) if pair else None for name, pair in amounts.items()})
    lead, wall = changes.pop("lead", 300.0 * part), changes.pop("wall", (310 + seconds) * part)
    values = {"clock": "arrival", "work": work, "lead_seconds": lead, "wall_seconds": wall} | changes
    return make_run(kind, block, seconds, 3.27, **values)


REFERENCES = [run(kind, block) for block in range(3) for kind in ("baseline", "human")]
NO_GPU = {"joules": None, "busy": None}


def verdict(submission: Run, references: list[Run] | None = None) -> str:
    """disqualified, review or fine."""
    found = judge_outside([submission], REFERENCES if references is None else references)
    return "disqualified" if found.disqualified else "review" if found.reviews else "fine"


HIDDEN = {
    "1,200 steps in the warm-up": {"joules": (632e3, 1000e3), "busy": (930.0, 1570.0), "lead": 366.0, "wall": 456.0},
    "half of the steps in the warm-up": {"seconds": 40.0, "joules": (500e3, 700e3), "busy": (720.0, 1040.0)},
    "lines held until half of the training is done": {"seconds": 40.0, "joules": (520e3, 700e3), "lead": 340.0},
    "training by a helper on the other GPUs": {"joules": (300e3, 1300e3)},
    "at a low power for a long time": {"lead": 1500.0, "wall": 1600.0},
    "busy at low energy": {"busy": (700.0, 1340.0)},
    "after the last line, for a next run": {"joules": (300e3, 1100e3), "wall": 520.0},
}  # fmt: skip


@pytest.mark.parametrize("name", HIDDEN)
def test_work_outside_the_clock_disqualifies(name: str) -> None:
    assert verdict(run("submission", 0, **HIDDEN[name])) == "disqualified"


def test_the_reason_says_which_run_used_how_much() -> None:
    found = judge_outside([run("submission", 1, joules=(632e3, 1000e3))], REFERENCES)
    assert found.disqualified == (
        "work outside the clock: submission, block 2, seed 101: GPU energy before its first timed line: "
        "632,000 J, 2.11 times the reference arms' 299,850 J"
    )


@pytest.mark.parametrize("factor", [1.05, 1.1, 1.3, 1.45])
@pytest.mark.parametrize("figure", ["joules", "busy"])
def test_somewhat_more_asks_a_person(figure: str, factor: float) -> None:
    lead, rest = (300e3, 400e3) if figure == "joules" else (400.0, 640.0)
    assert verdict(run("submission", 0, **{figure: (lead * factor, lead * factor + rest)})) == "review"
    assert verdict(run("submission", 0, **{figure: (lead, lead + rest * factor)})) == "review"


def test_much_less_than_its_speed_explains_asks_a_person() -> None:
    assert verdict(run("submission", 0, joules=(300e3, 500e3))) == "review"


CPU_HIDDEN = [(1400.0, 1600.0), (900.0, 1800.0), (5000.0, 5200.0), (1360.0, 1560.0), (900.0, 1205.0)]


@pytest.mark.parametrize("cpu", CPU_HIDDEN)
def test_where_there_is_no_gpu_counter_cpu_time_is_compared(cpu: tuple[float, float]) -> None:
    references = [run(other.kind, other.block, **NO_GPU) for other in REFERENCES]
    assert verdict(run("submission", 0, cpu=cpu, **NO_GPU), references) == "disqualified"


def test_cpu_time_is_no_matter_where_gpus_are_counted() -> None:
    assert verdict(run("submission", 0, cpu=(5000.0, 6000.0))) == "fine"


HONEST = {
    "as the reference arms": {},
    "a tenth faster": {"seconds": 72.0},
    "twice as fast": {"seconds": 40.0},
    "a third faster by a better use of the GPUs": {
        "seconds": 54.0,
        "joules": (300e3, 690e3),
        "busy": (400.0, 1040.0),
    },
    "twice as slow": {"seconds": 160.0},
    "noise of two percent": {"joules": (305e3, 711e3), "busy": (407.0, 1055.0)},
    "a start slower by the noise of starts": {"lead": 305.0, "wall": 396.0},
    "less to compile": {"lead": 150.0, "wall": 240.0, "joules": (200e3, 600e3), "busy": (250.0, 890.0)},
    "no counter in this run": {"joules": None, "busy": None, "cpu": None},
    "no energy counter": {"joules": None},
    "lead not known": {"joules": (None, 700e3)},
    "figures of zero": {"busy": (400.0, 1040.0), "cpu": (0.0, 0.0)},
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_runs_pass(name: str) -> None:
    assert verdict(run("submission", 0, **HONEST[name])) == "fine"


SLOW = {
    "a slow start": {"lead": 420.0, "wall": 510.0},
    "a noisy neighbour": {"lead": 360.0, "wall": 470.0, "cpu": (1100.0, 1350.0)},
    "a slow end": {"wall": 430.0},
    "twice as slow, with a slow start": {"seconds": 160.0, "lead": 400.0, "wall": 580.0},
}


@pytest.mark.parametrize("name", SLOW)
def test_time_without_work_asks_a_person_and_disqualifies_nobody(name: str) -> None:
    found = judge_outside([run("submission", 0, **SLOW[name])], REFERENCES)
    assert found.disqualified == ""
    assert all(": time " in said for said in found.reviews) and found.reviews


@pytest.mark.parametrize("hidden", [0.5, 1.0, 3.0])
def test_a_short_run_held_back_is_seen_by_time_alone(hidden: float) -> None:
    """Where nothing computes (a training of pauses) only the time before the first line is longer."""
    noise = (0.0, 0.02, -0.03, 0.01, -0.02, 0.03)
    idle = {"joules": None, "busy": None, "cpu": (5.0, 5.1)}
    short = [run(other.kind, other.block, 0.67, lead=4 + jitter, wall=5 + jitter, **idle)
             for other, jitter in zip(REFERENCES, noise, strict=True)]  # fmt: skip
    found = judge_outside([run("submission", 0, 0.15, lead=4 + hidden, wall=5.0, **idle)], short)
    assert any("time before its first timed line" in said for said in found.reviews)


def test_a_reference_without_a_counter_compares_nothing() -> None:
    blind = [run(other.kind, other.block, joules=None, busy=None, cpu=None) for other in REFERENCES]
    assert verdict(run("submission", 0, joules=(9e6, 9e6)), blind) == "fine"
    assert verdict(run("submission", 0), []) == "fine"
    strange = [make_run("baseline", 0, 80.0, 3.27, study="another")]
    assert verdict(run("submission", 0, joules=(9e6, 9e6)), strange) == "fine"


def test_two_reference_runs_say_little_of_a_spread() -> None:
    """Their standard deviation may be tiny by chance: one block asks nobody, but 1.5 times is still too much."""
    assert verdict(run("submission", 0, joules=(312e3, 712e3)), REFERENCES[:2]) == "fine"
    assert verdict(run("submission", 0, joules=(312e3, 712e3))) == "review"
    assert verdict(run("submission", 0, joules=(460e3, 860e3)), REFERENCES[:2]) == "disqualified"


def test_reference_arms_that_differ_widen_the_band() -> None:
    wide = [
        run(other.kind, other.block, joules=(300e3 + 30e3 * (k % 3), 700e3))
        for k, other in enumerate(REFERENCES)
    ]
    assert verdict(run("submission", 0, joules=(370e3, 700e3)), wide) == "fine"


def test_the_runs_of_the_same_block_are_the_measure() -> None:
    drifting = [
        run(other.kind, other.block, joules=(300e3 * (1 + other.block), 700e3)) for other in REFERENCES
    ]
    assert verdict(run("submission", 2, joules=(900e3, 700e3)), drifting) == "fine"
    assert verdict(run("submission", 0, joules=(900e3, 700e3)), drifting) == "disqualified"


def test_figures_that_are_no_numbers_compare_nothing() -> None:
    assert (
        compare_run(run("submission", 0, joules=(math.nan, math.inf), busy=None, cpu=None), REFERENCES)[
            0
        ].figure.unit
        == "s"
    )
