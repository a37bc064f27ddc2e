"""The step lines that a script writes into its own log, stamped as they appear: some scripts print none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from patchrun.core.arrival import Stamp, read_stamp

POLL_SECONDS = 0.005
LINE_BYTES = 4096
ENDINGS = (".txt", ".log")


def find_logs(folder: Path, outputs: Sequence[str]) -> list[Path]:
    """The logs that a script of the speedrun left in ``outputs`` below ``folder``, or one level further down."""
    found = (path for name in outputs for pattern in ("*", "*/*") for path in (folder / name).glob(pattern))
    return sorted(path for path in found if path.suffix in ENDINGS and path.is_file())


class LogTail:
    """Follows the first log that appears (see ``find_logs``); a context manager with a thread of its own."""

    def __init__(
        self, folder: Path, outputs: Sequence[str], on_stamp: Callable[[Stamp], None] = lambda stamp: None
    ) -> None:
        self.folder, self.outputs, self.on_stamp = folder, outputs, on_stamp
        self.stamps: list[Stamp] = []
        self.path: Path | None = None
        self.offset = 0
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

    def _follow(self) -> None:
        while not self.ended.wait(POLL_SECONDS):
            self._look()
        self._look()

    def _look(self) -> None:
        if self.path is None:
            self.path = next(iter(find_logs(self.folder, self.outputs)), None)
        if self.path is None:
            return
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read()
        except OSError:  # it was taken away: the strict reader of the whole log will say so
            return
        self.offset += len(data)
        at = time.monotonic() - self.began
        *lines, self.partial = (self.partial + data).split(b"\n")
        self.partial = self.partial[:LINE_BYTES]
        for line in lines:
            stamp = read_stamp(line[:LINE_BYTES].decode("utf-8", "replace"), at)
            if stamp:
                self.stamps.append(stamp)
                self.on_stamp(stamp)
