"""Who stands where: the leaderboard and head-to-heads of an arena, and what still waits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from patchrun.adapters.memory import remember
from patchrun.adapters.store import Arena
from patchrun.core import agentnames
from patchrun.core.competitors import Key, describe_competitors, label_keys, relabel
from patchrun.core.errors import UsageError
from patchrun.core.filters import EVERYTHING, Filter, check_known, spent_seconds
from patchrun.core.leaderboard import Leaderboard, rank
from patchrun.core.picks import Entry, Pick
from patchrun.core.results import Attempt
from patchrun.core.similarity import Similarity
from patchrun.core.transcripts import Transcript
from patchrun.core.versus import Versus, compare_agents
from patchrun.core.winmatrix import WinMatrix, make_matrix
from patchrun.services import tournament
from patchrun.services.assessment import Measured, Scored
from patchrun.services.resemblance import compare_all


def board(
    arena: Arena,
    records: Sequence[int] | None = None,
    pick: Pick = "last",
    only: Filter = EVERYTHING,
    mix: bool = False,
) -> Leaderboard:
    """The leaderboard under a pick rule, of the attempts that ``only`` admits; remembered until the arena changes.

    An agent that had different hints has a row for each, unless ``mix``. What its proposals cost stands beside.
    """
    return remember(
        arena, Leaderboard, (records, pick, only, mix), lambda: _board(arena, records, pick, only, mix)
    )


def _board(arena: Arena, records: Sequence[int] | None, pick: Pick, only: Filter, mix: bool) -> Leaderboard:
    everything = _assess(arena, "all" if pick != "best" else "first", only)
    again = _assess(arena, "again", only) if pick == "best" else []
    return _rank(arena, everything, again, records, pick, only, mix)


def rank_scored(arena: Arena, everything: Sequence[Scored]) -> Leaderboard:
    """The leaderboard of attempts that were assessed already; the last of each record counts, whatever its hints."""
    return _rank(arena, everything, (), None, "last", EVERYTHING, mix=True)


def _rank(
    arena: Arena,
    everything: Sequence[Scored],
    again: Sequence[Scored],
    records: Sequence[int] | None,
    pick: Pick,
    only: Filter,
    mix: bool,
) -> Leaderboard:
    agents = [one.attempt.agent for one in everything]
    admitted = [one for one in arena.transcripts() if only.admits(one, ()) and _is_in(one.record, records)]
    made = agentnames.respell(
        admitted, agentnames.first_spellings([*agents, *(one.agent for one in admitted)])
    )
    labels = _label([one.attempt for one in everything], mix)
    named = [(relabel(one.attempt, labels), one) for one in [*everything, *again]]
    count = len(everything)
    found = rank(
        [(attempt, one.score) for attempt, one in named[:count]], pick=pick, records=records,
        remeasured=[(attempt, one.score) for attempt, one in named[count:]],
    )  # fmt: skip
    left_out = arena.left_out()
    unsigned = (f"{left_out} results that no listed key signed do not count",) if left_out else ()
    if attempts := len(arena.unsigned_attempts()):
        unsigned += (f"{attempts} attempts that no listed key signed are shown and not measured",)
    found = msgspec.structs.replace(
        found, notes=(*found.notes, *unsigned),
        spent=spent_seconds((attempt, one.runs) for attempt, one in named),
        machine="GPU" if arena.track.hardware.device == "cuda" else "CPU", filters=only.describe(),
        competitors=describe_competitors(labels, made, _days(arena, made), mix),
    )  # fmt: skip
    return _flag(arena, found, everything, made)


def _is_in(record: str, records: Sequence[int] | None) -> bool:
    return records is None or record in {str(number) for number in records}


def _label(attempts: Sequence[Attempt], mix: bool) -> dict[Key, str]:
    keys = {(attempt.agent, attempt.hint_tiers) for attempt in attempts}
    return {key: key[0] for key in keys} if mix else label_keys(keys)


def _days(arena: Arena, made: Iterable[Transcript]) -> dict[str, str]:
    """Record -> the day of its human patch; of a span, of the last one."""
    return {one.record: arena.ladder.get(one.span.last).date for one in made}


def _flag(
    arena: Arena, found: Leaderboard, everything: Iterable[Scored], made: Iterable[Transcript]
) -> Leaderboard:
    """With notes on what a reader should look at: patches like the human's without hints, records a model may know."""
    attempts = {one.attempt.id: one.attempt for one in everything}
    controls = {one.submission for one in made if one.kind == "human"}
    cells = {
        (row.agent, record): attempts[cell.id] for row in found.rows for record, cell in row.records.items()
        if cell.verdict == "valid" and not attempts[cell.id].hint_tiers and cell.id not in controls
    }  # fmt: skip
    values = compare_all(arena, cells.values())
    similar: dict[str, dict[str, Similarity]] = {}
    notes = []
    for (agent, record), attempt in cells.items():
        if value := values.get(attempt.id):
            similar.setdefault(agent, {})[record] = value
            if value.high:
                words = (
                    f"similarity {value.value:.2f} to the human patch without hints; a flag, not a verdict"
                )
                notes.append(f"{agent}, record {record}: {words}")
    notes += [
        f"{label}: its model's training data reach to {one.cutoff}, so it may know record {', '.join(one.may_know)}"
        for label, one in found.competitors.items() if one.may_know
    ]  # fmt: skip
    names = list(dict.fromkeys(attempt.agent for attempt in attempts.values()))
    notes += [
        f"{other} looks like {name}: they are two agents" for name, other in agentnames.find_lookalikes(names)
    ]
    notes += [words for name in names for words in agentnames.describe_doubts(name, ())]
    return msgspec.structs.replace(found, similarity=similar, notes=(*found.notes, *notes))


def versus(
    arena: Arena,
    a: str,
    b: str,
    records: Sequence[int] | None = None,
    pick: Pick = "last",
    only: Filter = EVERYTHING,
) -> Versus:
    """Two agents head to head; UsageError when one of them has handed nothing in."""
    entries, again = _name_rows(*_entries(arena, pick, only))
    agents = sorted({attempt.agent for attempt, _ in entries})
    a, b = (agentnames.settle_name(name, agents) for name in (a, b))
    for name in (a, b):
        if name not in agents:
            raise UsageError(f"no agent {name!r} here", f"agents: {', '.join(agents) or 'none yet'}")
    return compare_agents(entries, a, b, pick=pick, records=records, remeasured=again)


def matrix(
    arena: Arena, records: Sequence[int] | None = None, pick: Pick = "last", only: Filter = EVERYTHING
) -> WinMatrix:
    """Every agent against every other."""
    entries, again = _name_rows(*_entries(arena, pick, only))
    return make_matrix(entries, pick=pick, records=records, remeasured=again)


def _entries(arena: Arena, pick: Pick, only: Filter) -> tuple[list[Entry], list[Entry]]:
    """(attempt, score) of each attempt, and of the re-measured ones where the pick asks for them."""
    if pick != "best":
        return _pairs(_assess(arena, "all", only)), []
    return _pairs(_assess(arena, "first", only)), _pairs(_assess(arena, "again", only))


def _name_rows(entries: list[Entry], again: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """The entries under the names of their rows: an agent that had different hints is several."""
    labels = _label([attempt for attempt, _ in entries], mix=False)
    return tuple([(relabel(attempt, labels), score) for attempt, score in some] for some in (entries, again))


def _assess(arena: Arena, measured: Measured, only: Filter) -> list[Scored]:
    everything = _drop_strangers(arena, tournament.assess(arena, measured))
    if only == EVERYTHING:
        return everything
    runs = [run for one in everything for run in one.runs]
    if measured != "again":
        check_known(only.hardware, (run.machine.hardware_class for run in runs), "hardware class")
        check_known(only.sandbox, (run.sandbox for run in runs), "sandbox")
    return [one for one in everything if only.admits(one.attempt, one.runs)]


def _drop_strangers(arena: Arena, everything: list[Scored]) -> list[Scored]:
    """Without unsigned attempts to records where their agent has signed ones: they are not that agent's last word."""
    if not (unsigned := arena.unsigned_attempts()):
        return everything
    own = {(one.attempt.agent, one.attempt.record) for one in everything if one.attempt.id not in unsigned}
    return [
        one for one in everything
        if one.attempt.id not in unsigned or (one.attempt.agent, one.attempt.record) not in own
    ]  # fmt: skip


def _pairs(scored: Iterable[Scored]) -> list[Entry]:
    return [(one.attempt, one.score) for one in scored]


def rank_lines(everything: Iterable[Scored], chosen: Iterable[Scored]) -> str:
    """Where the agents of ``chosen`` stand now, a line each."""
    pairs = _pairs(everything)
    labels = _label([attempt for attempt, _ in pairs], mix=False)
    found = rank([(relabel(attempt, labels), score) for attempt, score in pairs])
    agents = {labels[one.attempt.agent, one.attempt.hint_tiers] for one in chosen}
    count = len(found.rows)
    return "\n".join(
        f"{row.agent} is {row.rank} of {count} on the leaderboard, score {row.score:.3f}, "
        f"{row.valid} valid of {row.attempted} records attempted"
        for row in found.rows if row.agent in agents
    )  # fmt: skip


def status(arena: Arena, wanted: str | None = None) -> list[dict[str, Any]]:
    """One row an attempt: state, verdict, reason, and how many of its runs are done."""
    return [_status_row(one) for one in tournament.assess(arena, ids=None if wanted is None else [wanted])]


def _status_row(one: Scored) -> dict[str, Any]:
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
        "onto": attempt.onto or None,
    }
