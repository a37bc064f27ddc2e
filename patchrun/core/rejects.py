"""Successive rejects: which of several submissions of one agent to one record is the best, for a fixed budget of runs.

Audibert, Bubeck and Munos, "Best arm identification in multi-armed bandits", COLT 2010, figure 3. With K arms and a
budget of n runs, log~(K) = 1/2 + sum over i = 2..K of 1/i, n_0 = 0 and n_k = ceil((n - K) / (log~(K) (K + 1 - k))): in
phase k = 1..K-1 every arm that is left has n_k runs in all, and then the worst is dismissed. The chance to dismiss the
best falls as exp(-(n - K) / (log~(K) H)), H the complexity of the arms. Here the last two arms take all the blocks
of the study, which sets n, so the one that is left has been measured as a full study measures it.

The better of two: one whose mean loss so far reaches the target goes before one whose does not, then the faster mean.
What was chosen among several leans upward when valued by the same runs: it is the first measurement of
``leaderboard --pick best``, whose value comes from new seeds.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from patchrun.core.evidence import collect, is_usable
from patchrun.core.racing import CONFIDENCE, Stop
from patchrun.core.results import Run, StopRecord, Study
from patchrun.core.track import Track


@dataclass(frozen=True)
class Rejected:
    """An arm that was dismissed after ``blocks`` blocks, the worst of ``rivals`` (itself among them)."""

    arm: str
    stop: Stop
    blocks: int
    rivals: tuple[str, ...]


def list_phases(arms: int, blocks: int) -> tuple[int, ...]:
    """n_1 to n_{K-1}: how many runs each arm left has at the end of each phase; the last is ``blocks``.

    ValueError with fewer than two arms or no block.
    """
    if arms < 2 or blocks < 1:
        raise ValueError(f"{arms} arms over {blocks} blocks leave nothing to reject")
    scale = 0.5 + sum(1 / i for i in range(2, arms + 1))
    # the largest n - K for which n_{K-1} = ceil((n - K) / (2 scale)) is the number of blocks
    budget = math.floor(2 * scale * blocks)
    return tuple(min(blocks, max(1, math.ceil(budget / (scale * (arms + 1 - k))))) for k in range(1, arms))


def judge_group(
    track: Track, study: Study, runs: Iterable[Run], group: Sequence[str], ended: Collection[str] = ()
) -> Rejected | None:
    """The next of ``group`` (arms of the study) to dismiss, None while a phase lasts. ``ended`` run no more already.

    An arm that ended for another reason is the one that its phase dismisses.
    """
    known = list(runs)
    left = [arm for arm in group if arm not in ended]
    if len(group) < 2 or len(left) < 2:
        return None
    blocks = list_phases(len(group), study.blocks)[len(group) - len(left)]
    if blocks >= study.blocks:
        return None
    return _reject(track, study, known, left, blocks)


def _reject(
    track: Track, study: Study, runs: Sequence[Run], left: Sequence[str], blocks: int
) -> Rejected | None:
    """The worst of ``left`` over the first ``blocks`` blocks; None when a run of one is not there yet."""
    means: dict[str, tuple[int, float]] = {}
    for arm in left:
        own = collect(track, study, runs, arm).submission
        first = [run for run in own if run.study == study.id and run.block < blocks]
        good = [run for run in first if is_usable(run)]
        if len(good) < len(first):
            means[arm] = (2, math.inf)
        elif len(first) < blocks:
            return None
        else:
            missed = sum(run.loss or 0.0 for run in good) / blocks > track.target.loss
            means[arm] = (int(missed), sum(run.seconds or 0.0 for run in good) / blocks)
    order = sorted(left, key=lambda arm: (*means[arm], arm))
    worst, best = order[-1], order[0]
    said_more = ("", ", and its mean loss is above the target", ", and a run of it failed")[means[worst][0]]
    said = (
        f"successive rejects: the last of {len(left)} after {blocks} of {study.blocks} blocks, mean "
        f"{means[worst][1]:.4g} s, the first {means[best][1]:.4g} s{said_more}"
    )
    return Rejected(worst, Stop("rank", said, CONFIDENCE), blocks, tuple(sorted(left)))


def judge_reject(track: Track, study: Study, runs: Sequence[Run], stop: StopRecord) -> bool:
    """The stored runs dismiss that arm among its stated rivals, and not sooner than the phases of the group say.

    ``stop.group``: all arms of the group; ``stop.rivals``: those that were left.
    """
    submissions = {arm.name for arm in study.arms if arm.kind == "submission"}
    group, rivals = set(stop.group), set(stop.rivals)
    if not rivals <= group <= submissions or len(rivals) < 2 or stop.arm not in rivals:
        return False
    if stop.blocks != list_phases(len(group), study.blocks)[len(group) - len(rivals)]:
        return False
    found = _reject(track, study, runs, sorted(rivals), stop.blocks)
    return found is not None and found.arm == stop.arm
