"""Where keys are listed: what a signature is for, and what comes of results that no listed key signed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from patchrun.adapters import signing
from patchrun.adapters.gitrepo import PATCHRUN
from patchrun.adapters.signed import RESULTS
from patchrun.adapters.store import ALSO, ATTEMPTS, EXTRA, RUNS, STOPS, VERDICTS, Arena, run_name
from patchrun.core import results
from patchrun.core.errors import UsageError
from patchrun.core.vouching import Binding, read_binding, write_binding
from patchrun.services import importer, standings, sync, tournament, verify
from tests.conftest import change
from tests.services.test_tournament import fill, hand_in
from tests.services.test_verify import WHEN

TIMES = {"baseline": 10.0, "human": 7.0, "submission": 8.0}
FAST = {"baseline": 10.0, "human": 7.0, "submission": 1.0}


def make_key(folder: Path, name: str) -> Path:
    signing.make_key(folder / name, name)
    return folder / name


def use(monkeypatch: pytest.MonkeyPatch, key: Path | None) -> None:
    if key:
        monkeypatch.setenv(signing.KEY_VARIABLE, str(key))
    else:
        monkeypatch.delenv(signing.KEY_VARIABLE, raising=False)


def copy(arena: Arena, folder: Path) -> Arena:
    arena.repo.git("clone", "--quiet", "--mirror", str(arena.repo.path), str(folder))
    return Arena.open(folder)


def reopen(arena: Arena) -> Arena:
    return Arena.open(arena.repo.path)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path, "runner")


@pytest.fixture
def signed(plain: Arena, key: Path, monkeypatch: pytest.MonkeyPatch) -> Arena:
    """An arena of one study that a listed key signed; nobody signs from now on."""
    signing.allow(plain.identity, "runner", key.with_name("runner.pub").read_text())
    use(monkeypatch, key)
    arena = reopen(plain)
    hand_in(arena, agent="ada")
    fill(arena, tournament.plan_waiting(arena)[0], TIMES)
    use(monkeypatch, None)
    return reopen(arena)


def test_a_binding_is_read_back_and_only_from_the_end() -> None:
    bound = Binding(RUNS + "b1/s-b0p0s0", "a" * 64, "t" * 64, "s")
    words = "run\n" + write_binding(bound)
    assert read_binding(f"tree x\nauthor y\n\n{words}".encode()) == bound
    assert read_binding(f"tree x\n\n{words}more\n".encode()) is None
    assert read_binding(b"tree x\n\nrun\n") is None and read_binding(b"") is None
    further_up = f"tree x\n\nreason\n{write_binding(bound)}{write_binding(Binding('r', 'i', 't'))}"
    assert read_binding(further_up.encode()) == Binding("r", "i", "t")
    for cut in ("Patchrun-Plan", "Patchrun-Ref"):
        lines = [line for line in words.splitlines() if not line.startswith(cut)]
        assert read_binding(("tree x\n\n" + "\n".join(lines)).encode()) is None


def test_runs_attempts_stops_and_rulings_name_their_place(signed: Arena, key: Path, monkeypatch) -> None:
    use(monkeypatch, key)
    arena = reopen(signed)
    tournament.rule(arena, arena.attempts()[0], "withdrawn", "mine", "ada")
    refs = arena.repo.refs(ATTEMPTS, RUNS, VERDICTS)
    for name, commit in refs.items():
        bound = read_binding(arena.repo.read(commit))
        assert bound and (bound.ref, bound.arena, bound.track) == (name, arena.identity, arena.track.digest)
        assert bound.plan == (arena.studies()[0].id if name.startswith(RUNS) else "")
    assert arena.left_out() == 0 and arena.unsigned_attempts() == set()


def to_another_slot(arena: Arena) -> tuple[str, str]:
    names = sorted(name for name in arena.repo.refs(RUNS) if "/b1/" in name)
    return names[0].replace("-b0p", "-b9p"), arena.repo.resolve(names[0])


def to_another_arm(arena: Arena) -> tuple[str, str]:
    name = next(name for name in arena.repo.refs(RUNS) if "/h1/" in name)
    return name.replace("/h1/", "/b1/"), arena.repo.resolve(name)


def to_another_study(arena: Arena) -> tuple[str, str]:
    name = next(iter(arena.repo.refs(RUNS)))
    return name.replace(arena.studies()[0].id, "e" * 20), arena.repo.resolve(name)


def to_extra(arena: Arena) -> tuple[str, str]:
    name = next(iter(arena.repo.refs(RUNS)))
    return f"{name.replace(RUNS, EXTRA)}-01234567", arena.repo.resolve(name)


def to_a_stop(arena: Arena) -> tuple[str, str]:
    study = arena.studies()[0]
    return f"{STOPS}{study.id}/{study.arms[-1].name}", arena.repo.resolve(next(iter(arena.repo.refs(RUNS))))


def to_a_ruling(arena: Arena) -> tuple[str, str]:
    return f"{VERDICTS}{arena.attempts()[0].id}/0123456789ab", arena.repo.resolve(
        next(iter(arena.repo.refs(RUNS)))
    )


def to_another_attempt(arena: Arena) -> tuple[str, str]:
    return f"{ATTEMPTS}{'d' * 20}", arena.repo.resolve(next(iter(arena.repo.refs(ATTEMPTS))))


COPIES = (
    to_another_slot, to_another_arm, to_another_study, to_extra, to_a_stop, to_a_ruling, to_another_attempt,
)  # fmt: skip


@pytest.mark.parametrize("copied", COPIES, ids=lambda one: one.__name__)
def test_a_copied_signature_counts_for_nothing(
    signed: Arena, copied: Callable[[Arena], tuple[str, str]]
) -> None:
    name, commit = copied(signed)
    runs, rulings = signed.runs(), signed.rulings()
    signed.repo.git("update-ref", name, commit)
    arena = reopen(signed)
    assert arena.signatures and name not in arena.signatures.read({name: commit})
    assert (arena.runs(), arena.rulings()) == (runs, rulings)
    assert any(problem.startswith(name) for problem in verify.verify(arena).problems)


def test_a_signature_for_another_arena_of_the_same_track_counts_for_nothing(
    signed: Arena, plain_track: Path, tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    importer.init(tmp_path / "mine", str(plain_track))
    theirs = Arena.open(tmp_path / "mine")
    use(monkeypatch, key)
    tree = theirs.repo.store_files({"run.json": results.encode(signed.runs()[0]), "log.gz": b""})
    name = RUNS + run_name(signed.runs()[0])
    words = reopen(theirs).sign_refs("run\n", name, signed.track.digest, signed.runs()[0].study)
    commit = theirs.repo.commit(tree, [], words, PATCHRUN, WHEN, key)
    signed.repo.git("fetch", "--quiet", str(theirs.repo.path), commit)
    assert signed.signatures and signed.signatures.read({name: commit}) == {}


def test_an_old_signature_of_no_place_is_unsigned_and_verifies(
    plain: Arena, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As patchrun signed before: the commit's own words name nothing."""
    with monkeypatch.context() as before:
        before.setattr("patchrun.adapters.signed.write_binding", lambda binding: "")
        use(before, key)
        old = reopen(plain)
        hand_in(old, agent="ada")
        fill(old, tournament.plan_waiting(old)[0], TIMES)
    assert len(reopen(plain).runs()) == 15, "without a list everything counts"
    signing.allow(plain.identity, "runner", key.with_name("runner.pub").read_text())
    arena = reopen(plain)
    assert arena.runs() == [] and arena.left_out() == 15 and len(arena.unsigned_attempts()) == 1
    assert verify.verify(arena).problems == ()


def test_runs_of_an_unlisted_key_leave_their_slots_free(
    signed: Arena, tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = copy(signed, tmp_path / "stranger.git")
    use(monkeypatch, key)
    hand_in(signed, change("STEPS = 100", "STEPS = 55", 2), agent="eve")
    [study] = tournament.plan_waiting(signed)
    sync.sync(signed, str(stranger.repo.path))
    use(monkeypatch, make_key(tmp_path, "mallory"))
    fill(reopen(stranger), study, FAST)
    use(monkeypatch, None)
    done = sync.sync(signed, str(stranger.repo.path))
    assert len([name for name in done.received if name.startswith(EXTRA)]) == 15
    assert "15 runs that no listed key signed were kept aside" in done.notes[0]
    assert signed.slots(study) == set() and len(signed.runs()) == 15
    assert sync.sync(signed, str(stranger.repo.path), send=False).received == (), "they are here already"
    use(monkeypatch, key)
    arena = reopen(signed)
    fill(arena, study, TIMES)
    assert len(arena.slots(study)) == 15 and len(arena.runs()) == 30
    assert verify.verify(arena).problems == ()


def test_a_slot_that_a_stranger_has_taken_is_run_again_and_ours_counts(
    signed: Arena, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an arena that has it already, and in a shared one that takes every push."""
    use(monkeypatch, key)
    hand_in(signed, change("STEPS = 100", "STEPS = 55", 2), agent="eve")
    [study] = tournament.plan_waiting(signed)
    use(monkeypatch, None)
    fill(reopen(signed), study, FAST)
    arena = reopen(signed)
    assert arena.slots(study) == set() and arena.left_out() == 15
    use(monkeypatch, key)
    fill(reopen(signed), study, TIMES)
    arena = reopen(signed)
    assert len(arena.slots(study)) == 15 and len(arena.repo.refs(f"{ALSO}runs/")) == 15
    assert {run.seconds for run in arena.runs_of([study]) if run.kind == "submission"} >= {8.0}
    assert verify.verify(arena).problems == ()
    fill(arena, study, TIMES)
    assert len(arena.runs()) == 30, "a second one of ours goes to extra"


def test_rulings_of_strangers_are_shown_and_not_applied(signed: Arena, tmp_path: Path) -> None:
    stranger = copy(signed, tmp_path / "stranger.git")
    for ruling in ("withdrawn", "disqualified"):
        tournament.rule(stranger, stranger.attempts()[0], ruling, "I say so", "owner")
    sync.sync(signed, str(stranger.repo.path))
    assert signed.rulings() == [] and len(signed.strange_rulings()) == 2
    assert standings.board(signed).rows[0].valid == 1


def test_an_unsigned_attempt_is_shown_and_not_planned_until_somebody_vouches(
    signed: Arena, tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = copy(signed, tmp_path / "stranger.git")
    made = hand_in(stranger, change("STEPS = 100", "STEPS = 55", 2), agent="eve").attempt
    sync.sync(signed, str(stranger.repo.path))
    assert signed.unsigned_attempts() == {made.id} and len(signed.attempts()) == 2
    assert tournament.plan_waiting(signed) == []
    scored = {one.attempt.id: one for one in tournament.assess(signed)}
    assert "no listed key signed it" in scored[made.id].score.reason
    assert any("1 attempts that no listed key signed" in note for note in standings.board(signed).notes)
    with pytest.raises(UsageError, match="no key to sign with"):
        signed.vouch({ATTEMPTS + made.id: signed.repo.resolve(ATTEMPTS + made.id)}, "owner", WHEN)
    use(monkeypatch, key)
    arena = reopen(signed)
    arena.vouch(arena.list_unsigned((ATTEMPTS,)), "owner", WHEN)
    assert arena.unsigned_attempts() == set() and len(tournament.plan_waiting(arena)) == 1
    assert verify.verify(arena).problems == ()
    assert sync.sync(arena, str(stranger.repo.path)).sent == tuple(arena.repo.refs("refs/patchrun/vouches/"))
    assert verify.verify(stranger).problems == ()


def test_a_strangers_attempt_under_another_agents_name_is_not_that_agents_last_word(
    signed: Arena, tmp_path: Path
) -> None:
    stranger = copy(signed, tmp_path / "stranger.git")
    hand_in(stranger, change("STEPS = 100", "STEPS = 999", 2), agent="ADA")
    before = standings.board(signed).rows
    sync.sync(signed, str(stranger.repo.path))
    assert [(row.agent, row.score) for row in standings.board(signed).rows] == [
        (r.agent, r.score) for r in before
    ]


def test_a_strangers_vouch_counts_for_nothing(signed: Arena, tmp_path: Path, monkeypatch) -> None:
    made = hand_in(signed, change("STEPS = 100", "STEPS = 55", 2), agent="eve").attempt
    use(monkeypatch, make_key(tmp_path, "mallory"))
    arena = reopen(signed)
    arena.vouch(arena.list_unsigned((ATTEMPTS,)), "owner", WHEN)
    assert reopen(signed).unsigned_attempts() == {made.id}


def test_an_old_arena_counts_again_after_one_vouch(
    plain: Arena, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys were listed after everything was made."""
    attempt = hand_in(plain, agent="ada").attempt
    fill(plain, tournament.plan_waiting(plain)[0], TIMES)
    tournament.rule(plain, hand_in(plain, agent="bob").attempt, "withdrawn", "mine", "bob")
    before = standings.board(plain)
    signing.allow(plain.identity, "runner", key.with_name("runner.pub").read_text())
    arena = reopen(plain)
    assert len(arena.unsigned_attempts()) == 2 and arena.left_out() == 16 and arena.rulings() == []
    assert verify.verify(arena).problems == (), "shown so, not refused"
    use(monkeypatch, key)
    arena = reopen(plain)
    arena.vouch(arena.list_unsigned((ATTEMPTS, RUNS, EXTRA, STOPS, VERDICTS)), "owner", WHEN)
    assert standings.board(arena).rows == before.rows and arena.left_out() == 0
    assert arena.attempt(attempt.id) and len(arena.rulings()) == 1 and verify.verify(arena).problems == ()


def test_a_run_under_anothers_name_counts_nowhere_also_without_keys(plain: Arena) -> None:
    hand_in(plain)
    fill(plain, tournament.plan_waiting(plain)[0], TIMES)
    before, board = plain.runs(), standings.board(plain)
    quick = next(run for run in before if run.kind == "submission")
    commit = plain.repo.resolve(RUNS + run_name(quick))
    for block in range(10, 14):
        plain.repo.git("update-ref", f"{RUNS}{quick.arm}/{quick.study}-b{block}p2s1", commit)
    assert plain.runs() == before and standings.board(plain).rows == board.rows
    assert len(verify.verify(plain).problems) == 4


def test_a_vouch_for_other_things_is_refused(
    signed: Arena, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, key)
    arena = reopen(signed)
    arena.vouch({f"{RESULTS}studies/x": "0" * 40}, "owner", WHEN)
    [problem] = verify.verify(arena).problems
    assert "vouches for what is never signed" in problem
