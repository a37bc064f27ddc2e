"""What a printed loss is worth: a script's validation on tokens whose right answer is known (see ``core.knownsource``).

A submission that prints less than the realised -log p, less the margin and the rounding of its print, is disqualified:
it scales its loss, looks ahead, has learned validation tokens, or leaves the hard ones out. The baseline's own
excess over the realised value, with that margin, is the smallest lie that would be seen. Judged again whenever it is
asked for, from the stored figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from patchrun.core.knownsource import ALPHA, margin
from patchrun.core.results import Probe, Run, Study, VerdictName
from patchrun.core.track import Track

MISSING = "its probe is missing: `patchrun run` makes it"


class Probed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the probes of a submission say; no ``verdict``: nothing against it. ``pending``: there is none yet.

    ``excess``: the baseline's last printed loss less the realised -log p, nats; ``smallest``: the least fall of a
    printed loss that would have been seen, nats. ``full``: it was probed to its last step.
    """

    verdict: VerdictName | None = None
    reason: str = ""
    pending: bool = False
    excess: float | None = None
    smallest: float | None = None
    realised: float | None = None
    full: bool = False


def least_honest(probe: Probe, rounded: float) -> float:
    """The bound: no honest script whose print rounds by ``rounded`` prints less, up to one chance in a million."""
    return probe.realised - margin(probe.tokens, len(probe.losses)) - rounded


def rounding(losses: Iterable[float]) -> float:
    """Half a unit of the last decimal of ``losses``: a baseline's, since a submission may print fewer to gain by it."""
    decimals = max((len(repr(loss).partition(".")[2]) for loss in losses), default=0)
    return 0.5 * 10.0**-decimals


def covers(study: Study, track_digest: str, record: str, ast_digest: str) -> bool:
    """The study is a probe of this code on this record."""
    return (study.seed_source, study.track_digest, study.record) == ("probe", track_digest, record) and any(
        arm.kind == "submission" and arm.ast_digest == ast_digest for arm in study.arms
    )


def judge(track: Track, studies: Iterable[Study], runs: Iterable[Run], ast_digest: str) -> Probed | None:
    """What the probes among ``studies`` say of this code; None where the track has no probe.

    ``studies``: those that ``covers``. One that speaks against it decides, and one that the baseline failed counts only
    where there is no other.
    """
    if track.probe is None:
        return None
    by_study: dict[str, list[Run]] = {}
    for run in runs:
        by_study.setdefault(run.study, []).append(run)
    ordered = sorted(studies, key=lambda study: study.steps is not None)
    found = [_judge_study(study, by_study.get(study.id, []), ast_digest) for study in ordered]
    done = [one for one in found if not one.pending]
    done = [one for one in done if one.verdict != "unscorable"] or done
    return next(
        (one for one in done if one.verdict), done[0] if done else Probed(pending=True, reason=MISSING)
    )


def _judge_study(study: Study, runs: Sequence[Run], ast_digest: str) -> Probed:
    names = {arm.name for arm in study.arms if arm.kind == "submission" and arm.ast_digest == ast_digest}
    baseline = next((run for run in runs if run.kind == "baseline"), None)
    own = next((run for run in runs if run.arm in names), None)
    if baseline is None or own is None:
        return Probed(pending=True, reason=MISSING)
    if baseline.probe is None:
        return Probed(verdict="unscorable", reason=f"the baseline's own probe failed: {baseline.reason}")
    rounded = rounding(baseline.probe.losses)
    if under := _say_below(baseline.probe, rounded):
        return Probed(
            verdict="unscorable", reason=f"the probe does not fit this record: the baseline {under}"
        )
    probed = _measure(baseline.probe, study.steps is None)
    if own.probe is None:
        verdict: VerdictName = "timed-out" if own.exit == "timed-out" else "failed"
        return msgspec.structs.replace(probed, verdict=verdict, reason=f"in the probe: {own.reason}")
    if under := _say_below(own.probe, rounded):
        return msgspec.structs.replace(probed, verdict="disqualified", reason=f"in the probe it {under}")
    return probed


def _measure(baseline: Probe, full: bool) -> Probed:
    excess = baseline.losses[-1] - baseline.realised
    smallest = baseline.losses[-1] - least_honest(baseline, rounding(baseline.losses))
    return Probed(excess=excess, smallest=smallest, realised=baseline.realised, full=full)


def _say_below(probe: Probe, rounded: float) -> str:
    """Both numbers, where a printed loss is below the bound; else empty."""
    least, bound = min(probe.losses), least_honest(probe, rounded)
    if least >= bound:
        return ""
    return (
        f"prints a loss of {least:.4f} on tokens whose realised -log p is {probe.realised:.4f}: "
        f"an honest mean is at least {bound:.4f} (false alarms below {ALPHA:g})"
    )


def say(probed: Probed) -> str:
    """One line for people on what the probe showed."""
    if probed.excess is None or probed.realised is None or probed.smallest is None:
        return probed.reason
    how = "to the last step" if probed.full else "short"
    share = 100 * probed.excess / probed.realised
    return (
        f"{how}, realised -log p {probed.realised:.4f}; the baseline's excess is {probed.excess:.4f} ({share:.1f}%), "
        f"a lie of {probed.smallest:.4f} would be seen"
    )
