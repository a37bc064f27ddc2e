"""Searches: what is stored of every attempt, how they resume, share a budget, and keep secrets out."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest

from patchrun.adapters.store import TRANSCRIPTS, Arena
from patchrun.core.errors import SetupError, UsageError
from patchrun.core.selection import Span
from patchrun.core.usage import Usage
from patchrun.services import tournament, verify
from patchrun.services.agents.plan import plan_order
from patchrun.services.agents.protocol import Budget, Feedback, Proposal, Tools, Workspace
from patchrun.services.agents.replay import HumanAgent, ReplayAgent, read_recorded
from patchrun.services.agents.search import (
    Order,
    budget_left,
    check_order,
    find_best_attempt,
    read_search,
    run_order,
)
from tests.conftest import change
from tests.services.test_tournament import fill

ONE, TWO = Span(1, 1), Span(2, 2)
KEY = "sk-ant-api03-0123456789abcdef-of-a-test"
Act = Callable[[Workspace], Proposal | None]


@dataclass
class Scripted:
    """An agent that does what it is told, act by act, and remembers what it was given."""

    acts: list[Act]
    name: str = "scripted"
    model: str = ""
    seen: list[tuple[str, Budget, Feedback, str]] = field(default_factory=list)

    def propose(self, workspace: Workspace, budget: Budget, feedback: Feedback, tools: Tools) -> Proposal:
        text = (workspace.folder / "train.py").read_text()
        self.seen.append((workspace.task, budget, feedback, text))
        done = self.acts[len(self.seen) - 1](workspace)
        return done or Proposal(
            "proposed", "done", Usage(100, 10), 0.5, [{"role": "assistant", "text": "edited"}]
        )


def put(old: str, new: str, **facts: Any) -> Act:
    """Replace text in the script; ``facts`` make another proposal than a plain one."""

    def act(workspace: Workspace) -> Proposal | None:
        path = workspace.folder / "train.py"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
        return Proposal(**facts) if facts else None

    return act


def end(outcome: str, **facts: Any) -> Act:
    return lambda workspace: Proposal(outcome, f"it was {outcome}", **facts)


def steps(number: int) -> Act:
    return put("STEPS = 100", f"STEPS = {number}")


def make_order(*acts: Act, **changes: Any) -> Order:
    values = {"agent": Scripted(list(acts)), "kind": "scripted", "name": "ada", "spans": (ONE,)}
    values |= {"attempts": len(acts)}
    return Order(**(values | changes))


def outcomes(arena: Arena, order: Order) -> list[str]:
    return [one.outcome for one in read_search(arena, order, ONE)]


def test_a_proposal_is_kept_with_its_submission(plain: Arena) -> None:
    order = make_order(steps(60), tiers=(), cutoff=date(2026, 1, 2))
    assert run_order(plain, order) == []
    [one] = read_search(plain, order, ONE)
    [attempt] = plain.attempts()
    assert one.submission == attempt.id and attempt.accepted and attempt.agent == "ada"
    assert (one.usage, one.usd, one.cutoff, one.task, one.base) == (
        Usage(100, 10),
        0.5,
        date(2026, 1, 2),
        "draft",
        None,
    )
    assert 0 <= one.wall_seconds < 60 and one.counts
    assert plain.turns(one.id) == [{"role": "assistant", "text": "edited"}]
    assert plain.transcript_diff(one.id) == plain.diff(attempt.id)
    assert plain.find_transcripts(attempt.id[:6]) == plain.find_transcripts(one.id[:6]) == [one]
    assert verify.verify(plain).problems == ()


def test_every_end_is_kept_and_only_ends_with_a_patch_are_handed_in(plain: Arena) -> None:
    spent = {"usage": None, "usd": None}
    order = make_order(
        end("proposed", **spent), end("refused"), end("truncated"), end("failed"), steps(90),
        put("STEPS = 100", "STEPS = 80", outcome="failed", reason="half way"),
        put("STEPS = 100", "STEPS = 70", outcome="budget-spent", reason="half way"),
    )  # fmt: skip
    run_order(plain, order)
    assert outcomes(plain, order) == [
        "empty", "refused", "truncated", "failed", "proposed", "failed", "budget-spent",
    ]  # fmt: skip
    made = read_search(plain, order, ONE)
    assert [bool(one.submission) for one in made] == [False] * 4 + [True, False, True]
    assert b"+STEPS = 80" in plain.transcript_diff(made[5].id), "kept, though it was not handed in"
    assert [attempt.accepted for attempt in plain.attempts()] == [True, True]
    assert verify.verify(plain).problems == ()


def test_a_rejected_patch_is_an_attempt_like_any_other(plain: Arena) -> None:
    order = make_order(put("STEPS = 100", "STEPS = ("), put("return 42", "return 43"))
    run_order(plain, order)
    assert [attempt.accepted for attempt in plain.attempts()] == [False, False]
    assert [one.outcome for one in read_search(plain, order, ONE)] == ["proposed", "proposed"]


def test_a_link_out_of_the_workspace_is_rejected_and_harmless(plain: Arena, tmp_path) -> None:
    target = tmp_path / "mine"
    target.write_text("untouched")

    def act(workspace: Workspace) -> None:
        (workspace.folder / "train.py").unlink()
        (workspace.folder / "train.py").symlink_to(target)

    run_order(plain, make_order(act))
    [attempt] = plain.attempts()
    assert not attempt.accepted and target.read_text() == "untouched"
    assert b"untouched" not in plain.diff(attempt.id)


def test_a_workspace_that_is_no_patch_any_more(plain: Arena) -> None:
    def remove(workspace: Workspace) -> None:
        (workspace.folder / "train.py").unlink()

    order = make_order(remove)
    run_order(plain, order)
    [one] = read_search(plain, order, ONE)
    assert (one.outcome, one.submission) == ("proposed", "") and "holds none of the files" in one.trouble
    assert plain.attempts() == []


def test_a_second_start_goes_on(plain: Arena) -> None:
    run_order(plain, make_order(steps(90)))
    again = make_order(steps(80), attempts=2)
    run_order(plain, again)
    assert len(again.agent.seen) == 1 and again.agent.seen[0][2].number == 2
    third = make_order(attempts=2)
    run_order(plain, third)
    assert third.agent.seen == [] and len(plain.attempts()) == 2
    other = make_order(steps(70), scaffold="tree")
    run_order(plain, other)
    assert len(other.agent.seen) == 1, "another scaffold is another search"


def test_an_interrupted_attempt_does_not_count(plain: Arena) -> None:
    order = make_order(put("STEPS = 100", "STEPS = 90", outcome="interrupted", reason="stopped"), attempts=1)
    with pytest.raises(KeyboardInterrupt):
        run_order(plain, order)
    assert outcomes(plain, order) == ["interrupted"] and plain.attempts() == []
    run_order(plain, make_order(steps(80), attempts=1))
    assert outcomes(plain, order) == ["interrupted", "proposed"]
    assert [one.number for one in read_search(plain, order, ONE)] == [1, 2]


def test_failed_attempts_again(plain: Arena) -> None:
    run_order(plain, make_order(end("failed")))
    order = make_order(steps(80), again=True, attempts=1)
    run_order(plain, order)
    assert outcomes(plain, order) == ["failed", "proposed"]


def test_what_cannot_work_stops_the_search_and_keeps_what_is_there(plain: Arena) -> None:
    def no_key(workspace: Workspace) -> None:
        raise SetupError("the key is wrong")

    order = make_order(steps(90), no_key, steps(80))
    with pytest.raises(SetupError, match="the key is wrong"):
        run_order(plain, order)
    assert outcomes(plain, order) == ["proposed"]


def test_a_budget_is_shared_and_ends_the_search(plain: Arena) -> None:
    order = make_order(
        *[steps(90 - k) for k in range(6)], budget=Budget(usd=1.2, tokens=10_000, wall_seconds=600)
    )
    notes = run_order(plain, order)
    assert len(read_search(plain, order, ONE)) == 3, "0.5 USD each: after three nothing is left"
    assert notes == ["record 1: 3 of 6 attempts made, the budget is spent (USD); what exists is kept"]
    shares = [budget.usd for _, budget, _, _ in order.agent.seen]
    assert shares == pytest.approx([1.2 / 6, 0.7 / 5, 0.2 / 4])
    assert [budget.tokens for _, budget, _, _ in order.agent.seen] == [10_000 // 6, 9890 // 5, 9780 // 4]
    assert order.agent.seen[0][1].wall_seconds == pytest.approx(100)
    assert "$0.20" in order.agent.seen[0][0] and "1666 tokens" in order.agent.seen[0][0]
    again = make_order(steps(50), attempts=6, budget=order.budget)
    assert "3 of 6 attempts made" in run_order(plain, again)[0], "earlier starts count"


def test_a_budget_over_all_records(plain: Arena) -> None:
    acts = [steps(90), put("STEPS = 100", "STEPS = 90")]
    order = make_order(*acts, spans=(ONE, TWO), attempts=1, budget=Budget(usd=0.6))
    assert run_order(plain, order) == []
    assert [budget.usd for _, budget, _, _ in order.agent.seen] == pytest.approx([0.3, 0.1])


def test_a_budget_that_cannot_be_kept(plain: Arena) -> None:
    order = make_order(end("refused", usage=None, usd=None), steps(80), budget=Budget(usd=5))
    with pytest.raises(SetupError, match="what earlier attempts cost is not known"):
        run_order(plain, order)
    assert outcomes(plain, order) == ["refused"]
    with pytest.raises(UsageError, match="what a command spends is not known"):
        check_order(plain, make_order(kind="command", budget=Budget(tokens=5)))
    assert budget_left(plain, make_order(name="new")) == Budget()


def test_one_name_is_one_agent(plain: Arena) -> None:
    run_order(plain, make_order(steps(80)))
    with pytest.raises(UsageError, match="ada has attempts by scripted on record 1"):
        check_order(plain, make_order(kind="claude"))
    with pytest.raises(UsageError, match="no record|record 9"):
        check_order(plain, make_order(spans=(Span(9, 9),)))


def test_drafts_of_a_flat_search_know_nothing_of_each_other(plain: Arena) -> None:
    order = make_order(steps(90), steps(80))
    run_order(plain, order)
    assert [feedback.attempts for _, _, feedback, _ in order.agent.seen] == [(), ()]
    assert all("STEPS = 100" in text for *_, text in order.agent.seen)


def test_a_tree_goes_on_from_the_best_and_mends_what_failed(plain: Arena) -> None:
    seconds = {"STEPS = 90": 9.0, "STEPS = 80": 8.0, "STEPS = 85": 8.5, "STEPS = 75": 7.5}

    def measure(studies) -> None:
        for study in studies:
            arms = [arm for arm in study.arms if arm.kind == "submission"]
            text = plain.repo.read(f"{arms[0].tree}:train.py").decode().splitlines()[1]
            fill(plain, study, {"baseline": 10.0, "human": 7.0, "submission": seconds[text]})

    order = make_order(
        steps(90), put("STEPS = 90", "STEPS = ("), put("STEPS = (", "STEPS = 80"),
        put("STEPS = 80", "STEPS = 85"), put("STEPS = 80", "STEPS = 75"),
        scaffold="tree", measure=measure,
    )  # fmt: skip
    run_order(plain, order)
    made = read_search(plain, order, ONE)
    assert [(one.task, one.base) for one in made] == [
        ("draft", None), ("improve", 1), ("debug", 2), ("improve", 3), ("improve", 3),
    ]  # fmt: skip
    earlier = order.agent.seen[2][2].attempts
    assert [one.verdict for one in earlier] == ["valid", "rejected"]
    assert (earlier[0].seconds, earlier[0].baseline_seconds) == pytest.approx((9.0, 10.0), abs=0.05)
    assert any(found.severity == "error" for found in earlier[1].findings)
    assert find_best_attempt(plain, order, ONE).number == 5
    scores = [one.score.fsr for one in tournament.assess(plain) if one.attempt.accepted]
    assert scores == pytest.approx([1 / 3, 2 / 3, 0.5, 5 / 6], abs=0.03)


def test_an_agent_reads_of_earlier_attempts_and_not_of_the_humans_time(plain: Arena) -> None:
    def measure(studies) -> None:
        for study in studies:
            fill(plain, study, {"baseline": 10.0, "human": 7.2125, "submission": 9.0})

    def look(workspace: Workspace) -> None:
        pages.append((workspace.folder / "ATTEMPTS.md").read_text())

    pages: list[str] = []
    run_order(plain, make_order(steps(90), look, scaffold="tree", measure=measure))
    assert "starts from attempt 1, the best so far" in pages[0] and "- verdict: valid" in pages[0]
    assert "+STEPS = 90" in pages[0] and "the baseline takes 10.0" in pages[0]
    assert "7.2" not in pages[0] and "human" not in pages[0]


def test_the_plan_says_what_is_to_be_made_and_measured(plain: Arena) -> None:
    flat = make_order(*[steps(k) for k in (90, 80, 70)], measure=lambda studies: None)
    [row] = plan_order(plain, flat).searches
    assert (row.done, row.todo, row.studies, row.runs) == (0, 3, 1, 5 * plain.track.rule.blocks)
    tree = make_order(*flat.agent.acts, scaffold="tree", measure=lambda studies: None)
    [row] = plan_order(plain, tree).searches
    assert (row.studies, row.runs) == (3, 3 * 3 * plain.track.rule.blocks)
    assert plan_order(plain, make_order(steps(1))).searches[0].runs == 0, "nothing is measured"
    run_order(plain, make_order(steps(90)))
    plan = plan_order(plain, make_order(steps(80), attempts=3))
    assert (plan.searches[0].done, plan.todo, plan.known, plan.usd_each, plan.tokens_each) == (
        1,
        2,
        1,
        0.5,
        110,
    )


def objects_of(arena: Arena) -> dict[str, bytes]:
    """Every object of the arena, reachable or not, by its id."""
    words = [
        "git",
        f"--git-dir={arena.repo.path}",
        "cat-file",
        "--batch-all-objects",
        "--batch-check=%(objectname)",
    ]
    names = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    return dict(zip(names, arena.repo.read_many(names), strict=True))


def test_no_object_of_the_arena_holds_a_secret(plain: Arena) -> None:
    import gzip

    def talk(workspace: Workspace) -> Proposal:
        (workspace.folder / "train.py").write_text("STEPS = 3\n")
        turns = [{"role": "assistant", "text": f"the key is {KEY}", KEY: [KEY]}, {"role": KEY}]
        return Proposal("failed", f"it said {KEY}", None, None, turns)

    order = make_order(talk, put("STEPS = 100", f"STEPS = 50  # {KEY}"), steps(60), secrets=(KEY,))
    run_order(plain, order)
    made = read_search(plain, order, ONE)
    assert [bool(one.submission) for one in made] == [False, False, True]
    assert made[1].trouble == "the diff holds a secret of the environment: it is not kept"
    for name, data in objects_of(plain).items():
        text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        assert KEY.encode() not in text, name
    assert "[key removed]" in str(plain.turns(made[0].id))
    with pytest.raises(UsageError, match="the name holds a secret"):
        check_order(plain, make_order(name=f"me {KEY}", secrets=(KEY,)))


def test_a_transcript_stays_as_it_is(plain: Arena) -> None:
    order = make_order(steps(60))
    run_order(plain, order)
    [one] = read_search(plain, order, ONE)
    before = plain.repo.refs(TRANSCRIPTS)
    assert list(before) == [TRANSCRIPTS + one.id]
    run_order(plain, order)
    assert plain.repo.refs(TRANSCRIPTS) == before


def test_the_same_patch_again_is_the_same_submission_with_two_transcripts(plain: Arena) -> None:
    order = make_order(steps(60), steps(60))
    run_order(plain, order)
    made = read_search(plain, order, ONE)
    assert len(plain.attempts()) == 1 and made[0].submission == made[1].submission
    assert len(plain.find_transcripts(made[0].submission)) == 2


def test_a_human_control_and_its_replay(plain: Arena, tmp_path) -> None:
    order = Order(HumanAgent(plain), "human", "people", (ONE, TWO))
    run_order(plain, order)
    trees = [attempt.patched_tree for attempt in plain.attempts()]
    assert trees == [plain.repo.tree_of(plain.human(number)) for number in (1, 2)]
    [one] = read_search(plain, order, ONE)
    assert (one.usd, one.usage) == (0.0, Usage())
    for source in ("people", one.id[:8], one.submission):
        replay = read_recorded(plain, source)
        assert replay.diffs["1"] == (plain.diff(one.submission),)
    again = Order(read_recorded(plain, "people"), "replay", "replayed", (ONE,), attempts=2, scaffold="tree")
    run_order(plain, again)
    made = read_search(plain, again, ONE)
    assert [one.outcome for one in made] == ["proposed", "failed"] and "none is left" in made[1].reason
    assert plain.transcript_diff(made[0].id) == plain.transcript_diff(one.id), "byte for byte"


def test_a_replay_of_files(plain: Arena, tmp_path) -> None:
    (tmp_path / "1-a.diff").write_bytes(change("STEPS = 100", "STEPS = 60", 2))
    outside = b"diff --git a/../x.py b/../x.py\nnew file mode 100644\n--- /dev/null\n+++ b/../x.py\n@@ -0,0 +1 @@\n+x\n"
    (tmp_path / "1-b.diff").write_bytes(outside)
    (tmp_path / "record-2-c.patch").write_bytes(b"no diff")
    (tmp_path / "notes.txt").write_text("x")
    replay = read_recorded(plain, str(tmp_path))
    assert {record: len(diffs) for record, diffs in replay.diffs.items()} == {"1": 2, "2": 1}
    run_order(plain, order := Order(replay, "replay", "files", (ONE, TWO), attempts=2))
    assert [one.outcome for one in read_search(plain, order, ONE)] == ["proposed", "failed"]
    assert "invalid path" in read_search(plain, order, ONE)[1].reason
    assert read_search(plain, order, TWO)[0].outcome == "failed"
    with pytest.raises(UsageError, match="no recorded diffs in"):
        read_recorded(plain, "nobody")
    assert ReplayAgent({}).diffs == {}
