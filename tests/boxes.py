"""Python code in a real bubblewrap sandbox, for tests of what it can and cannot do there."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from patchrun.adapters import bwrap, process, sandbox
from patchrun.adapters.bwrap import Room

needs_bwrap = pytest.mark.skipif(bool(bwrap.trouble()), reason=bwrap.trouble() or "bubblewrap works")
TASKS = 60


def make_room(folder: Path, **changes: Any) -> Room:
    """A place with the folders that a run has, and a file of its own."""
    place = folder / "place"
    for name in ("out", "home", "code"):
        (place / name).mkdir(parents=True)
    (place / "code" / "own.txt").write_text("its own\n")
    values: dict[str, Any] = {
        "place": place,
        "python": sys.executable,
        "memory_bytes": 256 << 20,
        "tasks": TASKS,
    }
    return Room(**(values | changes))


def start(room: Room, text: str) -> tuple[Any, sandbox.Wrapped]:
    """``python -c text`` in the sandbox, its output on pipes; the caller ends it and releases the wrapping."""
    wrapped = sandbox.wrap([room.python, "-s", "-P", "-B", "-c", text], "bwrap", room)
    env = sandbox.listed_environment(room.place / "home", 1, {})
    return process.spawn(wrapped.argv, cwd=room.place, env=env), wrapped


def run_inside(folder: Path, text: str, **changes: Any) -> tuple[int, str]:
    """The exit status and the output, errors included, of ``python -c text`` in the sandbox."""
    child, wrapped = start(make_room(folder, **changes), text)
    try:
        out, err = child.communicate(timeout=60)
        return wrapped.read_status(child.returncode), (out + err).decode()
    finally:
        process.end_group(child)
        wrapped.release()


def all_gone(pids: list[int], seconds: float = 5) -> bool:
    """Whether none of these processes is there any more, or soon."""
    deadline = time.monotonic() + seconds
    while any(Path("/proc", str(pid)).exists() for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
