"""Agents that think nothing new: stored diffs played again, and the ladder's own patch as a control."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from patchrun.adapters.store import Arena
from patchrun.core.agentnames import is_same
from patchrun.core.errors import UsageError
from patchrun.core.usage import Usage
from patchrun.services.agents.protocol import Budget, Feedback, Proposal, Tools, Workspace
from patchrun.services.agents.workspace import apply_diff, restore_baseline

NAMED = re.compile(r"(?:record-)?(\d+(?:\.\.\d+)?)(?:-(\w[\w.-]*))?\.(?:diff|patch)")
FREE = Usage()


@dataclass(frozen=True)
class ReplayAgent:
    """Plays recorded diffs: ``diffs`` holds those of a record in the order of its attempts."""

    diffs: Mapping[str, tuple[bytes, ...]]
    name: str = "replay"
    model: str = ""

    def propose(self, workspace: Workspace, budget: Budget, feedback: Feedback, tools: Tools) -> Proposal:
        """Make the workspace what the recorded diff makes of the baseline; see ``Agent``."""
        recorded = self.diffs.get(str(workspace.span), ())
        number = feedback.number
        if number > len(recorded):
            return _give_up(f"{len(recorded)} recorded diffs for record {workspace.span}, none is left")
        return _put_in(workspace, recorded[number - 1], f"recorded diff {number} of record {workspace.span}")


@dataclass(frozen=True)
class HumanAgent:
    """The control: the ladder's own patch. Only who holds the arena can run it."""

    arena: Arena
    name: str = "human"
    model: str = ""

    def propose(self, workspace: Workspace, budget: Budget, feedback: Feedback, tools: Tools) -> Proposal:
        """Put the human patch of the record in; see ``Agent``."""
        span = workspace.span
        human = self.arena.human(span.last)
        if human is None:
            return _give_up(f"record {span.last} has no human patch")
        diff = self.arena.repo.diff(self.arena.baseline(span.first), human)
        return _put_in(workspace, diff, f"the human patch of record {span}")


def _put_in(workspace: Workspace, diff: bytes, what: str) -> Proposal:
    turns = [{"role": "replay", "diff": diff.decode("utf-8", "replace")}]
    if not diff:
        return Proposal("empty", f"{what} is empty", FREE, 0.0, turns)
    restore_baseline(workspace.folder)
    if refusal := apply_diff(workspace.folder, diff):
        return Proposal("failed", f"{what}: {refusal.splitlines()[0]}", FREE, 0.0, turns)
    return Proposal("proposed", what, FREE, 0.0, turns)


def _give_up(reason: str) -> Proposal:
    return Proposal("failed", reason, FREE, 0.0)


def read_recorded(arena: Arena, source: str) -> ReplayAgent:
    """The recorded diffs that ``source`` names: a folder of ``RECORD.diff`` or ``RECORD-NAME.diff``, a transcript or
    submission of this arena by its id, or all that an agent of this arena has proposed, by its name.

    Raises:
        UsageError: it names none of them, or holds no diff.
    """
    folder = Path(source)
    found = _read_folder(folder) if folder.is_dir() else _read_arena(arena, source)
    if not found:
        raise UsageError(
            f"no recorded diffs in {source}",
            "name a folder of files such as 5.diff or 5-second.diff, a transcript's id, or an agent",
        )
    return ReplayAgent(found)


def _read_folder(folder: Path) -> dict[str, tuple[bytes, ...]]:
    found: dict[str, list[bytes]] = {}
    for path in sorted(folder.iterdir()):
        if (match := NAMED.fullmatch(path.name)) and path.is_file():
            found.setdefault(match[1], []).append(path.read_bytes())
    return {record: tuple(diffs) for record, diffs in found.items()}


def _read_arena(arena: Arena, source: str) -> dict[str, tuple[bytes, ...]]:
    transcripts = arena.transcripts()
    chosen = [one for one in transcripts if is_same(one.agent, source)]
    if not chosen and len(source) >= 4:
        chosen = [
            one for one in transcripts if one.id.startswith(source) or one.submission.startswith(source)
        ]
    found: dict[str, list[bytes]] = {}
    for one in chosen:
        if diff := arena.transcript_diff(one.id):
            found.setdefault(one.record, []).append(diff)
    return {record: tuple(diffs) for record, diffs in found.items()}
