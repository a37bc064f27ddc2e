"""What racing saves and what it gets wrong: simulated studies of stated populations, for a table in the documents.

``together`` submissions to one record wait together and share its baseline and human runs. A full study makes every
planned run of every arm. Its verdict is that of the track's rule on the same runs, so the only wrong decision left to
racing is to stop what would have scored. Racing is that of real studies: it knows of the spread what the blocks so far
show, and what is assumed beforehand. Stops by printed losses are not simulated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from patchrun.core.halting import MARKS, PACE, limit_seconds
from patchrun.core.raceworlds import MIXED, POPULATIONS, Candidate, Figures, World
from patchrun.core.racing import (
    CONFIDENCE,
    Quantity,
    assume_loss_spread,
    assume_time_spread,
    make_outlook,
    stop_between_runs,
)
from patchrun.core.rejects import list_phases
from patchrun.core.sequential import take_looks

TOGETHER = 3


@dataclass(frozen=True)
class RaceResult:
    """Shares of the training seconds that were saved (in units of each record's baseline) and of wrong decisions.

    Of the submissions' own runs: ``saved_by_looks`` by the rule's early looks alone, ``saved`` in all, ``bound`` if
    every submission that does not score had cost nothing. Of all runs, the references' too: ``saved_shared`` against
    full studies that share their references alike, ``saved_alone`` against a study of its own for each submission.
    ``wrong``: share of submissions stopped though the full study scores them above 0. ``stopped`` counts by rule.
    """

    world: str
    population: str
    submissions: int
    saved_by_looks: float
    saved: float
    bound: float
    saved_shared: float
    saved_alone: float
    wrong: float
    stopped: dict[str, int] = field(default_factory=dict)


def simulate_race(
    world: World,
    population: str,
    *,
    studies: int = 200,
    together: int = TOGETHER,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    inside: bool = True,
) -> RaceResult:
    """Race ``together`` submissions of a population of ``POPULATIONS`` in each of ``studies``; KeyError for another.

    ``inside``: stop runs on their way too, where the world allows it; else between blocks only.
    """
    random = np.random.default_rng(seed)
    draws = POPULATIONS[population]
    sums = dict.fromkeys(("own", "looked", "raced", "dead", "references", "shared"), 0.0)
    wrong, stopped = 0, {}
    for index in range(studies):
        figures = world.records[index % len(world.records)]
        block = _References(world, figures, random)
        arms = [
            _Arm(block, draws[int(random.integers(len(draws)))](world, figures, random), random)
            for _ in range(together)
        ]
        lasted = 0
        for arm in arms:
            spent, blocks, why = arm.race(confidence, inside and world.inside)
            lasted = max(lasted, blocks)
            cost = float(arm.costs.sum()) / figures.baseline
            sums["own"] += cost
            sums["looked"] += float(arm.costs[: arm.verdict_at].sum()) / figures.baseline
            sums["raced"] += spent / figures.baseline
            sums["dead"] += 0.0 if arm.scores else cost
            if why:
                stopped[why] = stopped.get(why, 0) + 1
                wrong += arm.scores
        sums["references"] += float(block.costs.sum()) / figures.baseline
        sums["shared"] += float(block.costs[:lasted].sum()) / figures.baseline
    return _sum_up(world.name, population, studies * together, together, sums, wrong, stopped)


def _sum_up(
    world: str,
    population: str,
    count: int,
    together: int,
    sums: dict[str, float],
    wrong: int,
    stopped: dict[str, int],
) -> RaceResult:
    own, raced = sums["own"], sums["raced"] + sums["shared"]
    return RaceResult(
        world=world, population=population, submissions=count, saved_by_looks=1 - sums["looked"] / own,
        saved=1 - sums["raced"] / own, bound=sums["dead"] / own,
        saved_shared=1 - raced / (own + sums["references"]),
        saved_alone=1 - raced / (own + together * sums["references"]), wrong=wrong / count,
        stopped=dict(sorted(stopped.items())),
    )  # fmt: skip


class _References:
    """The baseline and human runs of one simulated study."""

    def __init__(self, world: World, figures: Figures, random: Generator) -> None:
        self.world, self.figures, self.looks = world, figures, world.looks(figures)
        n, sd = self.looks[-1], figures.seconds_sd
        self.baseline = random.normal(figures.baseline, sd, n)
        self.human = random.normal(figures.human, sd, n)
        self.losses = random.normal(figures.loss_mean, figures.loss_sd, (2, n))
        self.costs = self.baseline + self.human


class _Arm:
    """One simulated submission: every planned run, what it costs, and what the full study says."""

    def __init__(self, block: _References, candidate: Candidate, random: Generator) -> None:
        self.block, self.candidate = block, candidate
        figures, n = block.figures, block.looks[-1]
        mean = max(0.05 * figures.baseline, figures.baseline - candidate.fsr * figures.gap)
        self.times = np.abs(random.normal(mean, figures.seconds_sd, n))
        self.losses = random.normal(block.world.target - candidate.margin, figures.loss_sd, n)
        self.costs = self.times * (1.0 if candidate.crash is None else candidate.crash)
        self.valid, self.verdict_at = self._judge()
        first = slice(0, self.verdict_at)
        self.scores = self.valid and bool(block.baseline[first].mean() > self.times[first].mean())

    def _judge(self) -> tuple[bool, int]:
        """The verdict of the rule, and after how many runs it is known."""
        world, looks = self.block.world, self.block.looks
        if self.candidate.crash is not None:
            return False, looks[-1]
        if world.rule.kind == "mean":
            return bool(self.losses.mean() <= world.target), looks[-1]
        share = (world.rule.alpha or 0.0) / len(world.rule.looks)
        last = take_looks(self.losses, world.target, share * len(looks), looks)[-1]
        return last.proven, last.test.n if last.proven else looks[-1]

    def race(self, confidence: float, inside: bool) -> tuple[float, int, str]:
        """Seconds spent until the verdict or the stop, blocks that it took, and why it was stopped."""
        spent = 0.0
        for run in range(self.verdict_at):
            if self.candidate.crash is not None:
                return float(self.costs[run]), run + 1, ""
            limit = self._limit(run, confidence) if inside else None
            if limit is not None and self.times[run] > limit:
                return spent + self._share(run, limit), run + 1, "time, inside a run"
            spent += float(self.times[run])
            if run + 1 < self.block.looks[-1] and (quantity := self._between(run + 1, confidence)):
                return spent, run + 1, f"{quantity}, between blocks"
        return spent, self.verdict_at, ""

    def _share(self, run: int, limit: float) -> float:
        """The seconds of a run until its pace at a mark, or its time, is beyond the limit."""
        time = float(self.times[run])
        marks = [mark for mark in MARKS if PACE * time > limit and mark * time <= limit]
        return min([limit, *(mark * time for mark in marks)])

    def _limit(self, run: int, confidence: float) -> float | None:
        """As ``halting.find_limits``: in every other block the submission runs before its references."""
        known = run + 1 if run % 2 == 0 else run
        if not known:
            return None
        base, human = self.block.baseline[:known], self.block.human[:known]
        slower = (self.times[:run] - self.block.baseline[:run]).tolist()
        return limit_seconds(slower, (base - human).tolist(), float(base.max()), self.block.looks, confidence)

    def _between(self, done: int, confidence: float) -> Quantity | None:
        """As ``racejudge.judge_arm``."""
        block, world = self.block, self.block.world
        target = world.target
        base, human = block.baseline[:done], block.human[:done]
        loss = make_outlook(
            self.losses[:done],
            target,
            block.looks,
            block.losses[:, :done],
            assume_loss_spread(world.rule, target),
        )
        time = make_outlook(
            self.times[:done] - base,
            0.0,
            block.looks,
            [base - human],
            assume_time_spread(world.clock, float(base.max())),
        )
        if loss and stop_between_runs(loss, "loss", confidence):
            return "loss"
        return "time" if time and stop_between_runs(time, "time", confidence) else None


def tabulate_races(
    worlds: Sequence[World], studies: int = 200, seed: int = 0, inside: bool = True
) -> tuple[RaceResult, ...]:
    """Every world and population: the table of the documents."""
    return tuple(
        simulate_race(w, p, studies=studies, seed=seed, inside=inside) for w in worlds for p in POPULATIONS
    )


@dataclass(frozen=True)
class RejectResult:
    """Successive rejects among ``arms`` of one agent: share of the seconds of their own runs that was saved.

    Of the studies in which one scores: the share that leave the arm that the full study finds best, and the mean true
    FSR that was given up against that arm.
    """

    world: str
    arms: int
    studies: int
    saved: float
    same: float
    given_up: float


def simulate_rejects(world: World, arms: int, *, studies: int = 300, seed: int = 0) -> RejectResult:
    """Find the best of ``arms`` submissions of the mixed population by successive rejects, in full studies and so."""
    random = np.random.default_rng(seed)
    draws = POPULATIONS[MIXED]
    full = spent = lost = 0.0
    same = counted = 0
    for index in range(studies):
        figures = world.records[index % len(world.records)]
        block = _References(world, figures, random)
        own = [_Arm(block, draws[k % len(draws)](world, figures, random), random) for k in range(arms)]
        left, seconds = _reject(own, world.target)
        full += sum(float(arm.costs.sum()) for arm in own)
        spent += seconds
        best = min(own, key=lambda arm: _order(arm, world.target, len(arm.times)))
        if best.scores:
            counted += 1
            same += left is best
            lost += best.candidate.fsr - (left.candidate.fsr if left.scores else 0.0)
    return RejectResult(
        world.name, arms, studies, 1 - spent / full, same / max(1, counted), lost / max(1, counted)
    )


def _order(arm: _Arm, target: float, blocks: int) -> tuple[int, float]:
    """As ``rejects.judge_group``: failed last, then who misses the target, then by time."""
    if arm.candidate.crash is not None:
        return 2, 0.0
    return int(arm.losses[:blocks].mean() > target), float(arm.times[:blocks].mean())


def _reject(own: Sequence[_Arm], target: float) -> tuple[_Arm, float]:
    """The arm that is left, and the seconds of all until then."""
    left, spent, done = list(own), 0.0, 0
    for blocks in list_phases(len(own), len(own[0].times)):
        spent += sum(float(arm.costs[done:blocks].sum()) for arm in left)
        left.remove(max(left, key=lambda arm: _order(arm, target, blocks)))
        done = blocks
    return left[0], spent


def tabulate_rejects(
    worlds: Sequence[World], studies: int = 200, arms: Sequence[int] = (3, 5, 10), seed: int = 0
) -> tuple[RejectResult, ...]:
    """Every world whose studies have one number of blocks, and number of arms."""
    return tuple(
        simulate_rejects(world, count, studies=studies, seed=seed)
        for world in worlds if not world.rule.looks for count in arms
    )  # fmt: skip
