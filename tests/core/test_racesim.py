"""What racing saves on stated populations."""

from __future__ import annotations

import pytest

from patchrun.core import racesim
from patchrun.core.racesim import NANOGPT, POCKET, POPULATIONS, World, simulate_race

MIXED, GOOD = POPULATIONS


def test_half_is_saved_on_the_mixed_population_where_the_rule_has_looks() -> None:
    found = simulate_race(NANOGPT, MIXED, studies=150, seed=1)
    assert found.saved >= 0.5
    assert found.saved > found.saved_by_looks + 0.1, "racing adds to the early looks"
    assert found.wrong < 0.01
    assert sum(found.stopped.values()) >= 25


def test_with_five_fixed_blocks_nearly_all_of_the_broken_third_is_saved() -> None:
    found = simulate_race(POCKET, MIXED, studies=150, seed=1)
    assert 0.28 < found.saved < 0.40
    assert found.saved_by_looks == 0
    assert found.wrong < 0.01


@pytest.mark.parametrize("world", [POCKET, NANOGPT])
def test_nothing_is_lost_when_all_are_good(world: World) -> None:
    found = simulate_race(world, GOOD, studies=150, seed=2)
    assert (found.wrong, found.stopped) == (0, {})
    assert found.saved == pytest.approx(found.saved_by_looks)


def test_a_careless_confidence_costs_decisions() -> None:
    careful = simulate_race(POCKET, MIXED, studies=150, seed=3)
    careless = simulate_race(POCKET, MIXED, studies=150, seed=3, confidence=0.5)
    assert careless.saved > careful.saved
    assert careless.wrong > careful.wrong


def test_the_table_is_reproducible_and_names_its_rows() -> None:
    rows = racesim.tabulate_races(studies=12)
    assert [(row.world, row.population) for row in rows] == [
        (w, p) for w in ("pocket", "nanogpt") for p in POPULATIONS
    ]
    assert rows == racesim.tabulate_races(studies=12)


def test_between_runs_alone_saves_less_and_still_loses_nothing() -> None:
    between = simulate_race(POCKET, MIXED, studies=150, seed=1, inside=False)
    assert 0.1 < between.saved < simulate_race(POCKET, MIXED, studies=150, seed=1).saved
    assert between.wrong == 0
    assert all(what.endswith("between runs") for what in between.stopped)


def test_an_unknown_population_is_an_error() -> None:
    with pytest.raises(KeyError):
        simulate_race(POCKET, "saints")
