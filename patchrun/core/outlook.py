"""What can be said of a record before any run: whether it can be scored, how well its human code reaches the target."""

from __future__ import annotations

from collections.abc import Sequence

from patchrun.core.ladder import Ladder
from patchrun.core.ladderstats import Row
from patchrun.core.selection import Span
from patchrun.core.stats import Interval


def find_obstacle(ladder: Ladder, rows: Sequence[Row], span: Span) -> str:
    """Why ``span`` cannot be scored whatever a submission does; empty when nothing is known against it.

    A record that changed only its environment leaves a patch nothing to recover. A gap that is not positive, or not
    beyond noise, by the logs that ran beside each other or else by the published times, has no fraction.
    """
    first, last = rows[span.first - 1], rows[span.last - 1]
    if span.first == span.last and last.record.environment_only:
        return f"record {span} changed only its environment: there is nothing for a patch to recover"
    if not last.has_human:
        return ""
    is_beside = span.first == span.last and last.gain.over_record == span.first - 1
    if is_beside and last.gain.interval is not None:
        return _judge_gap(last.gain.seconds, last.gain.interval, f"by the {last.gain.source}")
    if first.before is None or last.published is None:
        return ""
    gap, noise = first.before - last.published, ladder.noise_seconds
    return _judge_gap(gap, (gap - noise, gap + noise), f"by the published times, give or take {noise:g} s")


def is_gap_shown(rows: Sequence[Row], span: Span) -> bool:
    """Own runs of both reference arms show a gap beyond noise; ``rows`` come with them."""
    gain = rows[span.last - 1].gain
    by_own = (
        span.first == span.last and gain.source == "local" and not rows[span.last - 1].record.environment_only
    )
    return by_own and gain.interval is not None and gain.interval[0] > 0


def _judge_gap(gap: float | None, interval: Interval, source: str) -> str:
    if gap is None:
        return ""
    if gap <= 0:
        return f"the gap is not positive: baseline - human = {gap:.3g} s {source}"
    if interval[0] <= 0:
        return f"the gap is not beyond noise: {gap:.3g} s, {interval[0]:.3g} to {interval[1]:.3g} s {source}"
    return ""


def find_margin(rows: Sequence[Row], target: float, span: Span) -> float | None:
    """How far the human code's mean loss lies below the target (nats per token), None where no run says."""
    row = rows[span.last - 1]
    if row.measured.losses:
        return target - sum(row.measured.losses) / len(row.measured.losses)
    measured = row.record.measured
    return target - measured.loss_mean if measured and measured.loss_mean is not None else None
