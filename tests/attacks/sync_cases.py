"""Attacks through another arena: claims, plans, signatures and names that come by sync or by a push."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from patchrun.adapters import signing
from patchrun.adapters.store import RUNS, STUDIES, Arena, run_name
from patchrun.core import results
from patchrun.core.errors import ArenaError, UsageError
from patchrun.core.studyfaults import expect_id
from patchrun.services import standings, sync, tournament, verify
from tests.attacks.set_ups import CASES as CASES
from tests.attacks.set_ups import attack
from tests.conftest import change
from tests.services.test_recheck import PROTECTED, put
from tests.services.test_tournament import fill, hand_in
from tests.services.test_verify import forge

TIMES = {"baseline": 10.0, "human": 7.0, "submission": 5.0}


def copy(arena: Arena, folder: Path) -> Arena:
    arena.repo.git("clone", "--quiet", "--mirror", str(arena.repo.path), str(folder / "other.git"))
    return Arena.open(folder / "other.git")


def refuse(arena: Arena, other: Arena, words: str) -> None:
    assert any(words in problem for problem in verify.verify(other).problems)
    with pytest.raises(ArenaError, match=words):
        sync.sync(arena, str(other.repo.path))


@attack(
    24, "a patch that a lenient arena accepted", "harmless", "it is validated again here; our answer counts"
)
def _(arena: Arena, folder: Path) -> None:
    other = copy(arena, folder)
    put(other, PROTECTED)
    assert sync.sync(arena, str(other.repo.path)).notes
    assert tournament.plan_waiting(arena) == [] and not arena.attempts()[0].accepted


@attack(24, "a lenient patch pushed past sync", "harmless", "nothing is planned that was not validated here")
def _(arena: Arena, folder: Path) -> None:
    put(arena, PROTECTED)
    assert tournament.plan_waiting(arena) == []


@attack(24, "another patch's digest of code claimed", "run", "its digest of code is not that of its tree")
def _(arena: Arena, folder: Path) -> None:
    other = copy(arena, folder)
    fast = hand_in(other).attempt
    put(other, change("STEPS = 100", "STEPS = 99", 2), ast_digest=fast.ast_digest)
    refuse(arena, other, "its digest of code is not that of its tree")


@attack(5, "an empty study that hides a submission", "run", "a study has blocks")
def _(arena: Arena, folder: Path) -> None:
    hand_in(arena)
    other, [planned] = copy(arena, folder), tournament.plan_waiting(arena)
    forge(
        other, STUDIES + planned.id, "study.json", results.encode(msgspec.structs.replace(planned, seeds=()))
    )
    refuse(arena, other, "has no blocks")
    [again] = tournament.plan_waiting(Arena.open(other.repo.path))
    assert again.id == planned.id, "as if it were not there"


@attack(5, "a study on chosen seeds", "run", "seeds follow from the owner's key")
def _(arena: Arena, folder: Path) -> None:
    hand_in(arena)
    other, [planned] = copy(arena, folder), tournament.plan_waiting(arena)
    chosen = msgspec.structs.replace(planned, seeds=(1, 2, 3, 4, 5))
    forge(other, STUDIES + planned.id, "study.json", results.encode(chosen))
    refuse(arena, other, "its seeds are not those")


@attack(
    27, "a study with a slow commit as its human arm", "run", "reference arms are the ladder's own commits"
)
def _(arena: Arena, folder: Path) -> None:
    hand_in(arena)
    other, [planned] = copy(arena, folder), tournament.plan_waiting(arena)
    base, human, own = planned.arms
    slow = msgspec.structs.replace(human, commit=base.commit, tree=base.tree, ast_digest=base.tree)
    made = msgspec.structs.replace(planned, arms=(base, slow, own))
    made = msgspec.structs.replace(made, id=expect_id(made))
    forge(other, STUDIES + made.id, "study.json", results.encode(made))
    refuse(arena, other, "arm h1 is not the real human")


@attack(5, "a signed run copied to other slots", "harmless", "a signature counts for the place that it names")
def _(arena: Arena, folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        signing.allow(arena.identity, "runner", signing.make_key(folder / "runner", "runner"))
        patch.setenv(signing.KEY_VARIABLE, str(folder / "runner"))
        own = Arena.open(arena.repo.path)
        hand_in(own)
        fill(own, tournament.plan_waiting(own)[0], TIMES)
    own = Arena.open(arena.repo.path)
    before, run = standings.board(own).rows, own.runs()[-1]
    commit = own.repo.resolve(RUNS + run_name(run))
    for block in range(5, 30):
        own.repo.git("update-ref", f"{RUNS}{run.arm}/{run.study}-b{block}p{run.position}s{run.seed}", commit)
    assert standings.board(own).rows == before and len(own.runs()) == 15


@attack(
    28, "another agent's name in other letters", "run", "a name is one in all its spellings, or it is refused"
)
def _(arena: Arena, folder: Path) -> None:
    first = hand_in(arena, agent="ada").attempt
    for name in ("ADA", "ａｄａ", "ada\u200d", " ada "):
        assert hand_in(arena, agent=name).attempt.id == first.id
    for name in ("ada\u200b", "\u202eada", "ada\x08", "ada\udcff", "ada\nAgent: eve", "." * 3, "a" * 300):
        with pytest.raises(UsageError):
            hand_in(arena, agent=name)
    assert [row.agent for row in standings.board(arena).rows] == ["ada"]
