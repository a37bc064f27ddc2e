"""What a queue's task does: train one block of a study on its node, and bring the runs into the arena as a whole."""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from patchrun.adapters import leavings
from patchrun.adapters.cpus import hold_cpu
from patchrun.adapters.gitrepo import GitRepo
from patchrun.adapters.pushing import push_new
from patchrun.adapters.store import RESULTS, RUNS, STOPS, STUDIES, SUBMISSIONS, Arena, run_name, stop_name
from patchrun.core import plan, racejudge, results
from patchrun.core.errors import ArenaError, UsageError
from patchrun.core.results import Run, Study
from patchrun.core.slurmjob import Order
from patchrun.services.study import Options, Progress, end_arms, run_block

PUSH_TRIES = 6
PUSH_WAIT_SECONDS = 1.0
CHECKED = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "fetch.fsckObjects", "GIT_CONFIG_VALUE_0": "true"}


def read_order(text: bytes) -> Order:
    """The order that a task was given; UsageError when it is none."""
    try:
        order = msgspec.json.decode(text, type=Order)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"not an order for a block: {error}", "a queue's batch script gives it") from None
    if order.version != 1:
        raise UsageError(f"an order of version {order.version}", "this patchrun reads version 1")
    return order


def do_block(
    order: Order, block: int, on_progress: Callable[[Progress], None] = lambda progress: None
) -> bool:
    """Train what block ``block`` lacks and store it in one transaction; False when it was stopped before its end.

    A block that was stored meanwhile by another task goes to ``extra``, and counts once.

    Raises:
        SetupError: this node lacks what the track needs.
        ArenaError: the arena cannot be reached or takes no results.
    """
    with _open_arena(order) as arena, leavings.scratch("patchrun-block-") as scratch:
        study = _read_study(arena, order.study)
        if not 0 <= block < study.blocks:
            raise UsageError(f"study {study.id} has no block {block}", f"it has {study.blocks}")
        ended = racejudge.ended_arms(arena.stops()).get(study.id, set())
        if block not in plan.missing(study, arena.slots(study), ended):
            return True
        options = Options(sandbox=order.sandbox, race=order.race, rejects=order.rejects, scratch=scratch)
        with _told_to_stop() as stopped, hold_cpu() as cpu:
            made = run_block(arena, study, block, options, cpu, on_progress, stopped)
            if stopped():
                return False
        _keep(arena, order, study, made, options)
    return True


@contextmanager
def _told_to_stop() -> Iterator[Callable[[], bool]]:
    """Whether the queue has said so: it sends SIGTERM some seconds before it kills."""
    stopped = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda number, frame: stopped.set())
    try:
        yield stopped.is_set
    finally:
        signal.signal(signal.SIGTERM, before)


def _read_study(arena: Arena, name: str) -> Study:
    return results.decode(arena.repo.read(f"{STUDIES}{name}:study.json"), Study, name)


@contextmanager
def _open_arena(order: Order) -> Iterator[Arena]:
    """The arena itself, or a copy on this node with what the study needs."""
    if not order.remote:
        yield Arena.open(Path(order.arena))
        return
    with tempfile.TemporaryDirectory(prefix="patchrun-arena-") as folder:
        repo = GitRepo.init(Path(folder, "arena", ".git"))
        _fetch(repo, order.remote, ["refs/heads/*", f"{STUDIES}{order.study}"])
        arena = Arena(repo)
        arms = _read_study(arena, order.study).arms
        own = [f"{SUBMISSIONS}{arm.name}" for arm in arms if arm.kind == "submission"]
        _fetch(repo, order.remote, ["refs/patchrun/human/*", *own])
        _fetch_results(arena, order.remote, _read_study(arena, order.study))
        yield arena


def _fetch_results(arena: Arena, remote: str, study: Study) -> None:
    """What the study's other tasks have stored so far comes to this node's copy."""
    runs = [f"{RUNS}{arm.name}/{study.id}-*" for arm in study.arms]
    _fetch(arena.repo, remote, [*runs, f"{STOPS}{study.id}/*"])


def _fetch(repo: GitRepo, remote: str, refs: Sequence[str]) -> None:
    """Into this node's copy, which ends with the task: what counts is what the remote has."""
    words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=", remote)
    repo.git(*words, *(f"+{ref}:{ref}" for ref in refs), env=CHECKED)


def _keep(
    arena: Arena, order: Order, study: Study, made: Sequence[tuple[Run, bytes]], options: Options
) -> None:
    """Store a block, and the arms that racing ends with it; where the arena is elsewhere, there too."""
    if made:
        arena.add_runs(made)
        if order.remote and not push(arena, order.remote, [RUNS + run_name(run) for run, _ in made]):
            push(arena, order.remote, list(arena.add_extra_runs(made)))
    if options.race or options.rejects:
        if order.remote:
            _fetch_results(arena, order.remote, study)
        stops = end_arms(arena, study, options, racejudge.ended_arms(arena.stops()).get(study.id, ()))
        for stop in stops if order.remote else ():
            push(arena, order.remote, [STOPS + stop_name(stop)])


def push(arena: Arena, remote: str, refs: Sequence[str]) -> bool:
    """Create ``refs`` at ``remote``, all or none; False when one of them is there already.

    Another task that pushes at the same moment can make git refuse: tried again, a little later each time.

    Raises:
        ArenaError: the remote takes no results, in git's words.
    """
    named = arena.repo.refs(*refs)
    for attempt in range(PUSH_TRIES):
        with arena.scratch() as folder:
            done = push_new(arena.repo, folder, remote, named, RESULTS, atomic=True)
        if done.ok:
            return True
        if arena.repo.git("ls-remote", remote, *refs, check=False).stdout.strip():
            return False
        time.sleep(PUSH_WAIT_SECONDS * (1 + attempt))
    raise ArenaError(
        f"{remote} does not take results: {done.errors}",
        "the block is trained again when it is handed in again",
    )
