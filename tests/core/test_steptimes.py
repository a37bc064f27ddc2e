"""Step times of runs that were stopped early, on literals."""

from __future__ import annotations

import pytest

from patchrun.core.results import CurvePoint, Run
from patchrun.core.steptimes import compare_steps, step_seconds
from tests.builders import make_run


def curve(*lines: tuple[int, float]) -> tuple[CurvePoint, ...]:
    return tuple(CurvePoint(step, None, None, at) for step, at in lines)


def test_a_step_lasts_from_the_line_before_to_its_own() -> None:
    assert step_seconds(curve((0, 1.0), (1, 3.0), (2, 3.5), (3, 4.1)), skipped=0) == pytest.approx(
        [2, 0.5, 0.6]
    )


def test_a_validation_between_two_steps_is_left_out() -> None:
    lines = curve((1, 1.0), (2, 2.0), (2, 7.0), (3, 8.5))
    assert step_seconds(lines, skipped=0) == pytest.approx([1.0, 1.5])


def test_the_first_steps_compile_and_are_skipped() -> None:
    lines = curve((1, 300.0), *((step, 300.0 + step) for step in range(2, 14)))
    assert step_seconds(lines, skipped=10) == pytest.approx([1.0, 1.0, 1.0])


def test_lines_every_few_steps_share_their_time() -> None:
    assert step_seconds(curve((10, 1.0), (20, 3.0)), skipped=0) == pytest.approx([0.2] * 10)


def test_nothing_to_time() -> None:
    assert step_seconds(()) == []
    assert step_seconds(curve((1, 1.0), (2, 2.0))) == []


def run(kind: str, step: float, block: int = 0, **more: object) -> Run:
    lines = curve(*((k, k * step) for k in range(31)))
    return make_run(kind, block, None, None, curve=lines, **more)


def test_arms_are_compared_with_the_baseline_over_all_their_runs() -> None:
    runs = [run("submission", 0.9), run("human", 0.8), run("baseline", 1.0), run("baseline", 1.0, block=1)]
    rows = compare_steps(runs, 30)
    assert [(row.kind, row.runs, row.steps) for row in rows] == [
        ("baseline", 2, 40),
        ("human", 1, 20),
        ("submission", 1, 20),
    ]
    assert [row.ratio for row in rows] == pytest.approx([1.0, 0.8, 0.9])
    assert rows[2].median == pytest.approx(0.9)


def test_of_few_steps_half_are_skipped() -> None:
    assert compare_steps([run("baseline", 1.0)], 4)[0].steps == 28


def test_an_arm_that_failed_says_why_and_has_no_number() -> None:
    failed = make_run("submission", 0, None, None, exit="failed", reason="no such tensor")
    rows = compare_steps([run("baseline", 1.0), failed], 30)
    assert (rows[1].median, rows[1].ratio, rows[1].trouble) == (None, None, "failed: no such tensor")
