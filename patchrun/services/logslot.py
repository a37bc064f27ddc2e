"""Train one slot of a track whose evidence is the script's own log: torchrun, the strict parser, the clock by arrival.

Each arm is started as its own ``run.sh`` says, on as many processes as both arms' code allows here, in the environment
of the record's human code. The loss comes from the log, read strictly; the seconds from the arrival of its lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from patchrun.adapters import gpus, leavings, machine, sandbox
from patchrun.adapters.child import Stopped
from patchrun.adapters.fetched import environment_of
from patchrun.adapters.logtail import LogTail, find_logs
from patchrun.adapters.nvml import Gpus
from patchrun.adapters.workmeter import WorkMeter
from patchrun.core.arrival import Stamp, draw_curve
from patchrun.core.console import Tape
from patchrun.core.launchline import Launch, LaunchError, read_launch
from patchrun.core.logfacts import ran_code
from patchrun.core.logjudge import Arrived, Reference, judge_reference, judge_submission
from patchrun.core.results import Machine, Probe, Run
from patchrun.core.runlog import printable
from patchrun.core.steplines import StepLine
from patchrun.core.trainlog import MAX_BYTES, LogError, TrainLog, parse_log
from patchrun.services.readiness import Site
from patchrun.services.runner import EVENT_SECONDS, Ended, Event, SlotRequest, make_run
from patchrun.services.training import Plan, Trained, Training

RUN_SH_BYTES = 1 << 20
CACHE_LIMITS = leavings.Limits(
    2 << 30, 100_000
)  # of a compile cache that is kept: records leave some 100 MiB


@dataclass(frozen=True)
class LogRequest:
    """What one run needs besides its slot: where it runs, and what the reference runs said (None: not run yet).

    ``steps``: stop after this step; nothing is read from the log then. ``compiled``: a compile cache that the run gets
    a copy of, None for an empty one. ``instead``: shard that it sees -> shard whose content it finds there. ``known``:
    the realised -log p of the validation tokens, in a probe: it ends at the first validation from ``steps`` on, and
    only its losses are kept.
    """

    slot: SlotRequest
    site: Site
    compiled: Path | None = None
    reference: Reference | None = None
    steps: int | None = None
    instead: Mapping[Path, Path] = field(default_factory=dict)
    known: float | None = None


def train_log_slot(
    request: LogRequest,
    on_event: Callable[[Event], None] = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[Run, bytes]:
    """Train and judge; the run, and its output with the script's log. A failed run is a value too.

    Raises:
        SetupError: this machine lacks what the run needs.
    """
    work = _LogWork(request, on_event, stop)
    try:
        work.do()
    except Ended as ended:
        work.facts.update(exit=ended.exit, reason=ended.reason)
    except Stopped:
        work.facts.update(exit="interrupted", reason="stopped on request")
    on_event(Event("done"))
    return work.result(), work.log()


class _LogWork:
    """One slot on its way."""

    def __init__(
        self, request: LogRequest, on_event: Callable[[Event], None], stop: Callable[[], bool]
    ) -> None:
        self.request, self.slot, self.track = request, request.slot, request.slot.track
        self.on_event, self.stop = on_event, stop
        self.sandbox = sandbox.resolve(request.slot.sandbox)
        self.place = request.slot.scratch / request.slot.slot.name
        self.versions = {"torch": "", "python": ""}
        self.facts: dict[str, Any] = {
            "exit": "ok",
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self.printed: list[Stamp] = []
        self.console = Tape()
        self.parts: list[tuple[str, bytes]] = []
        self.reached = False
        self.last_event = float("-inf")

    def do(self) -> None:
        """Start it, follow it to its end, read its log."""
        self.on_event(Event("starting"))
        plan = self._plan(self._read_launch())
        with Training(plan, lambda: self.reached or self.stop()) as training:
            self.versions = training.await_ready()
            self.facts["gpus_at_start"] = gpus.read_states()
            counted = Gpus.open if self.track.hardware.device == "cuda" else None
            with (
                LogTail(plan.place / "out", self.track.launch.outputs, self._see_logged) as tail,
                WorkMeter(training.cpu_seconds, counted) as meter,
            ):
                trained = self._follow(training)
        self.facts.setdefault("gpus_at_end", gpus.read_states())
        stamps = self.printed if any(stamp.validates for stamp in self.printed) else tail.stamps
        self.facts["curve"] = draw_curve(stamps)
        if self.request.known is not None:
            self.parts.append(("output", training.log.text()))
            self._keep_probe(trained, [*self.printed, *tail.stamps], self.request.known)
            return
        if trained is None:
            self.parts.append(("output", training.log.text()))
            self.facts["reason"] = f"stopped after step {self.request.steps}"
            return
        self.parts.append(("output", trained.log))
        self.facts.update(wall_seconds=trained.wall_seconds, work=meter.work(None))
        log = self._read_log(plan.place / "out", trained)
        lead = self._judge(log, Arrived(self.console, tail.stamps))
        self.facts["work"] = meter.work(lead)

    def _keep_probe(self, trained: Trained | None, stamps: list[Stamp], realised: float) -> None:
        """The losses of a probe, as printed and as logged; ``trained`` is None where it was ended at its step."""
        if trained is not None and trained.exit != "ok":
            raise Ended(trained.exit, _find_cause(trained))
        found = {(stamp.step, stamp.loss) for stamp in stamps if stamp.validates and stamp.loss is not None}
        if not found:
            raise Ended("failed", "it validated nothing")
        losses = tuple(loss for _, loss in sorted(found))
        self.facts["wall_seconds"] = trained.wall_seconds if trained else max(stamp.at for stamp in stamps)
        self.facts["probe"] = Probe(realised=realised, tokens=self.track.data.val_tokens, losses=losses)
        self.facts["reason"] = f"on known tokens: prints {losses[-1]:.4f}, realised -log p {realised:.4f}"

    def _read_launch(self) -> Launch:
        """What the arm's own ``run.sh`` starts; the track's script where it has none."""
        code = self.slot.code_dir
        try:
            launch = read_launch(leavings.read(code, "run.sh", RUN_SH_BYTES).decode())
        except leavings.Missing:
            launch = Launch(self.track.launch.script, ())
        except (LaunchError, UnicodeDecodeError, leavings.Refused) as error:
            raise Ended("failed", str(error).splitlines()[0]) from None
        if not (code / launch.script).is_file():
            raise Ended("failed", f"run.sh starts {launch.script}, which is not there")
        return launch

    def _plan(self, launch: Launch) -> Plan:
        for name in self.track.launch.outputs:
            if (self.slot.code_dir / name).exists():
                raise Ended("failed", f"the code has a {name} of its own, where its output belongs")
        self._link_data()
        site, request, cache = self.request.site, self.slot, self._copy_cache()
        fetched = (site.fetched,) if site.fetched else ()
        return Plan(
            track=self.track,
            code_dir=request.code_dir,
            data_dir=None,
            place=self.place,
            seed=request.slot.seed,
            sandbox=self.sandbox,
            warmup=False,
            python=site.python,
            script=launch.script,
            arguments=launch.arguments,
            ranks=site.processes,
            environment=_environment(site, sandbox.cache_seen(self.sandbox, cache)),
            readable=(*self._data_folders(), *fetched),
            cache=cache,
            outputs=self.track.launch.outputs,
            instead=self.request.instead,
        )

    def _copy_cache(self) -> Path:
        """A compile cache of the run's own: nothing that it writes there is seen by another run."""
        cache = cache_of(self.slot)
        leavings.remove(cache)
        if self.request.compiled is None:
            cache.mkdir(parents=True)
        else:
            leavings.copy(self.request.compiled, cache, CACHE_LIMITS)
        return cache

    def _data_folders(self) -> tuple[Path, ...]:
        """The folder of the shards alone: what lies beside it is no run's business."""
        spec = self.track.data
        return ((self.request.site.data / spec.pattern).parent,) if spec.source == "shards" else ()

    def _link_data(self) -> None:
        """Scripts up to record 26 look for their shards beside themselves, later ones below ``DATA_PATH``."""
        name = self.track.data.pattern.split("/")[0]
        if self.track.data.source != "shards" or "*" in name:
            return
        try:
            (self.slot.code_dir / name).symlink_to(self.request.site.data / name)
        except FileExistsError:
            raise Ended("failed", f"the code has a {name} of its own, where the data belongs") from None

    def _follow(self, training: Training) -> Trained | None:
        """The training, None when it was stopped after the step that was asked for."""
        try:
            return training.train(self._see_printed, self.console.add)
        except Stopped:
            if self.reached:
                return None
            raise

    def _see_printed(self, line: StepLine, at: float) -> None:
        claimed = None if line.train_time_ms is None else line.train_time_ms / 1000
        validates = line.val_loss is not None
        self.printed.append(Stamp(line.step, validates, claimed, line.loss, at))
        if validates and line.step == line.steps and "gpus_at_end" not in self.facts:  # asking takes a while
            self.facts["gpus_at_end"] = gpus.read_states()
        self._count(line.step, validates)
        if at - self.last_event >= EVENT_SECONDS:
            self.last_event = at
            self.on_event(Event("training", line.step, line.steps, line.loss, at))

    def _see_logged(self, stamp: Stamp) -> None:
        if not self.printed:
            self._count(stamp.step, stamp.validates)

    def _count(self, step: int, validates: bool) -> None:
        limit, ends = self.request.steps, validates == (self.request.known is not None)
        self.reached = self.reached or (limit is not None and ends and step >= limit)

    def _read_log(self, out: Path, trained: Trained) -> TrainLog:
        """The one log that the script wrote, read strictly; kept with the run whatever it says."""
        found = find_logs(out, self.track.launch.outputs)
        trouble = "" if len(found) == 1 else f"it left {len(found)} logs, not one"
        for path in found[:1]:
            try:
                self.parts.append(
                    (printable(str(path), 200), leavings.read(out, path, MAX_BYTES + 1, cut=True))
                )
            except (leavings.Missing, leavings.Refused) as refused:
                trouble = f"its log is not read: {printable(str(refused), 200)}"
        if trained.exit != "ok":
            raise Ended(trained.exit, _find_cause(trained))
        if trouble:
            raise Ended("failed", trouble)
        return read_own_log(*self.parts[-1], _python_files(self.slot.code_dir))

    def _judge(self, log: TrainLog, arrived: Arrived) -> float | None:
        """Take the figures, or end the run; seconds from the start signal to the first timed line."""
        if self.slot.arm.kind == "submission":
            judged = judge_submission(log, arrived, self.request.reference)
        else:
            judged = judge_reference(log, arrived)
        self.facts.update(console=judged.console, lead_seconds=judged.lead)
        if judged.stamps:
            self.facts["curve"] = draw_curve(judged.stamps)
        if judged.exit != "ok":
            raise Ended(judged.exit, judged.reason)
        words = [judged.reason, gpus.say_throttled(self.facts["gpus_at_end"])]
        self.facts.update(
            loss=judged.loss,
            seconds=judged.seconds,
            repeats=(judged.seconds,),
            claimed_seconds=judged.claimed,
            validation_seconds=judged.validation,
            validations=judged.validations,
            reason="; ".join(word for word in words if word),
        )
        return judged.lead

    def result(self) -> Run:
        """The run as far as it is known."""
        return make_run(self.slot, self.sandbox, self._machine(), self.facts)

    def _machine(self) -> Machine:
        seen = machine.describe(**self.versions)
        if self.track.hardware.device != "cuda":
            return seen
        used, driver = seen.gpus[: self.request.site.processes], gpus.driver_version()
        name = gpus.gpu_class(used, seen.torch, driver)
        return msgspec.structs.replace(seen, gpus=used, driver=driver, hardware_class=name)

    def log(self) -> bytes:
        """The output, then the script's own log, each under its name."""
        return b"".join(b"[patchrun: %s]\n%s\n" % (name.encode(), text) for name, text in self.parts)


def cache_of(slot: SlotRequest) -> Path:
    """Where a run's own compile cache lies."""
    return slot.scratch / "cache"


def read_own_log(name: str, data: bytes, code: Mapping[str, bytes]) -> TrainLog:
    """The log of a run of ``code`` (Python files by name), read strictly; ends the run where it is none of that."""
    try:
        log = parse_log(data, name)
    except LogError as error:
        said = f"its log cannot be read strictly: {printable(error.message, 300)}"
        raise Ended("failed", said) from None
    if log.form != "llm.c" and not ran_code(log, code):
        raise Ended("disqualified", "its log embeds other code than the code that was run")
    return log


def _environment(site: Site, compiled: Path) -> dict[str, str]:
    """What scripts look for in their environment: the data, compile caches of their own, what was fetched for them."""
    fetched = environment_of(site.fetched) if site.fetched else {}
    caches = {"TORCHINDUCTOR_CACHE_DIR": compiled / "inductor", "TRITON_CACHE_DIR": compiled / "triton"}
    return {"DATA_PATH": str(site.data), **fetched, **{name: str(place) for name, place in caches.items()}}


def _python_files(folder: Path) -> Mapping[str, bytes]:
    """The Python files beside the script, which a log may embed."""
    found = {}
    for entry in leavings.walk(folder, depth=1):
        if entry.path.suffix == ".py":
            with suppress(leavings.Missing, leavings.Refused):  # no code that a log could embed
                found[entry.path.name] = leavings.read(folder, entry.path, MAX_BYTES)
    return found


def _find_cause(trained: Trained) -> str:
    """The last error that the script itself printed: torchrun's own report stands below it and says less."""
    lines = trained.log.decode("utf-8", "replace").splitlines()
    errors = [line for line in lines if line.partition(":")[0].endswith(("Error", "Exception", "Interrupt"))]
    own = [line for line in errors if not line.startswith("torch.distributed.elastic")]
    return printable(own[-1], 300) if own and trained.exit == "failed" else trained.reason
