"""Commands of patchrun in processes of their own that start in milliseconds, and their end by ``kill -9``."""

from __future__ import annotations

import atexit
import ctypes
import importlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from patchrun.adapters.durable import INCOMING
from patchrun.adapters.store import Arena
from patchrun.faces import cli
from patchrun.services import refchecks, verify

STARTS = multiprocessing.get_context("forkserver")  # one process imports all, each command is a fork of it
STARTS.set_forkserver_preload(
    ["tests.killed", *cli.ROOMS, "patchrun.services.study", "patchrun.services.sync"]
)
GONE_SECONDS = 60
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Started:
    """A command at work; what it says goes to ``said``."""

    process: BaseProcess  # its guardian, which ends when the command and all that it started have ended
    command: int
    said: Path

    def finish(self) -> tuple[int | None, str]:
        """Wait for its end: exit code and what it said."""
        self.process.join(120)
        said = self.said.read_text()
        self.said.unlink()
        return self.process.exitcode, said

    def kill(self, whole: bool) -> None:
        """End it by SIGKILL; ``whole``: with the programs that it started, which otherwise finish by themselves."""
        for one in freeze(self.command):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL if whole or one == self.command else signal.SIGCONT)
        self.process.join(GONE_SECONDS)
        assert self.process.exitcode is not None, "a program that was started goes on for ever"
        self.said.unlink()


def start(arena: Path, words: tuple[str, ...]) -> Started:
    """Start ``patchrun -C ARENA WORDS`` with the environment of the caller."""
    handle, said = tempfile.mkstemp(prefix="patchrun-said-")
    os.close(handle)
    ours, theirs = STARTS.Pipe(duplex=False)
    process = STARTS.Process(target=_guard, args=(theirs, dict(os.environ), ("-C", str(arena), *words), said))
    process.start()
    return Started(process, ours.recv(), Path(said))


def free_locks(arena: Arena) -> None:
    """What `patchrun doctor --mend` does ten minutes later."""
    for path in verify.find_locks(arena):
        os.utime(path, (0, 0))
    verify.remove_stale_locks(arena)


def require_whole(arena: Arena, before: dict[str, str]) -> None:
    """Nothing that was there is gone or changed, no object is broken, and whatever is new verifies.

    What an earlier `sync` had fetched and not verified may go: the next one empties its waiting room.
    """
    before = {ref: oid for ref, oid in before.items() if not ref.startswith(INCOMING)}
    free_locks(arena)
    opened = Arena.open(arena.repo.path)
    now = opened.repo.refs("refs/")
    assert {ref: oid for ref, oid in now.items() if ref in before} == before
    fresh = {ref: oid for ref, oid in now.items() if ref not in before and ref.startswith("refs/patchrun/")}
    assert refchecks.problems_of(opened, fresh, now) == [] and verify.find_broken_objects(opened) == []


def freeze(pid: int) -> list[int]:
    """Stop a process, then those that it started, and so on, so that none starts another; all of them."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        while state(pid) not in "TtZX":
            time.sleep(0.0002)
    return [pid, *(one for child in children(pid) for one in freeze(child))]


def children(pid: int) -> list[int]:
    """The processes that ``pid`` started and that are there."""
    found: list[int] = []
    for task in Path("/proc", str(pid), "task").glob("*/children"):
        with suppress(OSError):
            found += map(int, task.read_text().split())
    return found


def state(pid: int) -> str:
    """The letter by which the kernel says what the process does; X where it is gone."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def _guard(answer: Connection, environment: Mapping[str, str], words: tuple[str, ...], said: str) -> None:
    """Run the command in a child, adopt what it leaves behind, and end with its exit code when all has ended."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if (command := os.fork()) == 0:
        _run(environment, words, said)
    answer.send(command)
    outcome = 0
    with suppress(ChildProcessError):
        while True:
            pid, status = os.wait()
            outcome = os.waitstatus_to_exitcode(status) if pid == command else outcome
    os._exit(outcome if outcome >= 0 else 128 - outcome)


def _run(environment: Mapping[str, str], words: tuple[str, ...], said: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    handle = os.open(said, os.O_WRONLY)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    for room in cli.ROOMS:
        importlib.import_module(room)
    try:
        cli.main(words)
    except SystemExit as done:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        os._exit(done.code if isinstance(done.code, int) else 0)
