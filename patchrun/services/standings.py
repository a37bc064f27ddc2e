"""Who stands where: the leaderboard and head-to-heads of an arena, and what still waits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from patchrun.adapters.store import Arena
from patchrun.core.errors import UsageError
from patchrun.core.filters import EVERYTHING, Filter, check_known, spent_seconds
from patchrun.core.leaderboard import Leaderboard, rank
from patchrun.core.picks import Entry, Pick
from patchrun.core.versus import Versus, compare_agents
from patchrun.core.winmatrix import WinMatrix, make_matrix
from patchrun.services import tournament
from patchrun.services.tournament import Measured, Scored


def board(
    arena: Arena, records: Sequence[int] | None = None, pick: Pick = "last", only: Filter = EVERYTHING
) -> Leaderboard:
    """The leaderboard under a pick rule, of the attempts that ``only`` admits."""
    everything = _assess(arena, "all" if pick != "best" else "first", only)
    again = _assess(arena, "again", only) if pick == "best" else []
    found = rank(_pairs(everything), pick=pick, records=records, remeasured=_pairs(again))
    return _with_cost(arena, found, [*everything, *again], only)


def rank_scored(arena: Arena, everything: Sequence[Scored]) -> Leaderboard:
    """The leaderboard of attempts that were assessed already; the last of each record counts."""
    return _with_cost(arena, rank(_pairs(everything)), everything, EVERYTHING)


def _with_cost(arena: Arena, found: Leaderboard, measured: Iterable[Scored], only: Filter) -> Leaderboard:
    return msgspec.structs.replace(
        found, spent=spent_seconds((one.attempt, one.runs) for one in measured),
        machine="GPU" if arena.track.hardware.device == "cuda" else "CPU", filters=only.describe(),
    )  # fmt: skip


def versus(
    arena: Arena,
    a: str,
    b: str,
    records: Sequence[int] | None = None,
    pick: Pick = "last",
    only: Filter = EVERYTHING,
) -> Versus:
    """Two agents head to head; UsageError when one of them has handed nothing in."""
    entries, again = _entries(arena, pick, only)
    agents = sorted({attempt.agent for attempt, _ in entries})
    for name in (a, b):
        if name not in agents:
            raise UsageError(f"no agent {name!r} here", f"agents: {', '.join(agents) or 'none yet'}")
    return compare_agents(entries, a, b, pick=pick, records=records, remeasured=again)


def matrix(
    arena: Arena, records: Sequence[int] | None = None, pick: Pick = "last", only: Filter = EVERYTHING
) -> WinMatrix:
    """Every agent against every other."""
    entries, again = _entries(arena, pick, only)
    return make_matrix(entries, pick=pick, records=records, remeasured=again)


def _entries(arena: Arena, pick: Pick, only: Filter) -> tuple[list[Entry], list[Entry]]:
    """(attempt, score) of each attempt, and of the re-measured ones where the pick asks for them."""
    if pick != "best":
        return _pairs(_assess(arena, "all", only)), []
    return _pairs(_assess(arena, "first", only)), _pairs(_assess(arena, "again", only))


def _assess(arena: Arena, measured: Measured, only: Filter) -> list[Scored]:
    everything = tournament.assess(arena, measured)
    runs = [run for one in everything for run in one.runs]
    if measured != "again":
        check_known(only.hardware, (run.machine.hardware_class for run in runs), "hardware class")
        check_known(only.sandbox, (run.sandbox for run in runs), "sandbox")
    return [one for one in everything if only.admits(one.attempt, one.runs)]


def _pairs(scored: Iterable[Scored]) -> list[Entry]:
    return [(one.attempt, one.score) for one in scored]


def rank_lines(everything: Iterable[Scored], chosen: Iterable[Scored]) -> str:
    """Where the agents of ``chosen`` stand now, a line each."""
    found = rank(_pairs(everything))
    agents = {one.attempt.agent for one in chosen}
    count = len(found.rows)
    return "\n".join(
        f"{row.agent} is {row.rank} of {count} on the leaderboard, score {row.score:.3f}, "
        f"{row.valid} valid of {row.attempted} records attempted"
        for row in found.rows if row.agent in agents
    )  # fmt: skip


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
