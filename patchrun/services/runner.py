"""Train and score one slot of a study: the repeats of one seed, then the evaluation, put together as a `Run`.

Every training starts at once and waits until it has imported torch. So nothing else of ours computes while a repeat is
timed. Every training leaves copies of its model from moments that nobody told it. The graph of the code and the process
that computes it are shared by all runs of a study (``services.graphs``).
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import patchrun
from patchrun.adapters import leavings, machine, sandbox
from patchrun.adapters.child import Stopped
from patchrun.adapters.corpus import Corpus
from patchrun.adapters.interpreter import GraphFault
from patchrun.adapters.modelfile import BadModel, ModelFile, NoModel, read_model
from patchrun.core.errors import SetupError
from patchrun.core.graph.values import BadGraph
from patchrun.core.halting import Limits
from patchrun.core.results import Arm, Exit, Machine, Run, Slot
from patchrun.core.snapshots import find_fall, floor_at, name_moment
from patchrun.core.steplines import StepLine
from patchrun.core.track import Track
from patchrun.services import evaluator
from patchrun.services.graphs import Graphs
from patchrun.services.moments import read_moments, require_calls
from patchrun.services.probes import Blocks
from patchrun.services.training import MODEL, Plan, Trained, Training

EVENT_SECONDS = 0.1  # step events come no faster
EVALUATED = (
    "loss", "validation_loss", "parts", "validation_parts", "losses_at", "reason", "evaluation_seconds",
)  # fmt: skip

Phase = Literal["starting", "training", "evaluating", "done"]


@dataclass(frozen=True)
class SlotRequest:
    """What one run needs.

    ``code_dir``: the arm's exported tree. ``corpus`` may be None on tracks whose evidence is the log. ``scratch``: a
    folder for jobs, copies and outputs, kept. ``cpu``: the one to pin timed work to. ``sandbox``: a name that
    ``adapters.sandbox.resolve`` knows. ``scored``: an ok run of the same tree and seed; weights that are the same bit
    for bit are not scored again. ``held_out``: the shard of a final round: the loss is on its tokens then, and the one
    on the ordinary validation tokens is kept beside it. ``limits``: racing stops it beyond them. ``graphs``: those of
    the study, else the run's own. ``references``: code of the arms that bound what a scored model may cost, by tree.
    """

    track: Track
    arm: Arm
    study: str
    record: str
    slot: Slot
    code_dir: Path
    corpus: Corpus | None
    scratch: Path
    cpu: int | None
    sandbox: str = "default"
    python: str = sys.executable
    scored: Run | None = None
    final: str = ""
    held_out: Path | None = None
    limits: Limits | None = None
    graphs: Graphs | None = None
    references: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """Live progress of one run; ``elapsed`` in seconds since its training began."""

    phase: Phase
    step: int | None = None
    steps: int | None = None
    loss: float | None = None
    elapsed: float = 0.0


class Ended(Exception):
    """The run ends here, with this exit and reason."""

    def __init__(self, exit: Exit, reason: str) -> None:
        super().__init__(reason)
        self.exit, self.reason = exit, reason


def train_slot(
    request: SlotRequest,
    on_event: Callable[[Event], None] = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[Run, bytes]:
    """Train and score; the run and the raw log. A failed run is a value too.

    When ``stop()`` says so, all children are killed and the run comes back ``interrupted``.

    Raises:
        SetupError: this machine lacks what the run needs (torch, a sandbox, a CPU or GPU, disk space).
    """
    _check_machine(request)
    work = _SlotWork(request, on_event, stop)
    try:
        work.do()
    except Ended as ended:
        work.facts.update(exit=ended.exit, reason=ended.reason)
    except Stopped:
        work.facts.update(exit="interrupted", reason="stopped on request")
    except OSError as error:
        if not _tells_of_a_full_disk(error):
            raise
        raise SetupError(
            f"no space left in {request.scratch}", "free some disk space, then run again"
        ) from error
    on_event(Event("done"))
    return work.result(), work.log()


def _tells_of_a_full_disk(error: OSError) -> bool:
    """Also where shutil has packed the error of each file into one of its own."""
    numbers = (errno.ENOSPC, errno.EDQUOT)
    return error.errno in numbers or any(os.strerror(number) in str(error) for number in numbers)


def _check_machine(request: SlotRequest) -> None:
    hardware = request.track.hardware
    found = len(machine.list_gpus()) if hardware.device == "cuda" else 0
    if hardware.device == "cuda" and found < max(1, hardware.gpus):
        raise SetupError(
            f"track {request.track.name} needs {max(1, hardware.gpus)} GPU(s), this machine has {found}"
        )
    if request.track.evidence.kind == "model" and request.corpus is None:
        raise SetupError(f"track {request.track.name} needs its corpus", "prepare the data first")


def make_run(request: SlotRequest, sandbox_name: str, seen: Machine, facts: Mapping[str, Any]) -> Run:
    """The run of a slot, with the ``facts`` that were found (at least ``exit`` and ``started``)."""
    return Run(
        study=request.study,
        arm=request.arm.name,
        kind=request.arm.kind,
        record=request.record,
        block=request.slot.block,
        position=request.slot.position,
        seed=request.slot.seed,
        clock=request.track.clock.source,
        sandbox=sandbox_name,
        machine=seen,
        commit=request.arm.commit,
        tree=request.arm.tree,
        track_digest=request.track.digest,
        tool_version=patchrun.__version__,
        final=request.final,
        **facts,
    )


class _SlotWork:
    """One slot on its way: what is known of the run so far, and its logs."""

    def __init__(
        self, request: SlotRequest, on_event: Callable[[Event], None], stop: Callable[[], bool]
    ) -> None:
        self.request, self.track = request, request.track
        self.on_event, self.stop = on_event, stop
        self.sandbox = sandbox.resolve(request.sandbox)
        self.place = request.scratch / request.slot.name
        self.versions = {"torch": "", "python": ""}
        self.facts: dict[str, Any] = {
            "exit": "ok",
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self.logs: list[tuple[str, bytes]] = []
        self.last_event = 0.0

    def do(self) -> None:
        """Start everything, train, evaluate; what is found goes to ``facts``."""
        self.on_event(Event("starting"))
        leavings.remove(self.place)
        by_model = self.track.evidence.kind == "model"
        with ExitStack() as stack:
            names = [f"repeat{number}" for number in range(self.track.clock.repeats)]
            trainings = [self._start(stack, name) for name in names]
            for training in trainings:
                self.versions = training.await_ready()
            trained = [self._train(training, name) for training, name in zip(trainings, names, strict=True)]
            finished = self._leave_out_halted(trained)
            self._take_best(finished)
            if by_model:
                self._score(self._read_repeats(finished), self._read_moments(finished), stack)

    def result(self) -> Run:
        """The run as far as it is known."""
        seen = machine.describe(**self.versions)
        return make_run(self.request, self.sandbox, seen, self.facts)

    def log(self) -> bytes:
        """The output of all trainings; each under its name when there are several."""
        if len(self.logs) == 1:
            return self.logs[0][1]
        return b"".join(b"[patchrun: %s]\n%s\n" % (name.encode(), text) for name, text in self.logs)

    def _start(self, stack: ExitStack, name: str) -> Training:
        request = self.request
        plan = Plan(
            track=self.track,
            code_dir=request.code_dir,
            data_dir=request.corpus.train_dir if request.corpus else None,
            place=self.place / name,
            seed=request.slot.seed,
            sandbox=self.sandbox,
            cpu=request.cpu,
            warmup=self.track.clock.source == "cpu",
            limits=request.limits,
            python=request.python,
        )
        return stack.enter_context(Training(plan, self.stop))

    def _train(self, training: Training, name: str) -> Trained:
        trained = training.train(self._tell_step)
        self.logs.append((name, trained.log))
        self.facts.update(wall_seconds=trained.wall_seconds, curve=trained.curve)
        if trained.halt and trained.halt.quantity == "time":
            return trained
        if trained.exit != "ok":
            self.facts.update(halt=trained.halt)
            raise Ended(trained.exit, trained.reason)
        if trained.seconds is None:
            raise Ended("failed", "it printed fewer than two step lines, so there is nothing to time")
        return trained

    def _leave_out_halted(self, trained: list[Trained]) -> list[Trained]:
        """The repeats that ended: the least counts, so one that was too slow says nothing if another was not."""
        finished = [each for each in trained if each.halt is None]
        if not finished:
            best = min(trained, key=lambda each: each.halt.seen if each.halt else 0.0)
            self.facts.update(halt=best.halt)
            raise Ended("stopped", best.reason)
        return finished

    def _take_best(self, trained: list[Trained]) -> None:
        """The least of the repeats counts: with one seed they differ only in what else the machine did."""
        best = min(trained, key=lambda each: each.seconds or 0)
        self.facts.update(
            seconds=best.seconds,
            wall_seconds=best.wall_seconds,
            repeats=tuple(each.seconds for each in trained),
            curve=best.curve,
        )
        if self.track.evidence.kind == "log":
            if best.val_loss is None:
                raise Ended("failed", "it printed no validation loss")
            self.facts.update(loss=best.val_loss)

    def _score(self, model: ModelFile, moments: dict[int, ModelFile], stack: ExitStack) -> None:
        """Evaluate the model, unless the very same weights of the same code have been scored already."""
        known = self.request.scored
        self.facts.update(model_sha256=model.sha256, parameters=model.parameters)
        if known and known.tree == self.request.arm.tree and known.model_sha256 == model.sha256:
            self.facts.update({name: getattr(known, name) for name in EVALUATED})
        else:
            self._evaluate(model, moments, stack)

    def _evaluate(self, model: ModelFile, moments: dict[int, ModelFile], stack: ExitStack) -> None:
        self.on_event(Event("evaluating"))
        floors = self.track.evidence.min_loss_steps
        early = {name_moment(number): (saved, floor_at(number, floors)) for number, saved in moments.items()}
        models = evaluator.Models(model, early)
        request = self.request
        graphs = request.graphs or stack.enter_context(
            Graphs(self.track, self.sandbox, self.place / "graphs", request.python)
        )
        blocks, counted = self._read_blocks()
        try:
            graph = graphs.find_graph(request.arm.tree, request.code_dir, request.references, self.stop)
            with graphs.compute(self.stop) as interpreter:
                scores = evaluator.score(self.track, graph, blocks, models, interpreter, counted)
            require_calls(self.track, moments, scores.loss)
        except (BadGraph, BadModel, GraphFault) as fault:
            raise Ended("bad-model", str(fault)) from None
        except evaluator.Disqualified as seen:
            raise Ended("disqualified", str(seen)) from None
        losses = tuple((number, scores.moments[name_moment(number)]) for number in moments)
        self.facts.update(
            loss=scores.loss,
            validation_loss=scores.other_loss,
            parts=scores.parts,
            validation_parts=scores.other_parts,
            losses_at=losses,
            reason=find_fall(losses, scores.loss),
            evaluation_seconds=scores.seconds,
        )

    def _read_blocks(self) -> tuple[Blocks, int | None]:
        """What is scored, and how many of the first blocks count (None: all)."""
        request = self.request
        assert request.corpus
        ordinary = evaluator.read_blocks(request.corpus.val_file, self.track)
        if request.held_out is None:
            return ordinary, None
        held_out = evaluator.read_blocks(request.held_out, self.track)
        return evaluator.join_blocks(held_out, ordinary), held_out.count

    def _read_repeats(self, trained: list[Trained]) -> ModelFile:
        """The one model that all repeats saved, where runs are deterministic; else the last one."""
        models = [self._read(each.model) for each in trained]
        kinds = {model.sha256 for model in models}
        if self.track.seeds.deterministic and len(kinds) > 1:
            raise Ended(
                "bad-model", f"{len(models)} trainings with one seed saved {len(kinds)} different models"
            )
        return models[-1]

    def _read_moments(self, trained: list[Trained]) -> dict[int, ModelFile]:
        try:
            return read_moments(self.track, trained)
        except BadModel as bad:
            raise Ended("bad-model", str(bad)) from None

    def _read(self, path: Path) -> ModelFile:
        limits = self.track.limits
        try:
            return read_model(path, limits.model_mb, limits.parameters)
        except NoModel:
            printed = self.logs[-1][1].strip()
            said = "" if printed else ", and it printed nothing"
            raise Ended("no-model", f"it ended without writing PATCHRUN_OUT/{MODEL}{said}") from None
        except BadModel as bad:
            raise Ended("bad-model", str(bad)) from None

    def _tell_step(self, line: StepLine, at: float) -> None:
        now = time.monotonic()
        if now - self.last_event >= EVENT_SECONDS:
            self.last_event = now
            self.on_event(Event("training", line.step, line.steps, line.loss, at))
