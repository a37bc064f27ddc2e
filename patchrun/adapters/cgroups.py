"""A control group for one run: its memory, its tasks and its CPU time, all its processes together.

Both generations of the kernel's interface are spoken; where neither lets us make a group there is none, and the
launcher's resource limits stand alone.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PREFIX = "patchrun"
END_SECONDS = 5.0  # how long the kernel may take to bury the processes of a group


@dataclass(frozen=True)
class Cgroup:
    """The folders of one run's group, one a hierarchy; what is written into their ``cgroup.procs`` is in it."""

    folders: tuple[Path, ...]

    def cpu_seconds(self) -> float | None:
        """CPU seconds of all processes that ever were in the group, whoever waited for them; None: not counted."""
        for folder in self.folders:
            with suppress(OSError, ValueError, StopIteration):
                if (folder / "cpuacct.usage").exists():
                    return int((folder / "cpuacct.usage").read_text()) / 1e9
                lines = (folder / "cpu.stat").read_text().splitlines()
                return int(next(line for line in lines if line.startswith("usage_usec")).split()[1]) / 1e6
        return None

    def end(self) -> None:
        """Kill whatever is left, wait until it is gone, remove the group; safe to call again."""
        deadline = time.monotonic() + END_SECONDS
        left = list(self.folders)
        while left and time.monotonic() < deadline:
            left = [folder for folder in left if not _remove(folder)]
            if left:
                time.sleep(0.002)


def make(memory_bytes: int, tasks: int) -> Cgroup | None:
    """A new group with these limits below our own; None where this machine does not let us."""
    limits, made = _limits(memory_bytes, tasks), []
    try:
        for home, values in limits:
            made.append(_make_folder(home))
            for name, value in values.items():
                if (made[-1] / name).exists():
                    (made[-1] / name).write_text(value)
    except OSError:
        Cgroup(tuple(made)).end()
        return None
    if made and (accounts := _own_groups().get("cpuacct")):
        with suppress(OSError):  # not ours to write: the limits hold without the account
            made.append(_make_folder(accounts))
    return Cgroup(tuple(made)) if made else None


def _make_folder(home: Path) -> Path:
    """A new group below ``home``, once those that dead patchruns left are gone."""
    _sweep(home)
    folder = home / f"{PREFIX}-{os.getpid()}-{secrets.token_hex(4)}"
    folder.mkdir()
    return folder


def _limits(memory_bytes: int, tasks: int) -> list[tuple[Path, dict[str, str]]]:
    """Our own groups that can have children, and what is written into a child of each, in this order."""
    homes, most = _own_groups(), str(memory_bytes)
    if "memory" in homes and "pids" in homes:
        return [
            (homes["memory"], {"memory.limit_in_bytes": most, "memory.memsw.limit_in_bytes": most}),
            (homes["pids"], {"pids.max": str(tasks)}),
        ]
    if (home := homes.get("")) and _delegates(home):
        values = {"memory.max": most, "memory.swap.max": "0", "memory.oom.group": "1", "pids.max": str(tasks)}
        return [(home, values)]
    return []


def _delegates(home: Path) -> bool:
    """Whether children of a unified group have the controllers; they are asked for if need be."""
    control = home / "cgroup.subtree_control"
    with suppress(OSError):
        if not {"memory", "pids"} <= set(control.read_text().split()):
            control.write_text("+memory +pids")
        return {"memory", "pids"} <= set(control.read_text().split())
    return False


def _own_groups() -> dict[str, Path]:
    """The folder of this process's group by controller; the unified hierarchy has no name."""
    mounts: dict[str, tuple[str, str]] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        root, point = before.split()[3:5]
        kind, _, options = after.split()[:3]
        names = options.split(",") if kind == "cgroup" else [""] if kind == "cgroup2" else []
        mounts |= dict.fromkeys(names, (root, point))
    homes = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        for name in set(names.split(",")) & mounts.keys():
            root, point = mounts[name]
            homes[name] = Path(point, os.path.relpath(path, root))
    return homes


def _sweep(home: Path) -> None:
    """Remove the empty groups of patchruns that were killed."""
    for folder in home.glob(f"{PREFIX}-*-*"):
        if not Path("/proc", folder.name.split("-")[1]).exists():
            with suppress(OSError):
                folder.rmdir()


def _remove(folder: Path) -> bool:
    """Whether the group is gone; what still runs in it is killed."""
    with suppress(OSError):
        for pid in (folder / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        folder.rmdir()
    return not folder.exists()
