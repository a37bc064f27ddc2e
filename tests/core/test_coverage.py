"""The simulation that the documents' table rests on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from patchrun.core import coverage
from patchrun.core.stats import paired_ratio


@pytest.mark.parametrize("fsr", [0.0, 0.3, 0.5, 1.0, 1.5])
@pytest.mark.parametrize("noise", [0.02, 0.1, 0.2])
def test_the_interval_covers_93_to_97_percent_at_five_blocks(fsr: float, noise: float) -> None:
    found = coverage.simulate_coverage(5, fsr=fsr, noise=noise, trials=10_000)
    assert 0.93 <= found.covered <= 0.97
    assert found.unbounded < 0.01


@pytest.mark.parametrize("n", [3, 10, 25])
def test_it_covers_at_other_numbers_of_blocks(n: int) -> None:
    assert 0.93 <= coverage.simulate_coverage(n, noise=0.08, trials=5000).covered <= 0.97


def test_skewed_noise_costs_little() -> None:
    assert coverage.simulate_coverage(5, noise=0.1, shape="lognormal").covered > 0.93


def test_the_bootstrap_of_few_blocks_falls_short() -> None:
    # DESIGN.md: a percentile bootstrap of 3 to 5 runs covers 73-84% where it says 95%
    for n, low, high in ((3, 0.70, 0.80), (5, 0.79, 0.89)):
        found = coverage.simulate_coverage(n, trials=2000, contrast=True)
        assert found.bootstrap is not None
        assert low < found.bootstrap < high


def test_drift_of_a_block_cancels() -> None:
    still = coverage.simulate_coverage(5, drift=0.0, trials=2000)
    moved = coverage.simulate_coverage(5, drift=5.0, trials=2000)
    assert moved.half_width == pytest.approx(still.half_width, rel=0.05)


def test_the_wider_the_noise_the_wider_the_interval() -> None:
    widths = [
        coverage.simulate_coverage(5, noise=noise, trials=2000).half_width for noise in (0.05, 0.1, 0.2)
    ]
    assert widths == sorted(widths)
    assert widths[1] == pytest.approx(2 * widths[0], rel=0.1)


def test_a_gap_inside_the_noise_is_mostly_unbounded() -> None:
    assert coverage.simulate_coverage(5, noise=2.0, trials=2000).unbounded > 0.8


def test_the_vectorised_limits_equal_the_single_ones() -> None:
    random = np.random.default_rng(1)
    above, below = random.normal(0.5, 0.4, (50, 4)), random.normal(1.0, 0.5, (50, 4))
    for row, limits in enumerate(zip(*coverage.paired_limits(above, below), strict=True)):
        interval = paired_ratio(above[row], below[row]).interval
        assert math.isnan(limits[0]) == (interval is None)
        if interval is not None:
            assert_allclose(limits, interval)


def test_one_block_is_refused() -> None:
    with pytest.raises(ValueError, match="one block"):
        coverage.simulate_coverage(1)


def test_the_table_has_every_combination_and_is_reproducible() -> None:
    rows = coverage.tabulate_coverage((5,), (0.0, 1.0), (0.1,), ("normal", "lognormal"), trials=500)
    assert [(row.shape, row.fsr) for row in rows] == [
        ("normal", 0.0),
        ("normal", 1.0),
        ("lognormal", 0.0),
        ("lognormal", 1.0),
    ]
    assert rows == coverage.tabulate_coverage((5,), (0.0, 1.0), (0.1,), ("normal", "lognormal"), trials=500)
    assert all(row.bootstrap is not None for row in rows)
