"""Matches: two agents' submissions on one record, compared by difference of FSR with its interval.

Both valid, "shared blocks": mean(s_b - s_a) / mean(b - h) with Fieller's interval, so what the
machine did to both cancels. Both valid, "separate blocks": the two intervals combined by MOVER. One not
valid: its score is 0 without error, against the other's interval clipped to the score's range, so a slower
patch is no worse than a broken one. Both not valid: a tie. A win needs an interval that does not hold 0.
Records without a human patch are compared by speedup, its floor 1, always by MOVER (conservative).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from patchrun.core.picks import Picked
from patchrun.core.scoring import Score
from patchrun.core.stats import LEVEL, Interval, fieller_bounds, mover_bounds, t_quantile

Winner = Literal["a", "b", "tie", "unknown"]


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a head-to-head; ``difference`` is a minus b, ``method`` how its interval was made.

    A verdict is the name of the state where there is none yet, and None where the agent has no attempt.
    """

    a_fsr: float | None = None
    b_fsr: float | None = None
    a_verdict: str | None = None
    b_verdict: str | None = None
    difference: float | None = None
    ci: Interval | None = None
    winner: Winner = "unknown"
    method: str = ""


def compare(a: Picked | None, b: Picked | None) -> Match:
    """The match of two picks; unknown where one is missing, undecided, or without an interval."""
    match = Match(
        a_fsr=a.fsr if a else None, b_fsr=b.fsr if b else None,
        a_verdict=a.score.verdict or a.score.state if a else None,
        b_verdict=b.score.verdict or b.score.state if b else None,
    )  # fmt: skip
    if a is None or b is None:
        return msgspec.structs.replace(match, method="not tried by both")
    if not (a.decided and b.decided):
        return msgspec.structs.replace(match, method="not measured yet, or unscorable")
    difference, low, high = (float(matrix[0, 1]) for matrix in difference_matrices([a.score, b.score]))
    if np.isnan(low) or np.isnan(high):
        return msgspec.structs.replace(match, method="no interval")
    winner: Winner = "a" if low > 0 else "b" if high < 0 else "tie"
    return msgspec.structs.replace(
        match, difference=difference, ci=(low, high), winner=winner, method=_method(a.score, b.score)
    )  # fmt: skip


def _method(a: Score, b: Score) -> str:
    if not (a.is_valid and b.is_valid):
        return "score 0" if a.is_valid or b.is_valid else "neither is valid"
    return "shared blocks" if _shared_plan(a) == _shared_plan(b) is not None else "separate blocks"


def _shared_plan(score: Score) -> object:
    """Equal for scores that were timed in the same blocks against the same reference runs; None without any."""
    if not (score.is_valid and score.paired and score.fsr is not None and score.study):
        return None
    return score.study, tuple((times.block, times.baseline, times.human) for times in score.blocks)


def difference_matrices(scores: Sequence[Score]) -> tuple[NDArray[np.float64], ...]:
    """Difference, low and high of every ordered pair of decided scores on one record, each [m, m]."""
    point, interval = _estimates(scores)
    valid = np.array([score.is_valid for score in scores])
    clipped, clipped_interval = np.maximum(point, 0.0), np.maximum(interval, 0.0)
    both = valid[:, None] & valid[None, :]
    matrices = [
        np.where(both, plain, floored)
        for plain, floored in zip(
            _independent(point, interval), _independent(clipped, clipped_interval), strict=True
        )
    ]
    groups: dict[object, list[int]] = {}
    for index, score in enumerate(scores):
        plan = _shared_plan(score)
        if plan is not None:
            groups.setdefault(plan, []).append(index)
    for members in groups.values():
        if len(members) > 1:
            for matrix, block in zip(matrices, _paired([scores[i] for i in members]), strict=True):
                matrix[np.ix_(members, members)] = block
    return tuple(matrices)


def _estimates(scores: Sequence[Score]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points [m] and intervals [m, 2] above the floor: FSR, or speedup - 1; 0 for what is not valid, NaN unknown."""
    point, interval = np.zeros(len(scores)), np.zeros((len(scores), 2))
    for index, score in enumerate(scores):
        if not score.is_valid:
            continue
        value, ends = (
            (score.fsr, score.fsr_ci) if score.fsr is not None else (score.speedup, score.speedup_ci)
        )
        floor = 0.0 if score.fsr is not None else 1.0
        point[index] = np.nan if value is None else value - floor
        interval[index] = (np.nan, np.nan) if ends is None else (ends[0] - floor, ends[1] - floor)
    return point, interval


def _independent(
    point: NDArray[np.float64], interval: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    low, high = mover_bounds(point[:, None], interval[:, None, :], point[None, :], interval[None, :, :])
    return point[:, None] - point[None, :], low, high


def _paired(scores: Sequence[Score]) -> tuple[NDArray[np.float64], ...]:
    """mean(s_j - s_i) / mean(b - h) and Fieller's limits for every pair that shares its blocks."""
    times = np.array([[block.submission for block in score.blocks] for score in scores])
    gap = np.array([block.baseline - (block.human or 0.0) for block in scores[0].blocks])
    n = gap.size
    covariance = np.cov(np.vstack([times, gap])) / n
    own, with_gap = covariance[:-1, :-1], covariance[:-1, -1]
    mean = times.mean(axis=1)
    above = mean[None, :] - mean[:, None]
    variance = np.maximum(np.diag(own)[:, None] + np.diag(own)[None, :] - 2 * own, 0.0)
    low, high = fieller_bounds(
        above, np.full_like(above, gap.mean()), variance, np.full_like(above, covariance[-1, -1]),
        with_gap[None, :] - with_gap[:, None], t_quantile(0.5 + LEVEL / 2, n - 1),
    )  # fmt: skip
    return above / gap.mean(), low, high


def win_matrix(picks: Sequence[Picked | None]) -> NDArray[np.float64]:
    """Wins of row over column on one record, [m, m]: 1, 0, or 0.5 each for a tie; 0 both ways where unknown."""
    wins = np.zeros((len(picks), len(picks)))
    scores = {i: pick.score for i, pick in enumerate(picks) if pick is not None and pick.decided}
    if len(scores) > 1:
        known = list(scores)
        _, low, high = difference_matrices(list(scores.values()))
        outcome = np.where(low > 0, 1.0, np.where((low <= 0) & (high >= 0), 0.5, 0.0))
        np.fill_diagonal(outcome, 0.0)
        wins[np.ix_(known, known)] = outcome
    return wins
