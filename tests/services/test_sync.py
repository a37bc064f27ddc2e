"""Two arenas exchange results; nothing is overwritten, nothing unsound comes in."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from patchrun.adapters import process
from patchrun.adapters.gitrepo import PATCHRUN, GitRepo
from patchrun.adapters.store import ATTEMPTS, RUNS, SUBMISSIONS, Arena
from patchrun.core import results
from patchrun.core.errors import ArenaError
from patchrun.services import importer, standings, sync, tournament, verify
from tests.conftest import change
from tests.services import test_tournament
from tests.services.test_tournament import fill, hand_in
from tests.services.test_verify import WHEN, forge

ROOT = Path(__file__).parents[2]


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
    assert sync.sync(plain, remote(other)).conflicts == ()
    assert plain.attempts() == other.attempts() == [first]  # the one that was handed in first
    assert sync.sync(plain, remote(other)) == sync.Exchange((), (), ())
    assert verify.verify(plain).problems == verify.verify(other).problems == ()


def test_a_study_that_both_ran_is_a_conflict_and_both_sides_then_agree(
    plain: Arena, other: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in(plain, agent="ada")
    sync.sync(plain, remote(other))
    [study] = tournament.plan_waiting(plain)
    fill(plain, study, {"baseline": 10.0, "human": 7.0, "submission": 8.0})
    elsewhere = msgspec.structs.replace(test_tournament.MACHINE, host="elsewhere")
    monkeypatch.setattr(test_tournament, "MACHINE", elsewhere)
    fill(other, study, {"baseline": 11.0, "human": 7.5, "submission": 8.0})
    mine, theirs = standings.board(plain), standings.board(other)
    done = sync.sync(plain, remote(other))
    assert len(done.conflicts) >= 10 and all(name.startswith(RUNS) for name in done.conflicts)
    assert mine != theirs and standings.board(plain) == standings.board(other)
    hosts = {block: {run.machine.host for run in plain.runs() if run.block == block} for block in range(5)}
    assert all(len(one) == 1 for one in hosts.values()), "a block is never put together from two machines"
    assert len(plain.runs()) == len(other.runs()) == 15
    assert plain.log(plain.runs()[3]) == other.log(other.runs()[3]) == b"log\n"
    assert verify.verify(plain).problems == verify.verify(other).problems == ()
    again = sync.sync(other, remote(plain))
    assert (again.received, again.sent) == ((), ()) and len(again.conflicts) == len(done.conflicts)


def test_rulings_that_differ_are_all_shown_and_the_stronger_one_counts(plain: Arena, other: Arena) -> None:
    attempt = hand_in(plain, agent="ada").attempt
    sync.sync(plain, remote(other))
    tournament.rule(plain, attempt, "withdrawn", "mine", "ada")
    tournament.rule(other, attempt, "disqualified", "reads the clock", "owner")
    sync.sync(plain, remote(other))
    for arena in (plain, other):
        [scored] = tournament.assess(arena)
        assert scored.score.verdict == "disqualified"
        assert "reads the clock (also withdrawn by ada: mine)" in scored.score.reason


def test_a_forged_result_is_not_taken_and_nothing_else_is(plain: Arena, other: Arena) -> None:
    hand_in(other, steps(70), agent="bob")
    good = hand_in(other, steps(60), agent="eve").attempt
    forged = msgspec.structs.replace(good, agent="mallory")
    forge(other, ATTEMPTS + good.id, "attempt.json", results.encode(forged), patch_diff=other.diff(good.id))
    with pytest.raises(ArenaError, match=f"does not verify:\n{ATTEMPTS}{good.id}: its id does not follow"):
        sync.sync(plain, remote(other))
    assert plain.attempts() == []


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The git commands of both sides, by their first word that is no setting."""
    words: list[str] = []
    git = GitRepo.git

    def note(repo: GitRepo, *given: str, **more: object) -> process.Completed:
        words.append(next(word for word in given if word != "-c" and "=" not in word))
        return git(repo, *given, **more)

    monkeypatch.setattr(GitRepo, "git", note)
    return words


def test_where_nothing_is_new_nothing_is_fetched_checked_or_pushed(
    plain: Arena, other: Arena, said: list[str]
) -> None:
    hand_in(other, agent="bob")
    assert len(sync.sync(plain, remote(other)).received) == 2
    del said[:]
    assert sync.sync(plain, remote(other)) == sync.Exchange((), (), ())
    assert set(said) <= {"ls-remote", "rev-parse", "for-each-ref"}


def test_only_what_is_new_is_fetched_and_checked(
    plain: Arena, other: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = hand_in(other, agent="bob").attempt
    sync.sync(plain, remote(other))
    fresh = hand_in(other, steps(70), agent="eve").attempt
    checked: list[set[str]] = []
    check = verify.check_refs

    def note(arena: Arena, refs: dict[str, str], known: dict[str, str]) -> None:
        checked.append(set(refs))
        room = arena.repo.refs(sync.INCOMING)
        assert {name.partition("/attempts/")[2] for name in room if "/attempts/" in name} == {fresh.id}
        check(arena, refs, known)

    monkeypatch.setattr(verify, "check_refs", note)
    assert len(sync.sync(plain, remote(other)).received) == 2
    assert checked == [{ATTEMPTS + fresh.id, SUBMISSIONS + fresh.id}]
    assert {one.id for one in plain.attempts()} == {known.id, fresh.id}


def test_the_waiting_room_is_left_empty(plain: Arena, other: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when something does not verify, and of a sync that was killed."""
    good = hand_in(other, agent="bob").attempt
    with monkeypatch.context() as patched:
        patched.setattr(sync, "_empty", lambda arena, room: None)  # as one that dies does
        patched.setattr(verify, "check_refs", lambda *given, **more: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            sync.sync(plain, remote(other))
    assert len(plain.repo.refs(sync.INCOMING)) == 2 and plain.attempts() == []
    forge(
        other, f"{ATTEMPTS}{'f' * 20}", "attempt.json", results.encode(good), patch_diff=other.diff(good.id)
    )
    with pytest.raises(ArenaError, match="does not verify"):
        sync.sync(plain, remote(other))
    assert plain.repo.refs(sync.INCOMING) == {} and plain.attempts() == []
    other.repo.git("update-ref", "-d", f"{ATTEMPTS}{'f' * 20}")
    assert len(sync.sync(plain, remote(other)).received) == 2
    assert plain.repo.refs(sync.INCOMING) == {} and plain.attempts() == [good]


def test_a_server_that_speaks_the_oldest_protocol(plain: Arena, other: Arena) -> None:
    """As one reached by ssh does that is not told otherwise: it gives only what it lists."""
    for arena in (plain, other):
        arena.repo.git("config", "protocol.version", "0")
    hand_in(plain, agent="ada")
    hand_in(other, steps(70), agent="bob")
    done = sync.sync(plain, remote(other))
    assert len(done.received) == len(done.sent) == 2
    assert {one.id for one in plain.attempts()} == {one.id for one in other.attempts()}
    assert verify.verify(plain).problems == verify.verify(other).problems == ()


def test_another_tournament_is_refused(plain: Arena, plain_track: Path, tmp_path: Path) -> None:
    importer.init(tmp_path / "b", str(plain_track))
    with pytest.raises(ArenaError, match="holds another tournament"):
        sync.sync(plain, str(tmp_path / "b" / ".git"))


@pytest.fixture
def shared(plain_track: Path, tmp_path: Path) -> Arena:
    importer.init(tmp_path / "shared", str(plain_track), shared=True)
    return Arena.open(tmp_path / "shared")


def copy_of(arena: Arena, folder: Path) -> Arena:
    arena.repo.git("clone", "--quiet", "--mirror", remote(arena), str(folder))
    return Arena.open(folder)


class TestShared:
    """A shared arena defends itself: these pushes are made by git alone, as a stranger would."""

    def push(self, arena: Arena, shared: Arena, *words: str) -> str:
        done = arena.repo.git("push", "--quiet", *words[:-1], remote(shared), words[-1], check=False)
        return "" if done.ok else done.errors

    @pytest.fixture
    def mine(self, shared: Arena, tmp_path: Path) -> Arena:
        arena = copy_of(shared, tmp_path / "mine.git")
        hand_in(arena, agent="ada")
        assert len(sync.sync(arena, remote(shared)).sent) == 2
        return arena

    def test_results_come_in(self, mine: Arena, shared: Arena) -> None:
        assert [attempt.agent for attempt in shared.attempts()] == ["ada"]
        assert verify.verify(shared).problems == ()

    def test_nothing_is_overwritten(self, mine: Arena, shared: Arena) -> None:
        ref = ATTEMPTS + shared.attempts()[0].id
        before = shared.repo.resolve(ref)
        forge(mine, "refs/heads/forged", "attempt.json", b"{}")
        assert f"{ref} exists already" in self.push(mine, shared, "-f", f"refs/heads/forged:{ref}")
        assert shared.repo.resolve(ref) == before

    def test_nothing_moves_forward_either(self, mine: Arena, shared: Arena) -> None:
        ref = ATTEMPTS + shared.attempts()[0].id
        before = shared.repo.resolve(ref)
        after = mine.repo.commit(mine.repo.tree_of(before), [before], "later\n", PATCHRUN, WHEN)
        assert "never overwritten" in self.push(mine, shared, f"{after}:{ref}")
        assert shared.repo.resolve(ref) == before

    def test_nothing_is_deleted(self, mine: Arena, shared: Arena) -> None:
        ref = ATTEMPTS + shared.attempts()[0].id
        assert self.push(mine, shared, "--delete", ref) and shared.repo.resolve(ref)

    @pytest.mark.parametrize(
        ("ref", "words"),
        [
            ("refs/heads/main", "exists already"),
            ("refs/heads/new", "only results"),
            ("refs/tags/v1", "only results"),
            ("refs/patchrun/human/7", "the ladder is the owner's"),
        ],
    )
    def test_only_results_are_taken(self, mine: Arena, shared: Arena, ref: str, words: str) -> None:
        forge(mine, "refs/heads/forged", "track.toml", b"version = 1\n")
        before = shared.repo.refs()
        assert words in self.push(mine, shared, "-f", f"refs/heads/forged:{ref}")
        assert shared.repo.refs() == before

    def test_a_ref_to_a_blob_is_no_result(self, mine: Arena, shared: Arena) -> None:
        blob = mine.repo.write_blob(b"text")
        assert "is no result: a blob" in self.push(mine, shared, f"{blob}:refs/patchrun/runs/b1/x-b0p0s0")

    def test_a_push_with_one_bad_ref_brings_none(self, mine: Arena, shared: Arena) -> None:
        hand_in(mine, steps(70), agent="bob")
        before = shared.repo.refs()
        done = mine.repo.git(
            "push", remote(shared), "refs/patchrun/attempts/*:refs/patchrun/attempts/*",
            "refs/heads/main:refs/heads/other", check=False,
        )  # fmt: skip
        assert not done.ok and shared.repo.refs() == before

    def test_sync_names_what_the_other_side_says(self, mine: Arena, shared: Arena) -> None:
        (shared.repo.path / "hooks" / "pre-receive").write_text(
            "#!/bin/sh\necho closed for today >&2\nexit 1\n"
        )
        hand_in(mine, steps(70), agent="bob")
        with pytest.raises(ArenaError, match="does not take results"):
            sync.sync(mine, remote(shared))
        assert len(mine.attempts()) == 2


WRITER = """
import sys
from patchrun.adapters.store import Arena
from patchrun.core.selection import Span
from patchrun.services import sync, tournament
from tests.services.test_sync import steps
from tests.services.test_tournament import fill

arena, agent, first = Arena.open(sys.argv[1]), sys.argv[3], int(sys.argv[4])
for count in range(first, first + 50):
    name = "both" if 190 <= count < 200 else agent
    handed = tournament.hand_in(arena, steps(count), Span(1, 1), name)
    if count % 10 == 0:
        for study in tournament.plan_waiting(arena, [handed.attempt.id]):
            fill(arena, study, {"baseline": 10.0, "human": 7.0, "submission": 5 + count / 50})
    if count % 5 == 0:
        sync.sync(arena, sys.argv[2])
sync.sync(arena, sys.argv[2])
"""


def test_two_arenas_that_race_to_a_shared_one_merge_into_one_leaderboard(
    shared: Arena, tmp_path: Path
) -> None:
    """50 submissions each, 10 in common (the same agent's, same code), pushed while the other pushes."""
    one, two = (copy_of(shared, tmp_path / name) for name in ("one.git", "two.git"))
    writers = [
        process.spawn(
            (sys.executable, "-c", WRITER, remote(arena), remote(shared), agent, str(first)), cwd=ROOT
        )
        for arena, agent, first in ((one, "ada", 150), (two, "bob", 190))
    ]
    for writer in writers:
        _, said = writer.communicate(timeout=300)
        assert writer.returncode == 0, said.decode()
    sync.sync(one, remote(shared))
    sync.sync(two, remote(shared))
    boards = [standings.board(arena) for arena in (shared, one, two)]
    assert boards[0] == boards[1] == boards[2]
    for arena in (shared, one, two):
        assert len(arena.attempts()) == 90 and len(arena.repo.refs("refs/patchrun/submissions/")) == 90
        assert sum(attempt.agent == "both" for attempt in arena.attempts()) == 10
        assert verify.verify(arena).problems == ()
    assert {row.agent for row in boards[0].rows} == {"ada", "bob", "both"}


def test_a_remote_that_is_not_there(plain: Arena, tmp_path: Path) -> None:
    with pytest.raises(
        ArenaError, match="git -c failed|git fetch failed|does not appear to be a git repository"
    ):
        sync.sync(plain, str(tmp_path / "nowhere"))
