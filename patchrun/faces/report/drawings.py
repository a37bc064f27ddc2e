"""The charts of the pages as values that one template draws: axes, lines, points, intervals. No script, no style."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from patchrun.core.charts import Axis, Place, curve_of, mean_curve, path_of, span_axis

if TYPE_CHECKING:
    from patchrun.core.results import Run

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 12, 44
BLOCKS_DRAWN = 8
POINTS_A_RUN, POINTS_A_MEAN = 60, 160
ARMS = ("baseline", "human", "submission")


@dataclass(frozen=True)
class Line:
    """``kind`` chooses how it looks (a class of the style sheet); ``name`` is in the legend, once a kind."""

    kind: str
    name: str
    path: str


@dataclass(frozen=True)
class Point:
    """A mark at (x, y) with its words; ``href`` is a page's name; ``low``..``high`` its interval in pixels."""

    kind: str
    x: float
    y: float
    words: str
    href: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Chart:
    """A drawing with what it shows in words, for those who do not see it."""

    title: str
    about: str
    x_label: str
    y_label: str
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    lines: tuple[Line, ...] = ()
    points: tuple[Point, ...] = ()
    rules: tuple[tuple[float, str], ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def draw_curves(runs: Sequence[Run], target: float, said: str) -> Chart | None:
    """Loss over seconds: each run faint, each arm's mean bold; None where no run printed a step line.

    The means are over the blocks that are drawn, at steps that all their runs printed.
    """
    drawn = [run for run in runs if run.block < BLOCKS_DRAWN]
    single = {arm: [curve_of(run, POINTS_A_RUN) for run in drawn if run.kind == arm] for arm in ARMS}
    means = {arm: mean_curve((run for run in drawn if run.kind == arm), POINTS_A_MEAN) for arm in ARMS}
    places = [place for curves in single.values() for curve in curves for place in curve]
    x = span_axis([0.0, *(place[0] for place in places)], LEFT, WIDTH - RIGHT)
    y = span_axis([target, *_losses(single)], HEIGHT - BOTTOM, TOP)
    if not places or x is None or y is None:
        return None
    x = Axis(0.0, x.high, x.start, x.end)
    faint = [
        Line(f"faint {arm}", "", path_of(curve, x, y)) for arm, curves in single.items() for curve in curves
    ]
    bold = [Line(arm, arm, path_of(curve, x, y)) for arm, curve in means.items() if curve]
    blocks = len({run.block for run in runs})
    cut = f", the first {BLOCKS_DRAWN} of {blocks} blocks" if blocks > BLOCKS_DRAWN else ""
    return Chart(
        title="Loss over time", about=f"{said}; bold: the mean of an arm's runs, faint: each run{cut}.",
        x_label="wall seconds since the start", y_label="loss as printed, nats per token",
        x_ticks=tuple(x.ticks()), y_ticks=tuple(y.ticks()), lines=(*faint, *bold),
        rules=((y.place(target), f"target {target:g}"),), legend=tuple((arm, arm) for arm in ARMS if single[arm]),
    )  # fmt: skip


def _losses(curves: Mapping[str, list[list[Place]]]) -> list[float]:
    """The losses that the axis must hold: a submission's as far as the reference arms', and half as much again."""
    found = {arm: [loss for curve in own for _, loss in curve] for arm, own in curves.items()}
    known = found["baseline"] + found["human"]
    low, high = (min(known) - abs(min(known)), 1.5 * max(known)) if known else (-math.inf, math.inf)
    return known + [loss for loss in found["submission"] if low <= loss <= high]


@dataclass(frozen=True)
class Rung:
    """A record on the ladder: ``day`` (ISO), seconds, its page, and words for a reader."""

    number: int
    day: str
    seconds: float
    words: str
    href: str
    ai: bool = False


@dataclass(frozen=True)
class Climber:
    """An agent's submission on the ladder: it stands at its record's place, at its own seconds."""

    record: int
    seconds: float
    words: str
    href: str


def draw_ladder(rungs: Sequence[Rung], climbers: Iterable[Climber]) -> Chart | None:
    """Seconds (log) against the day of each record; against its number where the days do not spread."""
    climbers = list(climbers)
    days = {rung.number: date.fromisoformat(rung.day).toordinal() for rung in rungs}
    by_day = len(set(days.values())) > max(2, len(days) // 3)
    where = days if by_day else {number: number for number in days}
    seconds = [rung.seconds for rung in rungs] + [climber.seconds for climber in climbers]
    x = span_axis(map(float, where.values()), LEFT, WIDTH - RIGHT)
    y = span_axis(seconds, HEIGHT - BOTTOM, TOP, log=True)
    if x is None or y is None:
        return None
    marks = [
        Point("ai" if rung.ai else "human", x.place(where[rung.number]), y.place(rung.seconds), rung.words, rung.href)
        for rung in rungs
    ]  # fmt: skip
    marks += [
        Point("submission", x.place(where[one.record]), y.place(one.seconds), one.words, one.href)
        for one in climbers if one.record in where
    ]  # fmt: skip
    steps: list[Place] = [(where[rung.number], rung.seconds) for rung in rungs]
    kinds, ours = {mark.kind for mark in marks}, len(marks) - len(rungs)
    names = (("human", "record"), ("ai", "record that credits an AI system"), ("submission", "submission"))
    return Chart(
        title="The ladder", x_label="date of the record" if by_day else "record", y_label="seconds, log scale",
        about=f"Training time of {len(rungs)} records and of {ours} submissions, each at its record.",
        x_ticks=tuple(_day_ticks(x) if by_day else _number_ticks(x, where)), y_ticks=tuple(y.ticks()),
        lines=(Line("human", "", path_of(steps, x, y, steps=True)),), points=tuple(marks),
        legend=tuple((kind, name) for kind, name in names if kind in kinds),
    )  # fmt: skip


def _number_ticks(x: Axis, numbers: Iterable[float]) -> list[tuple[float, str]]:
    every = sorted(numbers)
    stride = 1 + len(every) // 16
    return [(x.place(number), f"{number:g}") for number in every[::stride]]


def _day_ticks(x: Axis) -> list[tuple[float, str]]:
    """The first days of months, at most eight; of a short time single days, at most six."""
    first, last = date.fromordinal(math.ceil(x.low)), date.fromordinal(math.floor(x.high))
    months = range(first.year * 12 + first.month, last.year * 12 + last.month)
    days, form = [date(month // 12, month % 12 + 1, 1) for month in months], "%b %Y"
    if len(days) < 3:
        days, form = [date.fromordinal(k) for k in range(first.toordinal(), last.toordinal() + 1)], "%d %b"
    stride = 1 + (len(days) - 1) // (8 if form == "%b %Y" else 6)
    return [(x.place(day.toordinal()), day.strftime(form)) for day in days[::stride]]


def draw_intervals(
    rows: Sequence[tuple[str, float, float, float, str]], title: str, x_label: str
) -> Chart | None:
    """A row each of (words, value, low, high, page): the value as a point on its interval, lines at 0 and 1."""
    if not rows:
        return None
    left, right, height = 170, 480, 40 + 26 * len(rows) + 8
    ends = [end for _, value, low, high, _ in rows for end in (value, max(low, -3.0), min(high, 4.0))]
    x = span_axis([0.0, 1.0, *ends], left, right)
    assert x is not None
    points, names = [], []
    for at, (words, value, low, high, href) in enumerate(rows):
        y = 20.0 + 26 * at
        said = f"{words}: {value:.3f}, 95% interval {low:.3f} to {high:.3f}"
        points.append(Point("submission", x.place(value), y, said, href, x.place(low), x.place(high)))
        names.append((y, words))
    bottom = height - 40
    marks = tuple(
        Line(name, "", f"M{x.place(at):g} {TOP}V{bottom}") for name, at in (("zero", 0), ("one", 1))
    )
    return Chart(
        title=title, about="; ".join(point.words for point in points[:12]), x_label=x_label, y_label="",
        x_ticks=tuple(x.ticks()), y_ticks=tuple(names), points=tuple(points), height=height,
        width=right + RIGHT, left=left, right=right, bottom=bottom, lines=marks,
    )  # fmt: skip
