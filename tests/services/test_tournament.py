"""Hand in, plan, score and rule, on real git; runs are made up where training is not the point."""

from __future__ import annotations

import msgspec
import pytest

from patchrun.adapters.store import Arena
from patchrun.core import plan
from patchrun.core.errors import ArenaError, SetupError, UnreadableDiff, UsageError
from patchrun.core.results import Arm, Run, Study
from patchrun.core.selection import Span
from patchrun.services import standings, tournament
from patchrun.services.tournament import Handed
from tests.conftest import SCRIPT, change
from tests.core.test_plan import MACHINE

FASTER = change("STEPS = 100", "STEPS = 60", 2)
ONE, TWO = Span(1, 1), Span(2, 2)


def hand_in(arena: Arena, diff: bytes = FASTER, span: Span = ONE, agent: str = "ada") -> Handed:
    return tournament.hand_in(arena, diff, span, agent)


def made_up_run(
    arena: Arena, study: Study, arm: Arm, slot, seconds: float, loss: float, **changes: object
) -> Run:
    run = Run(
        study=study.id, arm=arm.name, kind=arm.kind, record=study.record, block=slot.block, position=slot.position,
        seed=slot.seed, exit="ok", clock="cpu", seconds=seconds, repeats=(seconds,), loss=loss, sandbox="seccomp",
        machine=MACHINE, commit=arm.commit, tree=arm.tree, track_digest=study.track_digest, tool_version="0",
        started="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    return msgspec.structs.replace(run, **changes)


def fill(
    arena: Arena, study: Study, seconds: dict[str, float], loss: float = 2.9, blocks: range | None = None
) -> None:
    """Store a study with runs of about the seconds given by arm name (or kind)."""
    arena.add_study(study)
    for block in blocks or range(study.blocks):
        for arm, slot in plan.slots(study, block):
            time = seconds.get(arm.name) or seconds[arm.kind]
            jitter = 0.01 * ((block * 7 + slot.position * 3) % 5)
            arena.add_run(
                made_up_run(arena, study, arm, slot, time + jitter, loss + slot.seed * 1e-12), b"log\n"
            )


def test_an_accepted_diff_becomes_attempt_and_submission(plain: Arena) -> None:
    handed = hand_in(plain)
    assert handed.attempt.accepted and not handed.known
    commit = plain.repo.python.commit(plain.submission(handed.attempt.id))
    assert commit.author.name == "ada" and [p.hexsha for p in commit.parents] == [plain.baseline(1)]
    assert commit.trailers_dict["Agent"] == ["ada"] and commit.trailers_dict["Submission"] == [
        handed.attempt.id
    ]
    assert plain.repo.read(f"{commit.hexsha}:train.py").decode() == SCRIPT.replace(
        "STEPS = 100", "STEPS = 60"
    )
    assert plain.diff(handed.attempt.id) == FASTER


def test_the_same_content_is_the_same_submission(plain: Arena) -> None:
    first, again = hand_in(plain), hand_in(plain)
    assert again.known and again.attempt == first.attempt
    reworded = b"Subject: words that change nothing\n\n" + FASTER
    assert hand_in(plain, reworded).attempt.id == first.attempt.id
    others = {
        hand_in(plain, agent="bob").attempt.id,
        tournament.hand_in(plain, FASTER, ONE, "ada", (1,)).attempt.id,
    }
    assert len(others | {first.attempt.id}) == 3


def test_attempts_of_an_agent_are_numbered(plain: Arena) -> None:
    numbers = [
        hand_in(plain, change("STEPS = 100", f"STEPS = {n}", 2)).attempt.sequence for n in (90, 80, 70)
    ]
    assert numbers == [1, 2, 3]
    assert hand_in(plain, agent="bob").attempt.sequence == 1


def test_a_rejected_diff_is_kept_and_has_no_submission(plain: Arena) -> None:
    handed = hand_in(plain, change("STEPS = 100", "STEPS = (", 2))
    assert not handed.attempt.accepted and handed.attempt.findings
    with pytest.raises(ArenaError):
        plain.submission(handed.attempt.id)
    [scored] = tournament.assess(plain)
    assert (scored.score.verdict, scored.score.state) == ("rejected", "done")
    assert tournament.waiting(plain) == []


@pytest.mark.parametrize("diff", [b"", b"hello\n", b"\0\0\0"])
def test_what_is_no_diff_stores_nothing(plain: Arena, diff: bytes) -> None:
    with pytest.raises(UnreadableDiff):
        hand_in(plain, diff)
    assert plain.attempts() == [] and plain.repo.refs("refs/patchrun/attempts") == {}


def test_wrong_records_and_names_store_nothing(plain: Arena) -> None:
    for span, agent in ((Span(3, 3), "ada"), (Span(1, 9), "ada"), (ONE, "<evil>\n"), (ONE, "")):
        with pytest.raises((UsageError, ArenaError)):
            tournament.hand_in(plain, FASTER, span, agent)
    assert plain.attempts() == []


def test_submissions_that_wait_together_share_their_references(plain: Arena) -> None:
    one, two = hand_in(plain), hand_in(plain, change("STEPS = 100", "STEPS = 70", 2), agent="bob")
    other = tournament.hand_in(plain, FASTER.replace(b" RATE = 1", b" RATE = 2"), TWO, "bob")
    assert other.attempt.accepted
    studies = {study.record: study for study in tournament.plan_waiting(plain)}
    assert [arm.name for arm in studies["1"].arms] == ["b1", "h1", one.attempt.id, two.attempt.id]
    assert [arm.name for arm in studies["2"].arms] == ["b2", "h2", other.attempt.id]
    assert len(studies["1"].seeds) == plain.track.rule.blocks
    assert not set(studies["1"].seeds) & set(studies["2"].seeds)
    assert plain.studies() == [], "planning stores nothing"


def test_a_changed_comment_is_not_another_draw(plain: Arena) -> None:
    hand_in(plain)
    commented = FASTER.replace(b"+STEPS = 60", b"+STEPS = 60  # luck").replace(b"-1,5 +1,5", b"-1,5 +1,5")
    second = hand_in(plain, commented, agent="bob")
    [study] = tournament.plan_waiting(plain)
    assert len(study.arms) == 3
    fill(plain, study, {"baseline": 10.0, "human": 7.0, "submission": 8.0})
    assert tournament.waiting(plain) == []
    scores = [scored.score.fsr for scored in tournament.assess(plain)]
    assert scores[0] == scores[1] == pytest.approx(2 / 3, abs=0.02)
    assert second.attempt.ast_digest == plain.attempts()[0].ast_digest


def test_a_span_runs_from_the_first_baseline_to_the_last_human_code(plain: Arena) -> None:
    handed = hand_in(plain, span=Span(1, 2))
    assert handed.attempt.record == "1..2"
    [study] = tournament.plan_waiting(plain)
    assert [arm.name for arm in study.arms[:2]] == ["b1", "h2"]
    fill(plain, study, {"baseline": 10.0, "human": 5.0, "submission": 7.5})
    [scored] = tournament.assess(plain)
    assert scored.score.verdict == "valid" and scored.score.fsr == pytest.approx(0.5, abs=0.02)


def test_the_states_of_a_submission(plain: Arena) -> None:
    handed = hand_in(plain)
    assert tournament.assess(plain)[0].score.state == "pending"
    [study] = tournament.plan_waiting(plain)
    seconds = {"baseline": 10.0, "human": 7.0, "submission": 8.5}
    fill(plain, study, seconds, blocks=range(2))
    assert tournament.assess(plain)[0].score.state == "running"
    assert tournament.resume(plain, [handed.attempt.id]) == [study]
    fill(plain, study, seconds, blocks=range(2, 5))
    done = tournament.assess(plain)[0].score
    assert (done.state, done.verdict) == ("done", "valid") and done.fsr == pytest.approx(0.5, abs=0.02)
    assert tournament.resume(plain, [handed.attempt.id]) == []


def test_a_rerun_adds_blocks_and_replaces_none(plain: Arena) -> None:
    handed = hand_in(plain)
    with pytest.raises(UsageError, match="no study yet"):
        tournament.plan_rerun(plain, handed.attempt)
    [first] = tournament.plan_waiting(plain)
    fill(plain, first, {"baseline": 10.0, "human": 7.0, "submission": 8.5})
    again = tournament.plan_rerun(plain, handed.attempt)
    assert again.generation == 1 and not set(again.seeds) & set(first.seeds)
    fill(plain, again, {"baseline": 10.0, "human": 7.0, "submission": 7.0})
    [scored] = tournament.assess(plain)
    assert scored.score.n_blocks == 10 and scored.score.fsr == pytest.approx(0.75, abs=0.02)
    [only_new] = tournament.assess(plain, "again")
    assert only_new.score.n_blocks == 5 and only_new.score.fsr == pytest.approx(1.0, abs=0.02)
    assert tournament.plan_rerun(plain, handed.attempt).generation == 2
    assert len(tournament.stored_runs(plain, handed.attempt)) == 30


def test_an_unfinished_rerun_changes_no_score(plain: Arena) -> None:
    handed = hand_in(plain)
    fill(plain, tournament.plan_waiting(plain)[0], {"baseline": 10.0, "human": 7.0, "submission": 8.5})
    before = tournament.assess(plain)[0].score
    fill(plain, tournament.plan_rerun(plain, handed.attempt), {"baseline": 10.0, "human": 7.0, "submission": 1.0},
         blocks=range(3))  # fmt: skip
    assert tournament.assess(plain)[0].score == before


def test_public_seeds_are_for_trying(plain: Arena) -> None:
    handed = hand_in(plain)
    [trial] = tournament.plan_trial(plain, [handed.attempt.id], "public")
    assert trial.seeds == (1, 2) and trial.seed_source == "public"
    fill(plain, trial, {"baseline": 10.0, "human": 7.0, "submission": 7.0})
    assert tournament.assess(plain)[0].score.state == "pending"
    assert [a.id for a in tournament.waiting(plain)] == [handed.attempt.id]
    assert tournament.plan_trial(plain, [handed.attempt.id], "2")[0].seeds == (2,)
    for wrong in ("3", "1,x", "", "secret"):
        with pytest.raises(UsageError, match="not public seeds"):
            tournament.plan_trial(plain, [handed.attempt.id], wrong)


def test_without_the_owners_key_scoring_seeds_cannot_be_had(plain: Arena, home) -> None:
    hand_in(plain)
    next((home / "data").rglob("*.key")).unlink()
    with pytest.raises(SetupError, match="owner's key"):
        tournament.plan_waiting(plain)
    assert tournament.plan_trial(plain, [plain.attempts()[0].id], "1")


def test_rulings_take_out_and_say_why(plain: Arena) -> None:
    handed = hand_in(plain)
    with pytest.raises(UsageError, match="reason"):
        tournament.rule(plain, handed.attempt, "disqualified", "  ", "owner")
    tournament.rule(plain, handed.attempt, "disqualified", "it read the answers", "owner")
    [scored] = tournament.assess(plain)
    assert scored.score.verdict == "disqualified" and "it read the answers" in scored.score.reason
    assert tournament.waiting(plain) == []


def test_a_study_under_another_track_does_not_count(plain: Arena) -> None:
    hand_in(plain)
    [study] = tournament.plan_waiting(plain)
    fill(
        plain,
        msgspec.structs.replace(study, track_digest="0" * 64),
        {"baseline": 10, "human": 7, "submission": 8},
    )
    assert tournament.assess(plain)[0].score.state == "pending"


def test_agents_are_ranked_and_compared(plain: Arena) -> None:
    fast = hand_in(plain, change("STEPS = 100", "STEPS = 71", 2), agent="ada").attempt
    slow = hand_in(plain, change("STEPS = 100", "STEPS = 95", 2), agent="bob").attempt
    [study] = tournament.plan_waiting(plain)
    fill(plain, study, {"baseline": 10.0, "human": 7.0, fast.id: 7.1, slow.id: 9.5})
    board = standings.board(plain)
    assert [(row.agent, row.rank) for row in board.rows] == [("ada", 1), ("bob", 2)]
    assert board.rows[0].score == pytest.approx(0.97, abs=0.03)
    match = standings.versus(plain, "ada", "bob").records["1"]
    assert match.winner == "a" and match.difference == pytest.approx(0.8, abs=0.03)
    with pytest.raises(UsageError, match="no agent 'eve' here\n.*agents: ada, bob"):
        standings.versus(plain, "ada", "eve")
    rows = standings.status(plain)
    assert [(row["agent"], row["runs_done"], row["runs_planned"]) for row in rows] == [
        ("ada", 15, 15),
        ("bob", 15, 15),
    ]
    lines = standings.rank_lines(tournament.assess(plain), tournament.assess(plain)[1:])
    assert lines.startswith("bob is 2 of 2 on the leaderboard")
