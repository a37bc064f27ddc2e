"""The worlds and populations that races are simulated in: measured times and losses of a ladder's records."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from numpy.random import Generator

from patchrun.core.errors import UsageError
from patchrun.core.ladderstats import Sample, sample_of
from patchrun.core.logfacts import LogFact, counted
from patchrun.core.progress import planned_blocks
from patchrun.core.racing import pool_spread
from patchrun.core.stats import summarize
from patchrun.core.track import Rule, Track

COLUMNS = ("record", "baseline_seconds", "human_seconds", "seconds_sd", "loss_mean", "loss_sd", "n")


@dataclass(frozen=True)
class Figures:
    """One record as measured: seconds of both arms, sd of one run's seconds and loss, the human code's mean loss."""

    record: int
    baseline: float
    human: float
    seconds_sd: float
    loss_mean: float
    loss_sd: float

    @property
    def gap(self) -> float:
        return self.baseline - self.human


@dataclass(frozen=True)
class World:
    """A track to race in: each study is of one of ``records``, under ``rule``.

    ``clock`` is the source of its times; ``inside``: its runs can be stopped on their way too.
    """

    name: str
    target: float
    rule: Rule
    records: tuple[Figures, ...]
    clock: str
    inside: bool

    def looks(self, figures: Figures) -> tuple[int, ...]:
        """The numbers of runs at which a study of a record may be decided; the last is what it plans."""
        blocks = planned_blocks(self.rule, self.target - figures.loss_mean)
        return tuple(look for look in self.rule.looks if look < blocks) + (blocks,)


def make_world(track: Track, text: str, name: str) -> World:
    """The world of a track and its figures (CSV with the columns of ``COLUMNS``, ``#`` before a remark).

    Raises:
        UsageError: a line cannot be read, or no record has a gap.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    rows = csv.DictReader(lines)
    if tuple(rows.fieldnames or ()) != COLUMNS:
        raise UsageError(f"{name}: the columns must be {','.join(COLUMNS)}")
    try:
        found = tuple(
            Figures(int(row["record"]), *(float(row[column]) for column in COLUMNS[1:6])) for row in rows
        )
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name}: not a line of figures: {error}") from None
    if not found or not all(one.gap > 0 < one.seconds_sd and one.loss_sd > 0 for one in found):
        raise UsageError(f"{name}: every record needs a gap and spreads above 0")
    return World(
        track.name, track.target.loss, track.rule, found, track.clock.source, track.launch.kind == "python"
    )


def measure_figures(facts: Sequence[LogFact], records: Iterable[int], least: int = 5) -> str:
    """The figures of ``records`` as CSV, from logs that count: those whose baseline and human code have ``least`` logs
    each with times on one hardware class. The spreads are pooled within the arms; the mean loss is the human code's.
    """
    lines = [",".join(COLUMNS)]
    for record in records:
        arms = [counted(facts, record, arm) for arm in ("baseline", "human")]
        for name in sorted({fact.hardware_class for fact in arms[1]}):
            samples = [sample_of(fact for fact in arm if fact.hardware_class == name) for arm in arms]
            if min(len(sample.seconds) for sample in samples) >= least:
                lines.append(_line(record, *samples))
    return "\n".join(lines)


def _line(record: int, baseline: Sample, human: Sample) -> str:
    means = [summarize(values).mean for values in (baseline.seconds, human.seconds, human.losses)]
    spreads = [
        pool_spread(pair) for pair in ((baseline.seconds, human.seconds), (baseline.losses, human.losses))
    ]
    seconds_sd, loss_sd = (spread[0] if spread else 0.0 for spread in spreads)
    n = min(len(baseline.seconds), len(human.seconds))
    return f"{record},{means[0]:.2f},{means[1]:.2f},{seconds_sd:.3f},{means[2]:.4f},{loss_sd:.4f},{n}"


@dataclass(frozen=True)
class Candidate:
    """One submission's truth: FSR, distance of its mean loss below the target, when its runs crash (None: never)."""

    fsr: float
    margin: float
    crash: float | None = None


Draw = Callable[[World, Figures, Generator], Candidate]


def draw_honest(fsr: Callable[[Generator], float]) -> Draw:
    """Candidates with the human code's mean loss and an FSR drawn by ``fsr``."""
    return lambda world, figures, random: Candidate(fsr(random), world.target - figures.loss_mean)


def draw_broken(world: World, figures: Figures, random: Generator) -> Candidate:
    """A third crashes somewhere in the run, a third is slower than the baseline by 1 to 10 gaps, a third misses the
    target by 5 to 60 standard deviations.
    """
    kind = random.integers(3)
    margin = world.target - figures.loss_mean
    if kind == 0:
        return Candidate(0.5, margin, float(random.uniform()))
    if kind == 1:
        return Candidate(-float(random.uniform(1, 10)), margin)
    return Candidate(float(random.uniform()), -float(random.uniform(5, 60)) * figures.loss_sd)


def _uniform(random: Generator) -> float:
    return float(random.uniform())


def _human(random: Generator) -> float:
    return float(random.normal(1.0, 0.1))


# a third broken, a third FSR 0 to 1, a third near the human code; all near it
MIXED, GOOD = "mixed", "all good"
POPULATIONS: dict[str, Sequence[Draw]] = {
    MIXED: (draw_broken, draw_honest(_uniform), draw_honest(_human)),
    GOOD: (draw_honest(_human),),
}
