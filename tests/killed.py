"""Commands of patchrun in processes of their own that start in milliseconds, and their end by ``kill -9``."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from patchrun.adapters.store import Arena
from patchrun.faces import cli
from patchrun.services import refchecks, verify

STARTS = multiprocessing.get_context("forkserver")  # one process imports all, each command is a fork of it
STARTS.set_forkserver_preload(
    ["tests.killed", *cli.ROOMS, "patchrun.services.study", "patchrun.services.sync"]
)
GONE_SECONDS = 60


@dataclass(frozen=True)
class Started:
    """A command at work; what it says goes to ``said``."""

    process: BaseProcess
    said: Path

    def finish(self) -> tuple[int | None, str]:
        """Wait for its end: exit code and what it said."""
        self.process.join(120)
        said = self.said.read_text()
        self.said.unlink()
        return self.process.exitcode, said

    def kill(self, whole: bool) -> None:
        """End it by SIGKILL; ``whole``: with the programs that it started, which otherwise finish by themselves."""
        pid = self.process.pid
        assert pid is not None
        below = descendants(pid)
        for one in (pid, *below) if whole else (pid,):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        self.process.join(GONE_SECONDS)
        self.said.unlink()
        limit = time.monotonic() + GONE_SECONDS
        while any(is_alive(one) for one in below) and time.monotonic() < limit:
            time.sleep(0.002)


def start(arena: Path, words: tuple[str, ...]) -> Started:
    """Start ``patchrun -C ARENA WORDS`` with the environment of the caller."""
    handle, said = tempfile.mkstemp(prefix="patchrun-said-")
    os.close(handle)
    process = STARTS.Process(target=_run, args=(dict(os.environ), ("-C", str(arena), *words), said))
    process.start()
    return Started(process, Path(said))


def free_locks(arena: Arena) -> None:
    """What `patchrun doctor --mend` does ten minutes later."""
    for path in verify.find_locks(arena):
        os.utime(path, (0, 0))
    verify.remove_stale_locks(arena)


def require_whole(arena: Arena, before: dict[str, str]) -> None:
    """Nothing that was there is gone or changed, no object is broken, and whatever is new verifies."""
    free_locks(arena)
    opened = Arena.open(arena.repo.path)
    now = opened.repo.refs("refs/")
    assert {ref: oid for ref, oid in now.items() if ref in before} == before
    fresh = {ref: oid for ref, oid in now.items() if ref not in before and ref.startswith("refs/patchrun/")}
    assert refchecks.problems_of(opened, fresh, now) == [] and verify.find_broken_objects(opened) == []


def descendants(pid: int) -> list[int]:
    """The processes below ``pid``, those of its children too."""
    below: list[int] = []
    for task in Path("/proc", str(pid), "task").glob("*/children"):
        with suppress(OSError):
            for child in task.read_text().split():
                below += [int(child), *descendants(int(child))]
    return below


def is_alive(pid: int) -> bool:
    """Whether the process is there and has not ended."""
    try:
        state = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def _run(environment: Mapping[str, str], words: tuple[str, ...], said: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    handle = os.open(said, os.O_WRONLY)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    for room in cli.ROOMS:
        importlib.import_module(room)
    cli.main(words)
