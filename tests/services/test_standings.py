"""Boards and matrices of a real arena under conditions; runs are made up."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import pytest

from patchrun.adapters.store import Arena
from patchrun.core import plan
from patchrun.core.errors import UsageError
from patchrun.core.filters import Filter
from patchrun.core.results import Attempt
from patchrun.services import standings, tournament
from tests.conftest import change
from tests.core.test_plan import MACHINE
from tests.services.test_tournament import ONE, TWO, fill, hand_in, made_up_run


@pytest.fixture
def three(plain: Arena) -> dict[str, Attempt]:
    """Ada and Bob on record 1, measured; Eve with a hint, pending; Bob's second was rejected."""
    found = {
        "ada": hand_in(plain, change("STEPS = 100", "STEPS = 71", 2)).attempt,
        "bob": hand_in(plain, change("STEPS = 100", "STEPS = 95", 2), agent="bob").attempt,
    }
    [study] = tournament.plan_waiting(plain)
    fill(plain, study, {"baseline": 10.0, "human": 7.0, found["ada"].id: 7.1, found["bob"].id: 9.5})
    hinted = change("STEPS = 100", "STEPS = 80", 2)
    found["eve"] = tournament.hand_in(plain, hinted, ONE, "eve", (1,)).attempt
    broken = change("STEPS = 100", "STEPS = (", 2).replace(b" RATE = 1", b" RATE = 2")
    found["bad"] = tournament.hand_in(plain, broken, TWO, "bob").attempt
    return found


def agents(arena: Arena, **only: object) -> list[str]:
    return [row.agent for row in standings.board(arena, only=Filter(**only)).rows]


def test_conditions_on_a_board(plain: Arena, three) -> None:
    assert agents(plain) == ["ada", "bob", "eve"]
    assert agents(plain, tiers=()) == ["ada", "bob"]
    assert agents(plain, tiers=(1,)) == ["eve"]
    today = date.fromisoformat(three["ada"].created[:10])
    assert agents(plain, since=today - timedelta(1)) == ["ada", "bob", "eve"]
    assert agents(plain, until=today - timedelta(1)) == []
    assert agents(plain, cutoff=1) == ["bob"]
    assert agents(plain, hardware="x", sandbox="seccomp") == ["ada", "bob", "eve"]
    assert standings.board(plain, only=Filter(cutoff=1)).filters == ("records after 1",)


def test_a_class_that_measured_nothing_is_refused(plain: Arena, three) -> None:
    with pytest.raises(UsageError, match="no run with hardware class 'H100'\n.*x"):
        standings.board(plain, only=Filter(hardware="H100"))
    with pytest.raises(UsageError, match="no run with sandbox 'none'\n.*seccomp"):
        standings.versus(plain, "ada", "bob", only=Filter(sandbox="none"))


def test_what_was_measured_elsewhere_is_left_out(plain: Arena, three) -> None:
    [study] = tournament.plan_waiting(plain)
    plain.add_study(study)
    elsewhere = msgspec.structs.replace(MACHINE, hardware_class="y")
    for block in range(study.blocks):
        for arm, slot in plan.slots(study, block):
            plain.add_run(
                made_up_run(plain, study, arm, slot, 8.0 + 0.1 * block, 2.9, machine=elsewhere), b""
            )
    assert agents(plain, hardware="x") == ["ada", "bob"]
    # Bob's rejected attempt ran nowhere and still counts
    assert agents(plain, hardware="y") == ["bob", "eve"]


def test_what_measuring_took(plain: Arena, three) -> None:
    board = standings.board(plain)
    assert board.machine == "CPU"
    assert board.spent["ada"] == pytest.approx(5 * 7.12, abs=0.2)
    assert board.spent["bob"] == pytest.approx(5 * 9.52, abs=0.2) and board.spent["eve"] == 0


def test_the_matrix_of_an_arena(plain: Arena, three) -> None:
    matrix = standings.matrix(plain)
    assert list(matrix.groups) == [("ada", "bob"), ("eve",)]
    assert matrix.rows[0].wins[1] == 1
    assert standings.matrix(plain, only=Filter(tiers=(1,))).groups == (("eve",),)


def test_best_under_a_condition_uses_what_was_measured_again(plain: Arena, three) -> None:
    again = tournament.plan_rerun(plain, three["ada"])
    fill(plain, again, {"baseline": 10.0, "human": 7.0, "submission": 8.5})
    board = standings.board(plain, pick="best", only=Filter(tiers=()))
    assert board.rows[0].agent == "ada"
    assert board.spent["ada"] == pytest.approx(5 * (7.12 + 8.52), abs=0.3)
