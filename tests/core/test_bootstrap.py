"""Resampling over records."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from patchrun.core import bootstrap


def test_interquartile_mean_of_twelve_values() -> None:
    # Wikipedia, "Interquartile mean": 6.5
    assert bootstrap.interquartile_mean([5, 8, 4, 38, 8, 6, 9, 7, 7, 3, 1, 6]) == pytest.approx(6.5)


def test_interquartile_mean_works_along_an_axis() -> None:
    table = np.arange(16.0).reshape(2, 8)
    assert_allclose(bootstrap.interquartile_mean(table, axis=1), [3.5, 11.5])


def test_the_interval_of_a_mean_over_records_covers() -> None:
    random = np.random.default_rng(5)
    scores = random.beta(2, 3, size=(1500, 30))
    covered = [
        low <= 0.4 <= high
        for row in range(0, 1500, 100)
        for low, high in bootstrap.percentile_intervals(bootstrap.resample(scores[row : row + 100], seed=row))
    ]
    assert 0.91 < np.mean(covered) < 0.97, "a percentile interval over 30 records is a little short"


def test_the_interval_of_an_interquartile_mean_covers() -> None:
    random = np.random.default_rng(6)
    truth = float(bootstrap.interquartile_mean(random.beta(2, 3, size=(1, 400_000)))[0])
    scores = random.beta(2, 3, size=(600, 40))
    found = bootstrap.percentile_intervals(bootstrap.resample(scores, statistic="iqm", replicates=400))
    assert 0.90 < np.mean([low <= truth <= high for low, high in found]) < 0.97


def test_strata_are_covered_with_a_narrower_interval_than_without() -> None:
    """Two kinds of records, 0.2 and 0.8 on average, as many of each: the mix is fixed, so it is no noise."""
    random = np.random.default_rng(7)
    strata = ["easy", "hard"] * 15
    means = np.array([0.8, 0.2] * 15)
    scores = means + random.uniform(-0.2, 0.2, size=(800, 30))
    kept, mixed = (
        bootstrap.percentile_intervals(bootstrap.resample(scores, strata=given, replicates=500))
        for given in (strata, None)
    )
    assert 0.90 < np.mean([low <= 0.5 <= high for low, high in kept]) < 0.97
    assert np.mean([high - low for low, high in kept]) < 0.6 * np.mean([high - low for low, high in mixed])


def test_the_probability_of_being_better_is_not_sure_of_equals() -> None:
    """Two equal agents over 20 records: a share beyond 0.975 either way comes about one time in twenty."""
    random = np.random.default_rng(8)
    shares = []
    for trial in range(600):
        both = bootstrap.resample(random.beta(2, 3, size=(2, 20)), replicates=200, seed=trial)
        shares.append(bootstrap.share_higher(both[0], both[1]))
    sure = np.mean([share > 0.975 or share < 0.025 for share in shares])
    assert 0.02 < sure < 0.10
    assert np.mean(shares) == pytest.approx(0.5, abs=0.04)


def test_resampling_is_reproducible_and_shared_by_agents() -> None:
    scores = np.random.default_rng(6).uniform(size=(3, 12))
    once = bootstrap.resample(scores, seed=7)
    assert_allclose(once, bootstrap.resample(scores, seed=7))
    assert_allclose(once[1], bootstrap.resample(scores[1], seed=7)[0], atol=1e-12)
    assert not np.allclose(once, bootstrap.resample(scores, seed=8))
    assert once.mean() == pytest.approx(scores.mean(), abs=0.02)


def test_interquartile_replicates_equal_the_plain_computation() -> None:
    scores = np.random.default_rng(7).uniform(size=(5, 9))
    drawn = bootstrap.draw_records(9, 50, seed=3)
    expected = [[bootstrap.interquartile_mean(row[d]) for d in drawn] for row in scores]
    assert_allclose(bootstrap.resample(scores, statistic="iqm", replicates=50, seed=3), expected)


def test_strata_keep_their_sizes() -> None:
    strata = ["early"] * 3 + ["late"] * 5
    drawn = bootstrap.draw_records(8, 200, strata=strata)
    assert ((drawn < 3).sum(axis=1) == 3).all()
    between = np.array([0.0] * 3 + [1.0] * 5)
    assert bootstrap.resample(between, strata=strata).std() == pytest.approx(0, abs=1e-12)
    assert bootstrap.resample(between).std() > 0.1


def test_tables_that_cannot_be_resampled_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        bootstrap.resample([[0.5, np.nan]])
    with pytest.raises(ValueError, match="at least one record"):
        bootstrap.resample(np.empty((2, 0)))
    with pytest.raises(ValueError, match="strata"):
        bootstrap.draw_records(3, 10, strata=["a"])


def test_shares_of_two_agents_sum_to_one() -> None:
    a, b = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.1, 0.1, 0.4, 0.5])
    assert bootstrap.share_higher(a, b) == pytest.approx(0.375)
    assert bootstrap.share_higher(a, b) + bootstrap.share_higher(b, a) == 1
