"""Let an agent make patches for records: attempt after attempt under one budget, each kept with its transcript.

A search is what one agent (by name) does on one record with the same hints under one scaffold. It is found again by
these, so a second start goes on where the first one stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import msgspec

from patchrun.adapters.corpus import Corpus
from patchrun.adapters.store import Arena
from patchrun.core.agentnames import check_name, check_words
from patchrun.core.errors import PatchrunError, SetupError, UsageError
from patchrun.core.results import Attempt, Study, content_id
from patchrun.core.scrub import scrub, scrub_json
from patchrun.core.search import Node, Step, choose_next, find_best, share
from patchrun.core.selection import Span
from patchrun.core.transcripts import HANDED_IN, Scaffold, Spent, Transcript, add_up, transcript_id
from patchrun.services import tournament
from patchrun.services.agents.protocol import Agent, Budget, Earlier, Feedback, Proposal
from patchrun.services.agents.tools import Bench
from patchrun.services.agents.workspace import open_workspace, read_diff
from patchrun.services.tournament import Scored


@dataclass(frozen=True)
class Order:
    """What is to be done: ``attempts`` of ``agent`` (its ``kind``) on each of ``spans``, handed in under ``name``.

    ``budget`` holds for all searches of the order together, earlier starts of theirs included; ``attempt_wall`` (s)
    for one attempt. ``measure`` runs studies; None only validates. ``again``: failed attempts do not count. ``secrets``
    are taken out of all that is stored. ``cutoff``: the last day of the model's training data.
    """

    agent: Agent
    kind: str
    name: str
    spans: tuple[Span, ...]
    tiers: tuple[int, ...] = ()
    attempts: int = 1
    scaffold: Scaffold = "flat"
    budget: Budget = field(default_factory=Budget)
    attempt_wall: float | None = None
    measure: Callable[[list[Study]], None] | None = None
    again: bool = False
    secrets: tuple[str, ...] = ()
    cutoff: date | None = None
    data: Corpus | None = None
    sandbox: str = "default"


@dataclass(frozen=True)
class Watcher:
    """Live progress: ``start`` of attempt ``number`` on a record gives the context in which its lines are shown."""

    start: Callable[[Span, int, Step], AbstractContextManager[Callable[[str], None]]]
    end: Callable[[Transcript], None]


SILENT = Watcher(lambda span, number, step: nullcontext(lambda line: None), lambda transcript: None)


def search_id(arena: Arena, order: Order, span: Span) -> str:
    """The id of a search: the same question asked again goes on with it."""
    return content_id("search", arena.track.digest, span, order.name, order.tiers, order.scaffold)


def read_search(arena: Arena, order: Order, span: Span) -> list[Transcript]:
    """What a search has proposed so far, in order."""
    wanted = search_id(arena, order, span)
    return sorted((one for one in arena.transcripts() if one.search == wanted), key=lambda one: one.number)


def count_done(order: Order, transcripts: Iterable[Transcript]) -> int:
    """How many of the attempts of a search are used up."""
    return sum(one.counts and not (order.again and one.outcome == "failed") for one in transcripts)


def check_order(arena: Arena, order: Order) -> None:
    """Refuse what cannot be done before anything starts.

    Raises:
        UsageError: a record without a baseline, a limit that cannot be kept, a name that another model has used.
    """
    check_name(order.name)
    check_words(order.agent.model, "the model's name")
    for span in order.spans:
        arena.ladder.get(span.last)
        arena.baseline(span.first)
        for one in read_search(arena, order, span):
            if (one.kind, one.model) != (order.kind, order.agent.model):
                raise UsageError(
                    f"{order.name} has attempts by {one.kind} {one.model} on record {span}".replace(
                        "  ", " "
                    ),
                    "a name stands for one agent: choose another --name",
                )
    if order.kind == "command" and (order.budget.usd is not None or order.budget.tokens is not None):
        raise UsageError("what a command spends is not known to patchrun", "limit it by --budget-wall")
    if any(secret in order.name for secret in order.secrets):
        raise UsageError("the name holds a secret of the environment", "choose another --name")


def run_order(arena: Arena, order: Order, watcher: Watcher = SILENT) -> list[str]:
    """Make and measure what is missing; sentences on what was not done. Safe to repeat.

    Raises:
        SetupError: the agent or a run cannot work here; what was made before is kept.
        KeyboardInterrupt: the user stopped it; what exists is kept.
    """
    check_order(arena, order)
    notes = []
    for span in order.spans:
        with arena.lock(f"agent-{search_id(arena, order, span)}"):
            notes += _search(arena, order, span, watcher)
    return notes


def _search(arena: Arena, order: Order, span: Span, watcher: Watcher) -> list[str]:
    """One search to its end, or to that of the budget."""
    _measure(arena, order, span)
    while (done := count_done(order, made := read_search(arena, order, span))) < order.attempts:
        left = budget_left(arena, order)
        if words := _exhausted(left):
            _measure(arena, order, span)
            return [f"record {span}: {done} of {order.attempts} attempts made, {words}; what exists is kept"]
        transcript = _Attempt(arena, order, span, made, done).make(left, watcher)
        watcher.end(transcript)
        if transcript.outcome == "interrupted":
            raise KeyboardInterrupt
        if order.scaffold == "tree":
            _measure(arena, order, span)
    _measure(arena, order, span)
    return []


def budget_left(arena: Arena, order: Order) -> Budget:
    """What the order may still use, after all that its searches have used, in earlier starts too.

    Raises:
        SetupError: a limit in tokens or USD cannot be kept, since an earlier attempt's use is not known.
    """
    used = spent_so_far(arena, order)
    budget = order.budget
    if (budget.usd is not None and used.usd is None) or (budget.tokens is not None and used.tokens is None):
        raise SetupError(
            "what earlier attempts cost is not known, so the budget cannot be kept",
            "limit by --budget-wall, or give the model a price (--prices FILE)",
        )
    return Budget(
        None if budget.wall_seconds is None else budget.wall_seconds - used.wall_seconds,
        None if budget.usd is None else budget.usd - (used.usd or 0.0),
        None if budget.tokens is None else budget.tokens - (used.tokens or 0),
    )


def spent_so_far(arena: Arena, order: Order) -> Spent:
    """What the searches of an order have used."""
    return add_up(one for span in order.spans for one in read_search(arena, order, span))


def _exhausted(left: Budget) -> str:
    """Which limit leaves nothing for another attempt; "" when none."""
    limits = (("wall time", left.wall_seconds), ("USD", left.usd), ("tokens", left.tokens))
    spent = [name for name, value in limits if value is not None and value <= 0]
    return f"the budget is spent ({', '.join(spent)})" if spent else ""


def _share(order: Order, left: Budget, todo: int) -> Budget:
    """One attempt's part of what is left for ``todo`` attempts."""
    tokens = share(left.tokens, todo)
    walls = [wall for wall in (share(left.wall_seconds, todo), order.attempt_wall) if wall is not None]
    return Budget(min(walls, default=None), share(left.usd, todo), None if tokens is None else int(tokens))


@dataclass(frozen=True)
class _Made:
    """What came of one proposal."""

    proposal: Proposal
    diff: bytes
    trouble: str
    wall_seconds: float
    tries_seconds: float


class _Attempt:
    """One attempt of a search, from the choice of where it starts to the refs that keep it.

    ``made``: the search so far; ``done``: how many of its attempts are used up.
    """

    def __init__(self, arena: Arena, order: Order, span: Span, made: Sequence[Transcript], done: int) -> None:
        self.arena, self.order, self.span = arena, order, span
        self.number = made[-1].number + 1 if made else 1
        counted = [one for one in made if one.counts]
        scores = _score(arena, made)
        self.step = choose_next(order.scaffold, [_make_node(arena, one, scores) for one in counted])
        known = counted if order.scaffold == "tree" else []
        earlier = tuple(_look_back(arena, one, scores) for one in known)
        self.feedback = Feedback(done + 1, self.step.task, self.step.base, earlier)

    def make(self, left: Budget, watcher: Watcher) -> Transcript:
        """Propose with an even share of what is ``left``, and store it whatever came of it."""
        order = self.order
        searches = (read_search(self.arena, order, span) for span in order.spans)
        todo = sum(order.attempts - count_done(order, transcripts) for transcripts in searches)
        with watcher.start(self.span, self.number, self.step) as tell:
            made = self._propose(_share(order, left, todo), tell)
        return self._keep(self._describe(made), made)

    def _propose(self, budget: Budget, tell: Callable[[str], None]) -> _Made:
        order = self.order
        with open_workspace(self.arena, self.span, order.tiers, budget, self.feedback) as workspace:
            bench = Bench(
                self.arena, workspace, secrets=order.secrets, data=order.data, sandbox=order.sandbox,
                wall_seconds=budget.wall_seconds,
            )  # fmt: skip
            began = time.monotonic()
            try:
                proposal = order.agent.propose(workspace, budget, self.feedback, bench.tools(tell))
            finally:
                bench.close()
            wall = time.monotonic() - began
            diff, trouble = read_diff(self.arena, self.span, workspace.folder, order.secrets)
        return _Made(proposal, diff, trouble, wall, bench.tries_seconds)

    def _describe(self, made: _Made) -> Transcript:
        order, proposal, search = self.order, made.proposal, search_id(self.arena, self.order, self.span)
        nothing = proposal.outcome == "proposed" and not made.diff and not made.trouble
        created = tournament.now()
        return Transcript(
            id=transcript_id(search, self.number, created), search=search, number=self.number,
            track=self.arena.track.name, track_digest=self.arena.track.digest, record=str(self.span),
            agent=order.name, kind=order.kind, model=order.agent.model, hint_tiers=order.tiers,
            scaffold=order.scaffold, task=self.step.task, base=self.step.base,
            outcome="empty" if nothing else proposal.outcome,
            reason=scrub(proposal.reason, order.secrets), trouble=scrub(made.trouble, order.secrets),
            usage=proposal.usage, usd=proposal.usd, wall_seconds=round(made.wall_seconds, 3),
            tries_seconds=round(made.tries_seconds, 3), cutoff=order.cutoff, created=created,
        )  # fmt: skip

    def _keep(self, transcript: Transcript, made: _Made) -> Transcript:
        """Store it: with what it hands in, in one transaction, or alone where it hands nothing in."""
        turns: list[Any] = scrub_json(made.proposal.transcript, self.order.secrets)
        if made.diff and transcript.outcome in HANDED_IN:
            try:
                return self._hand_in(transcript, turns, made.diff)
            except PatchrunError as error:
                words = scrub(str(error).splitlines()[0], self.order.secrets)
                transcript = msgspec.structs.replace(transcript, trouble=words)
        self.arena.repo.create_refs(self.arena.stage_transcript(transcript, turns, made.diff))
        return transcript

    def _hand_in(self, transcript: Transcript, turns: list[Any], diff: bytes) -> Transcript:
        def stage(attempt: Attempt) -> dict[str, str]:
            full = msgspec.structs.replace(transcript, submission=attempt.id)
            return self.arena.stage_transcript(full, turns, diff)

        order = self.order
        handed = tournament.hand_in(self.arena, diff, self.span, order.name, order.tiers, also=stage)
        return msgspec.structs.replace(transcript, submission=handed.attempt.id)


def _measure(arena: Arena, order: Order, span: Span) -> None:
    """Run what the submissions of a search still lack."""
    if order.measure is None:
        return
    ids = {one.submission for one in read_search(arena, order, span) if one.submission}
    if studies := tournament.resume(arena, ids) + tournament.plan_waiting(arena, ids):
        order.measure(studies)


def _make_node(arena: Arena, one: Transcript, scores: Mapping[str, Scored]) -> Node:
    scored = scores.get(one.submission)
    if scored is None:
        return Node(one.number, one.task, one.base, bool(arena.transcript_diff(one.id)), False)
    score = scored.score
    unmeasured = score.verdict in (None, "unscorable")
    good = scored.attempt.accepted and (unmeasured or score.is_valid)
    value = score.fsr if score.fsr is not None else score.speedup
    return Node(one.number, one.task, one.base, True, good, value)


def _look_back(arena: Arena, one: Transcript, scores: Mapping[str, Scored]) -> Earlier:
    """What the agent is told of an earlier attempt: its own figures and the baseline's, nothing of the human's."""
    diff, scored = arena.transcript_diff(one.id), scores.get(one.submission)
    if scored is None:
        return Earlier(one.number, one.outcome, diff, (), None, one.trouble or one.reason)
    score = scored.score
    return Earlier(
        one.number, one.outcome, diff, scored.attempt.findings, score.verdict, score.reason,
        score.seconds.submission, score.seconds.baseline, score.loss.mean,
    )  # fmt: skip


def _score(arena: Arena, made: Iterable[Transcript]) -> dict[str, Scored]:
    """Submission -> what was measured, of those that attempts led to."""
    return {one.attempt.id: one for one in tournament.assess(arena, ids={each.submission for each in made})}


def find_best_attempt(arena: Arena, order: Order, span: Span) -> Transcript | None:
    """The attempt of a search with the best measured result; of a search without runs, the last accepted one."""
    made = [one for one in read_search(arena, order, span) if one.submission]
    scores = _score(arena, made)
    best = find_best([_make_node(arena, one, scores) for one in made])
    return next((one for one in made if best and one.number == best.number), None)
