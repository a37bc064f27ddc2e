"""How far a study has to go: how many blocks are planned, which arms are still wanted, whether it is settled.

A rule with looks ends a study at the look that decides it. Every submission then has its verdict for good, so blocks
after that look would cost time and change nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec

from patchrun.core import plan, scoring
from patchrun.core.results import Run, Study
from patchrun.core.sequential import power
from patchrun.core.track import Rule, Track

WANTED_POWER = 0.9


def planned_blocks(rule: Rule, margin: float | None = None) -> int:
    """The blocks of a study, fixed before its first run.

    With looks: the first look at which a loss ``margin`` (nats per token) below the target is proven with 90% power at
    that look's share of alpha, the last look where none is or the margin is not known. ``margin`` is the human code's:
    who recovers all of the human's speedup and no more of its margin is then proven nine times in ten.
    """
    if not rule.looks:
        return rule.blocks
    if margin is None or margin <= 0 or rule.loss_sd is None:
        return rule.looks[-1]
    share = (rule.alpha or 0.0) / len(rule.looks)
    enough = (look for look in rule.looks if power(look, margin, rule.loss_sd, share) >= WANTED_POWER)
    return max(rule.blocks, next(enough, rule.looks[-1]))


def wanted(track: Track, study: Study, runs: Sequence[Run], ended: Collection[str] = ()) -> set[str]:
    """The arms of which another run could still change a verdict; ``runs`` are the study's own.

    ``ended``: submission arms that racing ended.
    """
    names = {arm.name for arm in study.arms}
    submissions = [arm.name for arm in study.arms if arm.kind == "submission"]
    open_ = set(submissions) - set(ended)
    if track.rule.looks and study.seed_source == "scoring":
        open_ = {name for name in open_ if scoring.score(track, study, runs, name).state != "done"}
    elif not ended:
        return names
    return names - set(submissions) | open_ if open_ else set()


def is_settled(track: Track, study: Study, runs: Sequence[Run], ended: Collection[str] = ()) -> bool:
    """No run is missing, or none could change a verdict."""
    names = {f"{run.arm}/{run.study}-{run.slot.name}" for run in runs}
    return not plan.missing(study, names, ended) or not wanted(track, study, runs, ended)


def trim(study: Study, runs: Iterable[Run]) -> Study:
    """A settled study without the blocks at its end that no run was made for."""
    last = max((run.block for run in runs), default=-1)
    return msgspec.structs.replace(study, seeds=study.seeds[: last + 1])
