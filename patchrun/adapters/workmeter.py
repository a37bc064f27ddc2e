"""What a run uses, looked at from outside while it runs: CPU time, energy and busy time of GPUs, by the moment.

A thread samples the CPU account, another the driver. Each figure at a moment between two samples lies on the line
between them. A driver that hangs takes its own thread with it: after a time limit its figures are None.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from types import TracebackType

from patchrun.adapters.nvml import Gpus
from patchrun.core.results import Amount, Work

PERIOD_SECONDS = 0.1
PATIENCE_SECONDS = 5.0  # for the first sample and for the last; loading the driver takes about a second

Read = Callable[[], "tuple[float | None, ...]"]


class Sampler:
    """Calls ``make()`` for a reader and then the reader, every ``PERIOD_SECONDS``, in a thread of its own.

    The reader's values never fall; one that is None once is not known at all.
    """

    def __init__(self, make: Callable[[], Read | None]) -> None:
        self.make = make
        self.samples: list[tuple[float, tuple[float | None, ...]]] = []
        self.first, self.ended = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._sample, daemon=True)
        self.answers = False

    def start(self) -> None:
        """Begin, and wait for the first sample."""
        self.thread.start()
        self.answers = self.first.wait(PATIENCE_SECONDS)

    def finish(self) -> None:
        """Take the last sample and end."""
        self.ended.set()
        self.thread.join(PATIENCE_SECONDS)
        self.answers = self.answers and not self.thread.is_alive()

    def at(self, moment: float, index: int) -> float | None:
        """The value number ``index`` at a moment of the monotonic clock; None where it is not known."""
        if not self.answers or not self.samples or any(values[index] is None for _, values in self.samples):
            return None
        return _interpolate([(when, values[index] or 0.0) for when, values in self.samples], moment)

    def _sample(self) -> None:
        read = self.make()
        while read is not None:
            last = self.ended.is_set()
            values = read()
            self.samples.append((time.monotonic(), values))
            self.first.set()
            if last:
                return
            self.ended.wait(PERIOD_SECONDS)
        self.first.set()


class WorkMeter:
    """Measures from ``begin`` (just before the start signal) to the end of the ``with`` block.

    ``cpu``: CPU seconds used so far. ``gpus``: None where the track has no use for them.
    """

    def __init__(self, cpu: Callable[[], float], open_gpus: Callable[[], Gpus | None] | None) -> None:
        self.cpu = Sampler(lambda: lambda: (cpu(),))
        self.gpus = Sampler(lambda: _gpu_reader(open_gpus())) if open_gpus else None
        self.began = self.finished = 0.0

    def __enter__(self) -> WorkMeter:
        for sampler in self._samplers():
            sampler.start()
        self.began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finished = time.monotonic()
        for sampler in self._samplers():
            sampler.finish()

    def work(self, lead: float | None) -> Work:
        """What was used until ``lead`` seconds after the start (None: not known), and until the end."""
        gpus = self.gpus
        return Work(
            cpu=self._amount(self.cpu, 0, lead),
            joules=self._amount(gpus, 0, lead) if gpus else None,
            busy=self._amount(gpus, 1, lead) if gpus else None,
        )

    def _amount(self, sampler: Sampler, index: int, lead: float | None) -> Amount | None:
        start = sampler.at(float("-inf"), index)
        end = sampler.at(float("inf"), index)
        if start is None or end is None:
            return None
        first = None if lead is None else sampler.at(self.began + lead, index)
        return Amount(None if first is None else round(first - start, 4), round(end - start, 4))

    def _samplers(self) -> list[Sampler]:
        return [self.cpu, *([self.gpus] if self.gpus else [])]


def _gpu_reader(gpus: Gpus | None) -> Read | None:
    """Energy so far, and busy time so far: each sample's use stands for the time since the one before."""
    if gpus is None:
        return None
    busy, before = 0.0, time.monotonic()

    def read() -> tuple[float | None, ...]:
        nonlocal busy, before
        now, use = time.monotonic(), gpus.use()
        busy, before = busy + (use or 0.0) * (now - before), now
        return gpus.joules(), None if use is None else busy

    return read


def _interpolate(points: Sequence[tuple[float, float]], moment: float) -> float:
    """The running maximum of the points (x, y) at ``moment``, on the line between its neighbours."""
    highest, rising = float("-inf"), []
    for when, value in points:
        highest = max(highest, value)
        rising.append((when, highest))
    index = bisect_right(rising, (moment, float("inf")))
    if index in (0, len(rising)):
        return rising[min(index, len(rising) - 1)][1]
    (x0, y0), (x1, y1) = rising[index - 1], rising[index]
    return y0 + (y1 - y0) * (moment - x0) / (x1 - x0) if x1 > x0 else y1
