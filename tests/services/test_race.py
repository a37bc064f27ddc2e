"""Racing in studies of a real arena: what ends is stored, verified, not resumed, and scored as stopped."""

from __future__ import annotations

import difflib

import msgspec
import pytest

from patchrun.adapters.store import STOPS, Arena
from patchrun.core import plan
from patchrun.core.errors import ArenaError, UsageError
from patchrun.core.results import Study
from patchrun.services import cost, standings, tournament, verify
from patchrun.services.study import Options, Progress, find_groups, judge_arms, judge_rejects, run_study
from tests.conftest import TINY, change
from tests.services.test_tournament import ONE, hand_in, made_up_run

LOST, GOOD = change("STEPS = 100", "STEPS = 2", 2), change("STEPS = 100", "STEPS = 60", 2)


def fill_blocks(arena: Arena, study: Study, blocks: range, loss: dict[str, float]) -> None:
    """Runs of these blocks; ``loss`` by arm name, else 2.9."""
    arena.add_study(study)
    seconds = {"baseline": 10.0, "human": 7.0, "submission": 8.0}
    for block in blocks:
        for arm, slot in plan.slots(study, block):
            jitter = 0.01 * ((block * 7 + slot.position * 3) % 5)
            about = loss.get(arm.name, 2.9) + 1e-3 * jitter + slot.seed * 1e-12
            arena.add_run(made_up_run(arena, study, arm, slot, seconds[arm.kind] + jitter, about), b"log\n")


@pytest.fixture
def raced(plain: Arena) -> tuple[Study, str, str]:
    """A study of two, three of five blocks run: one submission far from the target, and it is stopped."""
    lost, good = hand_in(plain, LOST).attempt.id, hand_in(plain, GOOD, agent="bob").attempt.id
    [study] = tournament.plan_waiting(plain)
    fill_blocks(plain, study, range(3), {lost: 4.5})
    for stop in judge_arms(plain, study):
        plain.add_stop(stop)
    return study, lost, good


def scores(arena: Arena) -> dict[str, tuple]:
    return {one.attempt.id: (one.score.state, one.score.verdict) for one in tournament.assess(arena)}


def test_the_lost_arm_is_stopped_and_the_other_goes_on(plain: Arena, raced) -> None:
    study, lost, good = raced
    [stop] = plain.stops()
    assert (stop.arm, stop.quantity, stop.blocks) == (lost, "loss", 3)
    assert scores(plain) == {lost: ("done", "stopped"), good: ("running", None)}
    assert judge_arms(plain, study, {lost}) == []
    reason = next(one.score.reason for one in tournament.assess(plain) if one.attempt.id == lost)
    assert "racing, loss: mean loss 4.5" in reason and "confidence 0.999" in reason


def test_a_resumed_study_runs_only_the_arms_that_are_left(plain: Arena, raced) -> None:
    study, lost, good = raced
    assert tournament.resume(plain, [lost, good]) == [study]
    assert cost.estimate_study(plain, study).runs == 2 * 3
    ended = {lost}
    names = {arm.name for block in (3, 4) for arm, _ in plan.slots(study, block, ended)}
    assert names == {"b1", "h1", good}
    for block in (3, 4):
        for arm, slot in plan.slots(study, block, ended):
            seconds = {"baseline": 10.0, "human": 7.0, "submission": 8.0}[arm.kind] + 0.01 * block
            plain.add_run(made_up_run(plain, study, arm, slot, seconds, 2.9 + slot.seed * 1e-10), b"")
    assert tournament.resume(plain, [lost, good]) == []
    assert scores(plain) == {lost: ("done", "stopped"), good: ("done", "valid")}
    board = standings.board(plain)
    assert [(row.agent, row.valid, row.score > 0) for row in board.rows] == [
        ("bob", 1, True),
        ("ada", 0, False),
    ]


def test_a_study_whose_only_arm_is_stopped_is_over(plain: Arena) -> None:
    lost = hand_in(plain, LOST).attempt.id
    [study] = tournament.plan_waiting(plain)
    fill_blocks(plain, study, range(3), {lost: 4.5})
    for stop in judge_arms(plain, study):
        plain.add_stop(stop)
    assert tournament.resume(plain, [lost]) == []
    run_study_must_do_nothing(plain, study)
    with pytest.raises(UsageError, match="racing stopped"):
        tournament.plan_rerun(plain, plain.attempt(lost))


def run_study_must_do_nothing(arena: Arena, study: Study) -> None:
    assert plan.missing(study, arena.slots(study), {study.arms[-1].name}) == []


def test_a_good_study_is_left_alone(plain: Arena) -> None:
    hand_in(plain, GOOD)
    [study] = tournament.plan_waiting(plain)
    for n in range(5):
        fill_blocks(plain, study, range(n, n + 1), {})
        assert judge_arms(plain, study) == []
    assert tournament.assess(plain)[0].score.verdict == "valid"


def test_stops_are_verified_against_the_runs(plain: Arena, raced) -> None:
    assert verify.verify(plain).problems == ()
    study, lost, good = raced
    [stop] = plain.stops()
    plain.add_stop(msgspec.structs.replace(stop, arm=good, reason="I do not like it"))
    [problem] = verify.verify(plain).problems
    assert good in problem and "do not end that arm" in problem
    refs = {name: oid for name, oid in plain.repo.refs(STOPS).items() if good in name}
    with pytest.raises(ArenaError, match="does not verify"):
        verify.check_refs(plain, refs, plain.repo.refs())


def test_the_first_stop_of_an_arm_is_kept(plain: Arena, raced) -> None:
    [stop] = plain.stops()
    plain.add_stop(msgspec.structs.replace(stop, reason="another"))
    assert plain.stops() == [stop]


@pytest.mark.long
def test_a_real_race_ends_what_cannot_run(tiny: Arena) -> None:
    """Training for real: the submission crashes in block 1 and is not run again."""
    base = (TINY / "base" / "train_gpt.py").read_text().splitlines(keepends=True)
    line = base.index("def main():\n") + 1
    broken = [*base[:line], "    raise RuntimeError('no')\n", *base[line:]]
    crash = "".join(difflib.unified_diff(base, broken, "a/train_gpt.py", "b/train_gpt.py"))
    handed = tournament.hand_in(tiny, crash.encode(), ONE, "ada")
    assert handed.attempt.accepted, handed.attempt.findings
    [study] = tournament.plan_waiting(tiny)
    seen: list[Progress] = []
    run_study(tiny, study, Options(race=True), on_progress=seen.append)
    assert len(tiny.runs()) == 3 and [stop.quantity for stop in tiny.stops()] == ["exit"]
    assert [one.stop.arm for one in seen if one.stop] == [handed.attempt.id]
    assert scores(tiny) == {handed.attempt.id: ("done", "failed")}
    assert tournament.resume(tiny, [handed.attempt.id]) == []
    assert verify.verify(tiny).problems == ()


@pytest.mark.long
def test_a_real_run_that_is_far_too_slow_is_stopped_on_its_way(tiny: Arena) -> None:
    """Twenty times the steps: the clock of its parent ends it, the stop is stored, scored and verified."""
    base = (TINY / "base" / "train_gpt.py").read_text()
    slow = base.replace("STEPS = 600", "STEPS = 12000")
    lines = (base.splitlines(keepends=True), slow.splitlines(keepends=True))
    diff = "".join(difflib.unified_diff(*lines, "a/train_gpt.py", "b/train_gpt.py")).encode()
    handed = tournament.hand_in(tiny, diff, ONE, "ada")
    [study] = tournament.plan_waiting(tiny)
    run_study(tiny, study, Options(race=True))
    runs = {run.kind: run for run in tiny.runs()}
    assert len(tiny.runs()) == 3 and [stop.quantity for stop in tiny.stops()] == ["exit"]
    halted = runs["submission"]
    assert (halted.exit, halted.seconds, halted.loss) == ("stopped", None, None)
    assert halted.halt is not None and halted.halt.quantity == "time" and halted.halt.blocks == (0,)
    assert halted.halt.limit < halted.halt.seen < 2.5 * (runs["baseline"].seconds or 0) + 1
    assert scores(tiny) == {handed.attempt.id: ("done", "stopped")}
    assert tournament.resume(tiny, [handed.attempt.id]) == []
    assert verify.verify(tiny).problems == ()
    forged = msgspec.structs.replace(
        halted, halt=msgspec.structs.replace(halted.halt, limit=0.01, seen=0.02), seed=study.seeds[1], block=1
    )
    tiny.add_run(forged, b"")
    [problem] = verify.verify(tiny).problems
    assert "do not stop it where it was stopped" in problem


def steps(count: int) -> bytes:
    return change("STEPS = 100", f"STEPS = {count}", 2)


def test_successive_rejects_among_one_agents_own(plain: Arena) -> None:
    """Four of ada's and one of bob's wait together: ada's slowest is dismissed, bob's is nobody's rival."""
    own = [hand_in(plain, steps(count)).attempt.id for count in (60, 61, 62, 63)]
    other = hand_in(plain, steps(99), agent="bob").attempt.id
    shared = hand_in(plain, steps(64)).attempt.id
    assert hand_in(plain, steps(64), agent="bob").attempt.id != shared
    [study] = tournament.plan_waiting(plain)
    assert find_groups(plain, study) == [tuple(sorted(own))], (
        "code that two agents handed in is nobody's alone"
    )
    plain.add_study(study)
    seconds = dict(zip(own, (8.0, 8.2, 8.4, 9.0), strict=True)) | {other: 9.5, shared: 9.9}
    for block in range(3):
        for arm, slot in plan.slots(study, block):
            time = seconds.get(arm.name) or {"baseline": 10.0, "human": 7.0}[arm.kind]
            jitter = 0.01 * ((block * 7 + slot.position * 3) % 5)
            plain.add_run(made_up_run(plain, study, arm, slot, time + jitter, 2.9 + slot.seed * 1e-10), b"")
    [stop] = judge_rejects(plain, study)
    assert (stop.arm, stop.quantity, stop.blocks, stop.rivals) == (own[3], "rank", 3, tuple(sorted(own)))
    plain.add_stop(stop)
    assert judge_rejects(plain, study, {stop.arm}) == []
    assert scores(plain)[own[3]] == ("done", "stopped")
    reason = next(one.score.reason for one in tournament.assess(plain) if one.attempt.id == own[3])
    assert "successive rejects: the last of 4 after 3 of 5 blocks" in reason
    assert verify.verify(plain).problems == ()
    group = (own[0], other)
    plain.add_stop(msgspec.structs.replace(stop, arm=other, group=group, rivals=group, blocks=5))
    [problem] = verify.verify(plain).problems
    assert other in problem and "not one agent's own" in problem
