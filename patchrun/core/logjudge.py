"""The loss and the seconds of a run whose evidence is its own log: what arrived, what it wrote, what it claims."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from patchrun.core.arrival import (
    CURVE_POINTS,
    Course,
    Stamp,
    allow_validations,
    calibrate,
    find_bursts,
    find_restart,
    read_stamp,
    settle,
    time_course,
)
from patchrun.core.console import DIFFERENT, Match, Tape, match_console
from patchrun.core.results import Console, CurvePoint, Exit, Run
from patchrun.core.runlog import printable
from patchrun.core.trainlog import TrainLog, is_step_line

ROUNDED_SECONDS = 0.01  # between figures and what stored, rounded stamps give


@dataclass(frozen=True)
class Reference:
    """What the reference runs of a study's first block say.

    ``validation``: seconds of one, the longer of the arms'; ``restart``: the last step at which a clock is set back;
    ``untimed``: the lines of an arm have no times. ``prints``: all step lines of an arm came on its console.
    ``others``: the shapes of lines on their consoles that are neither their logs' nor a library's; None: not known.
    ``validations``: so many were taken off the most of them; None: not known.
    """

    validation: float
    restart: int | None = None
    untimed: bool = False
    prints: bool = False
    others: frozenset[str] | None = None
    validations: int | None = None


@dataclass(frozen=True)
class Arrived:
    """What was seen of a run from outside: its console, and its log while it was written."""

    console: Tape
    logged: Sequence[Stamp] = ()


@dataclass(frozen=True)
class Judgement:
    """How a run ended, and its figures where it ended well; ``reason`` may name a finding on a run that did.

    ``validation`` seconds were taken off for each of ``validations``. ``lead``: seconds from the start signal to the
    first timed line. ``stamps``: the lines by which it was timed.
    """

    exit: Exit
    reason: str = ""
    loss: float | None = None
    seconds: float | None = None
    claimed: float | None = None
    validation: float | None = None
    validations: int | None = None
    lead: float | None = None
    console: Console | None = None
    stamps: tuple[Stamp, ...] = ()


def reference_of(runs: Iterable[Run]) -> Reference | None:
    """What the reference runs of a first block say; None when none of them ended well."""
    usable = [run for run in runs if run.kind != "submission" and run.block == 0 and run.exit == "ok"]
    lasting = [run.validation_seconds for run in usable if run.validation_seconds is not None]
    restarts = [step for run in usable if (step := find_restart(run.curve)) is not None]
    untimed = any(run.claimed_seconds is None for run in usable)
    consoles = [run.console for run in usable if run.console]
    prints = any(console.complete for console in consoles)
    others = frozenset(shape for console in consoles for shape in console.others) if consoles else None
    if not lasting:
        return None
    counts = [run.validations for run in usable if run.validations is not None]
    return Reference(
        max(lasting), max(restarts, default=None), untimed, prints, others, max(counts, default=None)
    )


def judge_reference(log: TrainLog, arrived: Arrived) -> Judgement:
    """A run of code that is trusted: its own claim says what a validation takes."""
    return _judge(log, arrived, match_console(arrived.console, log.lines, None), None)


def judge_submission(log: TrainLog, arrived: Arrived, reference: Reference | None) -> Judgement:
    """A run of code that is not: the arrival stamps bound its claim, by the reference runs' validations.

    Its console must hold its log's lines and nothing else, and each line must arrive when it claims. A clock that is
    set back later than the reference arms' hides training: disqualified.
    """
    if reference is None:
        return Judgement("failed", "no reference run says what a validation takes")
    if log.restart is not None and (reference.restart is None or log.restart > reference.restart):
        others = "never" if reference.restart is None else f"at step {reference.restart}"
        said = f"it sets its clock back at step {log.restart}, the reference arms {others}"
        return Judgement("disqualified", said)
    if log.form == "llm.c" and not reference.untimed:
        return Judgement("failed", "its log has neither code nor times, the reference arms' have both")
    match = match_console(arrived.console, log.lines, reference.others)
    problem = match.problem
    if not problem and reference.prints and not match.console.complete:
        problem = f"missing: {printable(match.missing, 120)!r}"
    if problem:
        return Judgement("failed", f"{DIFFERENT}: {problem}", stamps=match.stamps)
    return _judge(log, arrived, match, reference)


def _judge(log: TrainLog, arrived: Arrived, match: Match, reference: Reference | None) -> Judgement:
    stamps = match.stamps if match.console.complete else tuple(arrived.logged)
    judged = _time(log, stamps, match.console.complete, reference)
    return replace(judged, console=match.console, stamps=stamps)


def _time(log: TrainLog, stamps: Sequence[Stamp], printed: bool, reference: Reference | None) -> Judgement:
    if log.loss is None:
        return Judgement("failed", f"no validation at step {log.steps}, the last step is {log.reached}")
    if not printed and not _are_of(stamps, log):
        return Judgement(
            "failed", "the step lines that were seen while its log was written are not those it has now"
        )
    course = time_course(stamps)
    if course is None:
        return Judgement("failed", "there is nothing to time: no validation after the first timed line")
    if reference is None:
        return _count(log, course, calibrate(course), course.validations)
    if bursts := find_bursts(course):
        return Judgement("failed", f"its lines do not arrive when they say: {bursts}")
    known = reference.validations
    untimed = course.validations if known is None else min(course.validations, allow_validations(known))
    return _count(log, course, reference.validation, untimed)


def _count(log: TrainLog, course: Course, validation: float, untimed: int) -> Judgement:
    """The figures of a course less ``untimed`` validations."""
    seconds, finding = settle(course, validation, untimed)
    if untimed < course.validations:
        more = f"it validates {course.validations} times, of which {untimed} are not timed"
        finding = f"{finding}; {more}" if finding else more
    return Judgement("ok", finding, log.loss, seconds, course.claimed, validation, untimed, lead=course.lead)


def _are_of(stamps: Sequence[Stamp], log: TrainLog) -> bool:
    """Whether the stamps are of all step lines of a log, in order."""
    own = [read_stamp(line, 0.0) for line in log.lines if is_step_line(line)]
    return [replace(stamp, at=0.0) for stamp in stamps] == own


def judge_again(run: Run) -> str:
    """What a stored run's own lines contradict; empty: nothing, or its lines were thinned or have no times."""
    if run.exit != "ok" or run.console is None or run.claimed_seconds is None or run.seconds is None:
        return ""
    course = time_course(_restore_stamps(run.curve)) if len(run.curve) < CURVE_POINTS else None
    if course is None or course.claimed is None or run.validation_seconds is None:
        return ""
    seconds, _ = settle(course, run.validation_seconds, run.validations)
    if abs(seconds - run.seconds) > ROUNDED_SECONDS:
        return f"its lines give {seconds:.2f} s, not the {run.seconds:.2f} s that it states"
    if run.lead_seconds is None or abs(course.lead - run.lead_seconds) > ROUNDED_SECONDS:
        return "its first timed line came at another moment than it states"
    return find_bursts(course) if run.kind == "submission" else ""


def _restore_stamps(curve: Sequence[CurvePoint]) -> list[Stamp]:
    """The stamps of which a curve is made: a validation has a loss, and the step of the line before it."""
    steps = [None, *(point.step for point in curve)]
    return [
        Stamp(
            point.step,
            point.loss is not None and before in (None, point.step),
            None if point.ms is None else point.ms / 1000,
            point.loss,
            point.at,
        )
        for point, before in zip(curve, steps, strict=False)
    ]
