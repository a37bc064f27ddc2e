"""What measuring submissions would take: runs, seconds, GPU-hours, from the ladder's own figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from patchrun.adapters.store import Arena
from patchrun.core import plan, racejudge
from patchrun.core.results import Study
from patchrun.core.selection import Span, parse_span
from patchrun.core.track import Track
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

    @property
    def cpu_hours(self) -> float | None:
        """Hours of the machine where the track has no GPUs."""
        if self.wall_seconds is None or self.gpu_hours:
            return 0.0 if self.gpu_hours else None
        return self.wall_seconds / 3600

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
    probes = count_probes(track, count)
    runs = (1 + count + has_human) * blocks + probes
    if baseline is None or (has_human and human is None):
        return Cost(str(span), count, runs, None, None, None)
    block_seconds = (baseline * (1 + count) + (human or 0.0) * has_human) * track.clock.repeats
    training = block_seconds * blocks + baseline * probes
    wall = training + track.launch.start_seconds * track.clock.repeats * runs
    return Cost(str(span), count, runs, round(training, 1), round(wall, 1), wall * track.hardware.gpus / 3600)


def count_probes(track: Track, submissions: int) -> int:
    """The runs on known tokens at most: baseline and submissions, and at full length the baseline and one of them."""
    if track.probe is None:
        return 0
    return 1 + submissions + (2 if track.probe.full_length else 0)


def estimate_study(arena: Arena, study: Study) -> Cost:
    """What the runs that a study still lacks would take."""
    track, span = arena.track, parse_span(study.record)
    stored, ended = arena.slots(study), racejudge.ended_arms(arena.stops()).get(study.id, ())
    lacking = [
        arm for block in range(study.blocks) for arm, slot in plan.slots(study, block, ended)
        if f"{arm.name}/{study.id}-{slot.name}" not in stored
    ]  # fmt: skip
    count = sum(arm.kind == "submission" for arm in study.arms)
    baseline, human = seconds_before(arena, span.first), seconds_of(arena, span.last)
    each = [human if arm.kind == "human" else baseline for arm in lacking]
    known = [seconds for seconds in each if seconds is not None]
    if len(known) < len(each):
        return Cost(study.record, count, len(lacking), None, None, None)
    training = sum(known) * track.clock.repeats
    wall = training + track.launch.start_seconds * track.clock.repeats * len(lacking)
    hours = wall * track.hardware.gpus / 3600
    return Cost(study.record, count, len(lacking), round(training, 1), round(wall, 1), hours)


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
