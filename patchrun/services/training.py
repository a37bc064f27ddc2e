"""One training in a child of its own: set up, started on our signal, timed by our clock, its end put into words."""

from __future__ import annotations

import json
import math
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from patchrun.adapters import cputime, leavings, sandbox
from patchrun.adapters.child import Child, Stopped
from patchrun.core.errors import SetupError
from patchrun.core.halting import MARKS, Limits, say_halt
from patchrun.core.results import CurvePoint, Exit, Halt
from patchrun.core.runlog import RunLog, printable
from patchrun.core.snapshots import draw_moments, pack_moments
from patchrun.core.steplines import StepLine
from patchrun.core.track import Track

LAUNCHER = Path(__file__).parents[1] / "launch" / "launcher.py"
AGENT = LAUNCHER.with_name("agent.py")
MODEL = "model.safetensors"
SNAPSHOTS = "snapshots"
SETUP_SECONDS = 300.0  # for importing torch on a busy machine
MIB = 1 << 20
OUT_FILES = 8  # so many files of the largest allowed size may be left: each is capped, not their number
OUT_ENTRIES = 10_000
CACHE_ENTRIES = 200_000
_MEMORY_WORDS = (
    "MemoryError",
    "can't allocate memory",
    "Cannot allocate memory",
    "bad_alloc",
    "out of memory",
)


@dataclass(frozen=True)
class Plan:
    """What one training needs. ``place`` is a folder of its own; ``steps`` stops it early, its schedule unchanged.

    ``script`` and ``arguments``: else the track's script without any. ``ranks``: processes that torchrun starts, else a
    rank for each of the track's GPUs. ``limits``: racing stops it beyond them. ``environment`` is added to the listed
    one. ``readable``: more folders that it sees; ``cache``: its own copy of its code's compile cache;
    ``instead``: file that it sees -> file whose content
    it finds there (under bubblewrap only); ``outputs``: names beside the script that it writes to, links into ``out``.
    """

    track: Track
    code_dir: Path
    data_dir: Path | None
    place: Path
    seed: int
    sandbox: str
    cpu: int | None = None
    steps: int | None = None
    warmup: bool = True
    python: str = sys.executable
    script: str = ""
    arguments: tuple[str, ...] = ()
    ranks: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    readable: tuple[Path, ...] = ()
    cache: Path | None = None
    outputs: tuple[str, ...] = ()
    instead: Mapping[Path, Path] = field(default_factory=dict)
    limits: Limits | None = None


@dataclass(frozen=True)
class Trained:
    """How a training went. ``seconds`` by the track's clock; ``val_loss`` as printed; ``model`` may not exist.

    ``snapshots``: the model before its forwards of these numbers, from 1 on; files of later numbers than it came to do
    not exist.
    """

    exit: Exit
    reason: str
    seconds: float | None
    wall_seconds: float
    val_loss: float | None
    curve: tuple[CurvePoint, ...]
    log: bytes
    model: Path
    snapshots: Mapping[int, Path] = field(default_factory=dict)
    halt: Halt | None = None


def base_job(track: Track, code: Path, sandbox_name: str) -> dict[str, Any]:
    """What every child's job says: the code, the threads and how it is confined."""
    return {
        "script": track.launch.script,
        "code": str(code),
        "threads": track.seeds.threads,
        "memory_bytes": track.limits.memory_mb * MIB,
        "file_bytes": track.limits.file_mb * MIB,
        "cuda": track.hardware.device == "cuda",
        **sandbox.confine(sandbox_name, track.limits.processes),
    }


class Training:
    """A child that imports torch and then waits for the start signal; a context manager that leaves none behind."""

    def __init__(self, plan: Plan, stop: Callable[[], bool] = lambda: False) -> None:
        self.plan, self.stop = plan, stop
        place = plan.place
        by_model = plan.track.evidence.kind == "model"
        floors = len(plan.track.evidence.min_loss_steps)
        self.moments = draw_moments(floors, secrets.SystemRandom()) if by_model else ()
        for name in ("out", "home", SNAPSHOTS):
            (place / name).mkdir(parents=True)
        shutil.copytree(plan.code_dir, place / "code", symlinks=True)
        for name in plan.outputs:
            (place / "out" / name).mkdir()
            (place / "code" / name).symlink_to(place / "out" / name)
        for name in ("ready", "start"):
            os.mkfifo(place / name)
        job = self._job()
        (place / "job.json").write_text(json.dumps(job, indent=1))
        self.wrapped = sandbox.wrap(self._argv(), plan.sandbox, self._room(job))
        self.ready = os.open(place / "ready", os.O_RDWR | os.O_NONBLOCK)
        self.start = os.open(place / "start", os.O_RDWR | os.O_NONBLOCK)
        self.log = RunLog(int(plan.track.limits.log_mb * MIB))
        self.overfull, self.next_look = "", 0.0
        self.halt: Halt | None = None
        self.used_before: float | None = None
        self.printed: list[tuple[float, float]] = []
        self.next_mark = MARKS[0]
        try:
            self.child = Child(self.wrapped.argv, self._environment(), place, self._must_stop)
        except BaseException:
            self._let_go()
            raise

    def await_ready(self) -> dict[str, str]:
        """Return the versions of torch and python once the child waits for the signal.

        Raises:
            SetupError: torch is missing, or the launcher did not get so far.
        """
        said = b""
        for source, data in self.child.watch(time.monotonic() + SETUP_SECONDS, self.ready):
            if source != self.ready:
                self.log.feed(data, 0)
                continue
            said += data
            if said.count(b"\n") >= self._ranks():
                return self._read_facts(said)
        self.log.close(0)
        raise SetupError(
            f"the launcher did not get ready: {self._how_it_ended()}",
            f"try: {self.plan.python} -c 'import torch'",
        )

    def train(
        self,
        on_step: Callable[[StepLine, float], None] = lambda line, at: None,
        on_line: Callable[[str, float], None] = lambda text, at: None,
    ) -> Trained:
        """Start the script and follow it to its end or the wall limit; each line of its output goes to ``on_line``."""
        if self.plan.cpu is not None:
            cputime.pin(self.child.pid, self.plan.cpu)
        self.log.on_step = lambda line, at: self._see_step(line, at, on_step)
        self.log.on_line = on_line
        used = self.used_before = cputime.cpu_seconds(self.child.pid)
        began = time.monotonic()
        os.write(self.start, pack_moments(self.moments) * self._ranks())
        try:
            for _, data in self.child.watch(began + self.plan.track.limits.wall_seconds):
                self.log.feed(data, time.monotonic() - began)
        except Stopped:
            if not self.overfull and not self.halt:
                raise
        wall = time.monotonic() - began
        self.log.close(wall)
        self.overfull = self.overfull or self._find_overfull()
        how, reason = self._judge()
        seconds = self._clock(used) if how == "ok" else None
        return Trained(
            exit=how,
            reason=reason,
            seconds=seconds,
            wall_seconds=wall,
            val_loss=self.log.val_loss,
            curve=self.log.curve(),
            log=self.log.text(),
            model=self.plan.place / "out" / MODEL,
            snapshots={number: self.snapshots / f"{number}.safetensors" for number in self.moments},
            halt=self.halt if how == "stopped" else None,
        )

    def cpu_seconds(self) -> float:
        """CPU seconds that the child and all below it used so far, before the start signal too.

        By its control group; without one, of living processes and of those that were waited for.
        """
        group = self.wrapped.group.cpu_seconds() if self.wrapped.group else None
        if group is not None:
            return group
        ended = self.child.cpu_seconds
        return cputime.cpu_seconds(self.child.pid) if ended is None else ended

    def __enter__(self) -> Training:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.child.kill()
        self._let_go()

    def _must_stop(self) -> bool:
        """Someone says so, it is beyond its limits, or its output grows without end (looked at once a second)."""
        self.halt = self.halt or self._find_halt()
        if (now := time.monotonic()) >= self.next_look:
            self.next_look = now + 1
            self.overfull = self._find_overfull()
        return bool(self.overfull) or self.halt is not None or self.stop()

    def _find_halt(self) -> Halt | None:
        """The stop by patchrun's own clock: CPU seconds since the start signal."""
        limits = self.plan.limits
        if limits is None or self.used_before is None or self.plan.track.clock.source != "cpu":
            return None
        return limits.judge_seconds(cputime.cpu_seconds(self.child.pid) - self.used_before)

    def _see_step(self, line: StepLine, at: float, tell: Callable[[StepLine, float], None]) -> None:
        """Take a step line, and stop by what it says where that is hopeless."""
        if self.plan.limits and line.steps > 0:
            fraction = line.step / line.steps
            self.halt = self.halt or self._judge_pace(self.plan.limits, fraction, line.train_time_ms)
            if line.loss is not None:
                self.printed.append((fraction, line.loss))
                self.halt = self.halt or self.plan.limits.judge_losses(self.printed)
        tell(line, at)

    def _judge_pace(self, limits: Limits, fraction: float, claimed_ms: float | None) -> Halt | None:
        """At each mark, by the lesser of our clock and the script's own: a line may have lain in a buffer for long, and
        the script's clock runs on while others have the CPU.
        """
        if fraction < self.next_mark or claimed_ms is None or self.plan.track.clock.source != "cpu":
            return None
        self.next_mark = next((mark for mark in MARKS if mark > fraction), math.inf)
        own = cputime.cpu_seconds(self.child.pid) - (self.used_before or 0.0)
        return limits.judge_pace(fraction, min(own, claimed_ms / 1000))

    def _find_overfull(self) -> str:
        """What holds too much by now, empty when nothing does; a compiler leaves many small files."""
        most = OUT_FILES * self.plan.track.limits.file_mb * MIB
        if excess := leavings.find_excess(self.plan.place / "out", leavings.Limits(most, OUT_ENTRIES)):
            return f"PATCHRUN_OUT holds {excess}"
        if excess := leavings.find_excess(self.snapshots, leavings.Limits(most, OUT_ENTRIES)):
            return f"the folder of the model's copies holds {excess}"
        cache = self.plan.cache
        excess = leavings.find_excess(cache, leavings.Limits(most, CACHE_ENTRIES)) if cache else ""
        return f"its compile cache holds {excess}" if excess else ""

    def _let_go(self) -> None:
        self.wrapped.release()
        os.close(self.ready)
        os.close(self.start)

    def _room(self, job: Mapping[str, Any]) -> sandbox.Room:
        return sandbox.Room(
            place=self.plan.place,
            python=self.plan.python,
            readable=((self.plan.data_dir,) if self.plan.data_dir else ()) + self.plan.readable,
            writable=(self.snapshots,),
            cache=self.plan.cache,
            instead=self.plan.instead,
            memory_bytes=job["memory_bytes"],
            tasks=job["tasks"],
            cuda=job["cuda"],
        )

    def _job(self) -> dict[str, Any]:
        track, place = self.plan.track, self.plan.place
        named = {"script": self.plan.script} if self.plan.script else {}
        return base_job(track, place / "code", self.plan.sandbox) | {
            **named,
            "arguments": self.plan.arguments,
            "late_torch": track.launch.kind == "torchrun",
            "argv": self._argv(),
            "environment": self._environment(),
            "seed": self.plan.seed,
            "steps": self.plan.steps,
            "deterministic": track.seeds.deterministic,
            "warmup": self.plan.warmup,
            "ready": str(place / "ready"),
            "start": str(place / "start"),
            "model": str(place / "out" / MODEL),
            "snapshots": str(self.snapshots) if self.moments else "",
        }

    def _argv(self) -> tuple[str, ...]:
        python = [self.plan.python, "-s", "-P", "-B"]
        torchrun = [str(AGENT), "--standalone", f"--nproc-per-node={self._ranks()}"]
        kind = self.plan.track.launch.kind
        launch = [str(LAUNCHER), str(self.plan.place / "job.json")]
        return (*python, *(torchrun if kind == "torchrun" else []), *launch)

    @property
    def snapshots(self) -> Path:
        """Where the launcher leaves the copies of the model."""
        return self.plan.place / SNAPSHOTS

    def _ranks(self) -> int:
        if self.plan.track.launch.kind != "torchrun":
            return 1
        return self.plan.ranks or max(1, self.plan.track.hardware.gpus)

    def _environment(self) -> dict[str, str]:
        own = {"PATCHRUN_OUT": str(self.plan.place / "out")}
        if self.plan.data_dir:
            own["PATCHRUN_DATA"] = str(self.plan.data_dir)
        if self.plan.steps is not None:
            own["PATCHRUN_STEPS"] = str(self.plan.steps)
        track = self.plan.track
        return sandbox.listed_environment(
            self.plan.place / "home",
            track.seeds.threads,
            {**track.launch.env, **self.plan.environment, **own},
        )

    def _read_facts(self, said: bytes) -> dict[str, str]:
        facts: dict[str, str] = json.loads(said.splitlines()[0])
        if error := facts.get("error"):
            raise SetupError(
                f"the training environment of {self.plan.python} is not usable: {printable(error, 300)}",
                f"see that {self.plan.python} -c 'import torch, numpy, safetensors' works",
            )
        return facts

    def _clock(self, used: float) -> float | None:
        """Seconds by the track's clock; ``used`` is the CPU time before the start signal."""
        if self.plan.track.clock.source == "cpu":
            return None if self.child.cpu_seconds is None else self.child.cpu_seconds - used
        first, last = self.log.first, self.log.last
        return last.at - first.at if first and last else None

    def _judge(self) -> tuple[Exit, str]:
        """The exit and a reason that says what was seen."""
        status, words = self._status(), self.log.last_words()
        if status == 0 and not self.overfull:
            return "ok", ""
        if self.halt and status is None:
            return "stopped", say_halt(self.halt)
        if self.overfull:
            return "failed", f"{self.overfull}; {self._last_seen()}"
        if status is None:
            limit = self.plan.track.limits.wall_seconds
            return "timed-out", f"still running after {limit:g} s; {self._last_seen()}"
        memory = self.plan.track.limits.memory_mb
        if any(word in words for word in _MEMORY_WORDS):
            return "out-of-memory", f"{self._how_it_ended()} (limit {memory} MiB)"
        if status == -9:
            return (
                "out-of-memory",
                f"killed from outside, by the kernel for memory as it seems; {self._last_seen()}",
            )
        return "failed", self._how_it_ended()

    def _status(self) -> int | None:
        return None if self.child.status is None else self.wrapped.read_status(self.child.status)

    def _how_it_ended(self) -> str:
        status, words = self._status(), self.log.last_words() or "it printed nothing"
        if status is None:
            return f"still running: {words}"
        return (f"ended by signal {-status}: " if status < 0 else f"exit status {status}: ") + words

    def _last_seen(self) -> str:
        last = self.log.last
        return (
            f"its last step line was step {last.step} at {last.at:.1f} s"
            if last
            else "it printed no step line"
        )
