"""What to run next in a tournament: what waits first, then what narrows the ranking most for the machine's time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from patchrun.adapters.store import Arena
from patchrun.core.leaderboard import rank
from patchrun.core.narrowing import Choice, Price, choose_measurements, make_estimate
from patchrun.core.picks import pick_all
from patchrun.core.results import Study
from patchrun.core.selection import parse_span
from patchrun.services import cost, tournament
from patchrun.services.assessment import Scored
from patchrun.services.cost import Cost

Why = Literal["unfinished", "pending", "again"]


@dataclass(frozen=True)
class Item:
    """One study to run: ``worth`` is the fall of the chance that neighbours are in the wrong order, for ``again``."""

    study: Study
    why: Why
    agents: tuple[str, ...]
    cost: Cost
    worth: float | None = None


@dataclass(frozen=True)
class Schedule:
    """Studies in the order to run them, and what waits but does not fit the budget."""

    items: tuple[Item, ...]
    left_out: tuple[Item, ...]
    budget: float | None

    def to_json(self) -> dict[str, Any]:
        return {
            "budget_seconds": self.budget,
            "studies": [_document(item) for item in self.items],
            "left_out": [_document(item) for item in self.left_out],
            "wall_seconds": _sum(item.cost.wall_seconds for item in self.items),
            "gpu_hours": _sum(item.cost.gpu_hours for item in self.items),
            "cpu_hours": _sum(item.cost.cpu_hours for item in self.items),
        }


def _document(item: Item) -> dict[str, Any]:
    return {"study": item.study.id, "why": item.why, "agents": list(item.agents), "worth": item.worth} | (
        item.cost.to_json()
    )


def _sum(values: Any) -> float | None:
    """None where one of the summands is not known."""
    found = list(values)
    return None if None in found else round(sum(found), 6)


def make_schedule(arena: Arena, budget: float | None = None, least: float = 0.01) -> Schedule:
    """The plan; nothing is stored. ``budget``: wall seconds of runs; ``least``: the least worth of a re-measurement.

    Raises:
        SetupError: seeds are needed and the owner's key is not here.
    """
    everything = tournament.assess(arena)
    items, left_out = _take(_list_waiting(arena, everything), budget)
    left = None if budget is None else budget - sum(item.cost.wall_seconds or 0.0 for item in items)
    again = [] if left_out else _list_again(arena, everything, left, least)
    return Schedule((*items, *again), tuple(left_out), budget)


def _list_waiting(arena: Arena, everything: Sequence[Scored]) -> list[Item]:
    """Unfinished studies, then new ones for what has none; each the cheapest first."""
    accepted = [one.attempt.id for one in everything if one.attempt.accepted and not one.score.withdrawn]
    found: list[Item] = []
    for why, studies in (
        ("unfinished", tournament.resume(arena, accepted)),
        ("pending", tournament.plan_waiting(arena)),
    ):
        items = [_make_item(arena, study, why, everything) for study in studies]
        found += sorted(
            items, key=lambda item: (item.cost.wall_seconds is None, item.cost.wall_seconds or 0.0)
        )
    return found


def _make_item(
    arena: Arena, study: Study, why: Why, everything: Sequence[Scored], worth: float | None = None
) -> Item:
    codes = {arm.ast_digest for arm in study.arms if arm.kind == "submission"}
    agents = {
        one.attempt.agent for one in everything
        if one.attempt.record == study.record and one.attempt.ast_digest in codes
    }  # fmt: skip
    return Item(study, why, tuple(sorted(agents)), cost.estimate_study(arena, study), worth)


def _take(items: Sequence[Item], budget: float | None) -> tuple[list[Item], list[Item]]:
    """What fits the budget, in order; what has no known cost fits none."""
    taken: list[Item] = []
    left_out: list[Item] = []
    left = budget
    for item in items:
        seconds = item.cost.wall_seconds
        if left is None:
            taken.append(item)
        elif seconds is not None and seconds <= left:
            taken.append(item)
            left -= seconds
        else:
            left_out.append(item)
    return taken, left_out


def _list_again(arena: Arena, everything: Sequence[Scored], budget: float | None, least: float) -> list[Item]:
    """Studies that measure counted submissions again, those to one record together."""
    entries = [(one.attempt, one.score) for one in everything]
    board, picks = rank(entries, replicates=0), pick_all(entries)
    if board.metric != "fsr" or not board.records:
        return []
    counted = set(board.records)
    estimates = {
        agent: [e for record, picked in own.items() if record in counted and (e := make_estimate(picked))]
        for agent, own in picks.items()
    }
    chosen = choose_measurements(
        [row.agent for row in board.rows], {row.agent: row.score for row in board.rows}, len(counted), estimates,
        {record: price(arena, record) for record in counted}, blocks=arena.track.rule.blocks, budget=budget,
        least=least,
    )  # fmt: skip
    return [_plan_again(arena, everything, own) for own in _group(chosen)]


def price(arena: Arena, record: str) -> Price:
    """What one study of a record costs, and each further submission in it."""
    span = parse_span(record)
    one, two = (cost.estimate(arena, [span] * count)[0].wall_seconds for count in (1, 2))
    if one is None or two is None:
        return Price(None, None)
    return Price(one - (two - one), two - one)


def _group(chosen: Sequence[Choice]) -> list[list[Choice]]:
    """Choices by record, in the order of each record's first."""
    groups: dict[str, list[Choice]] = {}
    for choice in chosen:
        groups.setdefault(choice.record, []).append(choice)
    return list(groups.values())


def _plan_again(arena: Arena, everything: Sequence[Scored], chosen: Sequence[Choice]) -> Item:
    wanted = {choice.submission for choice in chosen}
    attempts = [one.attempt for one in everything if one.attempt.id in wanted]
    study = tournament.plan_again(arena, attempts)
    return _make_item(arena, study, "again", everything, sum(choice.worth for choice in chosen))
