"""Any program as an agent: it runs in the workspace, in the sandbox, and its edits are its patch."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from patchrun.adapters import leavings, sandbox
from patchrun.adapters.bwrap import Room
from patchrun.adapters.confined import Ended, run_confined
from patchrun.core.errors import SetupError, UsageError
from patchrun.core.runlog import printable
from patchrun.core.scrub import scrub
from patchrun.services.agents.desk import FOLDER, Desk
from patchrun.services.agents.protocol import Budget, Feedback, Proposal, Tools, Workspace

OUTPUT_BYTES = 1 << 20  # of what it prints, first and last half
FILE_BLOCKS = (64 << 20) // 512  # no file that it writes is larger
ROOM_BYTES = 1 << 30  # of all that it writes to the workspace and to PATCHRUN_OUT
ENTRIES = 50_000
HELD = leavings.Limits(ROOM_BYTES, ENTRIES)
MEMORY_BYTES = 8 << 30
TASKS = 512
WALL_SECONDS = 1800.0  # where the budget has no limit
LIMITED = f'ulimit -f {FILE_BLOCKS}; exec /bin/sh -c "$0"'


@dataclass(frozen=True)
class CommandAgent:
    """``command`` is a line of shell. It sees the workspace, /usr, patchrun's own interpreter and ``readable`` folders.

    ``passed``: the variables that it gets besides the listed ones, by name; their values never leave the sandbox in
    what is stored (``secrets``). ``network``: with this machine's network. ``data``: the folder of training tokens.
    """

    command: str
    name: str = "command"
    model: str = ""
    passed: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    network: bool = False
    readable: tuple[Path, ...] = ()
    data: Path | None = None
    box: str = "default"

    def propose(self, workspace: Workspace, budget: Budget, feedback: Feedback, tools: Tools) -> Proposal:
        """Run the command to its end or the wall limit; see ``Agent``."""
        wall = WALL_SECONDS if budget.wall_seconds is None else budget.wall_seconds
        with leavings.scratch("patchrun-room-") as name:
            place = name / "place"
            for part in ("out", "home"):
                (place / part).mkdir(parents=True)
            with Desk(workspace.folder, tools) as desk:
                look = _Look((workspace.folder, place / "out"))
                ended = run_confined(
                    ["/bin/sh", "-c", LIMITED, self.command], sandbox.resolve(self.box), self._room(workspace, place),
                    self._environment(workspace, place), wall_seconds=wall, keep_bytes=OUTPUT_BYTES,
                    stop=look.is_overfull, on_line=lambda line: tools.tell(printable(line, 80)),
                )  # fmt: skip
        outcome, reason = self._judge(ended, wall)
        return Proposal(outcome, reason, None, None, self._turns(ended, reason, desk.heard))

    def _room(self, workspace: Workspace, place: Path) -> Room:
        seen = (*self.readable, *([self.data] if self.data else []))
        return Room(
            place=place, python=sys.executable, readable=seen, writable=(workspace.folder,),
            memory_bytes=MEMORY_BYTES, tasks=TASKS, start=workspace.folder, network=self.network,
            watches=True,
        )  # fmt: skip

    def _environment(self, workspace: Workspace, place: Path) -> dict[str, str]:
        own = {"PATCHRUN_OUT": str(place / "out")} | ({"PATCHRUN_DATA": str(self.data)} if self.data else {})
        path = f"{workspace.folder / FOLDER}:{Path(sys.executable).parent}:{sandbox.PATH}"
        home = place / "home"
        return sandbox.listed_environment(
            home, workspace.track.seeds.threads, own | self.passed | {"PATH": path}
        )

    def _judge(self, ended: Ended, wall: float) -> tuple[Any, str]:
        if ended.interrupted:
            return "interrupted", f"interrupted after {ended.wall_seconds:.0f} s"
        if ended.stopped:
            most = f"{ROOM_BYTES >> 20} MiB, {ENTRIES} files or {HELD.depth} folders inside each other"
            return "failed", f"it wrote more than {most}"
        if ended.status is None:
            return "budget-spent", f"still running after {wall:.0f} s; it was ended"
        if ended.status:
            what = f"signal {-ended.status}" if ended.status < 0 else f"exit status {ended.status}"
            return "failed", f"the command ended with {what}"
        return "proposed", f"the command ended after {ended.wall_seconds:.1f} s"

    def _turns(self, ended: Ended, reason: str, heard: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """What was run, what it printed, what it asked patchrun."""
        setting = {
            "command": self.command, "sandbox": sandbox.resolve(self.box), "network": self.network,
            "passed": sorted(self.passed), "readable": [str(path) for path in self.readable],
        }  # fmt: skip
        output = {"role": "output", "text": self._text(ended), "left_out_bytes": ended.left_out}
        end = {"role": "end", "exit_status": ended.status, "reason": reason}
        return [{"role": "command", **setting}, *heard, output, end]

    def _text(self, ended: Ended) -> str:
        """The output without secrets, also without the part of one that a cut would leave."""
        head, tail = (
            scrub(data.decode("utf-8", "replace"), self.secrets) for data in (ended.head, ended.tail)
        )
        if not ended.left_out:
            return scrub((ended.head + ended.tail).decode("utf-8", "replace"), self.secrets)
        edge = max(map(len, self.secrets), default=0)
        note = f"\n[patchrun: {ended.left_out} bytes left out here]\n"
        return head[: len(head) - edge] + note + tail[edge:]


class _Look:
    """Looks once a second whether the folders hold too much."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self.folders, self.next_look, self.found = folders, 0.0, False

    def is_overfull(self) -> bool:
        if (now := time.monotonic()) >= self.next_look:
            self.next_look = now + 1
            self.found = any(leavings.find_excess(folder, HELD) for folder in self.folders)
        return self.found


def make_command_agent(
    command: str,
    environment: Mapping[str, str],
    pass_names: Iterable[str],
    readable: Iterable[Path],
    private: Iterable[Path],
    **facts: Any,
) -> CommandAgent:
    """The agent of a command line, its variables and folders checked before anything starts.

    ``private``: folders that it must never see, the arena first of all.

    Raises:
        UsageError: no command, or a folder that is not there or holds something private.
        SetupError: a variable that is to be passed on is not set, or this machine has no sandbox.
    """
    if not command.strip():
        raise UsageError("which command?", "say --command 'PROGRAM ARGUMENTS'")
    names, folders = tuple(pass_names), tuple(path.resolve() for path in readable)
    for name in names:
        if not environment.get(name):
            raise SetupError(f"--pass-env {name}: it is not set", f"export {name} first")
    hidden = [path.resolve() for path in private]
    for folder in folders:
        if not folder.exists():
            raise UsageError(f"--readable {folder}: there is no such folder")
        for path in hidden:
            if path.is_relative_to(folder) or folder.is_relative_to(path):
                raise UsageError(
                    f"--readable {folder} would show {path}", "an agent must not see solutions or keys"
                )
    box = facts.get("box", "default")
    if sandbox.resolve(box) == "seccomp":
        raise UsageError("a command needs child processes: it cannot run under seccomp alone", "choose bwrap")
    passed = {name: environment[name] for name in names}
    return CommandAgent(command=command, passed=passed, readable=folders, **facts)
