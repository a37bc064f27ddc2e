"""How agents' attempts ended, as it is stored: outcome, cost, and which submission came of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import accumulate
from typing import Any, Literal

import msgspec

from patchrun.core.selection import Span, parse_span
from patchrun.core.usage import Usage, add_costs

VERSION = 1
TURNS_BYTES = 8 << 20  # of a transcript's turns as JSON; what is left out is said in its place

Outcome = Literal["proposed", "empty", "refused", "truncated", "failed", "budget-spent", "interrupted"]
Scaffold = Literal["flat", "tree"]
Task = Literal["draft", "improve", "debug"]
HANDED_IN: tuple[Outcome, ...] = ("proposed", "truncated", "budget-spent")


def transcript_id(search: str, number: int, created: str) -> str:
    """20 hex digits. The time is in it: arenas that ran one search apart keep and count both proposals."""
    return hashlib.sha256(f"{search} {number} {created}".encode()).hexdigest()[:20]


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """One proposal of an agent: the ``number``-th of a search, kept whatever became of it.

    ``submission`` is the attempt's id, "" where nothing was handed in; ``trouble`` says why not although there was a
    diff. ``usage``, ``usd`` and ``tries_seconds`` are None where they are not known. ``wall_seconds`` is the agent's
    time, its tries included. ``cutoff``: the last day of the model's training data, where it is known.
    """

    version: int = VERSION
    id: str
    search: str
    number: int
    track: str
    track_digest: str
    record: str
    agent: str
    kind: str
    model: str = ""
    hint_tiers: tuple[int, ...] = ()
    scaffold: Scaffold
    task: Task = "draft"
    base: int | None = None
    outcome: Outcome
    reason: str = ""
    submission: str = ""
    trouble: str = ""
    usage: Usage | None = None
    usd: float | None = None
    wall_seconds: float
    tries_seconds: float = 0.0
    cutoff: date | None = None
    created: str

    @property
    def span(self) -> Span:
        return parse_span(self.record)

    @property
    def counts(self) -> bool:
        """It uses up one of the attempts of its search: one that was interrupted does not."""
        return self.outcome != "interrupted"


def cut_turns(turns: Sequence[Any], most: int) -> list[Any]:
    """The turns whose JSON has at most ``most`` bytes together: from the front and the back, and what lies between."""
    sizes = [len(msgspec.json.encode(turn)) for turn in turns]
    if sum(sizes) <= most:
        return list(turns)
    front, back = _fitting(sizes, most // 2), _fitting(sizes[::-1], most // 2)
    left_out = len(turns) - front - back
    note = {"role": "patchrun", "text": f"{left_out} turns are left out here: the transcript is too large"}
    return [*turns[:front], note, *turns[len(turns) - back :]]


def _fitting(sizes: Sequence[int], most: int) -> int:
    """How many of the first ``sizes`` fit into ``most`` together."""
    return sum(total <= most for total in accumulate(sizes))


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What proposals took together; None as soon as one of them is not known. ``proposals`` counts them."""

    proposals: int = 0
    tokens: int | None = 0
    usd: float | None = 0.0
    wall_seconds: float = 0.0
    tries_seconds: float = 0.0


def add_up(transcripts: Iterable[Transcript]) -> Spent:
    """The sum over proposals."""
    found = list(transcripts)
    tokens = [None if one.usage is None else one.usage.total for one in found]
    return Spent(
        proposals=len(found),
        tokens=None if None in tokens else sum(count or 0 for count in tokens),
        usd=add_costs(one.usd for one in found),
        wall_seconds=sum(one.wall_seconds for one in found),
        tries_seconds=sum(one.tries_seconds for one in found),
    )


def usd_per_percent(usd: float | None, fractions: Iterable[float]) -> float | None:
    """USD for each percent of a record's human speedup that was recovered: ``usd / (100 * sum(fractions))``.

    ``fractions`` are the records' scores in [0, 1]. None where the cost is not known, or nothing was recovered.
    """
    recovered = 100 * sum(fractions)
    return usd / recovered if usd is not None and recovered > 0 else None


def may_know(cutoff: date | None, day: str) -> bool:
    """A model whose training data end at ``cutoff`` may have read what was published on ``day`` (ISO)."""
    return cutoff is not None and date.fromisoformat(day) <= cutoff
