"""The plan of a tournament on a real arena: what waits first, then what narrows the ranking, within a budget."""

from __future__ import annotations

import pytest

from patchrun.adapters.store import Arena
from patchrun.core.errors import SetupError
from patchrun.services import cost, schedule, tournament
from patchrun.services.schedule import make_schedule
from patchrun.services.study import run_study
from tests.conftest import TINY, change
from tests.services.test_tournament import ONE, TWO, fill, hand_in


def three(arena: Arena) -> list[str]:
    """Ada far ahead, Bob and Eve close, all measured on record 1 with noise between blocks."""
    ids = [
        hand_in(arena, change("STEPS = 100", f"STEPS = {n}", 2), agent=agent).attempt.id
        for n, agent in ((71, "ada"), (90, "bob"), (91, "eve"))
    ]
    [study] = tournament.plan_waiting(arena)
    fill(arena, study, {"baseline": 10.0, "human": 9.5, ids[0]: 9.52, ids[1]: 9.80, ids[2]: 9.81})
    return ids


def test_what_waits_goes_first_and_the_cheaper_of_it(plain: Arena) -> None:
    hand_in(plain)
    hand_in(plain, FASTER_TWO, TWO, "bob")
    found = make_schedule(plain)
    assert [(item.study.record, item.why, item.agents) for item in found.items] == [
        ("2", "pending", ("bob",)),
        ("1", "pending", ("ada",)),
    ]
    # record 2: (7 + 7 + 5) s of training and 3 x 8 s of starting, five blocks
    assert found.items[0].cost.wall_seconds == pytest.approx(5 * (7 + 7 + 5 + 3 * 8))
    assert found.items[1].cost.wall_seconds == pytest.approx(5 * (10 + 10 + 7 + 3 * 8))
    assert plain.studies() == [], "planning stores nothing"


FASTER_TWO = change("STEPS = 100", "STEPS = 60", 2).replace(b" RATE = 1", b" RATE = 2")


def test_an_unfinished_study_goes_before_a_new_one_and_costs_what_it_lacks(plain: Arena) -> None:
    hand_in(plain)
    [study] = tournament.plan_waiting(plain)
    fill(plain, study, {"baseline": 10.0, "human": 7.0, "submission": 8.0}, blocks=range(3))
    hand_in(plain, FASTER_TWO, TWO, "bob")
    found = make_schedule(plain)
    assert [item.why for item in found.items] == ["unfinished", "pending"]
    assert found.items[0].cost.runs == 6
    assert found.items[0].cost.wall_seconds == pytest.approx(2 * (10 + 10 + 7 + 3 * 8))


def test_close_neighbours_are_measured_again_together(plain: Arena) -> None:
    ids = three(plain)
    [item] = make_schedule(plain).items
    assert (item.why, item.agents, item.study.generation) == ("again", ("bob", "eve"), 1)
    assert [arm.name for arm in item.study.arms[2:]] == ids[1:]
    assert 0.01 <= item.worth <= 1
    assert make_schedule(plain, least=0.99).items == ()


def test_a_plan_leads_to_a_surer_order(plain: Arena) -> None:
    three(plain)
    [item] = make_schedule(plain).items
    before = {one.attempt.agent: one.score for one in tournament.assess(plain)}
    names = {arm.name for arm in item.study.arms[2:]}
    fill(plain, item.study, {"baseline": 10.0, "human": 9.5} | dict.fromkeys(names, 9.8))
    for one in tournament.assess(plain):
        assert one.score.n_blocks == (5 if one.attempt.agent == "ada" else 10)
    after = {one.attempt.agent: one.score for one in tournament.assess(plain)}
    assert width(after["bob"]) < width(before["bob"])


def width(score) -> float:
    return score.fsr_ci[1] - score.fsr_ci[0]


def test_a_budget_leaves_out_what_does_not_fit(plain: Arena) -> None:
    hand_in(plain)
    hand_in(plain, FASTER_TWO, TWO, "bob")
    found = make_schedule(plain, budget=220.0)
    assert [item.study.record for item in found.items] == ["2"]
    assert [item.study.record for item in found.left_out] == ["1"]
    document = found.to_json()
    assert document["wall_seconds"] == pytest.approx(215)
    assert document["cpu_hours"] == pytest.approx(215 / 3600, abs=1e-6) and document["gpu_hours"] == 0
    assert make_schedule(plain, budget=1.0).items == ()


def test_the_prices_of_a_record(plain: Arena) -> None:
    one = schedule.price(plain, "1")
    assert one.references == pytest.approx(5 * (10 + 7 + 16)) and one.submission == pytest.approx(5 * 18)
    assert cost.estimate(plain, [ONE])[0].wall_seconds == one.references + one.submission


def test_an_empty_arena_and_one_without_its_key(plain: Arena, home) -> None:
    assert make_schedule(plain).items == ()
    hand_in(plain)
    next((home / "data").rglob("*.key")).unlink()
    with pytest.raises(SetupError, match="owner's key"):
        make_schedule(plain)


@pytest.mark.long
def test_a_plan_is_run_for_real(tiny: Arena) -> None:
    patch = (TINY / "patches" / "0001-Raise-the-learning-rate.patch").read_bytes()
    tournament.hand_in(tiny, patch, ONE, "ada")
    [item] = make_schedule(tiny).items
    run_study(tiny, item.study)
    [scored] = tournament.assess(tiny)
    assert scored.score.state == "done"
    assert all(item.why == "again" for item in make_schedule(tiny).items)
