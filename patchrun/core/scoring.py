"""From the runs of a study to one Score: state, verdict, FSR with its interval, seconds, losses.

Order in which a verdict is decided; the first that applies is given:

1. rejected: the attempt failed validation (``score_rejected``; there is no study).
2. disqualified by a ruling; also withdrawn by its maker after it was measured, else one could draw until lucky.
   (Withdrawn before any of its runs: no verdict, and the leaderboard drops it.)
3. unscorable: a run of the baseline or human arm failed, or runs are of more than one hardware class; and, once
   the reference slots are full: a reference arm's mean loss misses the target, or its runs are repeats, or the
   gap baseline - human is not positive, not beyond noise (its 95% interval holds 0), or has no interval.
4. failed, 5. timed-out, 6. disqualified: by the first run of the submission that has such an exit. Every run
   counts: one crash is a failed arm. An ``ok`` run without finite loss and positive seconds is a failed run.
   By the arrival clock, a run that worked too much outside it is disqualified too (see ``outside``).
7. stopped: a racing rule ended the study, and its evidence is the reason.
8. missed-target: the mean loss is above the target.
9. unproven: it is not above, but the certainty of the track's rule is not reached, or the independent runs are
   too few: a repeated seed, or under evidence by model a bit-identical loss, is not another run.
10. valid.

Before 3 to 9, where a track has a probe (``core.lossprobe``), what it says against the submission decides
(disqualified, failed, timed-out), or against the record (unscorable); what would be valid is ``running`` until then.

4 to 7 decide at once, though slots be missing; a reference arm that turns out bad later still makes the study
unscorable. A t-test rule may prove at an early look; what was run after that look counts for nothing but a crash.
Otherwise a study with missing slots is ``running`` and has no verdict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from patchrun.core.evidence import (
    BlockTimes,
    Evidence,
    broken_run,
    collect,
    complete_blocks,
    independent_runs,
    is_usable,
    keep_blocks,
    losses_of,
    mean_of,
    say_exit,
    seconds_of,
)
from patchrun.core.lossprobe import Probed
from patchrun.core.outside import Outside, judge_outside
from patchrun.core.results import Attempt, Ruling, Run, State, Study, VerdictName
from patchrun.core.sequential import take_looks
from patchrun.core.stats import (
    Interval,
    MeanTest,
    Ratio,
    check_mean_at_most,
    difference_interval,
    paired_fsr,
    paired_ratio,
    unpaired_fsr,
    unpaired_interval,
    unpaired_ratio,
)
from patchrun.core.track import Track


class Seconds(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Mean seconds of each arm's counted runs; None where there are none."""

    baseline: float | None = None
    human: float | None = None
    submission: float | None = None


class Loss(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The submission's mean loss, the target (nats per token), and the p-value of the last look."""

    mean: float | None = None
    target: float | None = None
    p_value: float | None = None


class Score(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the runs say of one submission.

    ``fsr``, ``speedup`` (baseline / submission) and their intervals exist for a valid one only. ``gap_log`` is
    ln(baseline / human). ``scorable``: the reference arms hold (None: not known). ``missing`` names the
    slots without a run, as ``human block 3`` (from 1). ``reviews``: what a person should see of work outside the clock.
    """

    state: State
    verdict: VerdictName | None = None
    reason: str = ""
    fsr: float | None = None
    fsr_ci: Interval | None = None
    speedup: float | None = None
    speedup_ci: Interval | None = None
    gap_log: float | None = None
    n_blocks: int = 0
    paired: bool = True
    clock: str = ""
    seconds: Seconds = Seconds()
    loss: Loss = Loss()
    blocks: tuple[BlockTimes, ...] = ()
    missing: tuple[str, ...] = ()
    scorable: bool | None = None
    study: str = ""
    withdrawn: bool = False
    reviews: tuple[str, ...] = ()

    @property
    def is_valid(self) -> bool:
        return self.state == "done" and self.verdict == "valid"


class Proof(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the track's validity rule says of the losses; ``look``: runs at the look that proved, 0 for none."""

    verdict: VerdictName
    reason: str
    p_value: float | None = None
    look: int = 0


def score_rejected(track: Track, attempt: Attempt) -> Score:
    """The score of an attempt that failed validation; its reason names the findings that reject."""
    codes = sorted({finding.code for finding in attempt.findings if finding.severity == "error"})
    return Score(
        state="done", verdict="rejected", reason="failed validation: " + ", ".join(codes), clock=track.clock.source,
        paired=track.clock.paired, loss=Loss(target=track.target.loss),
    )  # fmt: skip


def score_unscorable(pending: Score, reason: str) -> Score:
    """``pending`` decided before any run: the record itself cannot be scored."""
    return msgspec.structs.replace(_done(pending, "unscorable", reason), scorable=False)


def score(
    track: Track,
    study: Study | None,
    runs: Sequence[Run],
    arm: str,
    *,
    stale: bool = False,
    ruling: Ruling | None = None,
    stopped: str = "",
    probed: Probed | None = None,
) -> Score:
    """The score of the submission arm ``arm`` of ``study``; the module's text gives the order of verdicts.

    ``runs`` may hold those of other arms and studies (see ``evidence.collect``); ``study`` None is pending.
    ``stale``: the track or environment changed since. ``stopped``: a racing rule ended the study, and why. ``probed``:
    what the probes say, None where that is not asked or the track has none.
    """
    score = Score(
        state="pending", clock=track.clock.source, paired=track.clock.paired, loss=Loss(target=track.target.loss),
        study=study.id if study else "",
    )  # fmt: skip
    if stale:
        reason = "the track or its environment changed since; rerun it"
        return msgspec.structs.replace(score, state="stale", reason=reason)
    evidence = collect(track, study, runs, arm) if study else None
    if ruling is not None:
        return _apply_ruling(score, ruling, measured=bool(evidence and evidence.submission))
    if evidence is None:
        return score
    score = _describe(score, evidence)
    if probed and probed.verdict:
        unscorable = probed.verdict == "unscorable"
        scorable = False if unscorable else score.scorable
        return msgspec.structs.replace(_done(score, probed.verdict, probed.reason), scorable=scorable)
    if not (evidence.baseline or evidence.human or evidence.submission):
        return score
    running = msgspec.structs.replace(score, state="running")
    decided = _decide(running, evidence, stopped)
    if probed and probed.pending and decided.verdict == "valid":
        return msgspec.structs.replace(running, reason=probed.reason)
    return decided


def _apply_ruling(score: Score, ruling: Ruling, *, measured: bool) -> Score:
    said = f"{ruling.ruling} by {ruling.by}: {ruling.reason}"
    if ruling.ruling == "disqualified":
        return _done(score, "disqualified", said)
    if measured:
        return msgspec.structs.replace(
            _done(score, "disqualified", f"after it was measured, {said}"), withdrawn=True
        )
    return msgspec.structs.replace(score, state="done", reason=said, withdrawn=True)


def _describe(score: Score, evidence: Evidence) -> Score:
    """``score`` with the means, blocks and missing slots of what is there so far."""
    means = {name: mean_of(seconds_of(runs)) for name, runs in evidence.references.items()}
    seconds = Seconds(**means, submission=mean_of(seconds_of(evidence.submission)))
    blocks = complete_blocks(evidence)
    return msgspec.structs.replace(
        score, seconds=seconds, blocks=blocks, n_blocks=len(blocks),
        gap_log=math.log(seconds.baseline / seconds.human) if seconds.baseline and seconds.human else None,
        loss=msgspec.structs.replace(score.loss, mean=mean_of(losses_of(evidence.submission))),
        missing=tuple(f"{arm.kind} block {block + 1}" for arm, block in evidence.missing),
    )  # fmt: skip


def _decide(score: Score, evidence: Evidence, stopped: str) -> Score:
    broken = broken_run(evidence.submission)
    trouble = _broken_reference(evidence)
    outside = _judge_outside(evidence)
    score = msgspec.structs.replace(score, reviews=outside.reviews)
    proof = _prove(evidence, score.blocks)
    if outside.disqualified and not broken:
        broken = "disqualified", outside.disqualified
    if proof.look and not trouble and not broken:
        evidence = keep_blocks(evidence, [times.block for times in score.blocks[: proof.look]])
        score = _describe(score, evidence)
    if not trouble and evidence.references_full:
        trouble = _reference_trouble(evidence)
        score = msgspec.structs.replace(score, scorable=not trouble)
    if trouble:
        return msgspec.structs.replace(_done(score, "unscorable", trouble), scorable=False)
    if broken:
        return _done(score, *broken)
    if stopped:
        return _done(score, "stopped", stopped)
    if evidence.missing:
        return score
    loss = msgspec.structs.replace(score.loss, p_value=proof.p_value)
    score = _done(msgspec.structs.replace(score, loss=loss), proof.verdict, proof.reason)
    return _with_fsr(score, evidence) if proof.verdict == "valid" else score


def _judge_outside(evidence: Evidence) -> Outside:
    """Work outside the arrival clock; by other clocks all work is on the clock."""
    if evidence.track.clock.source != "arrival":
        return Outside()
    usable = [run for run in evidence.submission if is_usable(run)]
    return judge_outside(usable, evidence.baseline + evidence.human)


def _done(score: Score, verdict: VerdictName, reason: str) -> Score:
    return msgspec.structs.replace(score, state="done", verdict=verdict, reason=reason)


def _broken_reference(evidence: Evidence) -> str:
    for run in evidence.baseline + evidence.human:
        if not is_usable(run):
            return f"the reference failed: {say_exit(run)}"
    everything = evidence.baseline + evidence.human + evidence.submission
    classes = sorted({run.machine.hardware_class for run in everything})
    return "runs of different hardware: " + ", ".join(classes) if len(classes) > 1 else ""


def _reference_trouble(evidence: Evidence) -> str:
    """Why full reference arms cannot carry a score; empty when they can."""
    target, needed = evidence.track.target.loss, evidence.track.rule.blocks
    for name, runs in evidence.references.items():
        mean = mean_of(losses_of(runs))
        if mean is not None and mean > target:
            return (
                f"the {name} arm misses the target: mean loss {mean:.4f} > {target:g} over {len(runs)} runs"
            )
        independent = len(independent_runs(evidence.track, runs))
        if independent < min(len(runs), needed):
            return f"the {name} arm's {len(runs)} runs are only {independent} independent ones"
    return _gap_trouble(evidence) if evidence.has_human else ""


def _gap_trouble(evidence: Evidence) -> str:
    b, h = seconds_of(evidence.baseline), seconds_of(evidence.human)
    gap, n = sum(b) / len(b) - sum(h) / len(h), min(len(b), len(h))
    if gap <= 0:
        return f"the gap is not positive: baseline - human = {gap:.3g} s over {n} blocks"
    interval = (difference_interval if evidence.track.clock.paired else unpaired_interval)(tuple(b), tuple(h))
    if interval is None:
        return "one block gives no interval of the gap" if n == 1 else "times without spread give no interval"
    if interval[0] <= 0:
        return (
            f"the gap is not beyond noise: {gap:.3g} s, 95% interval {interval[0]:.3g} to {interval[1]:.3g} s"
        )
    return ""


def _prove(evidence: Evidence, blocks: Sequence[BlockTimes]) -> Proof:
    """The validity rule over the losses of complete blocks, up to the first hole: none can be skipped.

    Repeats among the runs leave it unproven at best, and without a p-value.
    """
    whole = {times.block for index, times in enumerate(blocks) if times.block == index}
    runs = [run for run in evidence.submission if run.block in whole]
    losses = losses_of(runs)
    if not losses:
        return Proof(verdict="unproven", reason="no complete block")
    repeats = len(runs) - len(independent_runs(evidence.track, runs))
    if evidence.track.rule.kind == "mean" or repeats:
        return _judge_mean(evidence.track, losses, repeats)
    return _judge_test(evidence.track, losses)


def _judge_mean(track: Track, losses: Sequence[float], repeats: int) -> Proof:
    mean, target, n = sum(losses) / len(losses), track.target.loss, len(losses)
    if mean > target:
        return Proof(verdict="missed-target", reason=f"mean loss {mean:.4f} > {target:g} over {n} runs")
    if repeats:
        said = f"{repeats} run(s) repeat a seed or a loss and are not independent"
        return Proof(verdict="unproven", reason=f"mean loss {mean:.4f} over {n} runs, but {said}")
    if n < track.rule.blocks:
        said = f"mean loss {mean:.4f} over {n} runs, the rule needs {track.rule.blocks}"
        return Proof(verdict="unproven", reason=said)
    return Proof(verdict="valid", reason=f"mean loss {mean:.4f} <= {target:g} over {n} runs")


def _judge_test(track: Track, losses: Sequence[float]) -> Proof:
    rule, target = track.rule, track.target.loss
    looks = take_looks(losses, target, rule.alpha or 0.0, rule.looks)
    if looks and looks[-1].proven:
        test, alpha = looks[-1].test, looks[-1].alpha
        return Proof(verdict="valid", reason=_say_test(test, alpha), p_value=test.p_value, look=test.n)
    test = check_mean_at_most(losses, target)
    verdict: VerdictName = "missed-target" if test.mean > target else "unproven"
    return Proof(
        verdict=verdict, reason=_say_test(test, (rule.alpha or 0.0) / len(rule.looks)), p_value=test.p_value
    )


def _say_test(test: MeanTest, alpha: float) -> str:
    said = f"p = {test.p_value:.2g}" if test.p_value is not None else test.reason
    return f"mean loss {test.mean:.4f}, target {test.bound:g}, n = {test.n}, {said}, needs p < {alpha:.2g}"


def _with_fsr(score: Score, evidence: Evidence) -> Score:
    """A valid score with its FSR and speedup; unscorable after all when the FSR has no bounded interval."""
    b, s, h = (seconds_of(runs) for runs in (evidence.baseline, evidence.submission, evidence.human))
    paired = evidence.track.clock.paired
    speedup = paired_ratio(b, s) if paired else unpaired_ratio(b, s)
    fsr = Ratio(None, None)
    if evidence.has_human:
        fsr = paired_fsr(b, s, h) if paired else unpaired_fsr(b, s, h)
    ranked = fsr if evidence.has_human else speedup
    if ranked.interval is None:
        return msgspec.structs.replace(_done(score, "unscorable", ranked.reason), scorable=False)
    return msgspec.structs.replace(
        score, fsr=fsr.value, fsr_ci=fsr.interval, speedup=speedup.value, speedup_ci=speedup.interval
    )  # fmt: skip
