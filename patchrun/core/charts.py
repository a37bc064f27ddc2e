"""Geometry of charts: axes with ticks, curves thinned and averaged. Values in, places in a drawing out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from patchrun.core.results import CurvePoint, Run

Place = tuple[float, float]
LEAST = 1e-9  # of what a log axis shows: no time is shorter
MOST_LOSS = 1e6  # nats per token: beyond it a printed loss is no number to draw


@dataclass(frozen=True)
class Axis:
    """``low``..``high`` of a quantity drawn from ``start`` to ``end`` (pixels; end < start points upward)."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """Where ``value`` stands, in pixels to a tenth, held inside the axis."""
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return round(self.start + (value - low) / (high - low) * (self.end - self.start), 1)

    def ticks(self) -> list[tuple[float, str]]:
        """(place, label) of each tick."""
        values = log_ticks(self.low, self.high) if self.log else nice_ticks(self.low, self.high)
        return [(self.place(value), f"{value:.10g}") for value in values]


def span_axis(values: Iterable[float], start: float, end: float, *, log: bool = False) -> Axis | None:
    """An axis over all ``values`` with a little room around them; None where there is no value to draw.

    A log axis takes values above ``LEAST`` only.
    """
    usable = [value for value in values if math.isfinite(value) and (value > LEAST or not log)]
    if not usable:
        return None
    low, high = min(usable), max(usable)
    if log:
        room = (high / low) ** 0.05 if high > low else 1.5
        return Axis(low / room, high * room, start, end, log=True)
    room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return Axis(low - room, high + room, start, end)


def nice_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten inside the interval, at most ``most``."""
    rough = (high - low) / most
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten inside the interval; powers alone over three decades, nice ticks below a third."""
    decades = math.log10(high / low)
    factors = (1,) if decades > 3 else (1, 2, 5)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [10.0**power * factor for power in powers for factor in factors]
    inside = [value for value in found if low <= value <= high]
    return inside if len(inside) > 1 else nice_ticks(low, high)


def thin(points: Sequence[CurvePoint], most: int) -> list[CurvePoint]:
    """At most ``most`` points at even distances, the first and the last among them."""
    if len(points) <= most:
        return list(points)
    return [points[round(k * (len(points) - 1) / (most - 1))] for k in range(most)]


def curve_of(run: Run, most: int) -> list[Place]:
    """(seconds since the start, loss) of a run's step lines, those with a finite loss, thinned."""
    return [(point.at, point.loss) for point in thin(_drawable(run), most) if point.loss is not None]


def _drawable(run: Run) -> list[CurvePoint]:
    """The step lines with a loss that can be drawn; a script may print any number it likes."""
    return [point for point in run.curve if point.loss is not None and abs(point.loss) < MOST_LOSS]


def mean_curve(runs: Iterable[Run], most: int) -> list[Place]:
    """(mean seconds, mean loss) at each step that every run printed; empty where they share none."""
    curves = [{point.step: point for point in _drawable(run)} for run in runs]
    if not curves:
        return []
    shared = sorted(set.intersection(*(set(curve) for curve in curves)))
    means = [
        CurvePoint(
            step, sum(c[step].loss or 0.0 for c in curves) / len(curves), None,
            sum(c[step].at for c in curves) / len(curves),
        )
        for step in shared
    ]  # fmt: skip
    return [(point.at, point.loss) for point in thin(means, most) if point.loss is not None]


def path_of(places: Iterable[Place], x: Axis, y: Axis, *, steps: bool = False) -> str:
    """The ``d`` of an SVG path through ``places``; with ``steps`` it goes sideways first, then up or down."""
    words: list[str] = []
    for at, (across, up) in enumerate(places):
        left, top = x.place(across), y.place(up)
        words.append(
            f"M{left:g} {top:g}" if at == 0 else f"H{left:g}V{top:g}" if steps else f"L{left:g} {top:g}"
        )
    return "".join(words)
