"""The clock by arrival, on literals."""

from __future__ import annotations

import dataclasses
import random
from itertools import accumulate

import pytest

from patchrun.core.arrival import (
    HELD_SECONDS,
    Course,
    Stamp,
    allow_validations,
    calibrate,
    draw_curve,
    find_bursts,
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
    assert time_course(PLAIN) == Course(seconds=24, claimed=20, validations=2, gap=2, lead=100)
    assert time_course([*PLAIN, trained(3, 30, 140)]) == time_course(PLAIN), "what follows is not timed"


def test_warm_up_before_the_first_line_is_not_timed() -> None:
    later = [Stamp(s.step, s.validates, s.claimed, s.loss, s.at + 400) for s in PLAIN]
    found = time_course(later)
    assert found is not None and dataclasses.replace(found, lead=100) == time_course(PLAIN)
    assert found.lead == 500


def test_a_clock_that_begins_above_zero_counts_from_there() -> None:
    shifted = [Stamp(s.step, s.validates, s.claimed + 7, s.loss, s.at) for s in PLAIN]
    assert time_course(shifted) == time_course(PLAIN)


def test_where_the_script_sets_its_clock_back_the_line_before_is_the_start() -> None:
    stamps = [val(0, 0, 5), *(trained(k, 50 + k, 60 + k) for k in range(1, 11)),
              trained(11, 1, 71), trained(12, 2, 72), val(12, 2, 75)]  # fmt: skip
    assert time_course(stamps) == Course(seconds=5, claimed=2, validations=1, gap=3, lead=70)


def test_lines_without_times_are_timed_from_the_tenth_step() -> None:
    stamps = [val(0, None, 0), *(trained(k, None, 10 + k) for k in range(12)), val(12, None, 25)]
    assert time_course(stamps) == Course(seconds=6, claimed=None, validations=1, gap=4, lead=19)
    few = [val(0, None, 0), trained(0, None, 3), val(1, None, 5)]
    assert time_course(few) == Course(seconds=5, claimed=None, validations=1, gap=2, lead=0)


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


def a_run(steps: int = 100, every: int = 25, step: float = 0.5, validation: float = 2.0) -> list[Stamp]:
    """An honest run from 60 s on: a validation before the first step and after every ``every`` steps."""
    at, clock, stamps = 60.0, 0.0, [val(0, 0.0, 60.0)]
    for k in range(1, steps + 1):
        at, clock = at + step, clock + step
        stamps.append(trained(k, round(clock, 3), at))
        if k % every == 0:
            at += validation
            stamps.append(val(k, round(clock, 3), at))
    return stamps


def moved(stamps: list[Stamp], ats: list[float]) -> list[Stamp]:
    """The same lines at other moments."""
    return [dataclasses.replace(stamp, at=at) for stamp, at in zip(stamps, ats, strict=True)]


def scaled(stamps: list[Stamp], factor: float) -> list[Stamp]:
    """The same lines with a clock that runs at ``factor``."""
    return [dataclasses.replace(stamp, claimed=(stamp.claimed or 0.0) * factor) for stamp in stamps]


def verdict(stamps: list[Stamp], validation: float = 2.0) -> tuple[str, float]:
    """What is said of the arrival, and the seconds that count."""
    course = time_course(stamps)
    assert course is not None
    return find_bursts(course), settle(course, validation)[0]


HONEST = a_run()  # 50 s of training, four validations of 2 s after the first


def held_until(index: int, stamps: list[Stamp]) -> list[Stamp]:
    """All lines before the one at ``index`` come with it."""
    return moved(stamps, [max(stamp.at, stamps[index].at) for stamp in stamps])


BURSTS = {
    "all lines held to the end": held_until(-1, HONEST),
    "the first half held": held_until(60, HONEST),
    "one line held for ten steps": moved(HONEST, [h.at + 5 * (k == 30) for k, h in enumerate(HONEST)]),
    "released every ten lines": moved(
        HONEST, [HONEST[min(10 * (k // 10) + 9, len(HONEST) - 1)].at for k in range(len(HONEST))]
    ),
    "the first lines only": held_until(5, HONEST),
    "held between validations": moved(
        HONEST, [next(v.at for v in HONEST[k:] if v.validates) for k in range(len(HONEST))]
    ),
    "held by a lagging printer": moved(
        HONEST, [h.at + 4 * (1 - k / len(HONEST)) for k, h in enumerate(HONEST)]
    ),
    "printed before the work": moved(HONEST, [60 + (h.at - 60) * 0.2 for h in HONEST[:-1]] + [HONEST[-1].at]),
}  # fmt: skip


@pytest.mark.parametrize("name", BURSTS)
def test_lines_that_do_not_arrive_when_they_claim_are_refused_or_cost(name: str) -> None:
    said, seconds = verdict(BURSTS[name])
    assert said or seconds >= 50 - 1e-6, "never less than what was trained"
    if name != "printed before the work":
        assert "behind their own times and catch up again" in said


def test_what_is_held_within_the_tolerance_gains_nothing() -> None:
    for held in (0.05, 0.2, 0.45):
        said, seconds = verdict(moved(HONEST, [HONEST[0].at + held, *(h.at for h in HONEST[1:])]))
        assert said == ""
        assert seconds >= 50 - 1e-6


@pytest.mark.parametrize("factor", [0.9, 0.5, 0.1, 0.0])
def test_a_clock_that_runs_slow_gains_nothing(factor: float) -> None:
    said, seconds = verdict(scaled(HONEST, factor))
    assert said or seconds == pytest.approx(50.0)


@pytest.mark.parametrize("factor", [0.2, 0.01, 0.001])
def test_a_small_claim_buys_no_burst(factor: float) -> None:
    """A claim of less than the tolerance, and all lines at once: half of the claim may lag."""
    assert "catch up again" in verdict(scaled(held_until(-1, HONEST), factor))[0]


@pytest.mark.parametrize(("reference", "allowed"), [(1, 2), (4, 6), (13, 17), (40, 51)])
def test_more_validations_than_the_reference_arms_are_timed(reference: int, allowed: int) -> None:
    assert allow_validations(reference) == allowed
    course = Course(seconds=200.0, claimed=1.0, validations=100, gap=2.0)
    assert settle(course, 2.0, allowed)[0] == 200.0 - 2.0 * allowed
    assert settle(course, 2.0, None)[0] == 1.0


def test_a_slow_clock_with_lines_held_is_refused_or_costs() -> None:
    """Lines that are held so that the last come at the real pace contradict their own times."""
    said, seconds = verdict(scaled(held_until(60, HONEST), 0.5))
    assert said or seconds >= 50 - 1e-6


def test_training_in_the_time_of_shorter_validations_counts() -> None:
    """Each validation takes 0.5 s in place of 2 s, and 1.5 s of training after it are on no clock."""
    at, stamps = 60.0, [val(0, 0.0, 60.0)]
    for k in range(1, 101):
        at += 0.5 + 1.5 * (k % 25 == 1 and k > 1)
        stamps.append(trained(k, 0.5 * k, at))
        if k % 25 == 0:
            at += 0.5
            stamps.append(val(k, 0.5 * k, at))
    said, seconds = verdict(stamps)
    assert said == "" and seconds == pytest.approx(50 + 4.5)


def jittered(seed: int, most: float) -> list[Stamp]:
    """Each line up to ``most`` s late, never out of order: what a pipe and a busy reader do."""
    draw = random.Random(seed)
    return moved(HONEST, list(accumulate((h.at + draw.uniform(0, most) for h in HONEST), max)))


@pytest.mark.parametrize("seed", range(10))
def test_a_busy_reader_is_no_burst_and_costs_no_more_than_its_delay(seed: int) -> None:
    said, seconds = verdict(jittered(seed, 0.05))
    assert said == "" and 50 <= seconds < 50.06
    assert verdict(jittered(seed, HELD_SECONDS))[0] == ""


HONEST_RUNS = {
    "plain": HONEST,
    "long validations": a_run(validation=20.0),
    "short validations": a_run(validation=0.1),
    "one step between validations": a_run(20, 1),
    "fast steps": a_run(2000, 500, step=0.02),
    "no train lines": [stamp for stamp in HONEST if stamp.validates],
    "a pause of the machine": moved(HONEST, [h.at + 7 * (k > 50) for k, h in enumerate(HONEST)]),
    "a pause in which its clock runs too": [
        dataclasses.replace(h, at=h.at + 7, claimed=(h.claimed or 0) + 7) if k > 50 else h
        for k, h in enumerate(HONEST)
    ],
    "claims rounded up to ms": [dataclasses.replace(h, claimed=(h.claimed or 0) + 0.0005) for h in HONEST],
    "a slow start": moved(HONEST, [h.at + 400 for h in HONEST]),
    "without times": [dataclasses.replace(h, claimed=None) for h in HONEST],
}


@pytest.mark.parametrize("name", HONEST_RUNS)
def test_honest_runs_arrive_as_they_say(name: str) -> None:
    course = time_course(HONEST_RUNS[name])
    assert course is not None
    assert find_bursts(course) == ""


@pytest.mark.parametrize("share", [0.4, 0.6, 0.9])
def test_lines_without_times_that_come_in_a_burst_are_refused(share: float) -> None:
    untimed = [dataclasses.replace(stamp, claimed=None) for stamp in a_run(100, 100)]
    assert "at another pace" in verdict(held_until(int(share * len(untimed)), untimed))[0]
