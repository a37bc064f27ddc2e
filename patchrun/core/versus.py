"""Head to head: two agents over the records of one track."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from patchrun.core.bootstrap import resample, share_higher
from patchrun.core.errors import UsageError
from patchrun.core.leaderboard import Picks, choose_metric, choose_records
from patchrun.core.matches import Match, compare
from patchrun.core.picks import Entry, Pick, Picked, pick_all


class Versus(msgspec.Struct, frozen=True, kw_only=True):
    """Two agents head to head. ``wins`` counts a, b, tie, unknown.

    ``p_a_better``: the share of bootstrap replicates over the ``shared`` records (both decided) in which a's mean
    score is higher, draws as halves; None with fewer than two of them.
    """

    a: str
    b: str
    records: dict[str, Match]
    wins: dict[str, int]
    p_a_better: float | None
    shared: int
    notes: tuple[str, ...] = ()


def compare_agents(
    entries: Iterable[Entry],
    a: str,
    b: str,
    *,
    pick: Pick = "last",
    records: Sequence[int | str] | None = None,
    remeasured: Iterable[Entry] = (),
    replicates: int = 10_000,
    seed: int = 0,
) -> Versus:
    """Agents ``a`` and ``b`` on every record that either tried; UsageError for an agent without attempts."""
    if pick == "mean":
        raise UsageError(
            "no head-to-head under pick mean", "choose last, first or best: a mean has no interval"
        )
    limit = None if records is None else {str(record) for record in records}
    entries = [entry for entry in entries if limit is None or entry[0].record in limit]
    metric = choose_metric(entries)
    names, unscorable = choose_records(entries, set(), metric)
    ones, others = _find_agents(pick_all(entries, pick, metric, remeasured), a, b)
    matches = {
        name: compare(ones.get(name), others.get(name)) for name in names if name in ones or name in others
    }
    shared = [name for name in matches if all(name in own and own[name].decided for own in (ones, others))]
    scores = np.array([[own[name].value for name in shared] for own in (ones, others)])
    return Versus(
        a=a, b=b, records=matches, wins=_count_wins(matches), shared=len(shared),
        p_a_better=_share(scores, replicates, seed), notes=_say_notes(len(shared), unscorable),
    )  # fmt: skip


def _find_agents(picks: Picks, *agents: str) -> list[Mapping[str, Picked]]:
    for agent in agents:
        if agent not in picks:
            known = ", ".join(sorted(picks)[:20]) or "none"
            raise UsageError(f"no attempt by {agent!r} on these records", f"agents here: {known}")
    return [picks[agent] for agent in agents]


def _count_wins(matches: Mapping[str, Match]) -> dict[str, int]:
    winners = [match.winner for match in matches.values()]
    return {outcome: winners.count(outcome) for outcome in ("a", "b", "tie", "unknown")}


def _share(scores: np.ndarray, replicates: int, seed: int) -> float | None:
    if scores.shape[-1] < 2:
        return None
    drawn = resample(scores, replicates=replicates, seed=seed)
    return share_higher(drawn[0], drawn[1])


def _say_notes(shared: int, unscorable: Sequence[str]) -> tuple[str, ...]:
    notes = [] if shared >= 2 else [f"{shared} shared record(s): no probability from fewer than two"]
    return tuple(
        notes + (["left out, cannot be scored here: " + ", ".join(unscorable)] if unscorable else [])
    )
