"""Who stands where: the leaderboard and head-to-heads of an arena, and what still waits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from patchrun.adapters.store import Arena
from patchrun.core import leaderboard
from patchrun.services import tournament
from patchrun.services.tournament import Scored


def board(arena: Arena, records: Sequence[int] | None = None, pick: str = "last") -> leaderboard.Leaderboard:
    """The leaderboard under a pick rule; ``best`` counts re-measured blocks only."""
    scored = tournament.assess(arena)
    again = tournament.assess(arena, remeasured=True) if pick == "best" else []
    return leaderboard.rank(pairs(scored), pick=pick, records=records, remeasured=pairs(again))


def pairs(scored: Iterable[Scored]) -> list[tuple[Any, Any]]:
    """(attempt, score) of each."""
    return [(one.attempt, one.score) for one in scored]


def status(arena: Arena, wanted: str | None = None) -> list[dict[str, Any]]:
    """One row an attempt: state, verdict, reason, and how many of its runs are done."""
    return [_status_row(arena, one) for one in tournament.assess(arena) if wanted in (None, one.attempt.id)]


def _status_row(arena: Arena, one: Scored) -> dict[str, Any]:
    attempt, score = one.attempt, one.score
    planned = len(one.study.arms) * one.study.blocks if one.study else 0
    return {
        "id": attempt.id,
        "record": attempt.span.to_json(),
        "agent": attempt.agent,
        "attempt": attempt.sequence,
        "state": score.state,
        "verdict": score.verdict,
        "runs_done": len(one.runs),
        "runs_planned": planned,
        "reason": score.reason,
        "created": attempt.created,
    }
