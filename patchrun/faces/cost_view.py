"""What patches cost and how they may have come about: the leaderboard's second table, and lines of `show`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from patchrun.core.similarity import FEW, Similarity
from patchrun.core.transcripts import may_know, usd_per_percent
from patchrun.core.usage import say_cost

if TYPE_CHECKING:
    from patchrun.core.leaderboard import Leaderboard, Row
    from patchrun.core.transcripts import Transcript

UNKNOWN = "unknown"


def row_document(board: Leaderboard, row: Row) -> dict[str, Any]:
    """The keys of a leaderboard row on agent, hints and cost; what is not known is null."""
    one = board.competitors.get(row.agent)
    spent = one.spent if one else None
    return {
        "agent": one.agent if one else row.agent,
        "label": row.agent,
        "hint_tiers": list(one.tiers) if one and one.tiers is not None else None,
        "proposals": spent.proposals if spent else None,
        "tokens": spent.tokens if spent else None,
        "usd": spent.usd if spent else None,
        "agent_seconds": spent.wall_seconds if spent else None,
        "usd_per_percent": _per_percent(board, row),
        "model_cutoff": one.cutoff.isoformat() if one and one.cutoff else None,
        "may_know": list(one.may_know) if one else [],
    }


def _per_percent(board: Leaderboard, row: Row) -> float | None:
    """USD for each percent recovered over the board's records; only where the score is a fraction."""
    one = board.competitors.get(row.agent)
    if one is None or one.spent is None or board.metric != "fsr":
        return None
    inside = set(board.records)
    return usd_per_percent(
        one.spent.usd, (cell.score for name, cell in row.records.items() if name in inside)
    )


HEAD = ("agent", "hints", "proposals", "tokens", "USD", "USD per %", "agent s", "cutoff")


def cost_rows(board: Leaderboard) -> list[tuple[str, ...]]:
    """The rows of the cost table, one an agent whose proposals are known; ``HEAD`` is its head."""
    return [_cost_row(row, facts) for row in board.rows if (facts := row_document(board, row))["proposals"]]


def _cost_row(row: Row, facts: Mapping[str, Any]) -> tuple[str, ...]:
    tiers, per = facts["hint_tiers"], facts["usd_per_percent"]
    return (
        row.agent,
        "mixed" if tiers is None else ",".join(map(str, tiers)) or "none",
        str(facts["proposals"]),
        UNKNOWN if facts["tokens"] is None else str(facts["tokens"]),
        say_cost(facts["usd"]),
        "-" if per is None and facts["usd"] is not None else say_cost(per),
        f"{facts['agent_seconds']:.0f}",
        facts["model_cutoff"] or UNKNOWN,
    )


def show_facts(
    found: Similarity | None, made: Sequence[Transcript], hinted: bool, day: str
) -> list[tuple[str, str]]:
    """Lines of `show`: similarity to the human patch, and each proposal with its cost and its model's cutoff."""
    facts = [("similarity", say_similarity(found, hinted))] if found else []
    for one in made:
        tokens = UNKNOWN if one.usage is None else str(one.usage.total)
        words = f"{one.kind} {one.model}".strip()
        facts.append(
            ("made by", f"{words}, transcript {one.id[:12]}: {tokens} tokens, {say_cost(one.usd)}, "
             f"{one.wall_seconds:.0f} s")
        )  # fmt: skip
        if one.cutoff:
            older = "older: it may know it" if may_know(one.cutoff, day) else "younger"
            facts.append(("cutoff", f"training data to {one.cutoff}; the record, of {day}, is {older}"))
    return facts


def say_similarity(found: Similarity, hinted: bool) -> str:
    """The similarity in words, with what it rests on."""
    if found.value is None:
        return "to the human patch: cannot be told, one of the two brings in too little new code"
    words = f"{found.value:.2f} to the human patch, over {found.windows} runs of new tokens"
    if found.windows < FEW:
        return f"{words}: too few to say much"
    if found.high:
        return f"{words}: high{', with hints' if hinted else ' without hints: a flag, not a verdict'}"
    return words
