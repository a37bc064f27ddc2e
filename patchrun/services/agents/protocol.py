"""What an agent gets and gives back. One that keeps to this protocol can be run, measured and ranked.

An agent edits the files of a workspace; the diff is what git says of the folder at the end, not what it claims.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from patchrun.core.findings import Finding
from patchrun.core.selection import Span
from patchrun.core.track import Track
from patchrun.core.transcripts import Outcome, Task

if TYPE_CHECKING:
    from patchrun.core.usage import Usage


@dataclass(frozen=True)
class Workspace:
    """One attempt's own copy of a baseline, history-free; the same for every agent.

    ``folder`` holds the files to edit, ``TASK.md`` (also in ``task``) and ``hints/`` (file name -> text in ``hints``).
    ``span`` and ``track`` are what it is about: target, rule, limits and the paths that may change.
    """

    folder: Path
    span: Span
    track: Track
    task: str
    hints: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Budget:
    """What one proposal may use at most; None is no limit.

    ``wall_seconds`` from the call of ``propose`` to its return, tries included; ``tokens``: of input and output.
    """

    wall_seconds: float | None = None
    usd: float | None = None
    tokens: int | None = None


@dataclass(frozen=True)
class Earlier:
    """An earlier attempt of the same search and what became of it.

    ``verdict`` and ``reason`` are None and "" before it was measured. ``seconds`` and ``baseline_seconds`` are means by
    the track's clock, ``loss`` the mean validation loss in nats per token; None where there is none.
    """

    number: int
    outcome: Outcome
    diff: bytes = b""
    findings: tuple[Finding, ...] = ()
    verdict: str | None = None
    reason: str = ""
    seconds: float | None = None
    baseline_seconds: float | None = None
    loss: float | None = None


@dataclass(frozen=True)
class Feedback:
    """What the search knows: earlier attempts, oldest first, and which of them the workspace starts from.

    ``task``: "draft" starts from the baseline, "improve" from the best so far, "debug" from one that failed (``base``
    is its number). Independent drafts learn of no other attempt; ``number`` counts them all the same, from 1.
    """

    number: int = 1
    task: Task = "draft"
    base: int | None = None
    attempts: tuple[Earlier, ...] = ()


@dataclass(frozen=True)
class Tools:
    """What an agent may ask patchrun for. Every call looks at the workspace as it is at that moment.

    ``validate()``: the validator's findings on the present diff, as text. ``try_steps(k)``: trains the first k steps
    for real in the sandbox, on a public seed, and returns the loss lines that it printed, or how it failed, as text.
    Neither raises for a bad patch. ``tell(line)`` is live progress for people; it is not stored.
    """

    validate: Callable[[], str]
    try_steps: Callable[[int], str]
    tell: Callable[[str], None] = lambda line: None


@dataclass(frozen=True)
class Proposal:
    """How an attempt to make a patch ended; the workspace's folder holds the patch itself.

    ``outcome``: "proposed" when the agent is done (the search makes it "empty" where git sees no change); otherwise why
    it is not done: the edits made so far are kept. ``reason``: one sentence. ``usage`` (tokens) and ``usd`` are None
    where they are not known. ``transcript``: all that was said and done, as JSON-able turns ``{"role": ..., ...}``.
    """

    outcome: Outcome
    reason: str = ""
    usage: Usage | None = None
    usd: float | None = None
    transcript: list[dict[str, Any]] = field(default_factory=list)


class Agent(Protocol):
    """Anything that makes patches.

    ``name`` is what the leaderboard shows unless the user says another; ``model`` is "" where there is none.
    """

    name: str
    model: str

    def propose(self, workspace: Workspace, budget: Budget, feedback: Feedback, tools: Tools) -> Proposal:
        """Edit the workspace; say how it ended.

        A KeyboardInterrupt is caught and comes back as "interrupted" with what exists; the search ends then.

        Raises:
            SetupError: it cannot work here at all (no key, a wrong key, no such program): the search stops.
        """
        ...
