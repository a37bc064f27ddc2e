"""When a submission arm of a real study need not run on: racing's rules on the stored runs, between blocks.

Judged on the blocks that are complete from the first on, so whoever has the runs can judge again and must agree. An
arm ends for one of: ``exit``, a run of it failed, which settles its verdict; ``proof``, the validity test has proven it
at a look, and no later run counts; ``loss``, its mean loss cannot come down to the target any more; ``time``, it cannot
come out faster than the baseline. The last two stop it, at ``racing.CONFIDENCE`` a look.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from patchrun.core.evidence import (
    Evidence,
    broken_run,
    collect,
    complete_blocks,
    is_usable,
    keep_blocks,
    losses_of,
)
from patchrun.core.racing import (
    CONFIDENCE,
    Stop,
    assume_loss_spread,
    assume_time_spread,
    make_outlook,
    stop_between_runs,
)
from patchrun.core.rejects import judge_reject
from patchrun.core.results import Run, StopRecord, Study
from patchrun.core.sequential import take_looks
from patchrun.core.track import Track


def judge_arm(
    track: Track, study: Study, runs: Iterable[Run], arm: str, confidence: float = CONFIDENCE
) -> tuple[Stop, int] | None:
    """Why the submission arm ends, and after how many blocks; None while it goes on."""
    evidence = collect(track, study, runs, arm)
    whole = _count_whole(evidence)
    evidence = keep_blocks(evidence, range(whole))
    if broken := broken_run(evidence.submission):
        return Stop("exit", broken[1], 1.0), whole
    references = (*evidence.baseline, *evidence.human)
    if not whole or not all(is_usable(run) for run in references):
        return None
    stop = _judge_proof(evidence) or _judge_loss(evidence, confidence) or _judge_time(evidence, confidence)
    return (stop, whole) if stop else None


def _count_whole(evidence: Evidence) -> int:
    """Blocks from the first on in which every arm has its run, whatever came of it."""
    arms = (*evidence.references.values(), evidence.submission)
    held = [{run.block for run in runs if run.study == evidence.study.id} for runs in arms]
    full = set.intersection(*held)
    return next((k for k in range(evidence.study.blocks) if k not in full), evidence.study.blocks)


def list_looks(evidence: Evidence) -> tuple[int, ...]:
    """The numbers of runs at which the verdict may fall: also those that only a re-measurement would reach."""
    return tuple(sorted({*evidence.track.rule.looks, evidence.study.blocks}))


def _judge_proof(evidence: Evidence) -> Stop | None:
    rule, losses = evidence.track.rule, losses_of(evidence.submission)
    if rule.kind != "t-test" or len(losses) == evidence.study.blocks:
        return None
    looks = take_looks(losses, evidence.track.target.loss, rule.alpha or 0.0, rule.looks)
    if not looks or not looks[-1].proven:
        return None
    test = looks[-1].test
    return Stop(
        "proof", f"proven after {test.n} runs: mean loss {test.mean:.4f}, p = {test.p_value:.2g}",
        1 - looks[-1].alpha,
    )  # fmt: skip


def _judge_loss(evidence: Evidence, confidence: float) -> Stop | None:
    references = [losses_of(runs) for runs in evidence.references.values()]
    target = evidence.track.target.loss
    prior = assume_loss_spread(evidence.track.rule, target)
    outlook = make_outlook(losses_of(evidence.submission), target, list_looks(evidence), references, prior)
    return stop_between_runs(outlook, "loss", confidence) if outlook else None


def _judge_time(evidence: Evidence, confidence: float) -> Stop | None:
    """Only where arms are timed in the same blocks, and against a human arm, whose differences give the spread."""
    if not evidence.track.clock.paired or not evidence.has_human:
        return None
    blocks = complete_blocks(evidence)
    slower = [times.submission - times.baseline for times in blocks]
    gaps = [times.baseline - times.human for times in blocks if times.human is not None]
    slowest = max((times.baseline for times in blocks), default=0.0)
    prior = assume_time_spread(evidence.track.clock.source, slowest)
    outlook = make_outlook(slower, 0.0, list_looks(evidence), [gaps], prior)
    return stop_between_runs(outlook, "time", confidence) if outlook else None


def say_stop(stop: StopRecord) -> str:
    """The reason of a ``stopped`` verdict, with its evidence."""
    if stop.quantity == "rank":
        return f"racing, {stop.reason}"
    return f"racing, {stop.quantity}: {stop.reason} (confidence {stop.confidence:g} a look)"


def ended_arms(stops: Iterable[StopRecord]) -> dict[str, set[str]]:
    """Study id -> the names of its arms that run no more."""
    found: dict[str, set[str]] = {}
    for stop in stops:
        found.setdefault(stop.study, set()).add(stop.arm)
    return found


def stop_words(stops: Iterable[StopRecord], study: str, arm: str) -> str:
    """What stopped this arm; empty where it ended for its own verdict's sake (a failed run, a proof) or not at all."""
    own = [s for s in stops if (s.study, s.arm) == (study, arm) and s.quantity in ("loss", "time", "rank")]
    return say_stop(own[0]) if own else ""


def judge_again(track: Track, study: Study, runs: Sequence[Run], stop: StopRecord) -> bool:
    """The stored runs of the blocks that ``stop`` names do end its arm for the quantity that it names."""
    seen = [run for run in runs if run.block < stop.blocks]
    if stop.quantity == "rank":
        return judge_reject(track, study, seen, stop)
    found = judge_arm(track, study, seen, stop.arm)
    return found is not None and (found[0].quantity, found[1]) == (stop.quantity, stop.blocks)
