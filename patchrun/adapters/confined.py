"""Any program in the sandbox, to its end or a limit: its output up to a cap, nothing of it left afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from patchrun.adapters import sandbox
from patchrun.adapters.bwrap import Room
from patchrun.adapters.child import Child, Stopped

LINE_SECONDS = 0.2  # live lines come no faster


@dataclass(frozen=True)
class Ended:
    """How a program ended. ``status``: exit status, negative a signal, None where it was ended by a limit.

    ``stopped``: ``stop()`` said so; ``interrupted``: the user did. ``head`` and ``tail`` are what is kept of its
    output, ``left_out`` the bytes between them.
    """

    status: int | None
    stopped: bool
    interrupted: bool
    head: bytes
    tail: bytes
    left_out: int
    wall_seconds: float


class Output:
    """Output up to ``limit`` bytes: its first and its last half."""

    def __init__(self, limit: int) -> None:
        self.half = limit // 2
        self.head, self.tail, self.left_out = bytearray(), bytearray(), 0

    def feed(self, data: bytes) -> None:
        room = self.half - len(self.head)
        self.head += data[:room]
        self.tail += data[room:]
        if (excess := len(self.tail) - self.half) > 0:
            del self.tail[:excess]
            self.left_out += excess


def run_confined(
    argv: Sequence[str],
    box: str,
    room: Room,
    environment: Mapping[str, str],
    *,
    wall_seconds: float,
    keep_bytes: int,
    stop: Callable[[], bool] = lambda: False,
    on_line: Callable[[str], None] = lambda line: None,
) -> Ended:
    """Run ``argv`` in ``room``, starting in its ``start`` folder; its whole tree of processes has ended on return.

    Raises:
        SetupError: this machine lacks the sandbox.
    """
    output, last = Output(keep_bytes), 0.0
    stopped = interrupted = False
    wrapped = sandbox.wrap(argv, box, room)
    began = time.monotonic()
    try:
        with Child(wrapped.argv, environment, room.start or room.place, stop) as child:
            try:
                for _, data in child.watch(began + wall_seconds):
                    output.feed(data)
                    if time.monotonic() - last > LINE_SECONDS and (line := data.strip().split(b"\n")[-1]):
                        last = time.monotonic()
                        on_line(line.decode("utf-8", "replace"))
            except Stopped:
                stopped = True
            except KeyboardInterrupt:
                interrupted = True
            status = child.status
    finally:
        wrapped.release()
    wall = time.monotonic() - began
    code = None if status is None else wrapped.read_status(status)
    return Ended(code, stopped, interrupted, bytes(output.head), bytes(output.tail), output.left_out, wall)
