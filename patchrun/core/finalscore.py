"""What a final round says of a submission: its score on the held-back tokens, and whether it knew the ordinary ones.

The target was set on the ordinary validation tokens; other tokens are harder or easier for everybody. So the target is
moved by what the reference arms, whose code is trusted, lose or gain from the ordinary tokens to the held-back ones:

    target on held-back tokens = target + mean over baseline and human arm of (held-back loss - ordinary loss)

All other rules are the ordinary ones (``core.scoring``). The excess of a submission is how much more it loses from one
to the other than a reference arm does. Where patchrun scored the same weights on both, it is taken over stretches of
text, since what honest code differs in is which text it is good at; where the script validates itself, over runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, variance

import msgspec

from patchrun.core import scoring
from patchrun.core.evidence import is_usable
from patchrun.core.results import ArmKind, Run, Study
from patchrun.core.scoring import Score
from patchrun.core.stats import LEVEL, Interval, satterthwaite, t_quantile, unpaired_interval
from patchrun.core.track import Track

REFERENCES: tuple[ArmKind, ...] = ("baseline", "human")


class Excess(msgspec.Struct, frozen=True, kw_only=True):
    """How much more a submission's loss rises than a reference arm's (nats per token), with a 95% interval."""

    value: float
    ci: Interval | None

    @property
    def is_above_zero(self) -> bool:
        return self.ci is not None and self.ci[0] > 0


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One arm's mean losses: on the ordinary validation tokens and on the held-back ones."""

    validation: float
    held_out: float

    @property
    def rise(self) -> float:
        return self.held_out - self.validation


class FinalScore(msgspec.Struct, frozen=True, kw_only=True):
    """One submission in a final round.

    ``ordinary`` is its score as the leaderboard has it, ``score`` that of the round, against the target moved by
    ``offset``. ``changes``: by kind of arm. ``excess``: over the baseline, and over the human arm where there is one.
    ``overfit``: both are above zero (None: not known).
    """

    ordinary: Score
    score: Score
    offset: float | None
    changes: dict[str, Change]
    excess: Excess | None
    excess_over_human: Excess | None
    overfit: bool | None


def judge_final(
    track: Track, study: Study, runs: Sequence[Run], arm: str, ordinary: Score, before: Sequence[Run]
) -> FinalScore:
    """The submission ``arm`` of a final ``study`` with its ``runs``; ``before``: the runs of its ordinary score."""
    final = _by_kind(runs, study, arm)
    past = {kind: [run for run in before if run.kind == kind and is_usable(run)] for kind in final}
    changes = {kind: found for kind in final if (found := _change(final[kind], past[kind]))}
    references = [changes[kind] for kind in REFERENCES if kind in changes]
    offset = fmean(change.rise for change in references) if references else None
    over = {kind: _excess(track, final, past, kind) for kind in REFERENCES}
    known = [found for found in over.values() if found]
    return FinalScore(
        ordinary=ordinary, score=_score(track, study, runs, arm, offset), offset=offset, changes=changes,
        excess=over["baseline"], excess_over_human=over["human"],
        overfit=all(found.is_above_zero for found in known) if over["baseline"] else None,
    )  # fmt: skip


def _score(track: Track, study: Study, runs: Sequence[Run], arm: str, offset: float | None) -> Score:
    """By the track's rules against the moved target; unscorable where nothing says how far to move it."""
    if offset is not None:
        return scoring.score(move_target(track, offset), study, runs, arm)
    score = scoring.score(track, study, runs, arm)
    if score.state != "done" or score.verdict != "valid":
        return score
    return scoring.score_unscorable(score, "no reference run says what the target is on the held-back tokens")


def move_target(track: Track, offset: float) -> Track:
    """The track with its target ``offset`` higher."""
    target = msgspec.structs.replace(track.target, loss=track.target.loss + offset)
    return msgspec.structs.replace(track, target=target)


def _by_kind(runs: Sequence[Run], study: Study, arm: str) -> dict[ArmKind, list[Run]]:
    """The usable runs of the study's reference arms and of ``arm``, in the order of their blocks."""
    own = sorted((run for run in runs if run.study == study.id and is_usable(run)), key=lambda run: run.block)
    found: dict[ArmKind, list[Run]] = {"baseline": [], "human": [], "submission": []}
    for run in own:
        if run.kind != "submission" or run.arm == arm:
            found[run.kind].append(run)
    return found


def _change(final: Sequence[Run], past: Sequence[Run]) -> Change | None:
    """An arm's two losses: of the same weights where they were scored on both, else of two studies."""
    both = [run for run in final if run.validation_loss is not None]
    ordinary = [run.validation_loss for run in both] if both else [run.loss for run in past]
    known = [loss for loss in ordinary if loss is not None]
    held_out = [run.loss for run in (both or final) if run.loss is not None]
    if not known or not held_out:
        return None
    return Change(validation=fmean(known), held_out=fmean(held_out))


def _excess(
    track: Track, final: Mapping[ArmKind, Sequence[Run]], past: Mapping[ArmKind, Sequence[Run]], kind: ArmKind
) -> Excess | None:
    """The submission's rise less that of the reference arm ``kind``; None where one of them has no runs."""
    if track.evidence.kind == "model":
        return _excess_over_text(final["submission"], final[kind])
    samples = [
        [run.loss for run in runs if run.loss is not None]
        for runs in (final["submission"], past["submission"], final[kind], past[kind])
    ]
    return contrast(samples) if all(samples) else None


def _excess_over_text(submission: Sequence[Run], reference: Sequence[Run]) -> Excess | None:
    """Stretch by stretch the submission's loss less the reference's, in shared blocks; held-back less ordinary text."""
    pairs = [(a, b) for a in submission for b in reference if a.block == b.block and a.parts and b.parts]
    if not pairs:
        return None
    held_out = _mean_gaps([(a.parts, b.parts) for a, b in pairs])
    ordinary = _mean_gaps([(a.validation_parts, b.validation_parts) for a, b in pairs])
    value = fmean(held_out) - fmean(ordinary)
    return Excess(value=value, ci=unpaired_interval(held_out, ordinary) or _no_spread(value, len(held_out)))


def _mean_gaps(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> list[float]:
    """Mean over pairs of the difference, stretch by stretch."""
    gaps = [[one - other for one, other in zip(a, b, strict=True)] for a, b in pairs]
    return [fmean(column) for column in zip(*gaps, strict=True)]


def _no_spread(value: float, count: int) -> Interval | None:
    """Equal code has equal losses on every stretch: the excess is known exactly."""
    return (value, value) if count > 1 else None


def contrast(samples: Sequence[Sequence[float]]) -> Excess:
    """(mean 1 - mean 2) - (mean 3 - mean 4) of four samples; Welch's interval, degrees by Satterthwaite (1946).

    The interval is None where a sample has a single value.
    """
    means = [fmean(sample) for sample in samples]
    value = (means[0] - means[1]) - (means[2] - means[3])
    if min(map(len, samples)) < 2:
        return Excess(value=value, ci=None)
    variances = [variance(sample) / len(sample) for sample in samples]
    if not sum(variances):
        return Excess(value=value, ci=(value, value))
    t = t_quantile(0.5 + LEVEL / 2, satterthwaite(variances, [len(sample) for sample in samples]))
    half = t * math.sqrt(sum(variances))
    return Excess(value=value, ci=(value - half, value + half))
