"""Power, the design's own figures, and looks that keep alpha."""

from __future__ import annotations

import numpy as np
import pytest

from patchrun.core import sequential


@pytest.mark.parametrize(("margin", "runs"), [(0.001, 25), (0.002, 9), (0.0033, 5)])
def test_the_designs_numbers_of_runs(margin: float, runs: int) -> None:
    # DESIGN.md: sd 0.0013, alpha 0.01, 90% power
    assert sequential.runs_for_power(margin, 0.0013) == runs
    assert sequential.power(runs, margin, 0.0013, 0.01) >= 0.9
    assert sequential.power(runs - 1, margin, 0.0013, 0.01) < 0.9


def test_the_margin_that_five_runs_need() -> None:
    assert sequential.margin_for_runs(5, 0.0013) == pytest.approx(0.0033, abs=5e-5)


def test_power_of_a_published_case() -> None:
    # G*Power 3.1 manual, "Means: difference from constant": one tail, d = 0.625, alpha 0.05, power 0.95: N = 30
    assert sequential.runs_for_power(0.625, 1.0, 0.05, 0.95) == 30
    assert sequential.power(30, 0.625, 1.0, 0.05) == pytest.approx(0.955144, abs=5e-7)


def test_power_agrees_with_simulation() -> None:
    share, _ = sequential.simulate_looks(0.002, 0.0013, 0.01, (9,), trials=20_000, seed=1)
    assert share == pytest.approx(sequential.power(9, 0.002, 0.0013, 0.01), abs=0.01)


def test_one_run_has_no_power() -> None:
    assert sequential.power(1, 1.0, 0.1, 0.01) == 0
    with pytest.raises(ValueError, match="one run"):
        sequential.margin_for_runs(1, 0.1)


@pytest.mark.parametrize(
    ("margin", "sd", "alpha"), [(-1, 1, 0.1), (1, 0, 0.1), (1, 1, 1), (float("nan"), 1, 0.1)]
)
def test_impossible_plans_are_refused(margin: float, sd: float, alpha: float) -> None:
    with pytest.raises(ValueError, match="need margin"):
        sequential.runs_for_power(margin, sd, alpha)


def test_a_margin_of_nothing_needs_more_runs_than_there_are() -> None:
    with pytest.raises(ValueError, match="more than"):
        sequential.runs_for_power(0.0, 0.0013)


@pytest.mark.parametrize("looks", [(5, 10, 25), (5, 6, 7, 8, 9, 10), (2, 25)])
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_looks_keep_alpha(looks: tuple[int, ...], alpha: float) -> None:
    share, used = sequential.simulate_looks(0.0, 0.0013, alpha, looks, trials=40_000, seed=2)
    assert share < alpha + 4 * np.sqrt(alpha / 40_000)
    assert used > looks[-1] * 0.95, "under the null nearly every study runs to its end"


def test_looking_without_splitting_alpha_would_not_keep_it() -> None:
    naive = sum(sequential.split_alpha(0.05, (5, 10, 25)))
    share, _ = sequential.simulate_looks(0.0, 1.0, naive * 3, (5, 10, 25), trials=40_000, seed=2)
    assert share > 0.08, "0.05 at each of three looks is more than 0.05 in all"


def test_looks_save_runs_when_the_margin_is_wide() -> None:
    share, used = sequential.simulate_looks(0.003, 0.0013, 0.01, (5, 10, 25), trials=5000, seed=3)
    assert share > 0.999
    assert used < 11


def test_a_look_that_proves_is_the_last_one() -> None:
    values = [3.270, 3.271, 3.272, 3.271, 3.270, 9.0, 9.0, 9.0, 9.0, 9.0]
    (look,) = sequential.take_looks(values, 3.28, 0.01, (5, 10))
    assert (look.test.n, look.proven, look.alpha) == (5, True, 0.005)


def test_looks_are_taken_only_when_they_are_reached() -> None:
    values = [3.279, 3.282, 3.278, 3.281, 3.280, 3.279]
    assert [look.test.n for look in sequential.take_looks(values, 3.28, 0.01, (5, 10))] == [5]
    assert sequential.take_looks(values[:4], 3.28, 0.01, (5, 10)) == ()


def test_a_look_without_spread_proves_nothing() -> None:
    (look,) = sequential.take_looks([3.2] * 5, 3.28, 0.01, (5,))
    assert (look.proven, look.test.p_value) == (False, None)


@pytest.mark.parametrize("looks", [(), (1, 5), (5, 5), (10, 5)])
def test_looks_must_rise_from_two(looks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="looks must rise"):
        sequential.split_alpha(0.01, looks)
