"""What a plan must be to score anything: real code in its arms, enough blocks, seeds that nobody chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from patchrun.core import plan
from patchrun.core.errors import UsageError
from patchrun.core.results import Arm, Study
from patchrun.core.selection import Span, parse_span
from patchrun.core.track import Rule, Track

MOST_BLOCKS = 100
RANKED = ("scoring", "final")
BASELINE, HUMAN = "refs/heads/baseline/", "refs/patchrun/human/"


@dataclass(frozen=True)
class Grounds:
    """What a study is held against.

    ``code``: ref -> commit of every baseline and human patch. ``submissions``: id -> commit, of those that are known.
    ``key``: the owner's, None where it is not on this machine.
    """

    track: Track
    code: Mapping[str, str]
    submissions: Mapping[str, str]
    key: bytes | None = None


def find_fault(study: Study, grounds: Grounds) -> str:
    """Why a study counts for nothing, empty where it may count."""
    try:
        span = parse_span(study.record)
    except UsageError as error:
        return error.message
    return _judge_blocks(study, grounds) or _judge_arms(study, span, grounds) or _judge_seeds(study, grounds)


def bound_blocks(rule: Rule) -> tuple[int, int]:
    """The fewest and the most blocks that a study under ``rule`` may have (see ``progress.planned_blocks``).

    More runs than a rule on the mean asks for bring nobody nearer to passing it, up to a bound on what is planned.
    """
    if not rule.looks:
        return rule.blocks, max(rule.blocks, MOST_BLOCKS)
    return max(rule.blocks, rule.looks[0]), max(rule.blocks, rule.looks[-1])


def _judge_blocks(study: Study, grounds: Grounds) -> str:
    if not study.blocks:
        return "has no blocks"
    if study.seed_source in RANKED and study.track_digest == grounds.track.digest:
        least, most = bound_blocks(grounds.track.rule)
        if not least <= study.blocks <= most:
            return f"has {study.blocks} blocks, and its track's rule takes {least} to {most}"
    return ""


def _judge_arms(study: Study, span: Span, grounds: Grounds) -> str:
    names = [arm.name for arm in study.arms]
    if len(set(names)) < len(names):
        return "names an arm twice"
    real = {
        f"b{span.first}": ("baseline", grounds.code.get(f"{BASELINE}{span.first}")),
        f"h{span.last}": ("human", grounds.code.get(f"{HUMAN}{span.last}")),
    }
    for arm in study.arms:
        if fault := _judge_arm(study, arm, real, grounds):
            return fault
    if study.seed_source not in RANKED:
        return ""  # it scores nothing, so it hides nothing
    if f"b{span.first}" not in names:
        return f"has no baseline arm b{span.first}"
    if (
        study.track_digest == grounds.track.digest
        and real[f"h{span.last}"][1]
        and f"h{span.last}" not in names
    ):
        return f"has no human arm h{span.last}"
    scores = any(arm.kind == "submission" for arm in study.arms)
    return "" if scores else "has no submission among its arms"


def _judge_arm(study: Study, arm: Arm, real: Mapping[str, tuple[str, str | None]], grounds: Grounds) -> str:
    if arm.kind != "submission":
        is_real = real.get(arm.name) == (arm.kind, arm.commit) and arm.ast_digest == arm.tree
        return "" if is_real else f"arm {arm.name} is not the real {arm.kind}"
    if study.seed_source == "calibration":
        copied = arm.commit in [commit for _, commit in real.values()]
        return "" if copied else f"arm {arm.name} is no copy of baseline or human patch"
    if arm.name in real or grounds.submissions.get(arm.name, arm.commit) != arm.commit:
        return f"arm {arm.name} is not that submission's commit"
    return ""


def _judge_seeds(study: Study, grounds: Grounds) -> str:
    if study.seed_source == "probe" and not study.secret:
        return "is a probe without a secret"
    if study.seed_source in ("scoring", "probe") and grounds.key:
        return judge_drawn(study, grounds.key)
    if study.seed_source == "ablation":
        drawn = plan.derive_seeds(study.id.encode(), study.id, study.blocks)
        return "" if study.seeds == drawn else "its seeds do not follow from its study's id"
    known = study.track_digest == grounds.track.digest
    if study.seed_source in ("public", "steps") and known:
        public = set(study.seeds) <= set(grounds.track.seeds.public)
        return "" if public else "its seeds are not the track's public ones"
    return "" if len(set(study.seeds)) == study.blocks else "has a seed twice"


def judge_drawn(study: Study, key: bytes) -> str:
    """Why a study's seeds or secret are not what the owner's ``key`` gives, empty where they are."""
    if study.seeds != plan.derive_seeds(key, study.id, study.blocks):
        return "its seeds are not those that the owner's key gives"
    own = study.secret in ("", plan.derive_secret(key, study.id))
    return "" if own else "its secret is not the one that the owner's key gives"


def expect_id(study: Study) -> str:
    """The id that follows from all else of a study: scoring, public, final, a probe, or a comparison of steps."""
    words = f"final {study.final}" if study.final else study.seed_source
    if study.seed_source == "probe":
        words = f"probe {study.steps or 'full'}"
    if study.seed_source in ("public", "steps"):
        words = f"{study.seed_source}{study.steps or ''}{study.seeds}"
    return plan.study_id(study.track_digest, study.record, study.arms, study.generation, words)
