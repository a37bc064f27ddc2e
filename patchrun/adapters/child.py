"""A long-running child: its output as it comes, its end with the CPU time of all it waited for."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from patchrun.adapters import process

CHUNK = 1 << 16
TICK_S = 0.2  # how soon a wish to stop is noticed


class Stopped(Exception):
    """Someone asked for the work to end; what was running is dead."""


class Child:
    """A process group whose standard output and error arrive on one pipe; killed when the ``with`` block ends."""

    def __init__(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: Path, stop: Callable[[], bool]
    ) -> None:
        self.stop = stop
        self.output, output = os.pipe()
        try:
            self.process = process.spawn(argv, cwd=cwd, env=env, stdout=output, stderr=output)
        except BaseException:
            os.close(self.output)
            raise
        finally:
            os.close(output)
        self.pid = self.process.pid
        self.pidfd = os.pidfd_open(self.pid)
        self.cpu_seconds: float | None = None

    @property
    def status(self) -> int | None:
        """Exit status (negative: ended by that signal); None while it runs."""
        return self.process.returncode

    def watch(self, deadline: float, also: int | None = None) -> Iterator[tuple[int, bytes]]:
        """What arrives on ``output`` and ``also``, as (descriptor, bytes), until the process ends.

        Ends early, with ``status`` None, at ``deadline`` (seconds of the monotonic clock).

        Raises:
            Stopped: ``stop()`` said so.
        """
        with selectors.DefaultSelector() as selector:
            for descriptor in (self.output, self.pidfd, *([] if also is None else [also])):
                selector.register(descriptor, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                ready = {key.fd for key, _ in selector.select(min(left, TICK_S))}
                if self.stop():
                    raise Stopped
                for descriptor in ready - {self.pidfd}:
                    data = os.read(descriptor, CHUNK)
                    if data:
                        yield descriptor, data
                    else:
                        selector.unregister(descriptor)
                if self.pidfd in ready:
                    self._reap()
                    yield from self._rest()
                    return

    def kill(self) -> None:
        """End the whole group and let go of it; safe to call again."""
        if self.pidfd < 0:
            return
        if self.status is None:
            process.end_group(self.process)
        os.close(self.pidfd)
        os.close(self.output)
        self.pidfd = -1

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _reap(self) -> None:
        """Kill what is left of the group while its dead leader still holds its number, then take its account."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        _, status, usage = os.wait4(self.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu_seconds = usage.ru_utime + usage.ru_stime

    def _rest(self) -> Iterator[tuple[int, bytes]]:
        """What lies in the pipe after the end; a grandchild that holds the other end is not waited for."""
        os.set_blocking(self.output, False)
        try:
            while data := os.read(self.output, CHUNK):
                yield self.output, data
        except BlockingIOError:
            return
