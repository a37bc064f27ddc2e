"""The evaluator's line to the process that computes checked graphs: token ids out, logits back.

The process runs patchrun's own code alone (``launch/interpreter.py``); it serves one model after the other. What comes
back is bytes of a length fixed beforehand; a model on which it crashes, hangs, or uses too much CPU time is a
``GraphFault`` that says what was seen, and the process is not used again.
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
from patchrun.adapters.modelfile import ModelFile
from patchrun.core.graph.model import ModelGraph, match_names
from patchrun.core.runlog import printable

if TYPE_CHECKING:
    import numpy as np

PIPE = process.subprocess.PIPE
PROGRAM = Path(__file__).parents[1] / "launch" / "interpreter.py"
REQUEST = struct.Struct("<cQQ")
REPLY = struct.Struct("<cQ")
ERROR_BYTES = 2000
CHUNK = 1 << 20
START_CPU_S = 60.0
LOAD_CPU_S = 30.0


class GraphFault(Exception):
    """The model could not be computed; the message says what was seen."""


@dataclass(frozen=True)
class Cap:
    """CPU seconds for one phase of the work, and how to say so."""

    cpu_seconds: float
    why: str

    @property
    def wall_seconds(self) -> float:
        """Room for the same work on a crowded machine."""
        return 5 + 4 * self.cpu_seconds


class Interpreter:
    """One process; a context manager that kills it at the end. ``job`` says how it is confined."""

    def __init__(
        self,
        place: Path,
        job: Mapping[str, Any],
        *,
        wrapper: str,
        python: str = sys.executable,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.vocab_size, self.stop = 0, stop
        (place / "home").mkdir(parents=True)
        (place / "job.json").write_text(json.dumps(job, indent=1))
        argv = [python, "-s", "-P", "-B", str(PROGRAM), str(place / "job.json")]
        env = sandbox.listed_environment(place / "home", job["threads"], {})
        self.wrapped = sandbox.wrap(argv, wrapper, _room(place, job, python))
        with (place / "interpreter.log").open("wb") as log:
            self.process = process.spawn(
                self.wrapped.argv, cwd=place, env=env, stdin=PIPE, stdout=PIPE, stderr=log.fileno()
            )
        assert self.process.stdin and self.process.stdout
        self.requests, self.replies = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.requests, False)
        self.limit(Cap(START_CPU_S, "while torch was imported"))

    def limit(self, cap: Cap) -> None:
        """From now on the process may use ``cap.cpu_seconds`` of CPU, until the next call of this."""
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

    def load(self, graph: ModelGraph, model: ModelFile, vocab_size: int) -> None:
        """Compute ``graph`` with the tensors of ``model`` from now on.

        Raises:
            BadGraph: the tensors are not those of the graph.
            GraphFault: the process did not take them.
        """
        names = match_names(graph, model.specs)
        program = b'{"names":' + json.dumps(names).encode() + b"," + graph.to_program()[1:]
        self.vocab_size = vocab_size
        self.limit(Cap(LOAD_CPU_S, "while the model was loaded"))
        self._send(REQUEST.pack(b"L", len(program), len(model.data)) + program + model.data)
        self._receive(0)

    def logits(self, tokens: np.ndarray) -> np.ndarray:
        """float32 logits [rows, columns, vocab_size] for token ids [rows, columns].

        Raises:
            GraphFault: no answer, another shape, or numbers that are not finite.
        """
        import numpy as np

        rows, columns = tokens.shape
        self._send(REQUEST.pack(b"E", rows, columns) + tokens.astype("<i4").tobytes())
        data = self._receive(4 * rows * columns * self.vocab_size)
        logits = np.frombuffer(data, dtype="<f4").reshape(rows, columns, self.vocab_size)
        if not np.isfinite(logits).all():
            raise GraphFault("the model returned logits that are not finite")
        return logits

    def kill(self) -> None:
        """End the process; safe to call again."""
        process.end_group(self.process)
        self.wrapped.release()

    def __enter__(self) -> Interpreter:
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
            raise GraphFault(printable(said, 300))
        if status != b"K" or size != length:
            raise GraphFault(f"the interpreter answered with {size} bytes of kind {status!r}, not {length}")
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
        """Return when ``descriptor`` is ready; its caps are watched meanwhile."""
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
            raise GraphFault(f"the model used more than {self.cap.cpu_seconds:.1f} s of CPU {self.cap.why}")
        if time.monotonic() > self.deadline:
            raise GraphFault(f"the model gave no answer in {self.cap.wall_seconds:.0f} s {self.cap.why}")

    def _death(self) -> GraphFault:
        status = self.wrapped.read_status(self.process.wait())
        how = f"was ended by signal {-status}" if status < 0 else f"exited with status {status}"
        return GraphFault(f"the process that computes the model {how} {self.cap.why}")


def _room(place: Path, job: Mapping[str, Any], python: str) -> sandbox.Room:
    return sandbox.Room(
        place=place, python=python, memory_bytes=job["memory_bytes"], tasks=job["tasks"], cuda=False
    )
