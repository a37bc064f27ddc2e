"""What an assessed attempt rests on can be read again, whole."""

from __future__ import annotations

import msgspec

from patchrun.adapters.store import Arena
from patchrun.core.results import CurvePoint
from patchrun.services import tournament
from patchrun.services.assessment import assess, read_runs
from tests.conftest import change
from tests.services.test_tournament import fill, hand_in

TIMES = {"baseline": 10.0, "human": 7.0, "submission": 8.0}


def test_runs_are_read_again_as_they_were_pooled(plain: Arena) -> None:
    first = hand_in(plain, agent="ada").attempt
    hand_in(plain, change("STEPS = 100", "STEPS = 70", 2), agent="bob")
    for study in tournament.plan_waiting(plain):
        fill(plain, study, TIMES)
    fill(plain, tournament.plan_rerun(plain, first), TIMES)  # its blocks are renumbered
    hand_in(plain, change("STEPS = 100", "STEPS = 80", 2), agent="eve")  # waits
    hand_in(plain, change("    return 42", "    return 43", 6), agent="kit")  # is rejected
    found = assess(plain)
    assert [len(one.generations) for one in found] == [2, 1, 0, 0]
    assert [len(one.runs) for one in found] == [30, 15, 0, 0]
    assert read_runs(plain, found) == [list(one.runs) for one in found]
    assert read_runs(plain, found[::-1]) == [list(one.runs) for one in found[::-1]]
    assert read_runs(plain, []) == [] and read_runs(plain, found[2:]) == [[], []]


def test_curves_come_from_the_arena_and_not_from_what_is_held(plain: Arena) -> None:
    hand_in(plain)
    [study] = tournament.plan_waiting(plain)
    fill(plain, study, TIMES)
    [one] = assess(plain)
    curve = (CurvePoint(1, 3.0, 1.0, 0.1),)
    held = msgspec.structs.replace(one.runs[0], curve=curve)
    again = read_runs(plain, [type(one)(one.attempt, one.score, one.study, (held,), None, one.generations)])
    assert again == [list(one.runs)] and again[0][0].curve == ()
