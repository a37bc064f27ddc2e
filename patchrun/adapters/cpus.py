"""A CPU to itself for one block, among the processes of a machine that ask this way."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def hold_cpu() -> Iterator[int]:
    """One of the CPUs that this process may use, which no other holder has; waits where all are held.

    A queue that gives out CPUs by number binds its tasks; one that only counts them leaves two tasks of a node on
    the same first CPU.
    """
    cpus = sorted(os.sched_getaffinity(0))
    folder = Path(tempfile.gettempdir(), f"patchrun-cpus-{os.getuid()}")
    folder.mkdir(exist_ok=True, mode=0o700)
    files = {cpu: (folder / str(cpu)).open("a") for cpu in cpus}
    try:
        yield _take(files)
    finally:
        for file in files.values():
            file.close()


def _take(files: dict[int, IO[str]]) -> int:
    for cpu, file in files.items():
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cpu
        except BlockingIOError:
            continue
    first = next(iter(files))
    fcntl.flock(files[first], fcntl.LOCK_EX)
    return first
