"""When a run of a submission need not go on to its end: limits that are known before it starts.

Time: patchrun's own clock shows more seconds than a run of a study may take whose mean is still to come out faster than
the baseline's, or will at the pace so far; how far it is, the script itself prints. Loss: at a quarter, half or three
quarters of its steps the script prints a loss from which no training in reach comes down to the target. What is printed
is the patch's own claim, so it can only hurt its maker. All at ``racing.CONFIDENCE``, from the study's reference runs
that ended before; whoever has them gets the same limits.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

import msgspec
import numpy as np

from patchrun.core.evidence import Evidence, collect, is_usable, losses_of
from patchrun.core.racejudge import list_looks
from patchrun.core.racing import (
    CONFIDENCE,
    Outlook,
    Points,
    assume_loss_spread,
    assume_time_spread,
    make_outlook,
    most_to_lose,
)
from patchrun.core.results import Halt, Run, Study
from patchrun.core.track import Track

MARKS = (0.25, 0.5, 0.75)
PACE = 0.8
EASE = 1.25  # times the most that the references lost from a mark on
FIRST_LOSS = 2.0  # curves that start beyond this factor of the references' are in another unit
GRID = np.geomspace(0.01, 4.0, 60)


class Bar(msgspec.Struct, frozen=True, array_like=True):
    """At ``fraction`` of the steps a printed loss above ``loss`` is hopeless."""

    fraction: float
    loss: float


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a run may show: ``seconds`` by the track's clock, None without a limit; the loss at each of ``bars``.

    ``first``: the mean first loss that the references printed. ``blocks``: those whose references this follows from.
    """

    seconds: float | None
    bars: tuple[Bar, ...] = ()
    first: float | None = None
    blocks: tuple[int, ...]
    confidence: float

    def judge_seconds(self, seconds: float) -> Halt | None:
        """The stop of a run that has used ``seconds``."""
        if self.seconds is None or seconds <= self.seconds:
            return None
        return Halt(
            quantity="time", seen=seconds, limit=self.seconds, blocks=self.blocks, confidence=self.confidence
        )

    def judge_pace(self, fraction: float, seconds: float) -> Halt | None:
        """The stop of a run that took ``seconds`` for a ``fraction`` of its steps, at a mark or later.

        The steps to come may be as much cheaper as ``PACE`` says.
        """
        if fraction < MARKS[0]:
            return None
        least = max(seconds, PACE * seconds / fraction)
        halt = self.judge_seconds(least)
        return None if halt is None else msgspec.structs.replace(halt, fraction=fraction)

    def judge_losses(self, points: Points) -> Halt | None:
        """The stop of a run by ``points``, (fraction of its steps, printed loss), in order, judged at its last one."""
        if not points or not self.first or not 1 / FIRST_LOSS <= points[0][1] / self.first <= FIRST_LOSS:
            return None
        done, loss = points[-1]
        passed = [bar for bar in self.bars if bar.fraction <= done]
        if not passed or loss <= passed[-1].loss:
            return None
        bar = passed[-1]
        return Halt(
            quantity="loss", seen=loss, limit=bar.loss, fraction=bar.fraction, blocks=self.blocks,
            confidence=self.confidence,
        )  # fmt: skip


def find_limits(
    track: Track,
    study: Study,
    runs: Iterable[Run],
    arm: str,
    block: int,
    *,
    only: Collection[int] | None = None,
    confidence: float = CONFIDENCE,
) -> Limits | None:
    """The limits of the run of submission ``arm`` in ``block``; None while no block has its reference runs.

    They rest on the blocks in which every arm has ended well, and on the references of ``block`` itself where those ran
    first; ``only`` on these. For tracks whose arms are timed in the same blocks, against a human arm.
    """
    evidence = collect(track, study, runs, arm)
    if not track.clock.paired or not evidence.has_human:
        return None
    evidence = _keep(evidence, block, only)
    if not evidence.baseline or not evidence.human:
        return None
    used = tuple(sorted({run.block for run in evidence.baseline}))
    return Limits(
        seconds=_limit_seconds(evidence, confidence), bars=_list_bars(evidence, confidence),
        first=_first_loss(_curves(evidence)), blocks=used, confidence=confidence,
    )  # fmt: skip


def _keep(evidence: Evidence, block: int, only: Collection[int] | None) -> Evidence:
    """The runs of the blocks that ``find_limits`` names; the submission's own in ``block`` is the one to come."""
    held = [{run.block for run in runs if is_usable(run)} for runs in evidence.references.values()]
    own = {run.block for run in evidence.submission if is_usable(run)} - {block}
    kept = set.intersection(*held) & (own | {block})
    kept = kept if only is None else kept & set(only)

    def pick(runs: Sequence[Run]) -> list[Run]:
        return [run for run in runs if run.block in kept and is_usable(run)]

    return msgspec.structs.replace(
        evidence, baseline=pick(evidence.baseline), human=pick(evidence.human),
        submission=[run for run in pick(evidence.submission) if run.block != block],
    )  # fmt: skip


def _limit_seconds(evidence: Evidence, confidence: float) -> float | None:
    """The slowest baseline run so far, and the most that the mean may be behind it after this run."""
    base, human, own = (
        {run.block: run.seconds or 0.0 for run in runs}
        for runs in (evidence.baseline, evidence.human, evidence.submission)
    )
    slower = [own[block] - base[block] for block in sorted(own)]
    gaps = [base[block] - human[block] for block in sorted(base)]
    clock = evidence.track.clock.source
    return limit_seconds(slower, gaps, max(base.values()), list_looks(evidence), confidence, clock)


def limit_seconds(
    slower: Sequence[float],
    gaps: Sequence[float],
    slowest: float,
    looks: Sequence[int],
    confidence: float,
    clock: str = "cpu",
) -> float | None:
    """The most seconds of the next run: ``slower`` are submission - baseline of the runs before, ``gaps`` baseline -
    human, ``slowest`` is the longest baseline run; None where even four times as much leaves hope.
    """
    outlook = make_outlook(slower, 0.0, looks, [gaps], assume_time_spread(clock, slowest))
    behind = _solve(outlook, slowest * GRID, confidence) if outlook else None
    return None if behind is None else slowest + behind


def _solve(outlook: Outlook, grid: Sequence[float] | np.ndarray, confidence: float) -> float | None:
    """The least of the rising ``grid`` from which on one more value leaves no hope; None where there is always some."""
    hopeless = [outlook.chance(float(value)) < 1 - confidence for value in grid]
    if not hopeless[-1]:
        return None
    return float(grid[max((k + 1 for k, lost in enumerate(hopeless) if not lost), default=0)])


def _curves(evidence: Evidence) -> list[Points]:
    """Fraction and printed loss of every reference run, its end at the measured loss."""
    found: list[Points] = []
    for run in (*evidence.baseline, *evidence.human):
        points = [(float(p.step), p.loss) for p in run.curve if p.loss is not None]
        if len(points) > 1 and run.loss is not None:
            last = points[-1][0]
            found.append([*((step / last, loss) for step, loss in points[:-1]), (1.0, run.loss)])
    return found


def _first_loss(curves: Sequence[Points]) -> float | None:
    return sum(curve[0][1] for curve in curves) / len(curves) if curves else None


def _list_bars(evidence: Evidence, confidence: float) -> tuple[Bar, ...]:
    curves, target = _curves(evidence), evidence.track.target.loss
    references = [losses_of(runs) for runs in evidence.references.values()]
    losses = losses_of(evidence.submission)
    outlook = make_outlook(
        losses, target, list_looks(evidence), references, assume_loss_spread(evidence.track.rule, target)
    )
    above = _solve(outlook, target + abs(target) * GRID, confidence) if outlook else None
    start = _first_loss(curves)
    if above is None or start is None:
        return ()
    most = [(mark, most_to_lose([(0.0, start), (mark, start)], 1, curves, confidence)) for mark in MARKS]
    return tuple(Bar(mark, above + EASE * fall) for mark, fall in most if fall is not None)


def say_halt(halt: Halt) -> str:
    """The reason of a run that was stopped, with its evidence."""
    if halt.quantity == "time":
        how = (
            "when it was stopped"
            if halt.fraction is None
            else f"at least, by its pace at {halt.fraction:.0%}"
        )
        said = f"{halt.seen:.4g} s {how}, and no run of more than {halt.limit:.4g} s"
        return f"racing: {said} can still come out faster than the baseline (confidence {halt.confidence:g})"
    said = f"it printed a loss of {halt.seen:.4g} at {halt.fraction:.0%} of its steps, and from above {halt.limit:.4g}"
    return f"racing: {said} nothing comes down to the target (confidence {halt.confidence:g})"


def judge_halt(track: Track, study: Study, runs: Iterable[Run], run: Run) -> bool:
    """The study's stored runs do give the limit that a stopped run was stopped for."""
    if run.halt is None or run.kind != "submission":
        return False
    limits = find_limits(
        track, study, runs, run.arm, run.block, only=run.halt.blocks, confidence=run.halt.confidence
    )
    if limits is None or limits.blocks != run.halt.blocks or run.halt.confidence < CONFIDENCE:
        return False
    if run.halt.quantity == "time":
        return limits.seconds is not None and _is_beyond(run.halt, limits.seconds)
    bars = {bar.fraction: bar.loss for bar in limits.bars}
    printed = any(point.loss == run.halt.seen for point in run.curve)
    return printed and run.halt.fraction in bars and _is_beyond(run.halt, bars[run.halt.fraction])


def _is_beyond(halt: Halt, limit: float) -> bool:
    """The limit is the one that was stated, up to rounding in another library, and was passed."""
    return math.isclose(halt.limit, limit, rel_tol=1e-6) and halt.seen > halt.limit
