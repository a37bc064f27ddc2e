"""Ratings: Bradley-Terry strengths of agents from matches, by the choix library.

P(i beats j) = 1 / (1 + exp(theta_j - theta_i)) (Bradley and Terry, Biometrika 39 (1952) 324-345), ties as half
a win for each. An undefeated agent has no finite strength, so one virtual game an agent, half won and half lost,
is spread over all others of its component. Agents not connected by matches cannot be compared: each connected
component is fitted alone and centred on 1500; 400 points are odds of 10 to 1. Intervals resample records.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from patchrun.core.bootstrap import draw_records, percentile_intervals
from patchrun.core.stats import Interval

CENTRE, POINTS = 1500.0, 400.0 / np.log(10.0)
VIRTUAL_GAMES = 1.0


class Rating(msgspec.Struct, frozen=True, kw_only=True):
    """One agent's strength; None without a match. ``component`` numbers the groups that met, from 0."""

    agent: str
    rating: float | None
    ci: Interval | None
    component: int
    wins: float
    losses: float


def find_components(wins: NDArray[np.float64]) -> NDArray[np.intp]:
    """The component of each agent, [m]: agents are joined by any match, won, lost or tied."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    return connected_components(csr_array((wins + wins.T) > 0), directed=False)[1]


def fit_strengths(
    wins: ArrayLike, virtual_games: float = VIRTUAL_GAMES, start: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Log-strengths [m], mean 0, of one connected component; ``wins[i, j]`` counts wins of i over j.

    ValueError for a table that is not square, or holds negative or non-finite numbers.
    """
    import choix

    table = np.asarray(wins, dtype=float)
    m = len(table)
    if table.shape != (m, m) or not np.isfinite(table).all() or (table < 0).any():
        raise ValueError("wins must be a square table of non-negative numbers")
    if m < 2:
        return np.zeros(m)
    virtual = virtual_games / 2 / (m - 1) * (1 - np.eye(m))
    return choix.ilsr_pairwise_dense(table + virtual, initial_params=start, max_iter=10_000, tol=1e-6 * m)


def rate(
    agents: Sequence[str], wins: NDArray[np.float64], replicates: int = 200, seed: int = 0
) -> tuple[Rating, ...]:
    """Ratings in the order of ``agents`` from ``wins`` [records, m, m]; intervals from ``replicates`` resamplings.

    No interval with fewer than two records or with ``replicates`` 0.
    """
    total = wins.sum(axis=0)
    components = find_components(total)
    points = np.full(len(agents), np.nan)
    intervals: list[Interval | None] = [None] * len(agents)
    for component in np.unique(components):
        members = np.flatnonzero(components == component)
        if len(members) < 2:
            continue
        inside = wins[:, members[:, None], members[None, :]]
        theta = fit_strengths(inside.sum(axis=0))
        points[members] = CENTRE + POINTS * theta
        for index, interval in zip(members, _bootstrap(inside, theta, replicates, seed), strict=True):
            intervals[index] = interval
    return tuple(
        Rating(
            agent=agent, rating=None if np.isnan(point) else float(point), ci=interval, component=int(component),
            wins=float(won), losses=float(lost),
        )
        for agent, point, interval, component, won, lost in zip(
            agents, points, intervals, components, total.sum(axis=1), total.sum(axis=0), strict=True
        )
    )  # fmt: skip


def _bootstrap(
    wins: NDArray[np.float64], theta: NDArray[np.float64], replicates: int, seed: int
) -> Sequence[Interval | None]:
    records = len(wins)
    if records < 2 or replicates < 1:
        return [None] * len(theta)
    flat = wins.reshape(records, -1)
    fitted = np.empty((replicates, len(theta)))
    for row, drawn in enumerate(draw_records(records, replicates, seed)):
        counts = np.bincount(drawn, minlength=records).astype(float)
        fitted[row] = fit_strengths((counts @ flat).reshape(wins.shape[1:]), start=theta)
    return percentile_intervals(CENTRE + POINTS * fitted.T)
