"""Loss curves of literal runs on one grid of times."""

from __future__ import annotations

from patchrun.core.curves import draw_curves
from patchrun.core.results import CurvePoint
from tests.builders import make_run


def run(kind: str, *points: tuple[float, float], block: int = 0):
    curve = tuple(CurvePoint(k, loss, None, at) for k, (at, loss) in enumerate(points))
    return make_run(kind, block, 1.0, 3.0, curve=curve)


def test_arms_share_the_time_of_the_longest() -> None:
    found = draw_curves([run("baseline", (1, 6.0), (4, 3.0)), run("submission", (1, 5.0), (2, 2.0))], 4)
    assert found == {"baseline": (6.0, 6.0, 6.0, 3.0), "submission": (5.0, 2.0, None, None)}


def test_runs_of_an_arm_are_averaged() -> None:
    runs = [run("human", (1, 6.0), (2, 4.0)), run("human", (1, 4.0), (2, 2.0), block=1)]
    assert draw_curves(runs, 2) == {"human": (5.0, 3.0)}


def test_before_the_first_line_there_is_nothing() -> None:
    assert draw_curves([run("human", (3, 6.0), (4, 4.0))], 4)["human"] == (None, None, 6.0, 4.0)


def test_lines_without_a_loss_and_arms_without_lines_are_left_out() -> None:
    silent = make_run("baseline", 0, 1.0, 3.0, curve=(CurvePoint(1, None, None, 9.0),))
    assert list(draw_curves([silent, run("human", (1, 2.0))], 3)) == ["human"]
    assert (
        draw_curves([silent], 3) == {}
        and draw_curves([], 3) == {}
        and draw_curves([run("human", (1, 1))], 0) == {}
    )
