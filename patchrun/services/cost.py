"""What measuring submissions would take: runs, seconds, GPU-hours, from the ladder's own figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from patchrun.adapters.store import Arena
from patchrun.core.selection import Span
from patchrun.services.outlook import Outlook


@dataclass(frozen=True)
class Cost:
    """The cost of one study at most: a rule with looks may end it sooner.

    Seconds are None where the ladder has no figures for the record; ``obstacle`` says why it would not be run.
    """

    record: str
    submissions: int
    runs: int
    training_seconds: float | None
    wall_seconds: float | None
    gpu_hours: float | None
    obstacle: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def estimate(arena: Arena, spans: Iterable[Span]) -> list[Cost]:
    """One row a record; a submission is assumed to take as long as the baseline."""
    outlook = Outlook(arena)
    return [_estimate(arena, outlook, span, count) for span, count in sorted(Counter(spans).items())]


def _estimate(arena: Arena, outlook: Outlook, span: Span, count: int) -> Cost:
    track = arena.track
    baseline, human = seconds_before(arena, span.first), seconds_of(arena, span.last)
    has_human = arena.human(span.last) is not None
    if obstacle := outlook.obstacle(span):
        return Cost(str(span), count, 0, 0.0, 0.0, 0.0, obstacle)
    blocks = outlook.blocks(span)
    runs = (1 + count + has_human) * blocks
    if baseline is None or (has_human and human is None):
        return Cost(str(span), count, runs, None, None, None)
    block_seconds = (baseline * (1 + count) + (human or 0.0) * has_human) * track.clock.repeats
    training = block_seconds * blocks
    wall = training + track.launch.start_seconds * track.clock.repeats * runs
    return Cost(str(span), count, runs, round(training, 1), round(wall, 1), wall * track.hardware.gpus / 3600)


def seconds_of(arena: Arena, number: int) -> float | None:
    """The time of a record as measured, else as published."""
    record = arena.ladder.get(number)
    return record.measured.seconds_mean if record.measured else record.published_seconds


def seconds_before(arena: Arena, number: int) -> float | None:
    """The time of the code before a record."""
    if (published := arena.ladder.get(number).baseline_seconds) is not None:
        return published
    if number > 1:
        return seconds_of(arena, number - 1)
    return arena.ladder.base.measured.seconds_mean if arena.ladder.base.measured else None
