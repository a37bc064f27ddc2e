"""What a run prints, taken as it comes: the log up to a cap, the curve, the last words."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable

from patchrun.core.results import CurvePoint
from patchrun.core.steplines import StepLine, parse_step_line

LINE_BYTES = 4096  # of a longer line only this much is read; the log keeps it all
CURVE_POINTS = 2000
LAST_LINES = 12
_MARKS = re.compile(r"[\s~^]*")  # what tracebacks draw below a line


def printable(text: str, most: int) -> str:
    """``text`` without control characters, cut to ``most`` characters: it goes to terminals and results."""
    clean = "".join(char if char.isprintable() else " " for char in text)
    return clean if len(clean) <= most else clean[: most - 1] + "…"


class RunLog:
    """Takes a run's output as it comes: keeps it up to ``limit_bytes``, and reads the step lines.

    Beyond the limit the first and the last half are kept. ``on_step`` is called for each step line with the
    seconds at which it arrived, ``on_line`` before it for every line that is not empty. The curve is thinned to
    ``CURVE_POINTS`` at most.
    """

    def __init__(
        self, limit_bytes: int, on_step: Callable[[StepLine, float], None] = lambda line, at: None
    ) -> None:
        self.half = limit_bytes // 2
        self.on_step = on_step
        self.on_line: Callable[[str, float], None] = lambda text, at: None
        self.head, self.tail = bytearray(), bytearray()
        self.left_out = 0
        self.partial = bytearray()
        self.points: list[CurvePoint] = []
        self.stride, self.seen = 1, 0
        self.first: CurvePoint | None = None
        self.last: CurvePoint | None = None
        self.val_loss: float | None = None
        self.words: deque[str] = deque(maxlen=LAST_LINES)

    def feed(self, data: bytes, at: float) -> None:
        """Take the next piece of output, which arrived ``at`` seconds."""
        self._keep(data)
        lines = data.split(b"\n")
        for line in lines[:-1]:
            self._extend(line)
            self._end_line(at)
        self._extend(lines[-1])

    def close(self, at: float) -> None:
        """The output has ended: a last line without its newline counts too."""
        self._end_line(at)

    def text(self) -> bytes:
        """What is kept; a line in the middle says how much is not."""
        if not self.left_out:
            return bytes(self.head + self.tail)
        note = f"\n[patchrun: {self.left_out} bytes left out here]\n".encode()
        return bytes(self.head) + note + bytes(self.tail)

    def curve(self) -> tuple[CurvePoint, ...]:
        """The step lines in order, the last one always among them."""
        missing = self.last is not None and (not self.points or self.points[-1] != self.last)
        return tuple(self.points + ([self.last] if missing and self.last else []))

    def last_words(self, most: int = 600) -> str:
        """The last lines that are no step lines, for a reason that says what was seen."""
        lines = [line for line in self.words if not _MARKS.fullmatch(line)][-3:]
        return " | ".join(printable(line.strip(), most // 3) for line in lines)

    def _keep(self, data: bytes) -> None:
        room = max(self.half - len(self.head), 0)
        self.head += data[:room]
        self.tail += data[room:]
        excess = len(self.tail) - self.half
        if excess > 0:
            del self.tail[:excess]
            self.left_out += excess

    def _extend(self, piece: bytes) -> None:
        self.partial += piece[: LINE_BYTES - len(self.partial)]

    def _end_line(self, at: float) -> None:
        if not self.partial:
            return
        text = self.partial.decode("utf-8", "replace")
        line = parse_step_line(text)
        self.partial.clear()
        self.on_line(text, at)
        if line is None:
            self.words.append(text)
            return
        self._add(line, at)
        self.on_step(line, at)

    def _add(self, line: StepLine, at: float) -> None:
        point = CurvePoint(line.step, line.loss, line.train_time_ms, round(at, 4))
        self.first, self.last = self.first or point, point
        self.val_loss = line.val_loss if line.val_loss is not None else self.val_loss
        if self.seen % self.stride == 0:
            self.points.append(point)
        self.seen += 1
        if len(self.points) >= CURVE_POINTS:
            self.points, self.stride = self.points[::2], self.stride * 2
