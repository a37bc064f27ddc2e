"""Two arenas exchange results; nothing is overwritten, nothing unsound comes in."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from patchrun.adapters.store import ATTEMPTS, Arena
from patchrun.core import results
from patchrun.core.errors import ArenaError
from patchrun.services import importer, standings, sync, tournament, verify
from tests.conftest import change
from tests.services.test_tournament import fill, hand_in
from tests.services.test_verify import forge


@pytest.fixture
def other(plain: Arena, tmp_path: Path) -> Arena:
    """A mirror of the arena, made before either had results."""
    plain.repo.git("clone", "--quiet", "--mirror", str(plain.repo.path), str(tmp_path / "other.git"))
    return Arena.open(tmp_path / "other.git")


def steps(count: int) -> bytes:
    return change("STEPS = 100", f"STEPS = {count}", 2)


def remote(arena: Arena) -> str:
    return str(arena.repo.path)


def test_results_go_both_ways_and_a_shared_one_is_one(plain: Arena, other: Arena) -> None:
    for arena, agent, count in ((plain, "ada", 60), (other, "bob", 70), (plain, "eve", 80)):
        hand_in(arena, steps(count), agent=agent)
    shared = plain.attempts()[1].id
    plain.repo.git("push", "--quiet", remote(other), f"{ATTEMPTS}{shared}:{ATTEMPTS}{shared}",
                   f"refs/patchrun/submissions/{shared}:refs/patchrun/submissions/{shared}")  # fmt: skip
    fill(plain, tournament.plan_waiting(plain)[0], {"baseline": 10.0, "human": 7.0, "submission": 8.0})
    done = sync.sync(plain, remote(other))
    assert done.conflicts == () and len(done.received) == 2
    assert {a.id for a in plain.attempts()} == {a.id for a in other.attempts()} and len(plain.attempts()) == 3
    assert len(other.runs()) == len(plain.runs()) == 20
    assert standings.board(plain) == standings.board(other)
    assert verify.verify(plain).problems == verify.verify(other).problems == ()
    again = sync.sync(plain, remote(other))
    assert (again.received, again.sent) == ((), ())


def test_receive_only_sends_nothing(plain: Arena, other: Arena) -> None:
    hand_in(plain)
    assert sync.sync(plain, remote(other), send=False).sent == ()
    assert other.attempts() == []


def test_a_submission_that_both_took_in_is_one(plain: Arena, other: Arena) -> None:
    first, second = hand_in(plain, agent="ada").attempt, hand_in(other, agent="ada").attempt
    assert first.id == second.id and first.created != second.created
    assert plain.submission(first.id) == other.submission(first.id)
    assert sync.sync(plain, remote(other)) == sync.Exchange((), (), ())
    assert plain.attempt(first.id) == first and other.attempt(first.id) == second


def test_a_slot_with_two_contents_is_a_conflict_and_both_keep_their_own(plain: Arena, other: Arena) -> None:
    hand_in(plain, agent="ada")
    sync.sync(plain, remote(other))
    [study] = tournament.plan_waiting(plain)
    fill(plain, study, {"baseline": 10.0, "human": 7.0, "submission": 8.0})
    fill(other, study, {"baseline": 11.0, "human": 7.5, "submission": 8.0})
    mine, theirs = plain.runs(), other.runs()
    assert len(sync.sync(plain, remote(other)).conflicts) >= 10
    assert (plain.runs(), other.runs()) == (mine, theirs)


def test_a_forged_result_is_not_taken_and_nothing_else_is(plain: Arena, other: Arena) -> None:
    hand_in(other, steps(70), agent="bob")
    good = hand_in(other, steps(60), agent="eve").attempt
    forged = msgspec.structs.replace(good, agent="mallory")
    forge(other, ATTEMPTS + good.id, "attempt.json", results.encode(forged), patch_diff=other.diff(good.id))
    with pytest.raises(ArenaError, match=f"does not verify:\n{ATTEMPTS}{good.id}: its id does not follow"):
        sync.sync(plain, remote(other))
    assert plain.attempts() == []


def test_another_tournament_is_refused(plain: Arena, plain_track: Path, tmp_path: Path) -> None:
    importer.init(tmp_path / "b", str(plain_track))
    with pytest.raises(ArenaError, match="holds another tournament"):
        sync.sync(plain, str(tmp_path / "b" / ".git"))


def test_a_remote_that_is_not_there(plain: Arena, tmp_path: Path) -> None:
    with pytest.raises(
        ArenaError, match="git -c failed|git fetch failed|does not appear to be a git repository"
    ):
        sync.sync(plain, str(tmp_path / "nowhere"))
