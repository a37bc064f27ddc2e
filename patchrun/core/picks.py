"""Which of an agent's attempts on a record counts, and what it is worth.

An entry is an attempt with its score. For ``best`` the entries must hold first measurements only, and ``remeasured``
what was measured later, on new seeds, by attempt id: choosing and valuing never use the same runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from patchrun.core.results import Attempt
from patchrun.core.scoring import Score
from patchrun.core.selection import parse_span
from patchrun.core.stats import Interval

Pick = Literal["last", "first", "best", "mean"]
Entry = tuple[Attempt, Score]
Metric = Literal["fsr", "speedup"]


class Picked(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt that counts for one agent on one record, with its score.

    ``value`` is what enters the mean (see ``worth``). ``fsr`` is unclipped, ``ci`` its interval, or the
    speedup's where agents rank by speedup. ``decided``: there is a verdict other than unscorable. ``note``: why the
    asked pick could not be made.
    """

    attempt: Attempt
    score: Score
    value: float
    fsr: float | None
    ci: Interval | None
    tried: int
    decided: bool
    note: str = ""


def is_decided(score: Score) -> bool:
    """There is a verdict, and not that the record could not be scored."""
    return score.state == "done" and score.verdict not in (None, "unscorable")


def worth(score: Score, metric: Metric = "fsr") -> float:
    """FSR clipped to [0, 1], 0 for what is not valid; by speedup: at least 1, the floor of what is not valid."""
    if metric == "fsr":
        return min(max(score.fsr, 0.0), 1.0) if score.is_valid and score.fsr is not None else 0.0
    return max(score.speedup, 1.0) if score.is_valid and score.speedup is not None else 1.0


def record_key(record: str) -> tuple[int, int]:
    """Sorts "9" before "12" before "12..14"."""
    span = parse_span(record)
    return span.first, span.last


def count_attempts(attempts: Iterable[Attempt]) -> dict[tuple[str, str], int]:
    """(agent, record) -> how many attempts were handed in, whatever became of them."""
    return dict(Counter((attempt.agent, attempt.record) for attempt in attempts))


def group_attempts(entries: Iterable[Entry]) -> dict[str, dict[str, list[Entry]]]:
    """agent -> record -> attempts in the order handed in, without those withdrawn before they were measured."""
    found: dict[str, dict[str, list[Entry]]] = {}
    for attempt, score in sorted(entries, key=lambda entry: (entry[0].sequence, entry[0].created)):
        if not score.withdrawn or score.verdict is not None:
            found.setdefault(attempt.agent, {}).setdefault(attempt.record, []).append((attempt, score))
    return found


def pick_all(
    entries: Iterable[Entry],
    pick: Pick = "last",
    metric: Metric = "fsr",
    remeasured: Iterable[Entry] = (),
) -> dict[str, dict[str, Picked]]:
    """agent -> record -> the attempt that counts."""
    again = {attempt.id: score for attempt, score in remeasured if is_decided(score)}
    return {
        agent: {record: pick_attempt(attempts, pick, metric, again) for record, attempts in records.items()}
        for agent, records in group_attempts(entries).items()
    }


def pick_attempt(
    attempts: Sequence[Entry], pick: Pick, metric: Metric = "fsr", again: Mapping[str, Score] | None = None
) -> Picked:
    """The pick among one agent's attempts on one record, in the order handed in.

    Only decided attempts are picked from; where there is none, the last attempt stands, undecided.
    """
    decided = [entry for entry in attempts if is_decided(entry[1])]
    if not decided:
        return _picked(attempts[-1], len(attempts), metric)
    if pick == "first":
        return _picked(decided[0], len(attempts), metric)
    if pick == "mean":
        return _pick_mean(decided, len(attempts), metric)
    if pick == "best":
        return _pick_best(decided, len(attempts), metric, again or {})
    return _picked(decided[-1], len(attempts), metric)


def _picked(entry: Entry, tried: int, metric: Metric, note: str = "") -> Picked:
    attempt, score = entry
    ends = score.fsr_ci if metric == "fsr" else score.speedup_ci
    return Picked(
        attempt=attempt, score=score, value=worth(score, metric), fsr=score.fsr if score.is_valid else None,
        ci=ends if score.is_valid else None, tried=tried, decided=is_decided(score), note=note,
    )  # fmt: skip


def _pick_mean(decided: Sequence[Entry], tried: int, metric: Metric) -> Picked:
    """Every decided attempt counts alike; there is no interval, since attempts are no random sample."""
    last = _picked(decided[-1], tried, metric)
    values = [worth(score, metric) for _, score in decided]
    valid = [score.fsr for _, score in decided if score.is_valid and score.fsr is not None]
    mean = sum(valid) / len(valid) if len(valid) == len(decided) else None
    return msgspec.structs.replace(last, value=sum(values) / len(values), fsr=mean, ci=None)


def _pick_best(decided: Sequence[Entry], tried: int, metric: Metric, again: Mapping[str, Score]) -> Picked:
    """The attempt that measured best at first, at its re-measured value; the last one where there is none."""
    attempt, score = max(decided, key=lambda entry: worth(entry[1], metric))
    if attempt.id in again:
        return _picked((attempt, again[attempt.id]), tried, metric)
    if len(decided) == 1:
        return _picked((attempt, score), tried, metric)
    note = f"best of {tried} not re-measured, the last is shown: patchrun rerun {attempt.id}"
    return _picked(decided[-1], tried, metric, note)
