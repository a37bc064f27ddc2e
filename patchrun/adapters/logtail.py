"""The step lines that a script writes into its own log, stamped as they appear: some scripts print none."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path, PurePosixPath
from types import TracebackType

from patchrun.adapters import leavings
from patchrun.core.arrival import Stamp, read_stamp
from patchrun.core.trainlog import MAX_BYTES

POLL_SECONDS = 0.005
LINE_BYTES = 4096
LOOK_BYTES = 1 << 20  # of one look
ENTRIES = 2000  # names that are looked through for a log
ENDINGS = (".txt", ".log")


def find_logs(folder: Path, outputs: Sequence[str]) -> list[PurePosixPath]:
    """What is named as a log in ``outputs`` below ``folder``, or one level further down; relative to ``folder``.

    It may be anything but a folder: whether it is a plain file is seen where it is read.
    """
    found: list[PurePosixPath] = []
    for name in outputs:
        entries = islice(leavings.walk(folder / name, depth=2), ENTRIES)
        found += [
            name / entry.path for entry in entries if entry.path.suffix in ENDINGS and not entry.is_folder
        ]
    return sorted(found)


class LogTail:
    """Follows the first log that appears (see ``find_logs``); a context manager with a thread of its own."""

    def __init__(
        self, folder: Path, outputs: Sequence[str], on_stamp: Callable[[Stamp], None] = lambda stamp: None
    ) -> None:
        self.folder, self.outputs, self.on_stamp = folder, outputs, on_stamp
        self.stamps: list[Stamp] = []
        self.descriptor: int | None = None
        self.read = 0
        self.partial = b""
        self.began = time.monotonic()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> LogTail:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self.thread.join()
        if self.descriptor is not None:
            os.close(self.descriptor)

    def _follow(self) -> None:
        while not self.ended.wait(POLL_SECONDS):
            self._look()
        before = -1
        while before < self.read:
            before = self.read
            self._look()

    def _open(self) -> None:
        path = next(iter(find_logs(self.folder, self.outputs)), None)
        if path:
            with suppress(leavings.Missing, leavings.Refused):  # the strict reader of the whole log says so
                self.descriptor = leavings.open_file(self.folder, path)

    def _look(self) -> None:
        if self.descriptor is None:
            self._open()
        if self.descriptor is None or self.read >= MAX_BYTES:
            return
        data = os.read(self.descriptor, LOOK_BYTES)
        self.read += len(data)
        at = time.monotonic() - self.began
        *lines, self.partial = (self.partial + data).split(b"\n")
        self.partial = self.partial[:LINE_BYTES]
        for line in lines:
            stamp = read_stamp(line[:LINE_BYTES].decode("utf-8", "replace"), at)
            if stamp:
                self.stamps.append(stamp)
                self.on_stamp(stamp)
