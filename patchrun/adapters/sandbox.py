"""What a child may do: the wrapping of its argv, its seccomp program, its listed environment.

``bwrap`` is the sandbox: bubblewrap, an unprivileged uid, a seccomp program, limits on the whole tree of processes.
``seccomp`` (a system call filter that the launcher installs before anything else) and ``none`` are weaker, and the
owner has to ask for them by name. Every run says which one it had.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchrun.adapters import bwrap, cgroups
from patchrun.adapters.bwrap import Room
from patchrun.adapters.syscalls import seccomp_program
from patchrun.core.errors import SetupError, UsageError

PATH = "/usr/local/bin:/usr/bin:/bin"
TASKS = 64  # processes and threads of a run without child processes: torch starts many threads
TASKS_EACH = 4  # and so many more for each process that its track allows
WRAPPER_TASKS = 8  # bubblewrap's own
NAMES = ("default", "bwrap", "seccomp", "none")


def cache_seen(name: str, cache: Path) -> Path:
    """Where a run in this sandbox finds its compile cache: in one place for all runs where folders can be mounted."""
    return bwrap.CACHE if resolve(name) == "bwrap" else cache


@dataclass(frozen=True)
class Wrapped:
    """A command with what goes around it; ``release`` when it has ended."""

    argv: tuple[str, ...]
    group: cgroups.Cgroup | None = None
    inside: bool = False

    def read_status(self, status: int) -> int:
        """The command's own exit status (negative: a signal): bubblewrap says 128 + N where signal N ended it."""
        return 128 - status if self.inside and status > 128 else status

    def release(self) -> None:
        """End whatever is left of it; safe to call again."""
        if self.group:
            self.group.end()


def resolve(name: str) -> str:
    """The sandbox that ``name`` asks for; "default" is bubblewrap, never quietly less.

    Raises:
        UsageError: no such sandbox.
        SetupError: this machine lacks it.
    """
    if name not in NAMES:
        raise UsageError(f"no sandbox {name!r}", "choose bwrap, seccomp or none")
    if name == "none":
        return "none"
    seccomp_program(children=False)
    if name == "seccomp":
        return "seccomp"
    if trouble := bwrap.trouble():
        raise SetupError(
            f"no sandbox on this machine: {trouble}",
            "install bubblewrap (`make setup` does where it may, else: apt-get install bubblewrap), or say --sandbox "
            "seccomp (files are not hidden from a run) or --sandbox none: every result then shows it",
        )
    return "bwrap"


def describe() -> str:
    """One line on the sandbox that runs get by default here; SetupError where there is none."""
    name = resolve("default")
    uid = bwrap.UID if os.geteuid() == 0 else os.geteuid()
    group = cgroups.make(1 << 30, TASKS)
    if group:
        group.end()
    limits = "a control group" if group else "resource limits of each process: no control group can be made"
    return f"{name}: uid {uid}, no network, no files but its own; memory and tasks bound by {limits}"


def wrap(argv: Sequence[str], sandbox: str, room: Room) -> Wrapped:
    """``argv`` inside ``sandbox``: the one place where a program goes around a run.

    ``seccomp`` needs no program around it: the launcher takes its filter from the job.

    Raises:
        SetupError: this machine lacks the sandbox, the sandbox cannot do what ``room`` asks for, or the run could not
            read what it names.
    """
    if resolve(sandbox) != "bwrap":
        if room.instead:
            raise SetupError(f"sandbox {sandbox} cannot put other tokens in place of a file", "bwrap can")
        return Wrapped(tuple(argv))
    group = cgroups.make(room.memory_bytes, room.tasks + WRAPPER_TASKS)
    try:
        return Wrapped(bwrap.wrap(argv, room, seccomp_program(True, room.watches), group), group, inside=True)
    except BaseException:
        Wrapped((), group).release()
        raise


def confine(sandbox: str, processes: int) -> dict[str, Any]:
    """What a job says of its sandbox, for a track that allows ``processes`` child processes.

    ``seccomp``: the program for the launcher to install, in base64. Under bubblewrap one is in force already: only what
    would refuse the start itself (execve) is left. ``tasks``: the most processes and threads, 0 without such a limit.
    """
    inside = resolve(sandbox) == "bwrap"
    left = sandbox == "seccomp" or (inside and processes == 0)
    program = seccomp_program(children=processes > 0) if left else b""
    tasks = TASKS + TASKS_EACH * processes if inside else 0
    return {"seccomp": base64.b64encode(program).decode(), "tasks": tasks}


def listed_environment(home: Path, threads: int, extra: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a child: nothing of ours but what stands here and ``extra``."""
    return {
        "PATH": PATH,
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **extra,
    }
