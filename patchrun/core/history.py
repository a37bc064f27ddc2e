"""The ladder's own story: how much of its speedup goes to which kind of change, half-year, contributor, AI system.

Each record has the logarithm of its own speedup, ln(seconds before / seconds after), from published times. Logarithms
add up where factors multiply, so the factors of all groups multiply to the speedup of the whole ladder, in any order.
Where the timing rule changed, the old and the new time of the same code differ: that factor belongs to no record and
is kept as a group of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from patchrun.core.errors import UsageError
from patchrun.core.labels import DEPTHS, PROVENANCES, LabelBook, LadderLabel
from patchrun.core.ladder import Ladder, Record
from patchrun.core.ladderstats import published_seconds

By = Literal["depth", "provenance", "period", "contributor", "ai"]
CLOCK = "(clock changed)"
UNLABELLED = "unlabelled"
HUMAN = "human"


@dataclass(frozen=True)
class Step:
    """One record of the story.

    ``log_gain``: ln(seconds before / seconds after), 0 where not both are known (``timed``). ``clock_gain``: the same
    of the code before, timed by the old and by the new rules; 0 where the rules stayed.
    """

    record: int
    date: str
    by: tuple[str, ...]
    ai_system: str
    summary: str
    seconds: float | None
    log_gain: float
    clock_gain: float
    timed: bool
    label: LadderLabel

    @property
    def period(self) -> str:
        """The half-year: 2024 H1."""
        return f"{self.date[:4]} H{1 if int(self.date[5:7]) <= 6 else 2}"


@dataclass(frozen=True)
class Group:
    """What some records did together; ``records`` counts those that belong to it, also in part."""

    name: str
    records: int
    log_gain: float

    @property
    def factor(self) -> float:
        return math.exp(self.log_gain)


@dataclass(frozen=True)
class History:
    """The records of a ladder up to a day, with their labels; seconds are those of the first and the last time."""

    track: str
    until: str
    start: float | None
    last: float | None
    steps: tuple[Step, ...]

    @property
    def log_speedup(self) -> float:
        return math.log(self.start / self.last) if self.start and self.last else 0.0

    @property
    def speedup(self) -> float | None:
        return self.start / self.last if self.start and self.last else None


def tell(track: str, ladder: Ladder, labels: LabelBook, until: str = "") -> History:
    """The story of the records dated up to ``until`` (ISO; "": all).

    A record without a published time has no gain of its own: it is part of the next one's that has a time. Raises
    UsageError when no record is that old.
    """
    taken = [record for record in ladder.record if not until or record.date <= until]
    if not taken:
        raise UsageError(f"no record up to {until}", f"the first is of {ladder.record[0].date}")
    start = ladder.base.measured.seconds_mean if ladder.base.measured else None
    steps: list[Step] = []
    before = start
    for record in taken:
        steps.append(_make_step(record, before, labels.of(record.number)))
        before = steps[-1].seconds or before
        start = start or before
    return History(track, until or taken[-1].date, start, before, tuple(steps))


def _make_step(record: Record, before: float | None, label: LadderLabel) -> Step:
    after = published_seconds(record)
    timed_anew = record.baseline_seconds or before
    clock = math.log(before / timed_anew) if before and timed_anew and after else 0.0
    gain = math.log(timed_anew / after) if timed_anew and after else 0.0
    names = tuple(name.strip() for name in record.by.split(",") if name.strip())
    return Step(
        record.number, record.date, names or ("nobody named",), record.ai_system, record.summary, after, gain, clock,
        bool(timed_anew and after), label,
    )  # fmt: skip


def names_of(step: Step, by: By) -> tuple[str, ...]:
    """The groups that a record belongs to; it is split among several in equal parts."""
    if by == "contributor":
        return step.by
    if by == "ai":
        return (f"AI: {step.ai_system}" if step.ai_system else HUMAN,)
    return {
        "depth": (step.label.depth or UNLABELLED,),
        "provenance": (step.label.provenance or UNLABELLED,),
        "period": (step.period,),
    }[by]


def split(history: History, by: By) -> list[Group]:
    """What each group did, in the order of the scale or of time; contributors and AI systems by what they did."""
    counts: dict[str, int] = {}
    gains: dict[str, list[float]] = {}
    for step in history.steps:
        names = names_of(step, by)
        for name in names:
            counts[name] = counts.get(name, 0) + 1
            gains.setdefault(name, []).append(step.log_gain / len(names))
    groups = [Group(name, counts[name], math.fsum(gains[name])) for name in counts]
    clock = math.fsum(step.clock_gain for step in history.steps)
    ordered = sorted(groups, key=_order(by))
    return [*ordered, Group(CLOCK, 0, clock)] if clock else ordered


def _order(by: By) -> Callable[[Group], tuple]:
    scale = (*DEPTHS, *PROVENANCES, UNLABELLED)
    if by in ("depth", "provenance"):
        return lambda group: (scale.index(group.name),)
    if by == "period":
        return lambda group: (group.name,)
    return lambda group: (group.name != HUMAN, -round(group.log_gain, 12), group.name)


def since_first_ai(history: History) -> tuple[str, int, float, float] | None:
    """From the first record on that credits an AI system: day, number of records, log speedup, the AI's part of it."""
    steps = history.steps
    first = next((k for k, step in enumerate(steps) if step.ai_system), None)
    if first is None:
        return None
    later = steps[first:]
    credited = math.fsum(step.log_gain for step in later if step.ai_system)
    return steps[first].date, len(later), math.fsum(step.log_gain for step in later), credited


def cumulate(history: History, by: By) -> list[tuple[str, dict[str, float]]]:
    """At the end of each half-year: the factor that each group has reached since the start."""
    done: list[Step] = []
    found = []
    for period, steps in groupby(history.steps, key=lambda step: step.period):
        done += steps
        so_far = History(history.track, period, history.start, done[-1].seconds, tuple(done))
        found.append((period, {group.name: group.factor for group in split(so_far, by)}))
    return found


def log_gains(history: History) -> list[float]:
    """The log speedup of each record."""
    return [step.log_gain for step in history.steps]


def curve_rises(history: History) -> list[float]:
    """By how much each record raised the speedup curve, start / seconds, in units of the start's speed.

    With the clock's own steps they add up to the speedup less one. A late record weighs more than an early one with the
    same factor, since it multiplies what was reached before it.
    """
    rises, reached = [], 0.0
    for step in history.steps:
        reached += step.clock_gain
        rises.append(math.exp(reached + step.log_gain) - math.exp(reached))
        reached += step.log_gain
    return rises


def sum_range(
    history: History, weights: Sequence[float], wanted: Iterable[str], scale: Literal["depth", "provenance"]
) -> tuple[float, float, float]:
    """The weights of records labelled ``wanted``: as labelled, and least and most with close labels either way."""
    names = set(wanted)
    ends = []
    for step, weight in zip(history.steps, weights, strict=True):
        label, close = getattr(step.label, scale), getattr(step.label, f"close_{scale}")
        ends.append([weight * (name in names) for name in (label, close or label)])
    return math.fsum(pair[0] for pair in ends), math.fsum(map(min, ends)), math.fsum(map(max, ends))
