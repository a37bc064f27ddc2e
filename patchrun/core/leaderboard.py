"""The leaderboard: a pure function of attempts and their scores.

Rules: one attempt a record counts, by ``pick``. Its score is the FSR clipped to [0, 1]; what is not valid counts 0 and
is shown by name; what was not tried counts 0. The mean is over the same records for every agent: those that
anyone tried (or the given set), less those where every measured study was unscorable. The interval resamples records
(percentile, 1,000 draws, one seed). Where no record has a human patch, agents rank by mean speedup, floor 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from patchrun.core.bootstrap import percentile_intervals, resample
from patchrun.core.competitors import Competitor
from patchrun.core.matches import win_matrix
from patchrun.core.picks import Entry, Metric, Pick, Picked, pick_all, record_key
from patchrun.core.rating import rate
from patchrun.core.similarity import Similarity
from patchrun.core.stats import Interval

RATED_AGENTS = 300  # beyond this the table of matches, quadratic in the agents, is left to `versus`


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One agent on one record. ``fsr`` and ``ci`` are unclipped and exist for a valid one; ``score`` is what counts."""

    id: str
    state: str
    verdict: str | None
    fsr: float | None
    ci: Interval | None
    speedup: float | None
    score: float
    tried: int
    note: str = ""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One agent. ``attempted`` and ``valid`` count records of the board; ``rating`` is None without a match."""

    rank: int
    agent: str
    score: float
    ci: Interval | None
    log_speedup_fraction: float | None
    rating: float | None
    valid: int
    attempted: int
    records: dict[str, Cell]


class Leaderboard(msgspec.Struct, frozen=True, kw_only=True):
    """The ranked view. ``records`` enter the mean, ``unscorable`` do not; ``notes`` say what a reader must know.

    ``spent``: agent -> seconds of ``machine`` ("CPU" or "GPU") that measuring its submissions took, where known.
    ``filters``: the conditions on the attempts, in words. ``competitors``: row name -> who that is, and the cost.
    ``similarity``: (row name, record) -> that of its submission to the human patch, where it was asked for.
    """

    pick: Pick
    metric: Metric
    records: tuple[str, ...]
    unscorable: tuple[str, ...]
    rows: tuple[Row, ...]
    replicates: int
    notes: tuple[str, ...] = ()
    spent: dict[str, float] = {}
    machine: str = ""
    filters: tuple[str, ...] = ()
    competitors: dict[str, Competitor] = {}
    similarity: dict[tuple[str, str], Similarity] = {}


Picks = Mapping[str, Mapping[str, Picked]]


def rank(
    entries: Iterable[Entry],
    *,
    pick: Pick = "last",
    records: Sequence[int | str] | None = None,
    remeasured: Iterable[Entry] = (),
    replicates: int = 1000,
    seed: int = 0,
) -> Leaderboard:
    """The leaderboard of ``entries``; ``records`` limits it to a set, whose untried members count 0 for all.

    ``remeasured`` serves ``best``: see ``picks``.
    """
    entries = sorted(
        entries, key=lambda entry: (entry[0].agent, entry[0].record, entry[0].created, entry[0].id)
    )
    limit = None if records is None else {str(record) for record in records}
    entries = [entry for entry in entries if limit is None or entry[0].record in limit]
    metric = choose_metric(entries)
    names, unscorable = choose_records(entries, limit or set(), metric)
    picks = pick_all(entries, pick, metric, remeasured)
    agents = sorted(picks)
    scores = _score_table(picks, agents, names, metric)
    ratings, note = _rate_agents(picks, agents, names, pick)
    rows = _make_rows(picks, agents, names, scores, _intervals(scores, replicates, seed), ratings)
    return Leaderboard(
        pick=pick, metric=metric, records=names, unscorable=unscorable, rows=rows, replicates=replicates,
        notes=_say_notes(rows, names, unscorable, note),
    )  # fmt: skip


def choose_metric(entries: Iterable[Entry]) -> Metric:
    """FSR, unless every measured record is one without a human patch."""
    measured = [score for _, score in entries if score.speedup is not None]
    return "speedup" if measured and all(score.fsr is None for score in measured) else "fsr"


def choose_records(
    entries: Iterable[Entry], also: Iterable[str], metric: Metric
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The records that count, and those left out: every measured study unscorable, or no human patch to compare."""
    seen, held, failed = set(also), set(), set()
    for attempt, score in entries:
        if score.withdrawn and score.verdict is None:
            continue
        seen.add(attempt.record)
        if score.verdict == "unscorable" or (metric == "fsr" and score.is_valid and score.fsr is None):
            failed.add(attempt.record)
        elif score.scorable:
            held.add(attempt.record)
    out = failed - held
    return tuple(sorted(seen - out, key=record_key)), tuple(sorted(out, key=record_key))


def _score_table(
    picks: Picks, agents: Sequence[str], names: Sequence[str], metric: Metric
) -> NDArray[np.float64]:
    """[agents, records]: what counts; the floor (0, or a speedup of 1) where nothing valid is."""
    table = np.full((len(agents), len(names)), 0.0 if metric == "fsr" else 1.0)
    column = {name: index for index, name in enumerate(names)}
    for row, agent in enumerate(agents):
        for record, picked in picks[agent].items():
            if record in column:
                table[row, column[record]] = picked.value
    return table


def _intervals(scores: NDArray[np.float64], replicates: int, seed: int) -> list[Interval | None]:
    if not scores.size or scores.shape[1] < 2 or replicates < 1:
        return [None] * len(scores)
    return list(percentile_intervals(resample(scores, replicates=replicates, seed=seed)))


def _rate_agents(
    picks: Picks, agents: Sequence[str], names: Sequence[str], pick: Pick
) -> tuple[list[float | None], str]:
    """Bradley-Terry ratings without intervals, and the note that says why there are none or what they mean."""
    nothing: list[float | None] = [None] * len(agents)
    if pick == "mean":
        return nothing, "no ratings: the mean of attempts has no interval to decide a match"
    if len(agents) > RATED_AGENTS:
        return nothing, f"no ratings: more than {RATED_AGENTS} agents"
    if not names or not agents:
        return nothing, ""
    total = sum(win_matrix([picks[agent].get(name) for agent in agents]) for name in names)
    ratings = rate(agents, np.asarray(total)[None], replicates=0)
    groups = {rating.component for rating in ratings if rating.rating is not None}
    note = (
        f"{len(groups)} groups of agents never met: compare ratings inside a group only"
        if len(groups) > 1
        else ""
    )
    return [rating.rating for rating in ratings], note


def _make_rows(
    picks: Picks,
    agents: Sequence[str],
    names: Sequence[str],
    scores: NDArray[np.float64],
    intervals: Sequence[Interval | None],
    ratings: Sequence[float | None],
) -> tuple[Row, ...]:
    """Rows by falling score, then by name; equal scores share the better rank."""
    means = scores.mean(axis=1) if scores.size else np.zeros(len(agents))
    gaps = _typical_gaps(picks, names)
    rising, inside = np.sort(means), set(names)
    rows = []
    for i in sorted(range(len(agents)), key=lambda i: (-means[i], agents[i])):
        own = picks[agents[i]]
        counted = [picked for name, picked in own.items() if name in inside]
        rows.append(
            Row(
                rank=1 + len(means) - int(np.searchsorted(rising, means[i], side="right")), agent=agents[i],
                score=float(means[i]), ci=intervals[i], log_speedup_fraction=_log_fraction(own, gaps),
                rating=ratings[i], valid=sum(picked.score.is_valid for picked in counted), attempted=len(counted),
                records={name: _make_cell(own[name]) for name in sorted(own, key=record_key)},
            )
        )  # fmt: skip
    return tuple(rows)


def _make_cell(picked: Picked) -> Cell:
    score = picked.score
    return Cell(
        id=picked.attempt.id, state=score.state, verdict=score.verdict, fsr=picked.fsr, ci=picked.ci,
        speedup=score.speedup, score=picked.value, tried=picked.tried, note=picked.note,
    )  # fmt: skip


def _typical_gaps(picks: Picks, names: Sequence[str]) -> dict[str, float]:
    """Mean ln(t_b / t_h) of each record over its scorable studies; records never measured are absent."""
    found: dict[str, list[float]] = {}
    wanted = set(names)
    for own in picks.values():
        for name, picked in own.items():
            if name in wanted and picked.score.scorable and picked.score.gap_log is not None:
                found.setdefault(name, []).append(picked.score.gap_log)
    return {name: sum(values) / len(values) for name, values in found.items()}


def _log_fraction(own: Mapping[str, Picked], gaps: Mapping[str, float]) -> float | None:
    """sum ln(t_b / t_s) / sum ln(t_b / t_h), unclipped, over all measured records; 0 above where not valid.

    Where the agent has no valid submission the gap is the mean over the others' studies.
    """
    above = below = 0.0
    for name, gap in gaps.items():
        picked = own.get(name)
        valid = picked is not None and picked.score.is_valid and picked.score.speedup
        above += math.log(picked.score.speedup) if valid else 0.0
        below += picked.score.gap_log if valid and picked.score.gap_log else gap
    return above / below if below > 0 else None


def _say_notes(
    rows: Iterable[Row], names: Sequence[str], unscorable: Sequence[str], note: str
) -> tuple[str, ...]:
    notes = [note] if note else []
    if len(names) == 1:
        notes.append("one record: no interval over records")
    if unscorable:
        notes.append("left out, cannot be scored here: " + ", ".join(unscorable))
    notes += [
        f"{row.agent}, record {name}: {cell.note}"
        for row in rows
        for name, cell in row.records.items()
        if cell.note
    ]
    return tuple(notes)
