"""What racing saves and what it gets wrong: simulated studies of stated populations, for a table in the documents.

A study that is not raced makes every planned run of the submission. The verdict is that of the track's rule at its
looks on the same runs, so the only wrong decision left to racing is to stop what would have scored. References: three
blocks of baseline and human runs are there before the submission's first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from patchrun.core.racing import (
    CONFIDENCE,
    Outlook,
    Points,
    Stop,
    make_outlook,
    stop_between_runs,
    stop_for_loss,
    stop_for_time,
)
from patchrun.core.sequential import take_looks

STEPS = 1000
MARKS = np.arange(0, STEPS + 1, STEPS // 20)
REFERENCES = 3
LOOK_AT = (5, 10, 15, 19)  # indices into MARKS: a quarter, half, three quarters, near the end


@dataclass(frozen=True)
class World:
    """The distributions of a track: seconds, losses, the rule.

    ``margin`` and ``margin_sd``: how far below the target an honest arm's mean loss lies. ``fall``: loss taken off
    from the first step to the last. ``alpha`` None is the mean rule, and ``looks`` then one number.
    """

    name: str
    baseline: float
    gap: float
    time_sd: float
    target: float
    loss_sd: float
    margin: float
    margin_sd: float
    fall: float
    looks: tuple[int, ...]
    alpha: float | None


POCKET = World("pocket", 12.5, 3.0, 0.35, 3.75, 0.015, 0.03, 0.005, 2.5, (5,), None)
NANOGPT = World("nanogpt", 176.0, 4.0, 0.07, 3.28, 0.0013, 0.0025, 0.0005, 7.5, (5, 10, 25), 0.01)


@dataclass(frozen=True)
class Candidate:
    """One submission's truth: FSR, distance of its mean loss below the target, when its runs crash (None: never)."""

    fsr: float
    margin: float
    crash: float | None = None


Draw = Callable[[World, Generator], Candidate]


def draw_honest(fsr: Callable[[Generator], float]) -> Draw:
    """Candidates with the world's margin and an FSR drawn by ``fsr``."""
    return lambda world, random: Candidate(
        fsr(random), max(0.0, random.normal(world.margin, world.margin_sd))
    )


def draw_broken(world: World, random: Generator) -> Candidate:
    """A third crashes somewhere in the run, a third is slower than the baseline, a third misses the target clearly."""
    kind = random.integers(3)
    if kind == 0:
        return Candidate(0.5, world.margin, float(random.uniform()))
    if kind == 1:
        return Candidate(-float(random.uniform(1, 10)), world.margin)
    return Candidate(float(random.uniform()), -float(random.uniform(5, 60)) * world.loss_sd)


def _uniform(random: Generator) -> float:
    return float(random.uniform())


def _human(random: Generator) -> float:
    return float(random.normal(1.0, 0.1))


POPULATIONS: dict[str, tuple[Draw, ...]] = {
    "a third broken, a third FSR 0 to 1, a third near human": (
        draw_broken,
        draw_honest(_uniform),
        draw_honest(_human),
    ),
    "all near human": (draw_honest(_human),),
}


@dataclass(frozen=True)
class RaceResult:
    """Shares of the seconds of full studies that were saved: by the rule's early looks alone, and in all.

    ``wrong``: share of submissions that were stopped though the full study scores them above 0. ``stopped`` counts
    stops by quantity, inside and between runs.
    """

    world: str
    population: str
    studies: int
    saved_by_looks: float
    saved: float
    wrong: float
    stopped: dict[str, int] = field(default_factory=dict)


def simulate_race(
    world: World,
    population: str,
    *,
    studies: int = 300,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    inside: bool = True,
) -> RaceResult:
    """Race ``studies`` submissions of a population of ``POPULATIONS``; KeyError for another name.

    ``inside``: stop inside runs too, by clock and loss curve; else between runs only, as real studies are raced.
    """
    random = np.random.default_rng(seed)
    draws = POPULATIONS[population]
    full = looked = raced = 0.0
    wrong, stopped = 0, {}
    for index in range(studies):
        study = _Study(world, draws[index % len(draws)](world, random), random)
        spent, stop = study.race(confidence, inside)
        full += float(study.costs.sum())
        looked += float(study.costs[: study.verdict_at].sum())
        raced += spent
        if stop is not None:
            name = f"{stop.quantity}, {'inside a run' if stop.inside_run else 'between runs'}"
            stopped[name] = stopped.get(name, 0) + 1
            wrong += study.scores
    return RaceResult(
        world=world.name, population=population, studies=studies, saved_by_looks=1 - looked / full,
        saved=1 - raced / full, wrong=wrong / studies, stopped=dict(sorted(stopped.items())),
    )  # fmt: skip


class _Study:
    """One simulated study: every planned run, what it costs, and what the full study says."""

    def __init__(self, world: World, candidate: Candidate, random: Generator) -> None:
        self.world, self.candidate = world, candidate
        # a stream of its own, so that studies are the same whether or not their runs are looked into
        self.random = np.random.default_rng(random.integers(2**62))
        n = world.looks[-1]
        self.baseline = random.normal(world.baseline, world.time_sd, n)
        self.human = random.normal(world.baseline - world.gap, world.time_sd, n)
        self.times = random.normal(world.baseline - candidate.fsr * world.gap, world.time_sd, n)
        self.losses = random.normal(world.target - candidate.margin, world.loss_sd, n)
        self.honest = random.normal(world.target - world.margin, world.loss_sd, (2, n))
        self.curves = [_draw_curve(loss, world.fall, random) for loss in self.honest[:, :REFERENCES].ravel()]
        self.costs = self.times * (1.0 if candidate.crash is None else candidate.crash)
        self.valid, self.verdict_at = self._judge()
        faster = self.baseline[: self.verdict_at].mean() > self.times[: self.verdict_at].mean()
        self.scores = self.valid and bool(faster)

    def _judge(self) -> tuple[bool, int]:
        """The verdict of the rule, and after how many runs it is known."""
        world, n = self.world, self.world.looks[-1]
        if self.candidate.crash is not None:
            return False, n
        if world.alpha is None:
            return bool(self.losses.mean() <= world.target), n
        last = take_looks(self.losses, world.target, world.alpha, world.looks)[-1]
        return last.proven, last.test.n if last.proven else n

    def race(self, confidence: float, inside: bool) -> tuple[float, Stop | None]:
        """Seconds spent until the verdict or the stop, and the stop. A crash ends the study by itself."""
        spent = 0.0
        for run in range(self.verdict_at):
            if self.candidate.crash is not None:
                return float(self.costs[run]), None
            share, stop = self._race_run(run, confidence) if inside else (1.0, None)
            spent += float(self.times[run]) * share
            stop = stop or self._between_runs(run + 1, confidence)
            if stop is not None:
                return spent, stop
        return spent, None

    def _outlooks(self, done: int) -> tuple[Outlook, Outlook]:
        """Of the loss and of the time after ``done`` runs."""
        seen, world = max(done, REFERENCES), self.world
        loss = make_outlook(self.losses[:done], world.target, world.looks, self.honest[:, :seen])
        slower = self.times[:done] - self.baseline[:done]
        time = make_outlook(slower, 0.0, world.looks, [self.baseline[:seen] - self.human[:seen]])
        assert loss is not None and time is not None
        return loss, time

    def _race_run(self, run: int, confidence: float) -> tuple[float, Stop | None]:
        """The share of the run that is trained, and why no more."""
        loss, time = self._outlooks(run)
        clock = _draw_clock(float(self.times[run]), self.random)
        curve = _draw_curve(float(self.losses[run]), self.world.fall, self.random)
        limit = float(self.baseline[run])
        for index in LOOK_AT:
            stop = stop_for_time(clock[: index + 1], STEPS, limit, time, confidence=confidence)
            stop = stop or stop_for_loss(curve[: index + 1], STEPS, self.curves, loss, confidence=confidence)
            if stop is not None:
                return float(MARKS[index]) / STEPS, stop
        return 1.0, None

    def _between_runs(self, done: int, confidence: float) -> Stop | None:
        loss, time = self._outlooks(done)
        return stop_between_runs(loss, "loss", confidence) or stop_between_runs(time, "time", confidence)


def _draw_clock(total: float, random: Generator) -> Points:
    """(step, elapsed seconds) at ``MARKS``: equal steps with 2% noise each, ending at ``total``."""
    pieces = random.normal(1.0, 0.02, len(MARKS) - 1)
    elapsed = np.concatenate([[0.0], np.cumsum(pieces) / pieces.sum() * total])
    return list(zip(MARKS.tolist(), elapsed.tolist(), strict=True))


def _draw_curve(final: float, fall: float, random: Generator) -> Points:
    """(step, loss) at ``MARKS``: a power law that loses ``fall`` in all, with noise that shrinks to the end."""
    done = MARKS / STEPS
    shape = ((1 + 20 * done) ** -0.7 - 21**-0.7) / (1 - 21**-0.7)
    noise = random.normal(0, 0.01, len(MARKS)) * fall * shape
    return list(zip(MARKS.tolist(), (final + fall * shape + noise).tolist(), strict=True))


def tabulate_races(
    worlds: Sequence[World] = (POCKET, NANOGPT), studies: int = 300, seed: int = 0, inside: bool = True
) -> tuple[RaceResult, ...]:
    """Every world and population: the table of the documents."""
    return tuple(
        simulate_race(w, p, studies=studies, seed=seed, inside=inside) for w in worlds for p in POPULATIONS
    )
