"""How often the intervals hold the truth: simulated studies, for the tables in the documents.

A study has n blocks of a baseline at 1 gap above a human arm at 0 (the unit is the gap itself) and a submission in
between. ``noise`` is the sd of one run, ``drift`` that of what all runs of a block share, both in gaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from patchrun.core.stats import LEVEL, fieller_bounds, t_quantile

Shape = Literal["normal", "lognormal"]
DRAWS = 500  # of the percentile bootstrap that is shown for contrast


@dataclass(frozen=True)
class Coverage:
    """Of ``trials`` studies: shares whose interval holds the true FSR, and that have no bounded interval.

    ``covered`` is among the bounded ones. ``half_width`` is the median half of an interval. ``bootstrap``: the
    same share for percentiles over resampled blocks, which is why they are not used; None when not asked for.
    """

    n_blocks: int
    fsr: float
    noise: float
    shape: Shape
    trials: int
    covered: float
    unbounded: float
    half_width: float
    bootstrap: float | None = None


def simulate_coverage(
    n_blocks: int,
    *,
    fsr: float = 0.5,
    noise: float = 0.1,
    drift: float = 0.2,
    shape: Shape = "normal",
    trials: int = 10_000,
    seed: int = 0,
    level: float = LEVEL,
    contrast: bool = False,
) -> Coverage:
    """Fieller's paired interval over ``trials`` simulated studies; ValueError with fewer than two blocks."""
    if n_blocks < 2:
        raise ValueError("one block gives no interval")
    above, below = _draw_blocks(n_blocks, fsr, noise, drift, shape, trials, seed)
    low, high = paired_limits(above, below, level)
    bounded = ~np.isnan(low)
    hit = (low <= fsr) & (fsr <= high)
    return Coverage(
        n_blocks, fsr, noise, shape, trials,
        covered=float(hit[bounded].mean()) if bounded.any() else float("nan"),
        unbounded=float(1 - bounded.mean()),
        half_width=float(np.median((high - low)[bounded] / 2)) if bounded.any() else float("nan"),
        bootstrap=_bootstrap_share(above, below, fsr, level, seed) if contrast else None,
    )  # fmt: skip


def _draw_blocks(
    n: int, fsr: float, noise: float, drift: float, shape: Shape, trials: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Differences b - s and b - h, [trials, n] each."""
    random = np.random.default_rng(seed)
    drawn = random.standard_normal((trials, 3, n))
    if shape == "lognormal":
        # long-tailed to the right like a disturbed timing, centred, with sd 1
        drawn = (np.exp(0.6 * drawn) - np.exp(0.18)) / np.sqrt((np.exp(0.36) - 1) * np.exp(0.36))
    times = (
        np.array([1.0, 1.0 - fsr, 0.0])[:, None]
        + noise * drawn
        + drift * random.standard_normal((trials, 1, n))
    )
    return times[:, 0] - times[:, 1], times[:, 0] - times[:, 2]


def paired_limits(
    above: NDArray[np.float64], below: NDArray[np.float64], level: float = LEVEL
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``stats.paired_ratio``'s limits for many studies at once; ``above`` and ``below`` are [studies, blocks]."""
    n = above.shape[1]
    a, b = above.mean(axis=1), below.mean(axis=1)
    from_a, from_b = above - a[:, None], below - b[:, None]
    scale = n * (n - 1)
    v_aa, v_bb, v_ab = (
        (x * y).sum(axis=1) / scale for x, y in ((from_a, from_a), (from_b, from_b), (from_a, from_b))
    )
    return fieller_bounds(a, b, v_aa, v_bb, v_ab, t_quantile(0.5 + level / 2, n - 1))


def _bootstrap_share(
    above: NDArray[np.float64], below: NDArray[np.float64], fsr: float, level: float, seed: int
) -> float:
    """Coverage of percentile intervals over resampled blocks, on the first 2,000 studies."""
    above, below = above[:2000], below[:2000]
    drawn = np.random.default_rng(seed).integers(0, above.shape[1], size=(DRAWS, above.shape[1]))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = above[:, drawn].mean(axis=2) / below[:, drawn].mean(axis=2)
    tail = 50 * (1 - level)
    low, high = np.percentile(ratios, [tail, 100 - tail], axis=1)
    return float(((low <= fsr) & (fsr <= high)).mean())


def tabulate_coverage(
    blocks: Iterable[int] = (3, 5, 10),
    fsrs: Sequence[float] = (0.0, 0.5, 1.0),
    noises: Sequence[float] = (0.05, 0.1, 0.2),
    shapes: Sequence[Shape] = ("normal", "lognormal"),
    trials: int = 10_000,
    seed: int = 0,
) -> tuple[Coverage, ...]:
    """Every combination, with the bootstrap beside it: the table of the documents."""
    return tuple(
        simulate_coverage(n, fsr=fsr, noise=noise, shape=shape, trials=trials, seed=seed, contrast=True)
        for n in blocks for noise in noises for shape in shapes for fsr in fsrs
    )  # fmt: skip
