"""The agent that speaks the Messages API, against a server that speaks it, in real workspaces."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from patchrun.adapters.claude import Client
from patchrun.adapters.prices import read_prices
from patchrun.adapters.store import Arena
from patchrun.core.errors import SetupError, UsageError
from patchrun.core.selection import Span
from patchrun.core.usage import Usage
from patchrun.services.agents.claude import ClaudeAgent, make_claude_agent
from patchrun.services.agents.protocol import Budget, Earlier, Feedback, Proposal, Tools, Workspace
from patchrun.services.agents.toolbox import FORMS, describe_tools, read_prompts
from patchrun.services.agents.workspace import open_workspace, read_diff
from tests.conftest import change
from tests.messages_api import MODEL, STUB_KEY, MessagesApi, Raw, call, fail, say, thought

ONE = Span(1, 1)
EDIT = call("edit", path="train.py", old="RATE = 1", new="RATE = 3")
FIRST = Feedback()
UNLIMITED = Budget()


@pytest.fixture
def workspace(plain: Arena) -> Iterator[Workspace]:
    with open_workspace(plain, ONE, (), Budget(), FIRST) as found:
        yield found


@pytest.fixture
def propose(workspace: Workspace) -> Callable[..., Proposal]:
    def propose(
        budget: Budget = UNLIMITED, feedback: Feedback = FIRST, tools: Tools | None = None, **changes: Any
    ) -> Proposal:
        client = Client(changes.pop("model", MODEL), tries=2, backoff_seconds=0.01, wall_seconds=20)
        agent = ClaudeAgent(client, read_prices(), "test", **changes)
        return agent.propose(
            workspace, budget, feedback, tools or Tools(lambda: "accepted", lambda k: f"{k} steps ran")
        )

    return propose


def results(api: MessagesApi, number: int) -> list[dict[str, Any]]:
    """The tool results that the ``number``-th request ended with."""
    return api.bodies[number]["messages"][-1]["content"]


def diff_of(plain: Arena, workspace: Workspace) -> bytes:
    diff, trouble = read_diff(plain, ONE, workspace.folder, ())
    assert not trouble
    return diff


# What it is told.


def test_the_first_message_is_task_files_and_nothing_of_the_arena(
    api: MessagesApi, propose, plain: Arena
) -> None:
    api.script(say("nothing to do"))
    propose()
    first = api.bodies[0]["messages"][0]["content"]
    assert "# Record 1 of track plain" in first and "train.py (" in first
    assert str(plain.repo.path.parent) not in api.requests[0].raw.decode()
    assert [tool["name"] for tool in api.bodies[0]["tools"]] == list(FORMS)
    assert "tool_choice" not in api.bodies[0]


def test_hints_and_earlier_attempts_are_told(
    api: MessagesApi, plain: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = Earlier(
        1, "proposed", change("RATE = 1", "RATE = 7", 1), (), "missed-target", "too bold", 5.0, 9.0, 3.5
    )
    feedback = Feedback(2, "improve", 1, (earlier,))
    api.script(say("nothing to do"))
    with open_workspace(plain, ONE, (), Budget(), feedback) as workspace:
        told = Workspace(workspace.folder, ONE, workspace.track, workspace.task, {"tier-1.md": "raise $RATE"})
        ClaudeAgent(Client(MODEL), read_prices(), "t").propose(told, Budget(), feedback, Tools(str, str))
    first = api.bodies[0]["messages"][0]["content"]
    for words in (
        "# Hint: tier-1.md\nraise $RATE",
        "best so far",
        "missed-target",
        "too bold",
        "+RATE = 7",
        "ATTEMPTS.md",
    ):
        assert words in first


def test_every_tool_is_described_and_takes_an_object() -> None:
    prompts = read_prompts()
    assert set(prompts.tools) == set(FORMS)
    for tool in describe_tools(prompts):
        assert len(tool["description"]) > 40 and tool["input_schema"]["type"] == "object"
        assert tool["input_schema"]["additionalProperties"] is False
    assert "$" not in prompts.system


# What it does.


def test_a_tool_loop_edits_the_workspace(
    api: MessagesApi, propose, plain: Arena, workspace: Workspace
) -> None:
    api.script(
        say(thought("let me see"), "I look.", call("view", path="train.py")),
        say(call("search", pattern="RATE"), EDIT),
        say(call("validate"), call("try_steps", steps=3)),
        say("I raised the rate, which makes training faster."),
    )
    proposal = propose()
    assert (proposal.outcome, proposal.reason) == (
        "proposed",
        "I raised the rate, which makes training faster.",
    )
    assert [line for line in diff_of(plain, workspace).split(b"\n") if line[:1] in (b"-", b"+")] == [
        b"--- a/train.py", b"+++ b/train.py", b"-RATE = 1", b"+RATE = 3",
    ]  # fmt: skip
    assert "    1  RATE = 1" in results(api, 1)[0]["content"]
    assert [one["content"] for one in results(api, 2)] == [
        "train.py:1:RATE = 1\ntrain.py:10:    print(RATE, STEPS, load())", "train.py: replaced at line 1",
    ]  # fmt: skip
    assert [one["content"] for one in results(api, 3)] == ["accepted", "3 steps ran"]
    assert [one["tool_use_id"] for one in results(api, 3)] == ["toolu_validate", "toolu_try_steps"]
    assert proposal.usage == Usage(400, 40) and proposal.usd == pytest.approx(4 * (100 * 5 + 10 * 25) / 1e6)


def test_the_conversation_only_grows(api: MessagesApi, propose) -> None:
    """So every request reads what the one before it wrote to the cache."""
    api.script(say(thought("hm"), call("view", path="train.py")), say(EDIT), say("done"))
    propose()
    one, two, three = api.bodies
    assert two["messages"][:1] == one["messages"] and three["messages"][:3] == two["messages"]
    assert two["messages"][1]["content"][0] == thought("hm")
    for body in (one, two, three):
        assert (
            body["cache_control"]
            and body["system"][-1]["cache_control"]
            and body["tools"][-1]["cache_control"]
        )
        assert (body["system"], body["tools"]) == (one["system"], one["tools"])


WRONG = [
    (call("edit", path="train.py"), "missing required field `old`"),
    (call("edit", path="train.py", old=7, new="x"), r"\$.old"),
    (call("edit", path="train.py", old="RATE = 1", new="x", all=True), "unknown field `all`"),
    (call("try_steps", steps=0), r"\$.steps"),
    (call("try_steps", steps="ten"), r"\$.steps"),
    (call("view", path="../../etc/passwd"), "only paths inside"),
    (call("view", path="/etc/passwd"), "only paths inside"),
    (call("view", path="none.py"), "No such file"),
    (call("edit", path="train.py", old="RATE = 9", new="x"), "occurs 0 times"),
    (call("bash", command="rm -rf /"), "there is no tool bash"),
    (call("", x=1), "there is no tool"),
]  # fmt: skip


@pytest.mark.parametrize(("block", "said"), WRONG, ids=[str(at) for at in range(len(WRONG))])
def test_wrong_arguments_are_answered_and_the_work_goes_on(
    api: MessagesApi, propose, block: dict, said: str
) -> None:
    api.script(say(block), say(EDIT), say("done"))
    assert propose().outcome == "proposed"
    (answer,) = results(api, 1)
    assert answer["is_error"] is True and re.search(said, answer["content"])
    assert "is_error" not in results(api, 2)[0]


def test_a_flood_from_a_tool_is_cut(api: MessagesApi, propose) -> None:
    api.script(say(call("try_steps", steps=5)), say("done"))
    propose(tools=Tools(lambda: "", lambda k: "x" * 1_000_000))
    assert len(results(api, 1)[0]["content"]) < 30_000


def test_an_empty_answer_of_a_tool_is_said(api: MessagesApi, propose) -> None:
    api.script(say(call("validate")), say("done"))
    propose(tools=Tools(lambda: "", str))
    assert results(api, 1)[0]["content"] == "(nothing)"


# How it ends.


def kept(plain: Arena, workspace: Workspace) -> bool:
    return b"+RATE = 3" in diff_of(plain, workspace)


@pytest.mark.parametrize(
    ("answers", "outcome", "said"),
    [
        (
            [say(EDIT), say(stop="refusal", details={"type": "refusal", "explanation": "not this"})],
            "refused",
            "not this",
        ),
        ([say(EDIT), say("half a sen", stop="max_tokens")], "truncated", "tokens ran out"),
        ([say(EDIT), say("", stop="model_context_window_exceeded")], "truncated", "context window"),
        ([say(EDIT), *[fail(529, "overloaded_error")] * 2], "failed", "overloaded"),
        ([say(EDIT), fail(429, "rate_limit_error", {"retry-after": "999"})], "failed", "rate-limit"),
        ([say(EDIT), fail(400, "invalid_request_error", message="too odd")], "failed", "too odd"),
        ([say(EDIT), *[say("cut", cut=3)] * 2], "failed", "broken-stream"),
        ([say(EDIT), *[Raw(b"<html>")] * 2], "failed", "broken-stream"),
        ([say(EDIT), fail(402, "billing_error")], "failed", "billing"),
        ([say(EDIT), *[say(call("edit"), junk="{]")] * 2], "failed", "broken-stream"),
    ],
)
def test_whatever_goes_wrong_has_a_name_and_the_edits_stay(
    api: MessagesApi, propose, plain: Arena, workspace: Workspace, answers: list[Any], outcome: str, said: str
) -> None:
    api.script(*answers)
    proposal = propose()
    assert proposal.outcome == outcome and said in proposal.reason
    assert kept(plain, workspace) and api.left == 0
    assert proposal.usage.input >= 100 and proposal.usd > 0
    assert proposal.transcript[-1] == {"role": "end", "outcome": outcome, "reason": proposal.reason}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (fail(401, "authentication_error"), "wrong-key"),
        (fail(403, "permission_error"), "forbidden"),
        (fail(402, "billing_error"), "billing"),
        (fail(404, "not_found_error", message="no such model"), "no such model"),
    ],
)
def test_what_stops_every_attempt_stops_the_search(api: MessagesApi, propose, answer: Any, said: str) -> None:
    api.script(answer)
    with pytest.raises(SetupError, match=said):
        propose()


def test_without_a_key_nothing_starts(api: MessagesApi, propose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    with pytest.raises(SetupError, match="ANTHROPIC_API_KEY is not set"):
        propose()
    assert api.requests == []


def test_hiccups_on_the_way_are_no_end(api: MessagesApi, propose) -> None:
    api.script(fail(529, "overloaded_error"), say(EDIT), say("cut", cut=4), say("done"))
    proposal = propose()
    assert proposal.outcome == "proposed" and proposal.usage == Usage(300, 21)


def test_a_stop_by_the_user_keeps_what_exists(
    api: MessagesApi, propose, plain: Arena, workspace: Workspace
) -> None:
    def interrupt(steps: int) -> str:
        raise KeyboardInterrupt

    api.script(say(EDIT), say(call("try_steps", steps=3)))
    proposal = propose(tools=Tools(str, interrupt))
    assert (proposal.outcome, proposal.reason) == ("interrupted", "interrupted after 2 replies")
    assert kept(plain, workspace) and proposal.usage == Usage(200, 20)


# The budget.


def test_too_many_replies(api: MessagesApi, propose) -> None:
    api.script(*[say(call("view", path="train.py"))] * 9)
    proposal = propose(most_turns=3)
    assert (proposal.outcome, proposal.reason) == ("budget-spent", "not done after 3 replies")
    assert len(api.requests) == 3


def test_usd_are_spent_in_the_middle(api: MessagesApi, propose, plain: Arena, workspace: Workspace) -> None:
    dear = {"input_tokens": 3000, "output_tokens": 4000}  # $0.115
    api.script(*[say(EDIT, usage=dear)] * 9)
    proposal = propose(Budget(usd=0.40))
    assert proposal.outcome == "budget-spent" and "USD" in proposal.reason
    assert kept(plain, workspace)
    assert proposal.usd <= 0.40
    assert [body["max_tokens"] for body in api.bodies] == sorted(
        (body["max_tokens"] for body in api.bodies), reverse=True
    )


def test_no_reply_can_overshoot_the_usd(api: MessagesApi, propose) -> None:
    """A model that always writes all it may, after prompts that all go to the cache, stays within the budget."""

    def greedy(request: Any) -> Any:
        size = len(request.raw) // 3
        usage = {
            "input_tokens": 0,
            "cache_creation_input_tokens": size,
            "output_tokens": request.body["max_tokens"],
        }
        return say(call("view", path="train.py"), usage=usage)

    for budget in (0.05, 0.5, 2.0):
        api.script(*[greedy] * 30)
        proposal = propose(Budget(usd=budget))
        assert proposal.outcome == "budget-spent" and 0 < proposal.usd <= budget


def test_a_reply_that_the_budget_cut_says_so(api: MessagesApi, propose) -> None:
    api.script(say("half", stop="max_tokens"))
    proposal = propose(Budget(usd=0.10))
    assert api.bodies[0]["max_tokens"] < 4000
    assert proposal.outcome == "budget-spent" and "cut: the USD" in proposal.reason


def test_tokens_are_spent(api: MessagesApi, propose) -> None:
    api.script(*[say(call("view", path="train.py"), usage={"input_tokens": 4000, "output_tokens": 1000})] * 9)
    proposal = propose(Budget(tokens=20_000))
    assert proposal.outcome == "budget-spent" and "tokens" in proposal.reason
    assert proposal.usage.total <= 20_000 and len(api.requests) == 3


def test_a_budget_too_small_for_one_reply_asks_nobody(api: MessagesApi, propose) -> None:
    for budget in (Budget(usd=0.001), Budget(tokens=100), Budget(wall_seconds=0)):
        proposal = propose(budget)
        assert proposal.outcome == "budget-spent" and proposal.usage == Usage() and proposal.usd == 0
    assert api.requests == []


def test_wall_time_is_spent(api: MessagesApi, propose, plain: Arena, workspace: Workspace) -> None:
    api.script(say(EDIT), say("too late", pause=30))
    proposal = propose(Budget(wall_seconds=2.0))
    assert proposal.outcome == "budget-spent" and "wall time" in proposal.reason and kept(plain, workspace)


def test_usd_of_an_unknown_model_cannot_be_limited(api: MessagesApi, propose) -> None:
    with pytest.raises(SetupError, match="price of claude-of-tomorrow is not known"):
        propose(Budget(usd=1.0), model="claude-of-tomorrow")
    api.script(say("done"))
    proposal = propose(Budget(tokens=50_000), model="claude-of-tomorrow")
    assert proposal.usd is None and proposal.usage == Usage(100, 10)


def test_ones_own_prices(tmp_path: Path) -> None:
    assert make_claude_agent("claude-haiku-5-5").name == "claude-haiku-5-5"
    with pytest.raises(UsageError, match="none.toml"):
        make_claude_agent("m", tmp_path / "none.toml")


# What is kept of it.


def test_the_transcript_holds_every_turn_and_no_key(api: MessagesApi, propose, workspace: Workspace) -> None:
    (workspace.folder / "train.py").write_text(f"RATE = 1  # {STUB_KEY}\n")
    api.script(
        say(thought("hm"), call("view", path="train.py")),
        fail(529, "overloaded_error"),
        say(f"the file holds {STUB_KEY}"),
    )
    proposal = propose()
    kept = json.dumps(proposal.transcript)
    assert STUB_KEY not in kept + proposal.reason and "[key removed]" in kept
    assert [turn["role"] for turn in proposal.transcript] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "end",
    ]
    asked, told, seen, said = proposal.transcript[1:5]
    assert "Record 1" in asked["content"] and told["content"][0]["thinking"] == "hm"
    assert (told["stop_reason"], told["tries"], said["tries"]) == ("tool_use", 1, 2)
    assert told["usage"] == [{"input": 100, "output": 10, "cache_read": 0, "cache_write": 0}]
    assert "RATE = 1" in seen["content"][0]["content"]
    for request in api.requests:
        assert request.headers["authorization"] == f"Bearer {STUB_KEY}"
    assert STUB_KEY.encode() not in api.requests[0].raw


def test_progress_is_told(api: MessagesApi, propose) -> None:
    heard: list[str] = []
    api.script(say(EDIT, call("try_steps", steps=7), call("search", pattern="\x1b[2J")), say("done"))
    propose(tools=Tools(str, str, heard.append))
    assert heard == [
        "reply 1, $0.0008 so far",
        "edit train.py",
        "try_steps 7",
        "search  [2J",
        "reply 2, $0.0015 so far",
    ]


@pytest.mark.skipif(
    not os.environ.get("ANTHROPIC_API_KEY"), reason="ANTHROPIC_API_KEY is not set: a real model costs money"
)
def test_a_real_model_edits_a_workspace(plain: Arena) -> None:
    """A few cents: one small edit that the task asks for, by the real API."""
    model = os.environ.get("PATCHRUN_LIVE_MODEL", "claude-haiku-5-5")
    agent = make_claude_agent(model)
    with open_workspace(plain, ONE, (), Budget(), FIRST) as found:
        task = "Set RATE in train.py to 3, change nothing else, then end.\n" + found.task
        workspace = Workspace(found.folder, ONE, found.track, task, {})
        proposal = agent.propose(
            workspace, Budget(180.0, 0.25, None), FIRST, Tools(lambda: "accepted", lambda k: "ok")
        )
        assert proposal.outcome == "proposed", proposal.reason
        assert b"+RATE = 3" in diff_of(plain, workspace)
    assert proposal.usd and proposal.usd < 0.25 and proposal.usage.output
