"""The evaluator's line to a worker process that holds a candidate's model: token ids out, logits back.

What comes back is bytes of a length fixed beforehand, never an object; a worker that crashes, hangs, uses too much
CPU time or sends anything else is a ``WorkerFault`` that says what was seen.
"""

from __future__ import annotations

import json
import os
import select
import struct
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from patchrun.adapters import cputime, process, sandbox
from patchrun.adapters.child import TICK_S, Stopped
from patchrun.core.runlog import printable

if TYPE_CHECKING:
    import numpy as np

PIPE = process.subprocess.PIPE
WORKER = Path(__file__).parents[1] / "launch" / "worker.py"
REQUEST = struct.Struct("<cII")
REPLY = struct.Struct("<cQ")
ERROR_BYTES = 2000
CHUNK = 1 << 20


class WorkerFault(Exception):
    """The candidate's code or model did not answer as it should; the message says what was seen."""


@dataclass(frozen=True)
class Cap:
    """CPU seconds for one phase of a worker's work, and how to say so."""

    cpu_seconds: float
    why: str

    @property
    def wall_seconds(self) -> float:
        """Room for the same work on a crowded machine; a worker that only sleeps is cut off here."""
        return 5 + 4 * self.cpu_seconds


class ModelWorker:
    """One fresh worker process; a context manager that kills it at the end.

    ``job`` names the code; ``readable``: folders that weights will lie in.
    """

    def __init__(
        self,
        place: Path,
        job: Mapping[str, Any],
        *,
        wrapper: str,
        readable: tuple[Path, ...] = (),
        python: str = sys.executable,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.vocab_size = int(job["vocab_size"])
        self.stop = stop
        (place / "home").mkdir(parents=True)
        (place / "job.json").write_text(json.dumps(job, indent=1))
        argv = [python, "-s", "-P", "-B", str(WORKER), str(place / "job.json")]
        env = sandbox.listed_environment(place / "home", job["threads"], {})
        self.wrapped = sandbox.wrap(argv, wrapper, _room(place, job, readable, python))
        with (place / "worker.log").open("wb") as log:
            self.process = process.spawn(
                self.wrapped.argv, cwd=place, env=env, stdin=PIPE, stdout=PIPE, stderr=log.fileno()
            )
        assert self.process.stdin and self.process.stdout
        self.requests, self.replies = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.requests, False)
        self.limit(Cap(60, "while torch was imported"))

    def limit(self, cap: Cap) -> None:
        """From now on the worker may use ``cap.cpu_seconds`` of CPU, until the next call of this."""
        self.cap = cap
        self.started_at = cputime.cpu_seconds(self.process.pid)
        self.next_look = time.monotonic() + TICK_S
        self.deadline = time.monotonic() + cap.wall_seconds

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds used since the last ``limit``."""
        return cputime.cpu_seconds(self.process.pid) - self.started_at

    def await_ready(self) -> None:
        """Return when torch is imported."""
        self._receive(0)

    def load(self, weights: Path | None, seed: int = 0) -> None:
        """Build the model, once, from ``seed``; fill it from the safetensors file ``weights``.

        Raises:
            WorkerFault: the script cannot be imported, or the weights do not fit.
        """
        path = str(weights or "").encode()
        self._send(REQUEST.pack(b"L", len(path), seed % 2**32) + path)
        self._receive(0)

    def logits(self, tokens: np.ndarray) -> np.ndarray:
        """float32 logits [rows, columns, vocab_size] for token ids [rows, columns].

        Raises:
            WorkerFault: no answer, another shape, or numbers that are not finite.
        """
        import numpy as np

        rows, columns = tokens.shape
        self._send(REQUEST.pack(b"E", rows, columns) + tokens.astype("<i4").tobytes())
        data = self._receive(4 * rows * columns * self.vocab_size)
        logits = np.frombuffer(data, dtype="<f4").reshape(rows, columns, self.vocab_size)
        if not np.isfinite(logits).all():
            raise WorkerFault("the model returned logits that are not finite")
        return logits

    def kill(self) -> None:
        """End the worker; safe to call again."""
        process.end_group(self.process)
        self.wrapped.release()

    def __enter__(self) -> ModelWorker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._await(self.requests, select.POLLOUT)
            try:
                view = view[os.write(self.requests, view) :]
            except BrokenPipeError:
                raise self._death() from None

    def _receive(self, length: int) -> bytes:
        """The payload of the next answer, which must have ``length`` bytes."""
        status, size = REPLY.unpack(self._read(REPLY.size))
        if status == b"X":
            said = self._read(min(size, ERROR_BYTES)).decode("utf-8", "replace")
            raise WorkerFault(printable(said, 300))
        if status != b"K" or size != length:
            raise WorkerFault(f"the worker answered with {size} bytes of kind {status!r}, not {length}")
        return self._read(length)

    def _read(self, length: int) -> bytes:
        parts = bytearray()
        while len(parts) < length:
            self._await(self.replies, select.POLLIN)
            piece = os.read(self.replies, min(length - len(parts), CHUNK))
            if not piece:
                raise self._death()
            parts += piece
        return bytes(parts)

    def _await(self, descriptor: int, event: int) -> None:
        """Return when ``descriptor`` is ready; the worker's caps are watched meanwhile."""
        poll = select.poll()
        poll.register(descriptor, event)
        while not poll.poll(1000 * TICK_S):
            self._watch_caps()
        if time.monotonic() > self.next_look:
            self._watch_caps()

    def _watch_caps(self) -> None:
        self.next_look = time.monotonic() + TICK_S
        if self.stop():
            raise Stopped
        if self.cpu_seconds > self.cap.cpu_seconds:
            raise WorkerFault(f"the worker used more than {self.cap.cpu_seconds:.1f} s of CPU {self.cap.why}")
        if time.monotonic() > self.deadline:
            raise WorkerFault(f"the worker gave no answer in {self.cap.wall_seconds:.0f} s {self.cap.why}")

    def _death(self) -> WorkerFault:
        status = self.wrapped.read_status(self.process.wait())
        how = f"was ended by signal {-status}" if status < 0 else f"exited with status {status}"
        return WorkerFault(f"the worker {how} {self.cap.why}")


def _room(place: Path, job: Mapping[str, Any], readable: tuple[Path, ...], python: str) -> sandbox.Room:
    return sandbox.Room(
        place=place,
        python=python,
        readable=(Path(job["code"]), *readable),
        memory_bytes=job["memory_bytes"],
        tasks=job["tasks"],
        cuda=job["cuda"],
    )
