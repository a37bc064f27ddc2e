"""The agent that speaks the Messages API: a loop of replies and tool calls over one workspace, under a budget."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from patchrun.adapters.claude import Client, Failure, Reply, explain_stop, known_secrets
from patchrun.adapters.prices import read_prices
from patchrun.core.allowance import Allowance, allow_reply, guess_tokens
from patchrun.core.errors import SetupError
from patchrun.core.oneline import shorten
from patchrun.core.runlog import printable
from patchrun.core.scrub import scrub, scrub_json
from patchrun.core.transcripts import Outcome
from patchrun.core.usage import PriceTable, Usage, add_costs, cost_usd, say_cost
from patchrun.services.agents.protocol import Budget, Feedback, Proposal, Tools, Workspace
from patchrun.services.agents.toolbox import (
    describe_call,
    describe_tools,
    read_prompts,
    use_tool,
    write_first,
)

MOST_TURNS = 80
LONGEST_REASON = 300
REPLY_SECONDS = 900.0
HOPELESS = ("no-key", "wrong-key", "forbidden", "billing", "unknown-model")


@dataclass(frozen=True)
class ClaudeAgent:
    """``client`` asks the model; ``most_turns`` bounds its replies in one attempt."""

    client: Client
    prices: PriceTable
    name: str
    most_turns: int = MOST_TURNS

    @property
    def model(self) -> str:
        return self.client.model

    def propose(self, workspace: Workspace, budget: Budget, feedback: Feedback, tools: Tools) -> Proposal:
        """Let the model edit the workspace until it is done or a limit is reached; see ``Agent``.

        Limits are looked at before each request, those that repeat one that broke off included. A request is not begun
        whose whole reply could cost more than is left.
        """
        if budget.usd is not None and self.prices.find(self.model) is None:
            raise SetupError(
                f"the price of {self.model} is not known, so a budget in USD cannot be kept",
                "give it one with --prices FILE, or limit by --budget-tokens",
            )
        talk = _Talk(self, workspace, budget, tools)
        try:
            outcome, reason = talk.hold(feedback)
        except KeyboardInterrupt:
            outcome, reason = "interrupted", f"interrupted after {talk.replies} replies"
        return talk.close(outcome, reason)


def make_claude_agent(model: str, prices: Path | None = None, name: str = "") -> ClaudeAgent:
    """The agent for ``model``, priced by the shipped table and a user's own before it.

    Raises:
        UsageError, ManifestError: the prices cannot be read.
    """
    return ClaudeAgent(Client(model, wall_seconds=REPLY_SECONDS), read_prices(prices), name or model)


Ending = tuple[Outcome, str]


@dataclass
class _Talk:
    """One conversation: what was said, what it took, what is left."""

    agent: ClaudeAgent
    workspace: Workspace
    budget: Budget
    tools: Tools
    messages: list[dict[str, Any]] = field(default_factory=list)
    turns: list[dict[str, Any]] = field(default_factory=list)
    usages: list[Usage] = field(default_factory=list)
    prompt: int = 0
    replies: int = 0
    began: float = field(default_factory=time.monotonic)

    def hold(self, feedback: Feedback) -> Ending:
        """Ask, carry out, answer, until there is an end."""
        prompts = read_prompts()
        system, forms = prompts.system.strip(), describe_tools(prompts)
        first = write_first(prompts, self.workspace, feedback)
        self.turns += [{"role": "system", "model": self.agent.model, "content": system, "tools": forms}]
        self._say_to_model(first)
        self.prompt = guess_tokens(len(system) + len(str(forms)) + len(first))
        while True:
            allowed, left = self._allow(), self._seconds_left()
            if ending := self._find_limit(allowed, left):
                return ending
            reply = self.agent.client.ask(
                system, self.messages, max_tokens=allowed.max_tokens, tools=forms, wall_seconds=left,
                may_retry=lambda wasted, most=allowed.max_tokens: self._allow(wasted).max_tokens >= most,
            )  # fmt: skip
            self.usages += reply.usages
            if ending := self._take(reply, allowed):
                return ending

    def close(self, outcome: Outcome, reason: str) -> Proposal:
        """The proposal, without anything that looks like a key."""
        hidden = known_secrets()
        self.turns.append({"role": "end", "outcome": outcome, "reason": reason})
        usage = sum(self.usages, Usage())
        return Proposal(outcome, scrub(reason, hidden), usage, self._usd(), scrub_json(self.turns, hidden))

    def _usd(self, more: Sequence[Usage] = ()) -> float | None:
        usages = (*self.usages, *more)
        return add_costs(cost_usd(usage, self.agent.model, self.agent.prices) for usage in usages)

    def _allow(self, more: Sequence[Usage] = ()) -> Allowance:
        """What the next reply may be, after all that was used and ``more``."""
        budget, used = self.budget, sum(usage.total for usage in (*self.usages, *more))
        usd = None if budget.usd is None else budget.usd - (self._usd(more) or 0.0)
        tokens = None if budget.tokens is None else budget.tokens - used
        return allow_reply(self.prompt, usd, tokens, self.agent.model, self.agent.prices)

    def _seconds_left(self) -> float | None:
        wall = self.budget.wall_seconds
        return None if wall is None else wall - (time.monotonic() - self.began)

    def _find_limit(self, allowed: Allowance, left: float | None) -> Ending | None:
        """The limit that forbids another request."""
        if left is not None and left <= 0:
            return "budget-spent", f"the wall time is used up after {self.replies} replies"
        if not allowed.max_tokens:
            return "budget-spent", f"what is left of the {allowed.limit} does not pay for another reply"
        if self.replies >= self.agent.most_turns:
            return "budget-spent", f"not done after {self.replies} replies"
        return None

    def _take(self, reply: Reply | Failure, allowed: Allowance) -> Ending | None:
        """Write a reply down, carry out its tool calls; an ending where the conversation is over."""
        if isinstance(reply, Failure):
            return self._take_failure(reply)
        self.replies += 1
        self._write_down(reply)
        if stopped := explain_stop(reply):
            if stopped.kind == "refusal":
                return "refused", f"the model refused: {stopped.message}"
            if allowed.limit and reply.stop_reason == "max_tokens":
                return "budget-spent", f"the last reply was cut: the {allowed.limit} allowed no more of it"
            return "truncated", stopped.message
        self.messages.append({"role": "assistant", "content": list(reply.blocks)})
        self.prompt = reply.usage.prompt + reply.usage.output
        if reply.stop_reason == "pause_turn":
            return None
        if not reply.tool_calls:
            return "proposed", shorten(reply.text, LONGEST_REASON) or f"done after {self.replies} replies"
        self._say_to_model([self._answer(block) for block in reply.tool_calls])
        return None

    def _take_failure(self, failure: Failure) -> Ending:
        self.turns.append(
            {"role": "failure", "kind": failure.kind, "message": failure.message, "tries": failure.tries}
        )
        if failure.kind in HOPELESS and not self.replies:
            raise SetupError(
                f"{self.agent.model} cannot be asked: {failure}", "see docs/agents.md for keys and models"
            )
        left = self._seconds_left()
        if failure.kind == "timeout" and left is not None and left <= 0:
            return "budget-spent", f"the wall time ran out during a reply, after {self.replies} whole ones"
        return "failed", f"the Messages API: {failure}"

    def _answer(self, block: dict[str, Any]) -> dict[str, Any]:
        """Carry out one tool call."""
        self.tools.tell(printable(describe_call(block), 100))
        words, wrong = use_tool(self.workspace.folder, self.tools, block["name"], block["input"])
        result = {"type": "tool_result", "tool_use_id": block["id"], "content": words}
        return result | ({"is_error": True} if wrong else {})

    def _say_to_model(self, content: str | list[dict[str, Any]]) -> None:
        self.messages.append({"role": "user", "content": content})
        self.turns.append(self.messages[-1])
        self.prompt += guess_tokens(len(str(content)))

    def _write_down(self, reply: Reply) -> None:
        spent = self._usd()
        self.turns.append({
            "role": "assistant", "content": list(reply.blocks), "stop_reason": reply.stop_reason, "tries": reply.tries,
            "usage": [usage_of(usage) for usage in reply.usages],
            "usd_so_far": None if spent is None else round(spent, 6),
            "seconds": round(time.monotonic() - self.began, 1),
        })  # fmt: skip
        self.tools.tell(f"reply {self.replies}, {say_cost(spent)} so far")


def usage_of(usage: Usage) -> dict[str, int]:
    """A usage as JSON."""
    return {name: getattr(usage, name) for name in ("input", "output", "cache_read", "cache_write")}
