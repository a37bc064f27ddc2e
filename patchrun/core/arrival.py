"""The clock by arrival: seconds of training from the moments at which a run's step lines reached us.

It runs from the first timed line to the last validation. That span also holds the validations, which the scripts' own
clocks leave out, so what one validation takes is calibrated where the script can be trusted: on the reference arms.

A script reads its clock just before it prints, so between two training lines as much time passes as they claim, and
between a training line and a validation's no less. A line may come late (a busy machine), never before it was
written: where lines catch up later, they were held back, and the start is where the earliest of them puts it.

The rule on the first ten steps: the scripts up to record 21 set their clock back after them, and those of the first
records print no times at all; they are timed from the tenth step on too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from patchrun.core.results import CurvePoint
from patchrun.core.steplines import parse_step_line

UNTIMED_STEPS = 10
CURVE_POINTS = 2000
TOLERANCE = 0.02  # a claim this much below the stamps is worth a word
HELD_SECONDS = 0.25  # so long, and TOLERANCE of its claim, may lines lag that catch up (docs/nanogpt.md),
HELD_SHARE = 0.5  # and never longer than this much of the claim
PACE = 0.25  # without times: so much of the training may arrive sooner or later than at an even pace
PACED_LINES = 8
_LLMC = re.compile(r"s:(\d{1,9}) (tel|trl):(\d{1,9}\.\d{1,9})(?: .*)?", re.ASCII)


@dataclass(frozen=True)
class Stamp:
    """One step line: ``at`` seconds after the start signal; ``claimed`` seconds by the script's own clock.

    ``loss`` is a validation's where ``validates``. ``claimed`` is None where the lines have no times.
    """

    step: int
    validates: bool
    claimed: float | None
    loss: float | None
    at: float


@dataclass(frozen=True)
class Course:
    """The timed part of a run: ``seconds`` from its first stamp to its last, ``validations`` among them.

    ``gap``: mean seconds from the line before each validation to the validation's own. ``lead``: seconds from the start
    signal to the first stamp. ``late``: by how much the first stamp came later than the lines after it say. ``hidden``:
    seconds that passed between training lines beyond what they claim. ``held``: the most that lines lagged behind their
    claims and caught up again. ``uneven``: of lines without times, the most by which their pace is uneven, as a share.
    """

    seconds: float
    claimed: float | None
    validations: int
    gap: float
    lead: float = 0.0
    late: float = 0.0
    hidden: float = 0.0
    held: float = 0.0
    uneven: float = 0.0


def read_stamp(line: str, at: float) -> Stamp | None:
    """The stamp of a step line of any era, None of any other line."""
    found = parse_step_line(line)
    if found:
        claimed = None if found.train_time_ms is None else found.train_time_ms / 1000
        return Stamp(found.step, found.val_loss is not None, claimed, found.loss, at)
    match = _LLMC.fullmatch(line.strip())
    return Stamp(int(match[1]), match[2] == "tel", None, float(match[3]), at) if match else None


def find_restart(points: Sequence[CurvePoint]) -> int | None:
    """The step at which the script's clock was first seen set back, None where it never was."""
    pairs = zip(points, points[1:], strict=False)
    return next((b.step for a, b in pairs if a.ms is not None and b.ms is not None and b.ms < a.ms), None)


def draw_curve(stamps: Sequence[Stamp]) -> tuple[CurvePoint, ...]:
    """The stamps as a curve of at most ``CURVE_POINTS`` or so, the last one always among them."""
    stride = 1 + len(stamps) // CURVE_POINTS
    kept = [*stamps[:-1][::stride], *stamps[-1:]]
    return tuple(
        CurvePoint(
            each.step, each.loss, None if each.claimed is None else each.claimed * 1000, round(each.at, 4)
        )
        for each in kept
    )


def time_course(stamps: Sequence[Stamp]) -> Course | None:
    """The timed part, None where there is none: no validation after the first timed line."""
    start, offset = _find_start(stamps)
    ends = [index for index, stamp in enumerate(stamps) if stamp.validates and index > start]
    if not ends:
        return None
    timed = stamps[start : ends[-1] + 1]
    first, last = timed[0], timed[-1]
    gaps = [stamps[index].at - stamps[index - 1].at for index in ends]
    course = Course(last.at - first.at, None, len(ends), sum(gaps) / len(gaps), lead=first.at)
    if last.claimed is None or offset is None:
        return replace(course, uneven=_find_uneven(timed))
    claims = [offset, *(stamp.claimed or 0.0 for stamp in timed[1:])]
    excess = _list_excess(timed, claims)
    trained = [each for stamp, each in zip(timed[1:], excess, strict=True) if not stamp.validates]
    return replace(
        course, claimed=claims[-1] - offset, late=_find_late(timed, claims), hidden=sum(trained),
        held=_find_held(timed, excess),
    )  # fmt: skip


def _list_excess(timed: Sequence[Stamp], claims: Sequence[float]) -> list[float]:
    """Of each line after the first: seconds since the line before it, less what the two claim."""
    pairs = zip(timed, timed[1:], claims, claims[1:], strict=False)
    return [(b.at - a.at) - (later - earlier) for a, b, earlier, later in pairs]


def _find_late(timed: Sequence[Stamp], claims: Sequence[float]) -> float:
    """By how much the first line came late, by the lines before the next validation: none came before its time."""
    end = next((index for index, stamp in enumerate(timed) if index and stamp.validates), len(timed))
    starts = [stamp.at - (claim - claims[0]) for stamp, claim in zip(timed[:end], claims, strict=False)]
    return timed[0].at - min(starts)


def _find_held(timed: Sequence[Stamp], excess: Sequence[float]) -> float:
    """The largest fall of the lag: what a validation takes cannot be negative, what it takes beyond that is no lag."""
    lag = highest = held = 0.0
    for stamp, each in zip(timed[1:], excess, strict=True):
        lag += min(each, 0.0) if stamp.validates else each
        highest = max(highest, lag)
        held = max(held, highest - lag)
    return held


def _find_uneven(timed: Sequence[Stamp]) -> float:
    """How far the share of training lines that had come and the share of their time ever were apart."""
    steps = [b.at - a.at for a, b in zip(timed, timed[1:], strict=False) if not b.validates]
    whole = sum(steps)
    if len(steps) < PACED_LINES or whole <= 0:
        return 0.0
    passed = list(accumulate(steps))
    return max(abs(each / whole - (index + 1) / len(steps)) for index, each in enumerate(passed))


def find_bursts(course: Course) -> str:
    """How the lines did not arrive as they claim; empty where they did."""
    if course.claimed is None:
        if course.uneven > PACE:
            return f"{100 * course.uneven:.0f}% of the training arrived at another pace than an even one"
        return ""
    if course.held > min(HELD_SECONDS + TOLERANCE * course.claimed, HELD_SHARE * course.claimed):
        return f"they lag {course.held:.2f} s behind their own times and catch up again"
    return ""


def _find_start(stamps: Sequence[Stamp]) -> tuple[int, float | None]:
    """The index of the first timed line, and what the script's clock says there (None: it says nothing)."""
    claims = [stamp.claimed for stamp in stamps]
    if not claims or None in claims:
        trained = [index for index, stamp in enumerate(stamps) if not stamp.validates]
        return (trained[UNTIMED_STEPS - 1] if len(trained) >= UNTIMED_STEPS else 0), None
    for index in range(len(claims) - 1, 0, -1):
        if claims[index] < claims[index - 1]:  # the clock was set back after the line before
            return index - 1, 0.0
    return 0, claims[0]


def calibrate(course: Course) -> float:
    """What one validation takes, from the run of a script whose claim can be trusted.

    Its span less its claim, spread over the validations; where lines have no times the script waits for the GPU at
    every step, and the gap before a validation's line is the validation.
    """
    if course.claimed is None:
        return course.gap
    return max(0.0, course.seconds - course.claimed) / course.validations


def allow_validations(reference: int) -> int:
    """How many validations are not timed where a reference arm has ``reference``: somewhat more, as steps may be."""
    return reference + 1 + reference // 4


def settle(course: Course, validation: float, allowed: int | None = None) -> tuple[float, str]:
    """The seconds that count, and a finding: the largest of what the stamps, read in any consistent way, and the script
    itself say.

    The stamps less ``allowed`` validations (None: all), from the moment at which the earliest line puts the start. Or
    the claim with what passed between training lines beyond it: a validation shorter than the reference arms' pays for
    no training. A script that claims more than ``TOLERANCE`` less than that is named.
    """
    untimed = course.validations if allowed is None else min(course.validations, allowed)
    stamped = course.seconds + course.late - untimed * validation
    if course.claimed is None:
        return stamped, ""
    between = course.claimed + course.late + course.hidden
    if between > (1 + TOLERANCE) * course.claimed + HELD_SECONDS:
        stamped = max(stamped, between)
    if course.claimed >= (1 - TOLERANCE) * stamped:
        return max(stamped, course.claimed), ""
    share = 100 * (1 - course.claimed / stamped)
    return (
        stamped,
        f"it claims {course.claimed:.2f} s, {share:.1f}% less than the {stamped:.2f} s of the arrival stamps",
    )
