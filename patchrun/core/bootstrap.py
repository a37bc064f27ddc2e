"""Resampling over records, as in the literature on robust evaluation; never over the few runs of a study.

Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice", NeurIPS 2021: percentile
intervals of the mean and of the interquartile mean, strata kept. A table of scores is [agents, records].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from patchrun.core.stats import LEVEL, Interval

Statistic = Literal["mean", "iqm"]
CHUNK = 200_000  # cells that the interquartile mean sorts at a time: a few megabytes


def interquartile_mean(values: ArrayLike, axis: int = -1) -> NDArray[np.float64]:
    """The mean of the middle half: a quarter (rounded down) is cut at each end."""
    array = np.sort(np.asarray(values, dtype=float), axis=axis)
    cut = array.shape[axis] // 4
    return np.take(array, range(cut, array.shape[axis] - cut), axis=axis).mean(axis=axis)


def draw_records(
    records: int, replicates: int, seed: int = 0, strata: Sequence[object] | None = None
) -> NDArray[np.intp]:
    """Indices [replicates, records], drawn with replacement; within each stratum when ``strata`` names one a record."""
    random = np.random.default_rng(seed)
    if strata is None:
        return random.integers(0, records, size=(replicates, records))
    if len(strata) != records:
        raise ValueError(f"{records} records and {len(strata)} strata")
    groups: dict[object, list[int]] = {}
    for index, stratum in enumerate(strata):
        groups.setdefault(stratum, []).append(index)
    drawn = [np.array(g)[random.integers(0, len(g), size=(replicates, len(g)))] for g in groups.values()]
    return np.concatenate(drawn, axis=1)


def resample(
    scores: ArrayLike,
    *,
    statistic: Statistic = "mean",
    replicates: int = 1000,
    seed: int = 0,
    strata: Sequence[object] | None = None,
) -> NDArray[np.float64]:
    """The statistic of every agent in every replicate, [agents, replicates]; all agents share the draws."""
    table = np.atleast_2d(np.asarray(scores, dtype=float))
    if not table.shape[1] or not np.isfinite(table).all():
        raise ValueError("scores must be finite, over at least one record")
    drawn = draw_records(table.shape[1], replicates, seed, strata)
    if statistic == "mean":
        counts = np.zeros((replicates, table.shape[1]))
        np.add.at(counts, (np.arange(replicates)[:, None], drawn), 1.0)
        return table @ counts.T / table.shape[1]
    step = max(1, CHUNK // drawn.size)
    parts = [interquartile_mean(table[i : i + step][:, drawn]) for i in range(0, len(table), step)]
    return np.concatenate(parts)


def percentile_intervals(replicates: NDArray[np.float64], level: float = LEVEL) -> list[Interval]:
    """The percentile interval of each row."""
    tail = 50 * (1 - level)
    low, high = np.percentile(replicates, [tail, 100 - tail], axis=1)
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def share_higher(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The share of replicates in which a is higher; a draw counts half, so the shares of both sum to 1."""
    return float((a > b).mean() + (a == b).mean() / 2)
