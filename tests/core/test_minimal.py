"""The search for the fewest pieces, against an oracle that answers what it asks for."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from patchrun.core.minimal import Search, ddmin, minimise

Oracle = Callable[[frozenset[int]], bool]


def solve(count: int, oracle: Oracle, droppable: set[int] | None = None) -> tuple[Search, dict]:
    """Answer until it wants nothing more; what it asked."""
    keeps: dict[frozenset[int], bool] = {}
    everything = set(range(count))
    if droppable is None:
        droppable = {k for k in everything if oracle(frozenset(everything - {k}))}
    for _ in range(200):
        found = minimise(everything, droppable, keeps)
        if found.is_over:
            return found, keeps
        assert not set(found.wanted) & keeps.keys(), "it asks for what it knows"
        keeps |= {subset: oracle(subset) for subset in found.wanted}
    raise AssertionError("it does not end")


def needs(*pieces: int) -> Oracle:
    return lambda subset: set(pieces) <= subset


def test_the_one_piece_that_pays_costs_one_question() -> None:
    found, asked = solve(3, needs(1))
    assert found.best == {1} and list(asked) == [frozenset({1})]


def test_what_was_measured_alone_is_not_asked_again() -> None:
    keeps = {frozenset({1}): True, frozenset({0, 1}): True, frozenset({1, 2}): True}
    assert minimise(range(3), {0, 2}, keeps) == Search(frozenset({1}))


@pytest.mark.parametrize("wanted", [(0,), (2, 5), (0, 3, 6), (0, 1, 2, 3, 4, 5, 6)])
def test_pieces_that_are_all_needed(wanted: tuple[int, ...]) -> None:
    assert solve(7, needs(*wanted))[0].best == set(wanted)


def test_two_that_replace_each_other_leave_one() -> None:
    """Each can be left out alone, both at once cannot: greedy fails, delta debugging finds one."""
    found, asked = solve(4, lambda subset: 3 in subset and bool({0, 1} & subset))
    assert not asked[frozenset({3})] and len(found.best) == 2 and 3 in found.best


def test_nothing_can_be_dropped() -> None:
    found, _ = solve(4, lambda subset: len(subset) == 4)
    assert found.best == {0, 1, 2, 3}


def test_when_all_can_be_dropped_the_empty_patch_still_keeps_nothing() -> None:
    found, _ = solve(3, lambda subset: bool(subset), droppable={0, 1, 2})
    assert len(found.best) == 1


def test_one_piece_is_its_own_minimum() -> None:
    assert minimise([0], set(), {}) == Search(frozenset({0}))


@pytest.mark.parametrize("seed", range(30))
def test_the_answer_of_a_monotone_oracle_is_1_minimal(seed: int) -> None:
    draw = random.Random(seed)
    count = draw.randint(2, 9)
    families = [
        frozenset(draw.sample(range(count), draw.randint(1, count))) for _ in range(draw.randint(1, 3))
    ]

    def oracle(subset: frozenset[int]) -> bool:
        return any(family <= subset for family in families)

    found, asked = solve(count, oracle)
    assert oracle(found.best)
    assert not any(oracle(found.best - {k}) for k in found.best)
    assert len(asked) <= count**2 + 3 * count, "the bound of the paper"


def test_a_search_that_is_cut_short_names_the_best_so_far() -> None:
    keeps = {frozenset({0, 1}): True}
    found = ddmin(frozenset(range(4)), keeps)
    assert found.best == {0, 1} and found.wanted == (frozenset({0}), frozenset({1}))
