"""Arrivals made up from a log's own times: what an honest run of it would have looked like from outside.

So the checks on arrival can be tried on logs of runs that nobody watched: none of them may be refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from patchrun.core.arrival import read_stamp
from patchrun.core.console import Tape
from patchrun.core.logjudge import Arrived, Reference, judge_reference, judge_submission
from patchrun.core.trainlog import TrainLog

LEAD_SECONDS = 300.0  # compiling, before the first line
STEP_SECONDS = 0.3  # of logs without times
VALIDATION_SECONDS = 1.5
EXACT_SECONDS = 0.02  # logs round to milliseconds


@dataclass(frozen=True)
class Pace:
    """Seconds before the first step line, of a step whose log has no times, and of a validation."""

    lead: float = LEAD_SECONDS
    step: float = STEP_SECONDS
    validation: float = VALIDATION_SECONDS


def replay(log: TrainLog, pace: Pace = Pace()) -> Arrived:  # noqa: B008 (frozen)
    """The console of an honest run that wrote ``log``: every line at its own time."""
    tape, at, clock, started = Tape(), pace.lead, 0.0, False
    for line in log.lines:
        stamp = read_stamp(line, at)
        if stamp and started:
            passed = pace.step * (not stamp.validates) if stamp.claimed is None else stamp.claimed - clock
            passed = (stamp.claimed or 0.0) if passed < 0 else passed  # the clock was set back
            at += passed + pace.validation * stamp.validates
        if stamp:
            clock, started = stamp.claimed or 0.0, True
        tape.add(line, at)
    return Arrived(tape)


def find_refusal(log: TrainLog) -> str:
    """Why the honest run of a finished ``log`` would be refused as a submission or counted wrong; empty: it would not.

    Its reference arm is the same run.
    """
    seen = replay(log)
    arm = judge_reference(log, seen)
    if arm.exit != "ok" or arm.validation is None or arm.console is None:
        return f"as a reference arm: {arm.reason}"
    others = frozenset(arm.console.others)
    untimed, prints = arm.claimed is None, arm.console.complete
    own = Reference(arm.validation, log.restart, untimed, prints, others, arm.validations)
    judged = judge_submission(log, seen, own)
    if judged.exit != "ok" or judged.seconds is None or arm.seconds is None or not own.prints:
        return judged.reason or "its console is not its log"
    if judged.reason or abs(judged.seconds - arm.seconds) > EXACT_SECONDS:
        return f"counted as {judged.seconds:.3f} s, as a reference arm {arm.seconds:.3f} s; {judged.reason}"
    if (
        log.restart is None
        and log.seconds is not None
        and abs(judged.seconds - _own_span(log)) > EXACT_SECONDS
    ):
        return f"counted as {judged.seconds:.3f} s, by its own times {_own_span(log):.3f} s"
    return ""


def _own_span(log: TrainLog) -> float:
    """Seconds by the log's own times from its first step line to its last validation."""
    stamps = [stamp for line in log.lines if (stamp := read_stamp(line, 0.0))]
    return (log.seconds or 0.0) - (stamps[0].claimed or 0.0)
