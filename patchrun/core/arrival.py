"""The clock by arrival: seconds of training from the moments at which a run's step lines reached us.

It runs from the first timed line to the last validation. That span also holds the validations, which the scripts' own
clocks leave out, so what one validation takes is calibrated where the script can be trusted: on the reference arms.

The rule on the first ten steps: the scripts up to record 21 set their clock back after them, and those of the first
records print no times at all; they are timed from the tenth step on too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from patchrun.core.results import CurvePoint
from patchrun.core.steplines import parse_step_line

UNTIMED_STEPS = 10
CURVE_POINTS = 2000
TOLERANCE = 0.02  # a claim this much below the stamps is worth a word
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

    ``gap``: mean seconds from the line before each validation to the validation's own.
    """

    seconds: float
    claimed: float | None
    validations: int
    gap: float


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
    first, last = stamps[start], stamps[ends[-1]]
    gaps = [stamps[index].at - stamps[index - 1].at for index in ends]
    claimed = None if last.claimed is None or offset is None else last.claimed - offset
    return Course(last.at - first.at, claimed, len(ends), sum(gaps) / len(gaps))


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


def settle(course: Course, validation: float) -> tuple[float, str]:
    """The seconds that count, and a finding: the stamps less the validations, and no less than the script claims.

    A script that validates faster than the reference arms gains nothing by it; one that claims more than
    ``TOLERANCE`` less than the stamps say is named.
    """
    stamped = course.seconds - course.validations * validation
    if course.claimed is None:
        return stamped, ""
    if course.claimed >= (1 - TOLERANCE) * stamped:
        return max(stamped, course.claimed), ""
    share = 100 * (1 - course.claimed / stamped)
    return (
        stamped,
        f"it claims {course.claimed:.2f} s, {share:.1f}% less than the {stamped:.2f} s of the arrival stamps",
    )
