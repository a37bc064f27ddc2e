"""The win matrix: every agent against every other, over all records, with ratings and the groups that met."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from patchrun.core.errors import UsageError
from patchrun.core.leaderboard import RATED_AGENTS, choose_metric, choose_records
from patchrun.core.matches import win_matrix
from patchrun.core.picks import Entry, Pick, pick_all
from patchrun.core.rating import Rating, rate
from patchrun.core.stats import Interval


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One agent of the matrix. ``wins``: over each agent in the matrix's order, a tie as half; None where they never
    met, or itself. ``group`` numbers the agents joined by matches, from 1; ratings compare inside one only.
    """

    agent: str
    group: int
    rating: float | None
    ci: Interval | None
    wins: tuple[float | None, ...]
    games: tuple[int, ...]


class WinMatrix(msgspec.Struct, frozen=True, kw_only=True):
    """Agents by group, the largest first, then by falling rating."""

    pick: Pick
    records: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    rows: tuple[Standing, ...]


def make_matrix(
    entries: Iterable[Entry],
    *,
    pick: Pick = "last",
    records: Sequence[int | str] | None = None,
    remeasured: Iterable[Entry] = (),
    replicates: int = 200,
    seed: int = 0,
) -> WinMatrix:
    """The matrix of all agents with an attempt; intervals of ratings resample records.

    Raises:
        UsageError: pick mean has no matches; more agents than the table can hold.
    """
    if pick == "mean":
        raise UsageError("no matches under pick mean", "choose last, first or best: a mean has no interval")
    limit = None if records is None else {str(record) for record in records}
    entries = [entry for entry in entries if limit is None or entry[0].record in limit]
    metric = choose_metric(entries)
    names, _ = choose_records(entries, set(), metric)
    picks = pick_all(entries, pick, metric, remeasured)
    agents = sorted(picks)
    if len(agents) > RATED_AGENTS:
        raise UsageError(
            f"{len(agents)} agents, the matrix holds {RATED_AGENTS}", "compare two: `patchrun versus A B`"
        )
    wins = np.zeros((len(names), len(agents), len(agents)))
    for row, name in enumerate(names):
        wins[row] = win_matrix([picks[agent].get(name) for agent in agents])
    ratings = rate(agents, wins, replicates, seed) if names else ()
    return WinMatrix(pick=pick, records=names, groups=_name_groups(ratings), rows=_make_rows(ratings, wins))


def _by_group(ratings: Sequence[Rating]) -> list[list[int]]:
    """The indices of each component's agents, by falling rating; the largest component first."""
    groups: dict[int, list[int]] = {}
    for index, rating in enumerate(ratings):
        groups.setdefault(rating.component, []).append(index)
    ordered = [sorted(own, key=lambda i: (-(ratings[i].rating or 0.0), i)) for own in groups.values()]
    return sorted(ordered, key=lambda own: (-len(own), ratings[own[0]].agent))


def _name_groups(ratings: Sequence[Rating]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(ratings[index].agent for index in own) for own in _by_group(ratings))


def _make_rows(ratings: Sequence[Rating], wins: np.ndarray) -> tuple[Standing, ...]:
    total, games = wins.sum(axis=0), ((wins + wins.transpose(0, 2, 1)) > 0).sum(axis=0)
    groups = _by_group(ratings)
    order = [index for own in groups for index in own]
    return tuple(
        Standing(
            agent=ratings[i].agent, group=number, rating=ratings[i].rating, ci=ratings[i].ci,
            wins=tuple(float(total[i, j]) if games[i, j] else None for j in order),
            games=tuple(int(games[i, j]) for j in order),
        )
        for number, own in enumerate(groups, 1) for i in own
    )  # fmt: skip
