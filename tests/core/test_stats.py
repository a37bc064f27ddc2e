"""Worked examples from the literature, simulated coverage, and what has no answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from patchrun.core import stats

# Student's sleep data (Cushny and Peebles 1905; Student 1908): hours gained under two drugs, ten patients.
FIRST_DRUG = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND_DRUG = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
GAINED = [b - a for a, b in zip(FIRST_DRUG, SECOND_DRUG, strict=True)]


def share_within(hits: np.ndarray, level: float, sigmas: float = 4.0) -> None:
    """The share of hits agrees with ``level`` within what a simulation of this size allows."""
    allowed = sigmas * math.sqrt(level * (1 - level) / hits.size)
    assert abs(hits.mean() - level) < allowed, (hits.mean(), level, allowed)


def test_t_interval_of_students_sleep_data() -> None:
    # R: t.test(extra ~ group, data = sleep, paired = TRUE) gives 0.7001142 to 2.4598858
    assert_allclose(stats.t_interval(GAINED), (0.7001142, 2.4598858), atol=5e-8)


def test_one_sided_test_of_students_sleep_data() -> None:
    # the same call: t = 4.0621, df = 9, two-sided p = 0.002833
    test = stats.check_mean_at_most([-value for value in GAINED], 0.0)
    assert test.t == pytest.approx(-4.0621, abs=5e-5)
    assert test.p_value == pytest.approx(0.002833 / 2, abs=5e-7)
    assert (test.n, round(test.mean, 2), round(test.sd or 0, 2)) == (10, -1.58, 1.23)


def test_one_sided_test_of_a_mean_above_the_bound_is_no_proof() -> None:
    assert (stats.check_mean_at_most(GAINED, 0.0).p_value or 0) > 0.99


@pytest.mark.parametrize(("values", "words"), [([3.27], "one run"), ([3.27, 3.27, 3.27], "without spread")])
def test_no_p_value_is_none_and_never_zero(values: list[float], words: str) -> None:
    test = stats.check_mean_at_most(values, 3.28)
    assert test.p_value is None
    assert test.t is None
    assert words in test.reason


def test_false_proofs_are_alpha_under_the_null() -> None:
    losses = np.random.default_rng(1).normal(3.28, 0.0013, size=(20_000, 5))
    p_values = np.array([stats.check_mean_at_most(row, 3.28).p_value for row in losses[:4000]])
    share_within(p_values < 0.05, 0.05)


def test_t_interval_covers() -> None:
    samples = np.random.default_rng(2).normal(7.0, 2.0, size=(5000, 5))
    intervals = np.array([stats.t_interval(row) for row in samples])
    share_within((intervals[:, 0] <= 7) & (intervals[:, 1] >= 7), 0.95)


@pytest.mark.parametrize("values", [[4.0], [4.0, 4.0], [0.1 + 0.2, 0.3, 0.3]])
def test_no_t_interval_without_spread(values: list[float]) -> None:
    assert stats.t_interval(values) is None


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [1.0, math.inf]])
def test_values_that_are_no_numbers_are_refused(values: list[float]) -> None:
    for function in (stats.summarize, stats.t_interval, lambda v: stats.check_mean_at_most(v, 1.0)):
        with pytest.raises(ValueError, match=r"finite|no values"):
            function(values)


@pytest.mark.parametrize("unit", [1e-300, 1e-261, 1e-150, 1e-80])
def test_a_spread_whose_square_is_no_float_is_none(unit: float) -> None:
    values = [1 * unit, 2 * unit, 3.5 * unit]
    found = stats.check_mean_at_most(values, 0.0)
    assert (found.p_value, found.reason) == (None, "no p-value from runs without spread")
    assert stats.t_interval(values) is None
    assert stats.paired_ratio(values, [2.0, 2.1, 2.2]).interval
    assert stats.unpaired_ratio(values, values).interval is None


def test_the_smallest_and_largest_units_give_what_a_second_gives() -> None:
    for unit in (1e-65, 1e60):
        values = [10 * unit, 11 * unit, 12.5 * unit]
        assert stats.check_mean_at_most(values, 12 * unit).p_value == pytest.approx(
            stats.check_mean_at_most([10, 11, 12.5], 12).p_value
        )
    with pytest.raises(ValueError, match="finite"):
        stats.t_interval([1e200, 2e200])


def test_summary_of_one_value_has_no_sd() -> None:
    assert stats.summarize([2.0]) == stats.Summary(1, 2.0, None)
    assert stats.summarize([2.0, 4.0]).sd == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize(
    ("level", "low", "high"), [(0.90, 1.54, 2.64), (0.95, 1.46, 2.83), (0.99, 1.27, 3.36)]
)
def test_fieller_on_the_quotient_of_two_means(level: float, low: float, high: float) -> None:
    # GraphPad QuickCalcs (Motulsky 1995): means 14 and 7, sd 3 and 2, six values each, df 10
    t = stats.t_quantile(0.5 + level / 2, 10)
    assert_allclose(stats.fieller_bounds(14, 7, 9 / 6, 4 / 6, 0, t), (low, high), atol=0.005)


def test_fieller_with_g_stated() -> None:
    # DC-Stats (Colquhoun): a = 14 +- 3, b = 7 +- 2, t(10) = 1.812461: g = 0.268164, 1.051413 to 4.414296
    t = stats.t_quantile(0.95, 10)
    assert t**2 * 4 / 49 == pytest.approx(0.268164, abs=1e-6)
    assert_allclose(stats.fieller_bounds(14, 7, 9, 4, 0, t), (1.051413, 4.414296), atol=5e-7)


def test_fieller_limits_solve_their_quadratic() -> None:
    random = np.random.default_rng(3)
    above, below = random.normal(1, 0.3, 8), random.normal(2, 0.4, 8)
    ratio = stats.paired_ratio(above, below)
    assert ratio.interval is not None
    for r in ratio.interval:
        low, high = stats.t_interval(above - r * below) or (1, 1)
        assert min(abs(low), abs(high)) < 1e-12, "at a limit the t interval of a - r b touches 0"


def test_an_exclusive_or_unbounded_set_is_no_interval() -> None:
    noise = stats.paired_ratio([1.0, 1.1, 0.9], [0.1, -0.2, 0.15])
    assert noise.interval is None
    assert "contains 0" in noise.reason
    assert math.isnan(float(stats.fieller_bounds(5, 1, 0.1, 1, 0, 2.0)[0])), (
        "exclusive: a is far from 0, b is not"
    )
    assert math.isnan(float(stats.fieller_bounds(0.1, 1, 1, 1, 0, 2.0)[0])), "unbounded: neither is"


def test_a_bounded_fieller_interval_means_the_gap_is_beyond_noise() -> None:
    random = np.random.default_rng(4)
    for _ in range(300):
        gap = random.normal(0.5, 0.5, 5)
        low, high = stats.t_interval(gap) or (0, 0)
        ratio = stats.paired_ratio(random.normal(0.3, 0.5, 5), gap)
        assert (ratio.interval is not None) == (low > 0 or high < 0)


def simulate_blocks(n: int, trials: int, fsr: float, seed: int, drift: float = 0.3) -> np.ndarray:
    """Times [trials, 3 arms, n blocks] of baseline 10 s and human 8 s, with noise shared inside a block."""
    random = np.random.default_rng(seed)
    means = np.array([10.0, 10.0 - 2.0 * fsr, 8.0])[None, :, None]
    return means + random.normal(0, 0.2, (trials, 3, n)) + random.normal(0, drift, (trials, 1, n))


@pytest.mark.parametrize(("n", "fsr"), [(3, 0.6), (5, 0.0), (5, 0.6), (5, 1.0), (5, 1.7)])
def test_paired_fsr_covers(n: int, fsr: float) -> None:
    blocks = simulate_blocks(n, 3000, fsr, seed=n)
    intervals = [stats.paired_fsr(*trial).interval for trial in blocks]
    covered = np.array([i is not None and i[0] <= fsr <= i[1] for i in intervals])
    unbounded = sum(interval is None for interval in intervals)
    assert unbounded < 0.05 * len(intervals)
    share_within(covered[[i is not None for i in intervals]], 0.95, sigmas=5.0 if n == 5 else 8.0)


def test_unpaired_fsr_covers() -> None:
    blocks = simulate_blocks(5, 3000, 0.6, seed=9, drift=0.0)
    intervals = [stats.unpaired_fsr(*trial).interval for trial in blocks]
    covered = np.array([i is not None and i[0] <= 0.6 <= i[1] for i in intervals])
    assert 0.94 < covered.mean() < 0.975


def test_pairing_removes_the_drift_of_the_machine() -> None:
    blocks = simulate_blocks(5, 200, 0.6, seed=10, drift=2.0)
    paired = [stats.paired_fsr(*trial).interval for trial in blocks]
    unpaired = [stats.unpaired_fsr(*trial).interval for trial in blocks]
    assert sum(i is not None for i in paired) > 190
    assert sum(i is not None for i in unpaired) < 100


def test_fsr_of_the_human_code_itself() -> None:
    ratio = stats.paired_fsr([10.0, 10.2, 9.9], [8.0, 8.1, 8.0], [8.0, 8.1, 8.0])
    assert ratio.value == 1
    assert_allclose(ratio.interval, (1, 1), atol=1e-6)


def test_fsr_needs_equal_numbers_of_blocks() -> None:
    with pytest.raises(ValueError, match="differ in number"):
        stats.paired_fsr([1.0, 2.0], [1.0], [1.0, 2.0])


@pytest.mark.parametrize("function", [stats.paired_fsr, stats.unpaired_fsr])
def test_one_block_or_no_spread_gives_no_interval(function: object) -> None:
    assert function([10.0], [9.0], [8.0]).interval is None  # type: ignore[operator]
    still = function([10.0, 10.0], [9.0, 9.0], [8.0, 8.0])  # type: ignore[operator]
    assert (still.value, still.interval) == (0.5, None)


def test_a_zero_gap_has_no_value() -> None:
    ratio = stats.paired_fsr([10.0, 10.0], [9.0, 9.1], [10.0, 10.0])
    assert ratio == stats.Ratio(None, None, "the interval of the denominator contains 0")


def test_speed_comparison_of_two_arms() -> None:
    found = stats.tell_difference(SECOND_DRUG, FIRST_DRUG, paired=True)
    assert found.difference == pytest.approx(1.58)
    assert_allclose(found.ci, (0.7001142, 2.4598858), atol=5e-8)
    times = stats.paired_ratio([8.0, 8.1, 8.0, 8.2], [10.0, 10.2, 9.9, 10.1])
    assert times.value == pytest.approx(32.3 / 40.2)
    assert times.interval is not None
    assert times.interval[0] < times.value < times.interval[1] < 1


def test_a_comparison_of_two_arms_covers() -> None:
    """Difference and ratio of 12 and 10 s over five blocks, with a drift that both arms share."""
    random = np.random.default_rng(12)
    drift = random.normal(0, 0.5, (3000, 5))
    first, second = (mean + drift + random.normal(0, 0.3, (3000, 5)) for mean in (10.0, 12.0))
    differences = [stats.t_interval(b - a) for a, b in zip(first, second, strict=True)]
    ratios = [stats.paired_ratio(b, a).interval for a, b in zip(first, second, strict=True)]
    share_within(np.array([low <= 2 <= high for low, high in differences]), 0.95, sigmas=5)
    share_within(np.array([low <= 1.2 <= high for low, high in ratios]), 0.95, sigmas=5)


def test_unpaired_ratio_and_difference_cover() -> None:
    random = np.random.default_rng(11)
    first, second = random.normal(10, 0.4, (3000, 6)), random.normal(8, 0.1, (3000, 4))
    ratios = [stats.unpaired_ratio(a, b).interval for a, b in zip(first, second, strict=True)]
    gaps = [stats.unpaired_interval(a, b) for a, b in zip(first, second, strict=True)]
    assert all(ratios)
    assert all(gaps)
    share_within(np.array([low <= 1.25 <= high for low, high in ratios]), 0.95, sigmas=5)
    share_within(np.array([low <= 2 <= high for low, high in gaps]), 0.95, sigmas=5)


def test_welch_interval_of_the_sleep_data() -> None:
    # R: t.test(extra ~ group, data = sleep): df = 17.776, -3.3654832 to 0.2054832
    assert_allclose(stats.unpaired_interval(FIRST_DRUG, SECOND_DRUG), (-3.3654832, 0.2054832), atol=5e-8)


def test_mover_on_the_difference_of_two_proportions() -> None:
    # Newcombe 1998, example (a), method 10: 56/70 - 48/80 from Wilson intervals, 0.0524 to 0.3339
    def wilson(hits: int, n: int) -> stats.Interval:
        z = 1.959963985
        middle, half = 2 * hits + z * z, z * math.sqrt(z * z + 4 * hits * (1 - hits / n))
        return (middle - half) / (2 * (n + z * z)), (middle + half) / (2 * (n + z * z))

    found = stats.combine_difference(56 / 70, wilson(56, 70), 48 / 80, wilson(48, 80))
    assert_allclose(found, (0.0524, 0.3339), atol=5e-5)


def test_holm_on_four_p_values() -> None:
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    assert_allclose(stats.holm([0.01, 0.04, 0.03, 0.005]), (0.03, 0.06, 0.06, 0.02))
    assert stats.holm([0.5, 0.9]) == (1.0, 1.0)


def test_holm_keeps_the_family_wise_error() -> None:
    p_values = np.random.default_rng(12).uniform(size=(4000, 10))
    any_rejected = np.array([min(stats.holm(row)) <= 0.05 for row in p_values])
    assert any_rejected.mean() < 0.05 + 4 * math.sqrt(0.05 * 0.95 / 4000)


@pytest.mark.parametrize("values", [[0.1, 1.2], [-0.1], [math.nan]])
def test_holm_refuses_what_is_no_p_value(values: list[float]) -> None:
    with pytest.raises(ValueError):
        stats.holm(values)


def test_a_difference_of_pairs_is_students_t() -> None:
    """R: t.test(extra ~ group, data = sleep), with paired = TRUE and without."""
    one, two = FIRST_DRUG, SECOND_DRUG
    found = stats.tell_difference(one, two, paired=True)
    assert found.difference == pytest.approx(-1.58) and found.p_value == pytest.approx(0.002833, abs=1e-6)
    assert found.ci == pytest.approx((-2.4598858, -0.7001142))
    welch = stats.tell_difference(one, two, paired=False)
    assert welch.p_value == pytest.approx(0.07939, abs=1e-5)
    assert welch.ci == pytest.approx((-3.3654832, 0.2054832))
    back = stats.tell_difference(two, one, paired=True)
    assert back.difference == -found.difference and back.p_value == pytest.approx(found.p_value)


def test_a_difference_without_spread() -> None:
    assert stats.tell_difference((1.0, 2.0), (1.0, 2.0), paired=True) == stats.Difference(0.0, None, 1.0)
    assert stats.tell_difference((2.0, 3.0), (1.0, 2.0), paired=True) == stats.Difference(1.0, None, None)
    assert stats.tell_difference((2.0,), (1.0,), paired=True) == stats.Difference(1.0, None, None)
    assert stats.tell_difference((2.0,), (1.0, 3.0), paired=False) == stats.Difference(0.0, None, None)
    with pytest.raises(ValueError, match="pairs differ in number"):
        stats.tell_difference((1.0,), (1.0, 2.0), paired=True)
