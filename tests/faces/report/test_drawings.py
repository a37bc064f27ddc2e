"""Charts as values: what is drawn, where, and in which words."""

from __future__ import annotations

import math

import pytest

from patchrun.core.results import CurvePoint
from patchrun.faces.report.drawings import Climber, Rung, draw_curves, draw_intervals, draw_ladder
from tests.builders import make_run


def curve(*losses: float) -> tuple[CurvePoint, ...]:
    return tuple(CurvePoint(k, loss, None, 0.1 * k) for k, loss in enumerate(losses, 1))


def runs(blocks: int = 2, own: tuple[float, ...] = (5.0, 3.6)) -> list:
    losses = {"baseline": (5.0, 4.0, 3.7), "human": (5.0, 3.7), "submission": own}
    return [
        make_run(kind, block, 1.0, 3.7, curve=curve(*losses[kind])) for block in range(blocks) for kind in losses
    ]  # fmt: skip


def test_curves_have_a_bold_mean_an_arm_and_a_faint_line_a_run() -> None:
    chart = draw_curves(runs(), 3.75, "said")
    assert chart and [line.kind for line in chart.lines if not line.kind.startswith("faint")] == [
        "baseline", "human", "submission",
    ]  # fmt: skip
    assert sum(line.kind.startswith("faint") for line in chart.lines) == 6
    assert [name for _, name in chart.rules] == ["target 3.75"]
    assert [name for _, name in chart.legend] == ["baseline", "human", "submission"]


def test_without_step_lines_there_is_no_chart() -> None:
    assert draw_curves([], 3.75, "") is None
    assert draw_curves([make_run("human", 0, 1.0, 3.7)], 3.75, "") is None


def test_a_chart_of_many_blocks_says_that_it_is_cut() -> None:
    chart = draw_curves(runs(12), 3.75, "said")
    assert chart and "the first 8 of 12 blocks" in chart.about
    assert sum(line.kind.startswith("faint") for line in chart.lines) == 24


@pytest.mark.parametrize("loss", [1e5, -1e5, 9e307])
def test_a_script_that_prints_nonsense_does_not_set_the_scale(loss: float) -> None:
    honest, wild = draw_curves(runs(), 3.75, ""), draw_curves(runs(own=(5.0, loss)), 3.75, "")
    assert honest and wild
    labels = [[label for _, label in chart.y_ticks] for chart in (honest, wild)]
    assert labels[0] == labels[1] == ["4", "4.5", "5"]


def rungs(days: list[str]) -> list[Rung]:
    return [
        Rung(k, day, 100.0 / k, f"Record {k}", f"record/{k}.html", k == 2) for k, day in enumerate(days, 1)
    ]


def test_the_ladder_goes_by_day_on_a_log_scale() -> None:
    chart = draw_ladder(
        rungs(["2024-05-28", "2025-01-01", "2026-03-01"]), [Climber(2, 60.0, "ada", "s.html")]
    )
    assert chart and chart.x_label == "date of the record"
    assert [label for _, label in chart.x_ticks][:2] == ["May 2024", "Aug 2024"]
    assert [point.kind for point in chart.points] == ["human", "ai", "human", "submission"]
    ours, record = chart.points[3], chart.points[1]
    assert ours.x == record.x and ours.y < record.y, "slower than the record: above it"
    assert chart.legend[-1] == ("submission", "submission")


def test_a_ladder_made_in_one_day_goes_by_number() -> None:
    chart = draw_ladder(rungs(["2026-11-22"] * 9), [])
    assert chart and chart.x_label == "record" and [label for _, label in chart.x_ticks] == list("123456789")


def test_a_ladder_of_three_days_names_them() -> None:
    chart = draw_ladder(rungs(["2026-01-01", "2026-01-02", "2026-01-03"]), [])
    assert chart and [label for _, label in chart.x_ticks] == ["01 Jan", "02 Jan", "03 Jan"]


def test_a_ladder_of_one_record_and_none() -> None:
    assert draw_ladder([], []) is None
    chart = draw_ladder(rungs(["2026-01-01"]), [])
    assert chart and len(chart.points) == 1 and math.isfinite(chart.points[0].y)


def test_a_submission_to_a_record_without_time_is_left_out() -> None:
    chart = draw_ladder(rungs(["2026-01-01"]), [Climber(7, 1.0, "ada", "s.html")])
    assert chart and len(chart.points) == 1


def test_intervals_are_drawn_inside_the_chart() -> None:
    rows = [("ada", 0.5, 0.4, 0.6, "a.html"), ("bob", -0.2, -40.0, 90.0, "b.html")]
    chart = draw_intervals(rows, "FSR", "x")
    assert chart and [name for _, name in chart.y_ticks] == ["ada", "bob"]
    assert all(
        chart.left <= end <= chart.right for point in chart.points for end in (point.low, point.x, point.high)
    )
    assert "bob: -0.200, 95% interval -40.000 to 90.000" in chart.about
    assert draw_intervals([], "FSR", "x") is None
