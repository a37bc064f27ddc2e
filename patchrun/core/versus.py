"""Head to head: two agents over the records of one track."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from patchrun.core.bootstrap import resample, share_higher
from patchrun.core.errors import UsageError
from patchrun.core.leaderboard import choose_metric, choose_records
from patchrun.core.matches import Match, compare
from patchrun.core.picks import Entry, Pick, pick_all, record_key


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
    limit = None if records is None else {str(record) for record in records}
    entries = [entry for entry in entries if limit is None or entry[0].record in limit]
    if pick == "mean":
        raise UsageError(
            "no head-to-head under pick mean", "choose last, first or best: a mean has no interval"
        )
    metric = choose_metric(entries)
    names, unscorable = choose_records(entries, set(), metric)
    picks = pick_all(entries, pick, metric, remeasured)
    for agent in (a, b):
        if agent not in picks:
            known = ", ".join(sorted(picks)[:20]) or "none"
            raise UsageError(f"no attempt by {agent!r} on these records", f"agents here: {known}")
    met = [name for name in names if name in picks[a] or name in picks[b]]
    matches = {name: compare(picks[a].get(name), picks[b].get(name)) for name in sorted(met, key=record_key)}
    wins = {
        outcome: sum(m.winner == outcome for m in matches.values())
        for outcome in ("a", "b", "tie", "unknown")
    }
    shared = [name for name in met if all(name in own and own[name].decided for own in (picks[a], picks[b]))]
    scores = np.array([[own[name].value for name in shared] for own in (picks[a], picks[b])])
    p_a_better = _share(scores, replicates, seed)
    return Versus(
        a=a, b=b, records=matches, wins=wins, p_a_better=p_a_better, shared=len(shared),
        notes=_say_notes(len(shared), unscorable),
    )  # fmt: skip


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
