"""Locks between the processes of a machine: a file each, held while it is open, with its holder's number inside."""

from __future__ import annotations

import fcntl
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def hold(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock at ``path``; it ends with its process. ``on_wait`` is called where somebody else holds it."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"{os.getpid()} {platform.node()}")
        file.flush()
        yield


def find_holder(path: Path) -> tuple[int, str] | None:
    """Process id and host of whoever holds the lock at ``path``; None when nobody does."""
    with suppress(FileNotFoundError), path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            number, _, host = file.read().partition(" ")
            return (int(number), host) if number.isdecimal() else None
    return None
