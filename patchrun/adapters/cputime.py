"""CPU seconds of a running process and all below it, read from outside; and on which CPU they run."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from patchrun.core.errors import SetupError

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """CPU seconds used so far by ``pid`` and its descendants, dead children that were waited for included.

    Living processes to the nanosecond, dead ones to the kernel's tick (10 ms). Whoever is gone counts 0: by then
    its parent's account has it.
    """
    return sum(_own_seconds(each) + _reaped_seconds(each) for each in tree(pid))


def tree(pid: int) -> Iterator[int]:
    """``pid`` and its living descendants."""
    yield pid
    for thread in _threads(pid):
        with suppress(OSError):  # it ended since it was listed
            for child in (thread / "children").read_text().split():
                yield from tree(int(child))


def pin(pid: int, cpu: int) -> None:
    """Bind all threads of ``pid`` and its descendants to ``cpu``.

    Raises:
        SetupError: this process may not use that CPU.
    """
    if cpu not in os.sched_getaffinity(0):
        raise SetupError(f"no CPU {cpu} to run on", f"choose from {sorted(os.sched_getaffinity(0))}")
    for each in tree(pid):
        for thread in _threads(each):
            with suppress(OSError):  # it ended since it was listed
                os.sched_setaffinity(int(thread.name), {cpu})


def _threads(pid: int) -> list[Path]:
    with suppress(OSError):
        return list(Path(f"/proc/{pid}/task").iterdir())
    return []


def _own_seconds(pid: int) -> float:
    """The process's CPU clock; its id is built from the pid as in the kernel's MAKE_PROCESS_CPUCLOCK(pid, SCHED)."""
    with suppress(OSError):
        return time.clock_gettime_ns((~pid << 3) | 2) / 1e9
    return 0.0


def _reaped_seconds(pid: int) -> float:
    """User and system time of waited-for children: fields 16 and 17 of ``/proc/pid/stat``."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / TICKS
    return 0.0
