"""The frontier: how far an agent had come from one baseline, over time and over what it had spent by then.

A series is one agent from one baseline: its attempts in the order handed in, those that failed too, since they cost.
What is best is the mean speedup over that baseline of a valid submission. The best of many noisy measurements leans
upward: each point has its interval, and the number of attempts it was chosen from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from patchrun.core.stats import Interval

EVERYBODY = "(all)"
_BARS = "▁▂▃▄▅▆▇█"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt. ``first``: the baseline that it starts from. ``seconds``: machine time of its own runs.

    ``usd`` is what making it cost, None where nothing says so; ``speedup`` is None of what is not valid.
    """

    id: str
    agent: str
    first: int
    record: str
    created: str
    seconds: float
    usd: float | None = None
    speedup: float | None = None
    ci: Interval | None = None
    fsr: float | None = None
    onto: str = ""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """The best so far when attempt ``at`` was in: ``speedup`` and its ``ci``, ``fsr`` over the span ``record``.

    ``seconds`` and ``usd`` are sums over all attempts so far; ``usd`` is None from the first attempt on whose cost
    nobody knows. ``improved``: this attempt is the new best; else the point only says how far the series goes.
    """

    agent: str
    first: int
    at: str
    attempts: int
    seconds: float
    usd: float | None
    speedup: float
    ci: Interval | None
    fsr: float | None
    record: str
    id: str
    onto: str
    improved: bool


def trace_frontier(steps: Iterable[Step]) -> list[Point]:
    """The points at which a series improves, and the last of each; by agent and baseline, then by time.

    Where several agents started from one baseline, a series of all of them comes along as ``(all)``.
    """
    series: dict[tuple[str, int], list[Step]] = {}
    starts: dict[int, set[str]] = {}
    ordered = sorted(steps, key=lambda step: (step.created, step.id))
    for step in ordered:
        starts.setdefault(step.first, set()).add(step.agent)
    for step in ordered:
        names = [step.agent, EVERYBODY] if len(starts[step.first]) > 1 else [step.agent]
        for name in names:
            series.setdefault((name, step.first), []).append(step)
    return [point for key in sorted(series) for point in _trace(key[0], series[key])]


def _trace(agent: str, steps: Sequence[Step]) -> list[Point]:
    found: list[Point] = []
    best: Step | None = None
    seconds, usd = 0.0, 0.0
    is_known = True
    for count, step in enumerate(steps, 1):
        seconds += step.seconds
        is_known = is_known and step.usd is not None
        usd += step.usd or 0.0
        improved = step.speedup is not None and (best is None or step.speedup > (best.speedup or 0.0))
        best = step if improved else best
        if best is not None and (improved or count == len(steps)):
            found.append(
                Point(
                    agent=agent, first=step.first, at=step.created, attempts=count, seconds=seconds,
                    usd=usd if is_known else None, speedup=best.speedup or 0.0, ci=best.ci, fsr=best.fsr,
                    record=best.record, id=best.id, onto=best.onto, improved=improved,
                )
            )  # fmt: skip
    return found


def draw_line(places: Sequence[float], heights: Sequence[float], width: int = 40) -> str:
    """A staircase in one line of text: the height reached at each of ``width`` equal steps along ``places``.

    ``places`` rise; empty without points; the lowest bar stands for the least height, the highest for the most.
    """
    if not places:
        return ""
    low, high = min(heights), max(heights)
    length = (places[-1] - places[0]) or 1.0
    line = ""
    for column in range(width):
        at = places[0] + length * column / max(1, width - 1)
        height = max(h for place, h in zip(places, heights, strict=True) if place <= at + 1e-9 * length)
        line += _BARS[round((height - low) / ((high - low) or 1.0) * (len(_BARS) - 1))]
    return line
