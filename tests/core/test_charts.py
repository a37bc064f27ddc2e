"""Axes, ticks, curves: by hand-made values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchrun.core.charts import (
    LEAST,
    Axis,
    curve_of,
    log_ticks,
    mean_curve,
    nice_ticks,
    path_of,
    span_axis,
    thin,
)
from patchrun.core.results import CurvePoint
from tests.builders import make_run

FINITE = st.floats(-1e9, 1e9)


def point(step: int, loss: float | None, at: float) -> CurvePoint:
    return CurvePoint(step, loss, None, at)


def test_a_linear_axis_places_and_holds() -> None:
    axis = Axis(0.0, 10.0, 100.0, 0.0)
    assert [axis.place(value) for value in (0, 5, 10, 12, -3)] == [100, 50, 0, 0, 100]


def test_a_log_axis_gives_equal_ratios_equal_room() -> None:
    axis = Axis(1.0, 100.0, 0.0, 200.0, log=True)
    assert [axis.place(value) for value in (1, 10, 100, 0.001)] == [0, 100, 200, 0]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 10.0, [0, 2, 4, 6, 8, 10]),
        (3.1, 4.9, [3.5, 4.0, 4.5]),
        (-1.0, 1.0, [-1.0, -0.5, 0.0, 0.5, 1.0]),
        (0.0, 0.003, [0, 0.0005, 0.001, 0.0015, 0.002, 0.0025, 0.003]),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert nice_ticks(low, high) == pytest.approx(ticks)


@given(FINITE, st.floats(1e-6, 1e9))
def test_ticks_lie_inside_and_are_few(low: float, room: float) -> None:
    high = low + room
    if high - low < 1e-9 * max(abs(low), 1.0):
        return
    found = nice_ticks(low, high)
    slack = 1e-6 * (abs(low) + abs(high))
    assert 1 <= len(found) <= 8 and all(low - slack <= tick <= high + slack for tick in found)


def test_log_ticks() -> None:
    assert log_ticks(1.2, 31.0) == [2.0, 5.0, 10.0, 20.0]
    assert log_ticks(0.5, 90_000.0) == [1, 10, 100, 1000, 10_000]
    assert log_ticks(2.1, 2.9) == pytest.approx([2.2, 2.4, 2.6, 2.8])


@given(st.lists(FINITE, max_size=8), st.booleans())
def test_an_axis_holds_every_value_it_is_made_of(values: list[float], log: bool) -> None:
    axis = span_axis(values, 0.0, 100.0, log=log)
    usable = [value for value in values if value > LEAST or not log]
    if not usable:
        assert axis is None
        return
    assert axis and axis.low < min(usable) <= max(usable) < axis.high
    assert all(0 <= axis.place(value) <= 100 for value in usable)
    assert all(math.isfinite(place) for place, _ in axis.ticks())


def test_what_is_no_number_is_left_out_of_an_axis() -> None:
    axis = span_axis([math.nan, math.inf, 1.0, 2.0], 0, 1)
    assert axis and (axis.low, axis.high) == (0.95, 2.05)
    assert span_axis([math.nan], 0, 1) is None


def test_thinning_keeps_the_ends() -> None:
    points = [point(k, 1.0, float(k)) for k in range(1000)]
    found = thin(points, 50)
    assert len(found) == 50 and found[0] == points[0] and found[-1] == points[-1]
    assert thin(points[:10], 50) == points[:10]


def test_a_curve_leaves_out_what_cannot_be_drawn() -> None:
    curve = (
        point(1, 4.0, 0.1),
        point(2, None, 0.2),
        point(3, 1e300, 0.3),
        point(4, -9e307, 0.4),
        point(5, 3.0, 0.5),
    )
    assert curve_of(make_run("human", 0, 1.0, 3.0, curve=curve), 10) == [(0.1, 4.0), (0.5, 3.0)]


def test_the_mean_curve_is_over_the_steps_that_all_runs_have() -> None:
    one = make_run("human", 0, 1.0, 3.0, curve=(point(1, 4.0, 0.1), point(2, 3.0, 0.2)))
    two = make_run("human", 1, 1.0, 3.0, curve=(point(2, 2.0, 0.4), point(3, 1.0, 0.6)))
    assert mean_curve([one, two], 10) == [(pytest.approx(0.3), 2.5)]
    assert mean_curve([one, make_run("human", 2, 1.0, 3.0)], 10) == []
    assert mean_curve([], 10) == []


def test_paths() -> None:
    x, y = Axis(0, 10, 0, 100), Axis(0, 10, 100, 0)
    places = [(0.0, 0.0), (5.0, 2.0), (10.0, 10.0)]
    assert path_of(places, x, y) == "M0 100L50 80L100 0"
    assert path_of(places, x, y, steps=True) == "M0 100H50V80H100V0"
    assert path_of([], x, y) == ""
