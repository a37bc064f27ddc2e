"""What an order would take, before anything starts: proposals and their ceiling, measurements and their time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from patchrun.adapters.store import Arena
from patchrun.core.selection import Span
from patchrun.core.transcripts import Spent, Transcript, add_up
from patchrun.services import cost
from patchrun.services.agents.search import Order, count_done, read_search


@dataclass(frozen=True)
class SearchPlan:
    """One record of an order: attempts made and to be made, and what measuring those to be made takes.

    ``wall_seconds`` and ``gpu_hours`` are None where the ladder has no figures for the record. ``obstacle``: why
    the record cannot be scored here, so that its attempts are stored and not measured.
    """

    record: str
    done: int
    todo: int
    studies: int
    runs: int
    wall_seconds: float | None
    gpu_hours: float | None
    obstacle: str = ""


@dataclass(frozen=True)
class OrderPlan:
    """All of an order. ``spent``: what its searches have used; ``each``: mean use of an earlier proposal of the same
    agent and model here, from ``known`` of them."""

    searches: tuple[SearchPlan, ...]
    spent: Spent
    known: int
    usd_each: float | None
    tokens_each: float | None
    wall_each: float | None

    @property
    def todo(self) -> int:
        return sum(one.todo for one in self.searches)

    def to_json(self) -> dict[str, Any]:
        return {
            "searches": [asdict(one) for one in self.searches],
            "known_proposals": self.known,
            "each": {"usd": self.usd_each, "tokens": self.tokens_each, "wall_seconds": self.wall_each},
        }


def plan_order(arena: Arena, order: Order) -> OrderPlan:
    """Nothing is stored or run."""
    found = [read_search(arena, order, span) for span in order.spans]
    searches = tuple(
        _plan_search(arena, order, span, made) for span, made in zip(order.spans, found, strict=True)
    )
    same = [one for one in arena.transcripts() if (one.kind, one.model) == (order.kind, order.agent.model)]
    past = [one for one in same if one.outcome != "interrupted"]
    usual = add_up(past)

    def mean(total: float | None) -> float | None:
        return total / len(past) if past and total is not None else None

    spent = add_up(one for made in found for one in made)
    return OrderPlan(
        searches, spent, len(past), mean(usual.usd), mean(usual.tokens), mean(usual.wall_seconds)
    )


def _plan_search(arena: Arena, order: Order, span: Span, made: list[Transcript]) -> SearchPlan:
    done = count_done(order, made)
    todo = max(order.attempts - done, 0)
    rounds = 0 if order.measure is None or not todo else 1 if order.scaffold == "flat" else todo
    if not rounds:
        return SearchPlan(str(span), done, todo, 0, 0, 0.0, 0.0)
    [one] = cost.estimate(arena, [span] * (todo // rounds))
    if one.obstacle:
        return SearchPlan(str(span), done, todo, 0, 0, 0.0, 0.0, one.obstacle)
    wall = None if one.wall_seconds is None else one.wall_seconds * rounds
    hours = None if one.gpu_hours is None else one.gpu_hours * rounds
    return SearchPlan(str(span), done, todo, rounds, one.runs * rounds, wall, hours)
