"""Following one study in a queue to its end: what was stored, what was lost, what is handed in again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from patchrun.adapters.slurm import Refused
from patchrun.adapters.store import RUNS, Arena
from patchrun.core import plan, progress, racejudge, results
from patchrun.core.results import Run, Slot, Study
from patchrun.core.slurmconfig import Settings
from patchrun.core.tasks import RETRIED, Task, newest, without_runs
from patchrun.services.executor import Watcher
from patchrun.services.study import Progress

AWAY_SECONDS = 900.0  # a controller that is started anew is away for less
SURE_LOOKS = 2  # a file system of many machines may show a finished task's result a moment late


class Queue(Protocol):
    """What following needs of an executor."""

    arena: Arena
    settings: Settings

    def state(self, studies: Sequence[Study]) -> list[Task]: ...

    def recall(self, study: Study) -> list[Task]: ...

    def hand_in(self, study: Study, blocks: Sequence[int], watcher: Watcher) -> None: ...

    def drop(self, tasks: Sequence[Task]) -> None: ...

    def bring(self) -> None: ...

    def note(self, task: Task) -> None: ...

    def logs(self, study: Study) -> Mapping[str, bytes]: ...


class Follow:
    """One study on its way; ``look`` is called now and then until it says that this is the end."""

    def __init__(self, queue: Queue, study: Study, watcher: Watcher) -> None:
        self.queue, self.study, self.watcher = queue, study, watcher
        self.seen = queue.arena.slots(study)
        self.ended = racejudge.ended_arms(queue.arena.stops()).get(study.id, set())
        self.told: dict[int, tuple[str, str, str]] = {}
        self.tries: Counter[int] = Counter()
        self.unstored: Counter[tuple[str, int]] = Counter()
        self.state: tuple[dict[int, Task], set[str]] | None = None
        self.lacking: list[int] = []

    def look(self, told: Iterable[Task]) -> bool:
        """Tell what is new, hand in again what was lost; True when nothing is under way any more.

        ``told`` by the queue just before: a task that has ended by then has stored what it has.

        Raises:
            Refused: the queue takes no more jobs.
        """
        tasks = newest(task for task in told if task.study == self.study.id)
        active = {block for block, task in tasks.items() if task.is_active}
        lacking = self._find_lacking(tasks)
        if set(lacking) - active:
            self.queue.bring()
            lacking = self._find_lacking(tasks)
        self._tell_runs()
        self._tell_stops()
        if not lacking:
            self._drop_needless(tasks)
            return True
        active &= set(lacking)
        for block in sorted(active):
            self._tell_task(tasks[block])
        ended = [self._end(block, tasks) for block in lacking if block not in active]
        again = [task.block for task in ended if task and self._is_worth_another(task)]
        if again:
            self.tries.update(again)
            self.queue.hand_in(self.study, again, self.watcher)
        return not active and not again and all(ended)

    def _find_lacking(self, tasks: Mapping[int, Task]) -> list[int]:
        """``lacking_blocks``, which reads every run: worked out again only when a task or a run is another."""
        state = (dict(tasks), self.queue.arena.slots(self.study))
        if state != self.state:
            self.state, self.lacking = state, lacking_blocks(self.queue.arena, self.study)
        return self.lacking

    def _end(self, block: int, tasks: Mapping[int, Task]) -> Task | None:
        """How the task of a block without runs has ended; None when that is not sure yet."""
        task = tasks.get(block) or newest(self.queue.recall(self.study)).get(block)
        if task is None:
            task = Task(study=self.study.id, job="", block=block, stand="lost", reason="no job has it")
        task = without_runs(task)
        self.unstored[task.job, block] += 1
        if self.unstored[task.job, block] < SURE_LOOKS:
            return None
        if self.unstored[task.job, block] == SURE_LOOKS:
            self.queue.note(task)
            self._tell_task(task)
        return task

    def _is_worth_another(self, task: Task) -> bool:
        return task.stand in RETRIED and self.tries[task.block] < self.queue.settings.retries

    def _tell_runs(self) -> None:
        fresh = sorted(self.queue.arena.slots(self.study) - self.seen)
        self.seen.update(fresh)
        blobs = self.queue.arena.repo.read_many(f"{RUNS}{name}:run.json" for name in fresh)
        for name, data in zip(fresh, blobs, strict=True):
            run = results.decode(data or b"", Run, name)
            arm = next(arm for arm in self.study.arms if arm.name == run.arm)
            self.watcher.on_progress(Progress(self.study, arm, run.slot, run=run))

    def _tell_stops(self) -> None:
        """The arms that racing has ended, each once."""
        for stop in self.queue.arena.stops():
            if stop.study == self.study.id and stop.arm not in self.ended:
                self.ended.add(stop.arm)
                arm = next(arm for arm in self.study.arms if arm.name == stop.arm)
                self.watcher.on_progress(Progress(self.study, arm, Slot(stop.blocks - 1, 0, 0), stop=stop))

    def _drop_needless(self, tasks: Mapping[int, Task]) -> None:
        """Take out of the queue what waits, and what trains a block that nobody needs any more.

        Not a task whose block is stored: it is about to end by itself.
        """
        stored = {run.block for run in self.queue.arena.runs_of([self.study])}
        if needless := [task for task in tasks.values() if task.is_active and task.block not in stored]:
            self.queue.drop(needless)
            blocks = ", ".join(str(task.block + 1) for task in sorted(needless, key=lambda task: task.block))
            self.watcher.tell(f"record {self.study.record}: decided; taken out of the queue: block {blocks}")

    def _tell_task(self, task: Task) -> None:
        """Once for each thing that happens to a block."""
        news = (task.job, task.stand, task.reason if task.stand == "held" else "")
        if self.told.get(task.block) == news or task.stand == "waiting":
            return
        self.told[task.block] = news
        where = f" on {task.node}" if task.node else ""
        self.watcher.tell(
            f"record {self.study.record}: block {task.block + 1}, task {task.job}_{task.block}: {task.stand}{where}"
            + self._explain(task)
        )

    def _explain(self, task: Task) -> str:
        if task.stand == "held":
            return f": {task.reason}; `scontrol release {task.job}_{task.block}` lets it go on"
        if task.stand != "failed":
            return f": {task.reason}" if task.reason and not task.is_active else ""
        text = self.queue.logs(self.study).get(f"{task.job}_{task.block}", b"").decode("utf-8", "replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        said = [line for line in lines if line.startswith(("patchrun:", "slurmstepd:"))] or lines
        return f": {said[-1]}" if said else f": {task.reason}"


class Patience:
    """Asks the queue, and goes on asking while it does not answer."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.away_since: float | None = None

    def ask(self, follows: Sequence[Follow]) -> list[Task] | None:
        """What the queue knows of the studies' tasks, all asked for at once; None while it does not answer.

        Raises:
            Refused: it has not answered for a quarter of an hour.
        """
        try:
            tasks = self.queue.state([follow.study for follow in follows])
        except Refused as error:
            if self.away_since is None:
                self.away_since = time.monotonic()
                follows[0].watcher.tell(f"{error.message}; asking again")
            if time.monotonic() - self.away_since > AWAY_SECONDS:
                raise
            return None
        self.away_since = None
        return tasks


def lacking_blocks(arena: Arena, study: Study) -> list[int]:
    """The blocks of a study that lack runs which could change a verdict."""
    ended = racejudge.ended_arms(arena.stops()).get(study.id, set())
    if progress.is_settled(arena.track, study, arena.runs_of([study]), ended):
        return []
    return plan.missing(study, arena.slots(study), ended)
