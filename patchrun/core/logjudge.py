"""The loss and the seconds of a run whose evidence is its own log: what arrived, what it wrote, what it claims."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from patchrun.core.arrival import Stamp, calibrate, find_restart, settle, time_course
from patchrun.core.results import Exit, Run
from patchrun.core.trainlog import TrainLog


@dataclass(frozen=True)
class Reference:
    """What the reference runs of a study's first block say.

    ``validation``: seconds of one, the longer of the arms'; ``restart``: the last step at which a clock is set back;
    ``untimed``: the lines of an arm have no times.
    """

    validation: float
    restart: int | None = None
    untimed: bool = False


@dataclass(frozen=True)
class Judgement:
    """How a run ended, and its figures where it ended well; ``reason`` may name a finding on a run that did."""

    exit: Exit
    reason: str = ""
    loss: float | None = None
    seconds: float | None = None
    claimed: float | None = None
    validation: float | None = None


def reference_of(runs: Iterable[Run]) -> Reference | None:
    """What the reference runs of a first block say; None when none of them ended well."""
    usable = [run for run in runs if run.kind != "submission" and run.block == 0 and run.exit == "ok"]
    lasting = [run.validation_seconds for run in usable if run.validation_seconds is not None]
    restarts = [step for run in usable if (step := find_restart(run.curve)) is not None]
    untimed = any(run.claimed_seconds is None for run in usable)
    return Reference(max(lasting), max(restarts, default=None), untimed) if lasting else None


def judge_reference(log: TrainLog, stamps: Sequence[Stamp]) -> Judgement:
    """A run of code that is trusted: its own claim says what a validation takes."""
    return _judge(log, stamps, None)


def judge_submission(log: TrainLog, stamps: Sequence[Stamp], reference: Reference | None) -> Judgement:
    """A run of code that is not: the arrival stamps bound its claim, by the reference runs' validations.

    A clock that is set back later than the reference arms' hides training: disqualified.
    """
    if reference is None:
        return Judgement("failed", "no reference run says what a validation takes")
    if log.restart is not None and (reference.restart is None or log.restart > reference.restart):
        others = "never" if reference.restart is None else f"at step {reference.restart}"
        said = f"it sets its clock back at step {log.restart}, the reference arms {others}"
        return Judgement("disqualified", said)
    if log.form == "llm.c" and not reference.untimed:
        return Judgement("failed", "its log has neither code nor times, the reference arms' have both")
    return _judge(log, stamps, reference.validation)


def _judge(log: TrainLog, stamps: Sequence[Stamp], validation: float | None) -> Judgement:
    if log.loss is None:
        return Judgement("failed", f"no validation at step {log.steps}, the last step is {log.reached}")
    arrived = [(stamp.step, stamp.loss) for stamp in stamps if stamp.validates]
    if arrived != [(each.step, each.loss) for each in log.validations]:
        return Judgement("failed", "the validations that arrived are not those of its log")
    course = time_course(stamps)
    if course is None:
        return Judgement("failed", "there is nothing to time: no validation after the first timed line")
    taken = calibrate(course) if validation is None else validation
    seconds, finding = settle(course, taken)
    return Judgement("ok", finding, log.loss, seconds, course.claimed, taken)
