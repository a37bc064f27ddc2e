"""Seconds a step, from the stamps of a run that was stopped early: a cheap signal, never a score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

from patchrun.core.results import CurvePoint, Run

SKIPPED = 10  # the first steps compile, fill caches and grow memory


@dataclass(frozen=True)
class StepTimes:
    """Seconds a step of one arm over all its runs: ``steps`` were timed; None where there were too few.

    ``ratio``: the median over the baseline's median.
    """

    arm: str
    kind: str
    runs: int
    steps: int
    median: float | None
    mean: float | None
    sd: float | None
    ratio: float | None
    trouble: str = ""


def step_seconds(curve: Sequence[CurvePoint], skipped: int = SKIPPED) -> list[float]:
    """Seconds of each step after the first ``skipped``, validations left out.

    A step lasts from the last line of the one before (its validation's, if it had one) to its own first line; where
    lines come only every few steps, each of these has its share.
    """
    lines: dict[int, list[float]] = {}
    for point in curve:
        lines.setdefault(point.step, []).append(point.at)
    steps = sorted(lines)
    seconds: list[float] = []
    for before, after in zip(steps, steps[1:], strict=False):
        if before >= skipped:
            seconds += [(min(lines[after]) - max(lines[before])) / (after - before)] * (after - before)
    return seconds


def compare_steps(runs: Iterable[Run], limit: int) -> list[StepTimes]:
    """A row an arm, the baseline first; of runs stopped after ``limit`` steps at most half the steps are skipped."""
    by_arm: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: (("baseline", "human", "submission").index(run.kind), run.arm)):
        by_arm.setdefault(run.arm, []).append(run)
    rows: list[StepTimes] = []
    base: float | None = None
    for name, own in by_arm.items():
        seconds = [each for run in own for each in step_seconds(run.curve, min(SKIPPED, limit // 2))]
        middle = median(seconds) if seconds else None
        base = middle if own[0].kind == "baseline" else base
        rows.append(
            StepTimes(
                arm=name, kind=own[0].kind, runs=len(own), steps=len(seconds), median=middle,
                mean=fmean(seconds) if seconds else None, sd=stdev(seconds) if len(seconds) > 1 else None,
                ratio=middle / base if middle is not None and base else None,
                trouble=next((f"{run.exit}: {run.reason}" for run in own if run.exit != "ok"), ""),
            )
        )  # fmt: skip
    return rows
