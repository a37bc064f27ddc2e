"""Stop rules: when they stop, when they must not, and how often they err."""

from __future__ import annotations

import math

import numpy as np
import pytest

from patchrun.core import racing
from patchrun.core.racing import Outlook


def make_outlook(**changes: object) -> Outlook:
    values = {"values": (), "bound": 0.0, "looks": (5,), "sd": 0.5, "df": 8.0}
    return Outlook(**(values | changes))  # type: ignore[arg-type]


def fall(start: float, end: float, n: int = 11, steps: int = 1000) -> list[tuple[float, float]]:
    """A loss curve that falls fast at first."""
    return [(steps * k / (n - 1), end + (start - end) * (1 - k / (n - 1)) ** 2) for k in range(n)]


REFERENCES = [fall(10.8, 3.27 + 0.001 * k) for k in range(4)]


@pytest.mark.parametrize(
    ("points", "references"),
    [
        (fall(10.8, 6.0)[:6], REFERENCES[:2]),
        (fall(30.0, 6.0)[:6], REFERENCES),
        (fall(1.5, 1.0)[:6], REFERENCES),
        ([], REFERENCES),
        ([(0, 10.8), (500, math.nan)], REFERENCES),
    ],
)
def test_curves_that_cannot_be_compared_say_nothing(
    points: racing.Points, references: list[racing.Points]
) -> None:
    assert racing.most_to_lose(points, 1000, references) is None


def test_references_of_other_lengths_are_compared_by_fraction() -> None:
    short = [fall(10.8, 3.27 + 0.001 * k, steps=500) for k in range(4)]
    points = fall(10.8, 6.0)[:6]
    assert racing.most_to_lose(points, 1000, short) == pytest.approx(
        racing.most_to_lose(points, 1000, REFERENCES) or 0
    )


def test_the_chance_of_a_mean_agrees_with_simulation() -> None:
    random = np.random.default_rng(2)
    # a flat prior on the mean is what the predictive distribution stands for: draw the mean given the two seen
    seen, sd = [0.3, 0.5], 1.0
    means = random.normal(0.4, sd / math.sqrt(2), 200_000)
    rest = random.normal(means, sd / math.sqrt(3))
    simulated = np.mean((0.8 + 3 * rest) / 5 <= 0.0)
    assert racing.chance_below(seen, 0.0, 5, sd, 1e9) == pytest.approx(simulated, abs=0.005)


def test_the_chance_when_nothing_is_left_is_the_fact() -> None:
    assert racing.chance_below([1.0, 2.0], 1.5, 2, 1.0, 5) == 1
    assert racing.chance_below([1.0, 2.1], 1.5, 2, 1.0, 5) == 0


def test_between_runs_the_mean_decides() -> None:
    hopeless = make_outlook(values=(3.30, 3.31), bound=3.28, sd=0.0013, looks=(5, 10, 25))
    stop = racing.stop_between_runs(hopeless, "loss")
    assert stop is not None
    assert "mean loss 3.3050, target 3.28, after 2 of 25 blocks" in stop.reason
    open_ = make_outlook(values=(3.282, 3.281), bound=3.28, sd=0.0013, looks=(5, 10, 25))
    assert racing.stop_between_runs(open_, "loss") is None
    slow = make_outlook(values=(4.0, 4.2, 3.9))
    stop = racing.stop_between_runs(slow, "time")
    assert stop is not None
    assert "4.03 s slower than the baseline" in stop.reason


def test_nothing_is_stopped_after_the_last_look_or_before_the_first_run() -> None:
    assert make_outlook(values=(9.0,) * 5).chance() == 1
    assert make_outlook().chance() == 1


def test_a_submissions_own_spread_counts_if_it_is_larger() -> None:
    calm, wild = make_outlook(values=(1.0, 1.2, 1.1)), make_outlook(values=(-1.0, 3.2, 1.1))
    assert calm.chance() < wild.chance()


def test_a_run_far_off_is_no_excuse_for_itself() -> None:
    outlook = make_outlook(values=(-0.4, -0.5))
    assert outlook.chance() > 0.5
    assert outlook.chance(60.0) < 1e-3 < make_outlook(values=(-0.4, -0.5, 60.0)).chance()
    assert make_outlook().chance(60.0) < 1e-3 < make_outlook().chance(0.1)


def test_the_spread_comes_from_the_references() -> None:
    found = racing.make_outlook([1.0], 0.0, (5,), [[1.0, 2.0, 3.0], [10.0, 12.0]])
    assert found is not None
    assert (found.sd, found.df) == (pytest.approx(math.sqrt((2 + 2) / 3)), 3)
    assert racing.make_outlook([1.0], 0.0, (5,), [[1.0], []]) is None


def test_an_honest_study_is_hardly_ever_stopped() -> None:
    random = np.random.default_rng(3)
    stopped = 0
    for _ in range(2000):
        references = random.normal(3.72, 0.015, (2, 5))
        losses = random.normal(3.72, 0.015, 5)
        for done in range(1, 5):
            outlook = racing.make_outlook(losses[:done], 3.75, (5,), references[:, :3])
            assert outlook is not None
            stopped += losses.mean() <= 3.75 and racing.stop_between_runs(outlook, "loss") is not None
    assert stopped / 2000 < 0.004
