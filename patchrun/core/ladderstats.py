"""The ladder in figures: published and measured times side by side, the gain with its interval, the hazards.

Pure: rows come from the manifest, the facts of ingested logs, and the arena's own runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from patchrun.core.ladder import Ladder, Record
from patchrun.core.logfacts import LogFact, counted
from patchrun.core.stats import Interval, check_mean_at_most, summarize, unpaired_interval

WITHIN_NOISE = "gain-within-noise"
NOT_POSITIVE = "gain-not-positive"
MISSED = "mean-above-target"
MEASURED_HAZARDS = {
    WITHIN_NOISE: "the gain is not beyond the noise of the times behind it",
    NOT_POSITIVE: "it is not faster than the code before it",
    MISSED: "the mean loss over its runs is above the target",
}
Source = Literal["local", "logs", "published"]


@dataclass(frozen=True)
class Sample:
    """Runs of one arm: seconds (where known) and losses in nats per token."""

    seconds: tuple[float, ...] = ()
    losses: tuple[float, ...] = ()


@dataclass(frozen=True)
class Gain:
    """Seconds gained over the code before, and where both times come from.

    ``logs``: baseline and record ran beside each other, both made on the code of ``over_record``; ``published``: the
    difference of two published times, which has no interval.
    """

    seconds: float | None
    interval: Interval | None
    source: Source
    n_baseline: int
    over_record: int


@dataclass(frozen=True)
class Row:
    """One record of ``patchrun records``; ``measured`` comes from ``source``."""

    record: Record
    published: float | None
    before: float | None  # published seconds of the code before
    source: Source
    measured: Sample
    gain: Gain
    p_value: float | None
    p_reason: str
    has_baseline: bool
    has_human: bool
    hazards: tuple[str, ...]
    gpu: str = ""
    torch: str = ""
    set_aside: dict[str, int] = field(default_factory=dict)

    @property
    def gain_seconds(self) -> float | None:
        """Published seconds before less published seconds after."""
        return None if self.before is None or self.published is None else self.before - self.published


def build_rows(
    ladder: Ladder,
    target: float,
    code: Iterable[str],
    facts: Sequence[LogFact] = (),
    local: Mapping[tuple[int, str], Sample] | None = None,
) -> list[Row]:
    """A row per record.

    ``target``: loss to reach. ``code``: names of the refs that exist (``refs/heads/baseline/N`` and
    ``refs/patchrun/human/N``). ``local``: the arena's own runs by record and arm; they come before logs, logs before
    published figures.
    """
    names = set(code)
    rows = []
    before = ladder.base.measured.seconds_mean if ladder.base.measured else None
    for record in ladder.record:
        rows.append(_build_row(ladder, record, before, target, names, facts, local or {}))
        before = rows[-1].published
    return rows


def _build_row(
    ladder: Ladder,
    record: Record,
    before: float | None,
    target: float,
    names: set[str],
    facts: Sequence[LogFact],
    local: Mapping[tuple[int, str], Sample],
) -> Row:
    number = record.number
    own = counted(facts, number, "human")
    source, human, baseline = _pick_source(record, own, facts, local)
    published, before = published_seconds(record), record.baseline_seconds or before
    gain = _measure_gain(record, source, human, baseline, before)
    test = check_mean_at_most(human.losses, target) if human.losses else None
    return Row(
        record=record,
        published=published,
        before=before,
        source=source,
        measured=human,
        gain=gain,
        p_value=test.p_value if test else None,
        p_reason=test.reason if test else "no runs",
        has_baseline=f"refs/heads/baseline/{number}" in names,
        has_human=f"refs/patchrun/human/{number}" in names,
        hazards=(
            *record.hazards,
            *_measured_hazards(ladder, gain, test.mean if test else None, target),
        ),
        gpu=", ".join(sorted({f"{fact.gpus}x{fact.gpu}" for fact in own if fact.gpu})),
        torch=", ".join(sorted({fact.torch for fact in own if fact.torch})),
        set_aside=dict(Counter(_reason(fact) for fact in facts if fact.record == number and not fact.counts)),
    )


def published_seconds(record: Record) -> float | None:
    """The published time of a record: its own, or the mean of its manifest's runs."""
    if record.published_seconds is not None:
        return record.published_seconds
    return record.measured.seconds_mean if record.measured else None


def _reason(fact: LogFact) -> str:
    """The reason without its particulars, to count by."""
    return "a copy" if fact.set_aside.startswith("a copy of") else fact.set_aside.split(":")[0]


def _pick_source(
    record: Record, own: Sequence[LogFact], facts: Sequence[LogFact], local: Mapping[tuple[int, str], Sample]
) -> tuple[Source, Sample, Sample]:
    """Where the measured figures come from, and the runs of the human and the baseline arm."""
    here = local.get((record.number, "human"), Sample())
    if here.seconds:
        return "local", here, local.get((record.number, "baseline"), Sample())
    if own:
        return "logs", sample_of(own), sample_of(counted(facts, record.number, "baseline"))
    return "published", Sample(), Sample()


def sample_of(facts: Iterable[LogFact]) -> Sample:
    """The seconds and losses of some logs."""
    taken = list(facts)
    seconds = tuple(fact.seconds for fact in taken if fact.seconds is not None)
    return Sample(seconds, tuple(fact.loss for fact in taken if fact.loss is not None))


def _measure_gain(
    record: Record, source: Source, human: Sample, baseline: Sample, before: float | None
) -> Gain:
    """The gain from runs of both arms where there are any, else from the published times."""
    last = record.number - 1
    if human.seconds and baseline.seconds:
        difference = summarize(baseline.seconds).mean - summarize(human.seconds).mean
        interval = unpaired_interval(baseline.seconds, human.seconds)
        base = record.logs.based_on if record.logs and source == "logs" else None
        return Gain(difference, interval, source, len(baseline.seconds), base or last)
    published = published_seconds(record)
    difference = None if before is None or published is None else before - published
    return Gain(difference, None, "published", 0, last)


def _measured_hazards(ladder: Ladder, gain: Gain, loss: float | None, target: float) -> list[str]:
    """The hazards that follow from figures."""
    found = [MISSED] if loss is not None and loss > target else []
    if gain.seconds is None:
        return found
    if gain.seconds <= 0:
        return [*found, NOT_POSITIVE]
    floor = gain.interval[0] if gain.interval else gain.seconds - ladder.noise_seconds
    return [*found, WITHIN_NOISE] if floor <= 0 else found


@dataclass(frozen=True)
class Totals:
    """The ladder up to a date (ISO): ``speedup`` is the first published time over the last."""

    until: str
    records: int
    first_seconds: float | None
    last_seconds: float | None
    ai_credited: tuple[int, ...]

    @property
    def speedup(self) -> float | None:
        return self.first_seconds / self.last_seconds if self.first_seconds and self.last_seconds else None


def total(ladder: Ladder, until: str) -> Totals:
    """Totals of the records dated up to ``until``; the start is the code before record 1 where the ladder has it."""
    taken = [record for record in ladder.record if record.date <= until]
    times = [seconds for record in taken if (seconds := published_seconds(record)) is not None]
    start = ladder.base.measured.seconds_mean if ladder.base.measured else next(iter(times), None)
    credited = tuple(record.number for record in taken if record.ai_system)
    return Totals(until, len(taken), start, times[-1] if times else None, credited)


def all_totals(ladder: Ladder) -> list[Totals]:
    """Totals at each of the ladder's milestones and at its last record."""
    last = max(record.date for record in ladder.record)
    return [total(ladder, until) for until in sorted({*ladder.milestones, last})]


def document_row(row: Row) -> dict[str, Any]:
    """One row of the JSON document of ``patchrun records``; what does not exist is None."""
    seconds, losses = row.measured.seconds, row.measured.losses
    times = summarize(seconds) if seconds else None
    loss = summarize(losses) if losses else None
    document = {
        "record": row.record.number,
        "date": row.record.date,
        "by": row.record.by,
        "ai_system": row.record.ai_system or None,
        "summary": row.record.summary,
        "steps": row.record.steps,
        "seconds": {
            "published": row.published,
            "measured": times.mean if times else None,
            "sd": times.sd if times else None,
            "n": max(len(seconds), len(losses)),
            "source": row.source,
        },
        "loss": {"mean": loss.mean if loss else None, "sd": loss.sd if loss else None},
        "p_value": row.p_value,
        "p_reason": row.p_reason or None,
        "gain_seconds": row.gain_seconds,
        "gain": {
            "seconds": row.gain.seconds,
            "ci": list(row.gain.interval) if row.gain.interval else None,
            "source": row.gain.source,
            "n_baseline": row.gain.n_baseline,
            "over_record": row.gain.over_record,
        },
        "gpu": row.gpu or None,
        "torch": row.torch or row.record.torch or None,
        "has_baseline": row.has_baseline,
        "has_human": row.has_human,
        "hazards": list(row.hazards),
        "set_aside": row.set_aside,
    }
    return {key: _rounded(value) for key, value in document.items()}


def _rounded(value: Any) -> Any:
    """Floats cut to nine significant digits: what a difference of decimals leaves beyond is noise."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    return [_rounded(entry) for entry in value] if isinstance(value, list) else value


def document_totals(totals: Totals) -> dict[str, Any]:
    """One entry of ``totals`` in the JSON document."""
    return {
        "until": totals.until,
        "records": totals.records,
        "speedup": totals.speedup,
        "seconds": [totals.first_seconds, totals.last_seconds],
        "ai_credited": len(totals.ai_credited),
        "ai_records": list(totals.ai_credited),
    }
