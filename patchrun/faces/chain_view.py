"""Chains and the frontier as text, JSON documents and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from patchrun.faces import cells

if TYPE_CHECKING:
    from patchrun.core.frontier import Point
    from patchrun.services.assessment import Scored

COLUMNS = (
    "agent", "from", "at", "attempts", "machine_seconds", "usd", "speedup", "low", "high", "fsr", "record", "id",
    "onto", "improved",
)  # fmt: skip


def chain_document(chain: Sequence[Scored]) -> list[dict[str, Any]]:
    """The links from the first to the last, as JSON."""
    return [
        {
            "id": one.attempt.id, "record": one.attempt.span.to_json(), "verdict": one.score.verdict,
            "fsr": one.score.fsr, "speedup": one.score.speedup,
        }
        for one in chain
    ]  # fmt: skip


def chain_text(chain: Sequence[Scored]) -> str:
    """The links, a line each, each scored from the chain's own baseline."""
    rows = [
        (
            number, one.attempt.id[:12], one.attempt.record, one.score.verdict or one.score.state,
            cells.number(one.score.fsr), cells.number(one.score.speedup),
        )
        for number, one in enumerate(chain, 1)
    ]  # fmt: skip
    headers = ("link", "id", "record", "verdict", "FSR", "speedup")
    said = f"Chain of {len(chain)} links from baseline {chain[0].attempt.span.first}, all scored from it:"
    return said + "\n\n" + cells.table(rows, headers)


def frontier_document(points: Sequence[Point], track: str) -> dict[str, Any]:
    """The points of every series as JSON."""
    return {"track": track, "points": [dict(zip(COLUMNS, _row(point), strict=True)) for point in points]}


def frontier_csv(points: Sequence[Point]) -> str:
    """The points as CSV, a line each under a head."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *(_row(point) for point in points)])
    return text.getvalue().rstrip("\n")


def _row(point: Point) -> tuple[Any, ...]:
    low, high = point.ci or (None, None)
    return (
        point.agent, point.first, point.at, point.attempts, point.seconds, point.usd, point.speedup, low, high,
        point.fsr, point.record, point.id, point.onto or None, point.improved,
    )  # fmt: skip


def frontier_text(points: Sequence[Point], over: str, machine: str, style: str = "simple") -> str:
    """A table and a staircase for each series, ``over`` time, cost (machine seconds) or usd."""
    if not points:
        return "no valid submission yet"
    rows = [_text_row(point, over) for point in points if point.improved]
    head = {"time": "at (UTC)", "cost": f"{machine} s", "usd": "USD"}[over]
    headers = ("agent", "from", head, "attempts", "speedup", "95% interval", "FSR", "record", "id")
    table = cells.table(rows, headers, style)
    lines = [_line(list(own), over) for _, own in groupby(points, lambda point: (point.agent, point.first))]
    return "\n".join([table, "", *lines])


def _text_row(point: Point, over: str) -> tuple[str, ...]:
    places = {
        "time": point.at[:19].replace("T", " "),
        "cost": f"{point.seconds:.4g}",
        "usd": cells.number(point.usd),
    }
    return (
        point.agent, str(point.first), places[over], str(point.attempts), f"{point.speedup:.3f}",
        cells.interval(point.ci), cells.number(point.fsr), point.record, point.id[:12],
    )  # fmt: skip


def _line(own: Sequence[Point], over: str) -> str:
    """One series as a staircase from its first valid submission to its last attempt."""
    from patchrun.core.frontier import draw_line

    name = f"{own[0].agent}, baseline {own[0].first}"
    places = [_place(point, over) for point in own]
    if None in places:
        return f"{name}: what an attempt cost is not known"
    drawn = draw_line([place for place in places if place is not None], [point.speedup for point in own])
    return f"{name}: {own[0].speedup:.3f} {drawn} {own[-1].speedup:.3f}"


def _place(point: Point, over: str) -> float | None:
    if over == "time":
        return datetime.fromisoformat(point.at).timestamp()
    return point.seconds if over == "cost" else point.usd
