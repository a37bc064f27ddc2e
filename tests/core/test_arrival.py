"""The clock by arrival, on literals."""

from __future__ import annotations

import pytest

from patchrun.core.arrival import (
    Course,
    Stamp,
    calibrate,
    draw_curve,
    find_restart,
    read_stamp,
    settle,
    time_course,
)
from patchrun.core.results import CurvePoint


def val(step: int, claimed: float | None, at: float, loss: float = 3.3) -> Stamp:
    return Stamp(step, True, claimed, loss, at)


def trained(step: int, claimed: float | None, at: float) -> Stamp:
    return Stamp(step, False, claimed, None, at)


# Two steps of 10 s each, a validation of 2 s after each; the line of step 0 comes at 100 s.
PLAIN = [val(0, 0, 100), trained(1, 10, 110), val(1, 10, 112), trained(2, 20, 122), val(2, 20, 124)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "step:3/10 val_loss:3.2781 train_time:9284ms step_avg:86.32ms",
            Stamp(3, True, 9.284, 3.2781, 5.0),
        ),
        (
            "step:3/10 train_loss:3.5 train_time:9284ms step_avg:nanms",
            Stamp(3, False, 9.284, 3.5, 5.0),
        ),
        ("step:3/10 train_time:9284ms step_avg:86.32ms", Stamp(3, False, 9.284, None, 5.0)),
        ("s:128 tel:4.8125", Stamp(128, True, None, 4.8125, 5.0)),
        ("s:128 trl:4.8125", Stamp(128, False, None, 4.8125, 5.0)),
        ('print0(f"step:{step}/{steps} val_loss:{loss} train_time:{ms}ms")', None),
        ("x step:3/10 train_time:9284ms step_avg:86.32ms", None),
        ("s:128 tel:nan", None),
        ("", None),
    ],
)
def test_a_step_line_of_any_era_is_a_stamp(line: str, expected: Stamp | None) -> None:
    assert read_stamp(line, 5.0) == expected


def test_the_course_runs_from_the_first_line_to_the_last_validation() -> None:
    assert time_course(PLAIN) == Course(seconds=24, claimed=20, validations=2, gap=2)
    assert time_course([*PLAIN, trained(3, 30, 140)]) == time_course(PLAIN), "what follows is not timed"


def test_warm_up_before_the_first_line_is_not_timed() -> None:
    later = [Stamp(s.step, s.validates, s.claimed, s.loss, s.at + 400) for s in PLAIN]
    assert time_course(later) == time_course(PLAIN)


def test_a_clock_that_begins_above_zero_counts_from_there() -> None:
    shifted = [Stamp(s.step, s.validates, s.claimed + 7, s.loss, s.at) for s in PLAIN]
    assert time_course(shifted) == time_course(PLAIN)


def test_where_the_script_sets_its_clock_back_the_line_before_is_the_start() -> None:
    stamps = [val(0, 0, 5), *(trained(k, 50 + k, 60 + k) for k in range(1, 11)),
              trained(11, 1, 71), trained(12, 2, 72), val(12, 2, 75)]  # fmt: skip
    assert time_course(stamps) == Course(seconds=5, claimed=2, validations=1, gap=3)


def test_lines_without_times_are_timed_from_the_tenth_step() -> None:
    stamps = [val(0, None, 0), *(trained(k, None, 10 + k) for k in range(12)), val(12, None, 25)]
    assert time_course(stamps) == Course(seconds=6, claimed=None, validations=1, gap=4)
    few = [val(0, None, 0), trained(0, None, 3), val(1, None, 5)]
    assert time_course(few) == Course(seconds=5, claimed=None, validations=1, gap=2)


@pytest.mark.parametrize("stamps", [[], PLAIN[:1], PLAIN[:2], [trained(1, 1, 1), trained(2, 2, 2)]])
def test_nothing_to_time(stamps: list[Stamp]) -> None:
    assert time_course(stamps) is None


def test_a_validation_is_calibrated_where_the_claim_can_be_trusted() -> None:
    assert calibrate(Course(seconds=24, claimed=20, validations=2, gap=9)) == 2
    assert calibrate(Course(seconds=24, claimed=None, validations=2, gap=9)) == 9
    assert calibrate(Course(seconds=24, claimed=25, validations=2, gap=9)) == 0


@pytest.mark.parametrize(
    ("claimed", "validation", "seconds", "named"),
    [
        (20.0, 2.0, 20.0, False),  # as calibrated
        (20.0, 2.5, 20.0, False),  # it validates faster than the reference arms: nothing gained
        (20.0, 1.9, 20.2, False),  # 1% below the stamps: they count, nothing is said
        (19.0, 2.0, 20.0, True),  # 5% below: they count, and it is said
        (19.61, 2.0, 20.0, False),
        (19.59, 2.0, 20.0, True),  # the border lies at 2%
        (0.0, 2.0, 20.0, True),
    ],
)
def test_the_stamps_bound_the_claim(claimed: float, validation: float, seconds: float, named: bool) -> None:
    found, finding = settle(Course(24, claimed, 2, 2), validation)
    assert found == pytest.approx(seconds)
    assert bool(finding) == named


def test_a_false_claim_is_named_with_both_figures() -> None:
    _, finding = settle(Course(24, 15.0, 2, 2), 2.0)
    assert finding == "it claims 15.00 s, 25.0% less than the 20.00 s of the arrival stamps"


def test_a_reference_arm_settles_on_its_own_claim() -> None:
    course = time_course(PLAIN)
    assert course is not None
    assert settle(course, calibrate(course)) == (20.0, "")


def test_without_a_claim_the_stamps_count() -> None:
    assert settle(Course(24, None, 2, 2), 2.0) == (20.0, "")


def test_the_curve_is_thinned_and_keeps_its_end() -> None:
    stamps = [trained(k, k / 1000, float(k)) for k in range(9001)]
    curve = draw_curve(stamps)
    assert len(curve) <= 2001
    assert (curve[0].step, curve[-1].step, curve[-1].ms) == (0, 9000, 9000.0)
    assert draw_curve([]) == ()
    assert [point.step for point in draw_curve(stamps[:3])] == [0, 1, 2]


def test_where_a_clock_is_set_back() -> None:
    points = [CurvePoint(k, None, ms, 0.0) for k, ms in enumerate([0.0, 10.0, 5.0, 6.0])]
    assert find_restart(points) == 2
    assert find_restart(points[:2]) is None
    assert find_restart([CurvePoint(0, None, None, 0.0), CurvePoint(1, None, None, 1.0)]) is None
