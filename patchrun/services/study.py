"""Run what is missing of a study: blocks of all its arms, each block on one pinned CPU, each run stored at once."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec

from patchrun.adapters import corpus, sandbox
from patchrun.adapters.corpus import Corpus
from patchrun.adapters.gitrepo import DAMAGED
from patchrun.adapters.heldout import load_tokens, show_tokens
from patchrun.adapters.homes import cache_home
from patchrun.adapters.keys import load_key
from patchrun.adapters.store import Arena
from patchrun.core import plan, progress
from patchrun.core.errors import ArenaError, SetupError, UsageError
from patchrun.core.halting import Limits, find_limits
from patchrun.core.logjudge import reference_of
from patchrun.core.racejudge import ended_arms, judge_arm
from patchrun.core.racing import Stop
from patchrun.core.rejects import judge_group
from patchrun.core.results import Arm, FinalRound, Run, Slot, StopRecord, Study
from patchrun.core.selection import parse_span
from patchrun.core.track import Track
from patchrun.services import lossprobe
from patchrun.services.compiling import prepare_cache
from patchrun.services.graphs import Graphs
from patchrun.services.logslot import LogRequest, train_log_slot
from patchrun.services.readiness import Site, prepare_site
from patchrun.services.runner import Event, SlotRequest, train_slot
from patchrun.services.standin import StandIn, prepare
from patchrun.services.steptrial import train_steps


@dataclass(frozen=True)
class Progress:
    """One thing that happened: ``event`` of a run in training, ``run`` when it was stored, ``stop`` of an arm."""

    study: Study
    arm: Arm
    slot: Slot
    event: Event | None = None
    run: Run | None = None
    stop: StopRecord | None = None


@dataclass(frozen=True)
class Options:
    """How runs are made: ``jobs`` blocks at once, each pinned to a CPU of its own; ``sandbox`` by name.

    ``race``: a submission whose verdict cannot change any more is not run on (see ``core.racejudge``), nor a run of it
    beyond its limits (``core.halting``). ``rejects``: of several submissions of one agent only the best are run to the
    end (``core.rejects``). ``scratch``: an existing folder for the files of runs, else the arena's own.
    """

    jobs: int = 1
    sandbox: str = "default"
    race: bool = False
    rejects: bool = False
    scratch: Path | None = None


def prepare_data(arena: Arena) -> Corpus | None:
    """The corpus of the arena's track, verified, downloaded when it is not cached; None where users bring shards."""
    spec = arena.track.data
    if spec.source == "shards":
        return None
    folder = arena.track_folder() if spec.source == "folder" else None
    return corpus.prepare(spec, cache_home(), folder)


def run_study(
    arena: Arena,
    study: Study,
    options: Options = Options(),
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_wait: Callable[[], None] = lambda: None,
) -> None:
    """Store the plan, then train every slot that has no run yet; safe to repeat, stop and resume.

    A study whose rule looks more than once ends at the look that decides it; one of a final round runs every block,
    and its losses are on the held-back tokens. On whole scripts a scoring study is begun by the probe that its
    submissions lack, and followed by one at full length of what takes a first place, where the track says so.

    Raises:
        SetupError: this machine lacks what the track needs, or the secrets of the final round.
        UsageError: more jobs than CPUs, or than one where a run takes the whole machine.
    """
    cpus = sorted(os.sched_getaffinity(0))
    most = len(cpus) if arena.track.launch.kind == "python" else 1
    if not 1 <= options.jobs <= most:
        raise UsageError(f"{options.jobs} jobs on {len(cpus)} CPUs", f"choose --jobs 1..{most}")
    if probe := lossprobe.plan_probe(arena, study):
        run_study(arena, probe, options, on_progress, on_wait)
        lossprobe.stop_caught(arena, study)
    _run(arena, study, options, on_progress, on_wait, cpus[: options.jobs])
    if probe := lossprobe.plan_full(arena, study):
        run_study(arena, probe, options, on_progress, on_wait)


def _run(
    arena: Arena,
    study: Study,
    options: Options,
    on_progress: Callable[[Progress], None],
    on_wait: Callable[[], None],
    cpus: list[int],
) -> None:
    site, data = _prepare(arena, study)
    secrets = find_secrets(arena, study.final) if study.final else None
    if secrets and site and sandbox.resolve(options.sandbox) != "bwrap":
        raise SetupError(
            "a final round puts other validation tokens in place of the data's", "that needs bwrap"
        )
    arena.add_study(study)
    with ExitStack() as stack:
        stack.enter_context(arena.lock(study.id, on_wait))
        scratch = stack.enter_context(arena.scratch(options.scratch))
        held_out = show_tokens(*secrets, scratch) if secrets else None
        stand = prepare(arena, study, site, options.sandbox, scratch, held_out) if site else None
        _Work(arena, study, options, data, stand, on_progress, cpus, held_out).run()


def find_secrets(arena: Arena, name: str) -> tuple[FinalRound, bytes]:
    """A final round and its key; the tokens are seen to be there.

    Raises:
        ArenaError: this arena has no such round.
        SetupError: its secrets are not on this machine, or are others.
    """
    final = next((final for final in arena.finals() if final.id == name), None)
    if final is None:
        raise ArenaError(f"no final round {name} here", "`patchrun sync` brings it from where it was made")
    key = load_key(final.key_commitment)
    load_tokens(final, key)
    return final, key


def run_block(
    arena: Arena,
    study: Study,
    block: int,
    options: Options,
    cpu: int,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> list[tuple[Run, bytes]]:
    """Train what one block lacks, on this machine; the runs with their logs, not stored yet: none when stopped.

    A block is stored as a whole or not at all, since one that goes on elsewhere would mix two machines.

    Raises:
        SetupError: this machine lacks what the track needs; or it is a final round, whose secrets stay with the owner.
    """
    if study.final:
        raise SetupError("a final round runs where its secrets are", "leave out --executor slurm")
    site, data = _prepare(arena, study)
    with arena.scratch(options.scratch) as scratch:
        stand = prepare(arena, study, site, options.sandbox, scratch) if site else None
        return _Work(arena, study, options, data, stand, on_progress, [cpu], hold=True).run_held(block, stop)


def _prepare(arena: Arena, study: Study) -> tuple[Site | None, Corpus | None]:
    """Where the arms run and what they read; SetupError when this machine lacks it."""
    is_log = arena.track.launch.kind == "torchrun"
    return prepare_site(arena, parse_span(study.record)) if is_log else None, prepare_data(arena)


def end_arms(arena: Arena, study: Study, options: Options, ended: Collection[str] = ()) -> list[StopRecord]:
    """Store which submission arms the runs so far have settled, as ``options`` race them; those, without ``ended``."""
    found = judge_arms(arena, study, ended) if options.race else []
    if options.rejects:
        found += judge_rejects(arena, study, {*ended, *(stop.arm for stop in found)})
    for stop in found:
        arena.add_stop(stop)
    return found


def judge_arms(arena: Arena, study: Study, ended: Collection[str] = ()) -> list[StopRecord]:
    """The submission arms of a study that its stored runs end, those in ``ended`` left out; nothing is stored."""
    runs = arena.runs_of([study])
    names = [arm.name for arm in study.arms if arm.kind == "submission" and arm.name not in ended]
    found = []
    for name in names:
        if judged := judge_arm(arena.track, study, runs, name):
            stop, blocks = judged
            if blocks < study.blocks:
                found.append(_make_stop(study, name, stop, blocks))
    return found


def judge_rejects(arena: Arena, study: Study, ended: Collection[str] = ()) -> list[StopRecord]:
    """The arms that successive rejects dismiss now among each agent's own; nothing is stored."""
    runs = arena.runs_of([study])
    found, gone = [], set(ended)
    for group in find_groups(arena, study):
        while rejected := judge_group(arena.track, study, runs, group, gone):
            gone.add(rejected.arm)
            found.append(
                _make_stop(study, rejected.arm, rejected.stop, rejected.blocks, group, rejected.rivals)
            )
    return found


def find_groups(arena: Arena, study: Study) -> list[tuple[str, ...]]:
    """The arms of a study that are one agent's alone, agent by agent, where it has several."""
    owners: dict[str, set[str]] = {}
    for attempt in arena.attempts():
        if attempt.accepted and (arm := plan.find_arm(study, attempt.record, attempt.ast_digest)):
            owners.setdefault(arm.name, set()).add(attempt.agent)
    groups: dict[str, list[str]] = {}
    for arm, agents in owners.items():
        if len(agents) == 1:
            groups.setdefault(next(iter(agents)), []).append(arm)
    return [tuple(sorted(groups[agent])) for agent in sorted(groups) if len(groups[agent]) > 1]


def _make_stop(
    study: Study, arm: str, stop: Stop, blocks: int, group: Sequence[str] = (), rivals: Sequence[str] = ()
) -> StopRecord:
    return StopRecord(
        study=study.id, arm=arm, quantity=stop.quantity, reason=stop.reason, confidence=stop.confidence, blocks=blocks,
        track_digest=study.track_digest, created=datetime.now(UTC).isoformat(timespec="seconds"), group=tuple(group),
        rivals=tuple(rivals),
    )  # fmt: skip


class _Work:
    """The blocks of one study, handed to one thread a CPU."""

    def __init__(
        self,
        arena: Arena,
        study: Study,
        options: Options,
        data: Corpus | None,
        stand: StandIn | None,
        on_progress: Callable[[Progress], None],
        cpus: list[int],
        held_out: Path | None = None,
        hold: bool = False,
    ) -> None:
        self.arena, self.study, self.options, self.data, self.stand = arena, study, options, data, stand
        self.on_progress, self.held_out = on_progress, held_out
        self.cpus: queue.Queue[int] = queue.Queue()
        for cpu in cpus:
            self.cpus.put(cpu)
        self.stop: Callable[[], bool] = (stopped := threading.Event()).is_set
        self.end = stopped.set
        self.hold = hold
        self.held: list[tuple[Run, bytes]] = []
        self.guard = threading.Lock()
        self.ended = ended_arms(arena.stops()).get(study.id, set())
        self.graphs: Graphs | None = None
        self.references: dict[str, Path] = {}
        self.scored: dict[tuple[str, int], Run] = {}

    def run(self) -> None:
        blocks = plan.missing(self.study, self.arena.slots(self.study), self.ended)
        with self._open_graphs(), ThreadPoolExecutor(self.options.jobs) as pool:
            futures = [pool.submit(self._run_block, block) for block in blocks]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                self.end()
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def run_held(self, block: int, stop: Callable[[], bool]) -> list[tuple[Run, bytes]]:
        """One block's runs, kept here."""
        self.stop = stop
        with self._open_graphs():
            self._run_block(block)
        return [] if stop() else self.held

    @contextmanager
    def _open_graphs(self) -> Iterator[None]:
        """The graphs that all runs share, and the code that bounds what a scored model may cost."""
        if self.arena.track.evidence.kind != "model" or self.study.steps is not None:
            yield
            return
        name, track = sandbox.resolve(self.options.sandbox), self._track()
        cache = cache_home() / "graphs"  # of all arenas: a queue's tasks have a new one each
        with (
            self.arena.scratch(self.options.scratch) as folder,
            Graphs(track, name, folder, cache=cache) as self.graphs,
        ):
            self.references = self._export_references(folder / "references")
            yield

    def _export_references(self, folder: Path) -> dict[str, Path]:
        """The code before the record and the human's, by tree."""
        span, repo = parse_span(self.study.record), self.arena.repo
        commits = [self.arena.baseline(span.first), self.arena.human(span.last)]
        trees = [repo.tree_of(commit) for commit in commits if commit]
        for tree in trees:
            repo.export(tree, folder / tree)
        return {tree: folder / tree for tree in trees}

    def _track(self) -> Track:
        return self.arena.track.at_record(parse_span(self.study.record).last)

    def _run_block(self, block: int) -> None:
        cpu = self.cpus.get()
        try:
            stored = self.arena.slots(self.study)
            for arm, slot in plan.slots(self.study, block, frozenset(self.ended)):
                name = f"{arm.name}/{self.study.id}-{slot.name}"
                if name not in stored and not self.stop() and self._is_wanted(arm):
                    self._run_slot(arm, slot, cpu)
            if (self.options.race or self.options.rejects) and not self.hold and not self.stop():
                self._race()
        finally:
            self.cpus.put(cpu)

    def _race(self) -> None:
        """End the submission arms that the runs so far have settled."""
        with self.guard:
            for stop in end_arms(self.arena, self.study, self.options, self.ended):
                self.ended.add(stop.arm)
                self.on_progress(
                    Progress(self.study, self._arm(stop.arm), Slot(stop.blocks - 1, 0, 0), stop=stop)
                )

    def _arm(self, name: str) -> Arm:
        return next(arm for arm in self.study.arms if arm.name == name)

    def _is_wanted(self, arm: Arm) -> bool:
        return not self.arena.track.rule.looks or arm.name in progress.wanted(
            self.arena.track, self.study, self._own_runs()
        )

    def _own_runs(self) -> list[Run]:
        return self.arena.runs_of([self.study]) + [run for run, _ in self.held]

    def _run_slot(self, arm: Arm, slot: Slot, cpu: int) -> None:
        with self.arena.scratch(self.options.scratch) as scratch:
            code = scratch / "code"
            self._require_tree(arm)
            self.arena.repo.export(arm.tree, code)
            request = self._request(arm, slot, cpu, code, scratch)
            run, log = self._train(request, lambda event: self._tell(arm, slot, event=event))
        if run.exit == "interrupted":
            return
        if run.exit == "ok":
            self.scored.setdefault((arm.tree, slot.seed), run)
        run = msgspec.structs.replace(run, track_digest=self.study.track_digest)
        if self.hold:
            self.held.append((run, log))
        else:
            self.arena.add_run(run, log)
        self._tell(arm, slot, run=run)

    def _require_tree(self, arm: Arm) -> None:
        """What is about to run is the tree that was validated: its own id, and the submission's commit has it.

        ``export`` sees to it that each file is what its id says.
        """
        repo = self.arena.repo
        for found in (repo.rebuild_tree(arm.tree), repo.tree_of(arm.commit)):
            if found != arm.tree:
                raise ArenaError(f"the code of {arm.name} was to be tree {arm.tree}, and is {found}", DAMAGED)

    def _train(self, request: SlotRequest, on_event: Callable[[Event], None]) -> tuple[Run, bytes]:
        """The run of a slot, by the way of the track's evidence; of a study of steps, stopped after them."""
        if self.stand is None:
            train = train_slot if self.study.steps is None else partial(train_steps, limit=self.study.steps)
            return train(request, on_event=on_event, stop=self.stop)
        home, runs = self.arena.folder / "compiled" / self.study.final, self._own_runs()
        asked = LogRequest(
            request, self.stand.site, reference=reference_of(runs), steps=self.study.steps,
            instead=self.stand.instead, known=self.stand.known,
        )  # fmt: skip
        cache = prepare_cache(home, asked, self._baseline_tree(), runs, self.stop)
        run, log = train_log_slot(replace(asked, compiled=cache.folder), on_event, self.stop)
        reason = "; ".join(filter(None, [run.reason, cache.note]))
        return msgspec.structs.replace(run, reason=reason), log

    def _baseline_tree(self) -> str:
        return next((arm.tree for arm in self.study.arms if arm.kind == "baseline"), "")

    def _request(self, arm: Arm, slot: Slot, cpu: int, code: Path, scratch: Path) -> SlotRequest:
        return SlotRequest(
            track=self._track(),
            arm=arm,
            study=self.study.id,
            record=self.study.record,
            slot=slot,
            code_dir=code,
            corpus=self.data,
            scratch=scratch,
            cpu=cpu if self.stand is None else None,
            sandbox=self.options.sandbox,
            python=self.stand.site.python if self.stand else sys.executable,
            scored=self.scored.get((arm.tree, slot.seed)),
            final=self.study.final,
            held_out=self.held_out,
            limits=self._find_limits(arm, slot),
            graphs=self.graphs,
            references=self.references,
        )

    def _find_limits(self, arm: Arm, slot: Slot) -> Limits | None:
        """Beyond what a submission's run need not go on, where studies are raced."""
        if not self.options.race or arm.kind != "submission" or self.stand is not None:
            return None
        return find_limits(self.arena.track, self.study, self._own_runs(), arm.name, slot.block)

    def _tell(self, arm: Arm, slot: Slot, event: Event | None = None, run: Run | None = None) -> None:
        self.on_progress(Progress(self.study, arm, slot, event, run))
