"""A published analysis of a ladder beside ours: the same question, both figures, and whether they agree.

Nothing is fitted: our labels are set from the changes alone, and what differs is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from patchrun.core.history import History, curve_rises, log_gains, sum_range
from patchrun.core.labels import Published

SMALL_CHANGES = ("Shallow", "Moderate")


@dataclass(frozen=True)
class Comparison:
    """One question, both answers in words with their unit, and whether they agree.

    In brackets: the least and the most that our labels give where close ones may fall either way; a published figure
    inside that range agrees.
    """

    question: str
    theirs: str
    ours: str
    verdict: str


def compare(history: History, published: Published) -> list[Comparison]:
    """Every published figure beside ours; ``history`` must be told up to the day of ``published``."""
    return [*_totals(history, published), *_depths(history, published), *_others(history, published)]


def _totals(history: History, published: Published) -> Iterator[Comparison]:
    count, speedup = len(history.steps), history.speedup or 1.0
    yield Comparison("records", str(published.records), str(count), _verdict(count == published.records))
    same = round(speedup) == round(published.speedup)
    yield Comparison("speedup", f"{published.speedup:.0f}x", f"{speedup:.1f}x", _verdict(same))


def _depths(history: History, published: Published) -> Iterator[Comparison]:
    """Shallow and moderate changes, by the three ways in which part of a speedup can be said to be theirs."""
    theirs, whole = published.shallow_and_moderate, published.speedup
    share, total = theirs / whole, history.log_speedup
    plain, low, high = sum_range(history, log_gains(history), SMALL_CHANGES, "depth")
    yield Comparison(
        "shallow and moderate: their factors, multiplied, times all other factors",
        f"{theirs:.0f}x times {whole / theirs:.1f}x",
        f"{math.exp(plain):.1f}x times {math.exp(total - plain):.1f}x"
        f" ({math.exp(low):.1f}x to {math.exp(high):.1f}x)",
        _verdict(_lies_in(theirs, math.exp(low), math.exp(high))),
    )
    yield _share("the same as a share of the log speedup", share, (plain, low, high), total)
    rises = sum_range(history, curve_rises(history), SMALL_CHANGES, "depth")
    yield _share("the same as a share of the speedup curve's rise", share, rises, math.expm1(total))


def _share(question: str, theirs: float, ours: tuple[float, float, float], whole: float) -> Comparison:
    plain, low, high = (part / whole if whole else 0.0 for part in ours)
    said = f"{plain:.0%} ({low:.0%} to {high:.0%})"
    return Comparison(question, f"{theirs:.0%}", said, _verdict(_lies_in(theirs, low, high)))


def _others(history: History, published: Published) -> Iterator[Comparison]:
    later = [
        step for step in history.steps if step.date >= published.invented_since and step.label.provenance
    ]
    recent = replace(history, steps=tuple(later))
    counts = sum_range(recent, [1.0] * len(later), ["Invented"], "provenance")
    question = f"invented, as a share of the records since {published.invented_since}"
    yield _share(question, published.invented_share, counts, len(later))
    credited = [step for step in history.steps if step.ai_system]
    names = ", ".join(f"{step.record} {step.label.depth or 'unlabelled'}" for step in credited)
    same = len(credited) == published.ai_records
    yield Comparison(
        "records that credit an AI system", str(published.ai_records), str(len(credited)), _verdict(same)
    )
    same = all(step.label.depth == published.ai_depth for step in credited)
    yield Comparison("their depths", f"all {published.ai_depth}", names or "none", _verdict(same))


def _verdict(same: bool) -> str:
    return "agrees" if same else "differs"


def _lies_in(value: float, low: float, high: float) -> bool:
    slack = 1e-9 * max(abs(high), 1.0)  # of sums of logarithms
    return low - slack <= value <= high + slack
