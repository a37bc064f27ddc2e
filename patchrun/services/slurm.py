"""Studies as arrays of Slurm: handed in once, found again by whoever looks, tried again when a task was lost."""

from __future__ import annotations

import getpass
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from patchrun.adapters import slurm
from patchrun.adapters.jobbook import add_job, read_jobs
from patchrun.adapters.store import Arena
from patchrun.core.results import Job, Study
from patchrun.core.slurmconfig import Settings
from patchrun.core.slurmjob import Order, Shape, job_name, list_options, write_script
from patchrun.core.tasks import WHOLE, Task, newest, spread
from patchrun.services import lossprobe
from patchrun.services.executor import Watch, Watcher
from patchrun.services.follow import Follow, Patience, lacking_blocks
from patchrun.services.readiness import data_home
from patchrun.services.study import Options, prepare_data
from patchrun.services.sync import sync

LISTED = (
    "PATH", "HOME", "LANG", "PYTHONPATH", "PATCHRUN_CACHE", "XDG_CACHE_HOME", "DATA_PATH", "PATCHRUN_SIGNING_KEY",
)  # fmt: skip


class SlurmExecutor:
    """An array of Slurm for each study. The queue and the arena are the truth; this object may be lost at any time."""

    name = "slurm"

    def __init__(
        self, arena: Arena, options: Options, settings: Settings, environment: Mapping[str, str] = os.environ
    ) -> None:
        self.arena, self.options, self.settings = arena, options, settings
        self.environment = environment

    def check(self) -> None:
        """SetupError without Slurm's commands."""
        slurm.check()

    def script(self, study: str, arms: int, blocks: Sequence[int]) -> str:
        """The batch script for some blocks of a study, as it would be handed in."""
        order = self._order(study)
        shape = Shape(study=study, arms=arms, blocks=tuple(blocks))
        output = self._logs(study).replace("%", "%%") + "/%A_%a.out"
        options = list_options(self.arena.track, self.settings, shape, job_name(order), output)
        names = (*LISTED, *self.settings.environment)
        listed = {name: self.environment[name] for name in names if name in self.environment}
        if self.arena.track.data.source == "shards":
            listed["DATA_PATH"] = str(data_home())  # a task's working folder is not the submitter's
        return write_script(options, self.settings, order, listed, sys.executable)

    def submit(self, study: Study, watcher: Watcher) -> None:
        """Hand in the blocks that lack runs and are not in the queue, after the probe that the study lacks.

        Raises:
            Refused: sbatch or squeue, in their own words.
            SetupError: the data cannot be prepared.
        """
        prepare_data(self.arena)  # before the tasks start: nodes may have no network
        for each in lossprobe.with_probe(self.arena, study):
            self._submit(each, watcher)

    def _submit(self, study: Study, watcher: Watcher) -> None:
        self.arena.add_study(study)
        self.bring()
        with self.arena.lock(f"submit-{study.id}"):
            waiting = newest(self.state([study]))
            self._adopt(study, waiting)
            active = {block for block, task in waiting.items() if task.is_active}
            lacking = lacking_blocks(self.arena, study)
            if under_way := sorted(active & set(lacking)):
                jobs = ", ".join(sorted({waiting[block].job for block in under_way}))
                watcher.tell(
                    f"record {study.record}: {len(under_way)} blocks are in the queue already, job {jobs}"
                )
            if blocks := [block for block in lacking if block not in active]:
                self.hand_in(study, blocks, watcher)

    def hand_in(self, study: Study, blocks: Sequence[int], watcher: Watcher) -> None:
        """Hand in these blocks, whatever the queue holds; a ref says so to every machine."""
        if self.settings.results == "shared":
            Path(self._logs(study.id)).mkdir(parents=True, exist_ok=True)
        job, cluster = slurm.submit(self.script(study.id, len(study.arms), blocks))
        self._keep_job(study, job, blocks, cluster)
        watcher.tell(f"record {study.record}: {len(blocks)} blocks handed to slurm, job {job}")

    def _adopt(self, study: Study, tasks: Mapping[int, Task]) -> None:
        """Keep the jobs of a submitter that died between handing them in and saying so."""
        known = {job.job for job in read_jobs(self.arena) if job.study == study.id}
        for number in sorted({task.job for task in tasks.values()} - known):
            self._keep_job(study, number, [block for block, task in tasks.items() if task.job == number])

    def _keep_job(self, study: Study, number: str, blocks: Sequence[int], cluster: str = "") -> None:
        add_job(self.arena, Job(
                study=study.id, executor="slurm", cluster=cluster, job=number, name=job_name(self._order(study.id)),
                blocks=tuple(sorted(blocks)), user=getpass.getuser(), host=platform.node(),
                created=datetime.now(UTC).isoformat(timespec="microseconds"),
            )
        )  # fmt: skip

    def state(self, studies: Sequence[Study]) -> list[Task]:
        """What the queue knows of the studies' tasks; ended ones for some minutes only.

        Raises:
            Refused: the queue does not answer.
        """
        names = [job_name(self._order(study.id)) for study in studies]
        tasks = slurm.read_tasks(names, [study.id for study in studies]) if studies else []
        if all(task.block != WHOLE for task in tasks):
            return tasks
        return spread(tasks, {job.job: job.blocks for job in read_jobs(self.arena)})

    def recall(self, study: Study) -> list[Task]:
        """The study's tasks, also those that the queue has forgotten: from accounting, else from what waiting saw."""
        known = {(task.job, task.block): task for task in self.state([study])}
        for job in (job for job in read_jobs(self.arena) if job.study == study.id):
            forgotten = [block for block in job.blocks if (job.job, block) not in known]
            if forgotten:
                told = {task.block: task for task in slurm.read_ended(job.job, study.id)}
                noted = {task.block: task for task in self._read_notes(study.id, job.job)}
                for block in forgotten:
                    known[job.job, block] = told.get(block) or noted.get(block) or _lost(study, job, block)
        return list(known.values())

    def bring(self) -> None:
        """What tasks have pushed elsewhere comes here, and what they need goes there."""
        if self.settings.results == "push" and not self._is_here(self.settings.remote):
            sync(self.arena, self.settings.remote)

    def _is_here(self, remote: str) -> bool:
        return Path(remote.removeprefix("file://")).resolve() in (
            self.arena.repo.path,
            self.arena.repo.path.parent,
        )

    def wait(self, studies: Sequence[Study], watch: Watch) -> None:
        """Follow the studies to their end; blocks whose tasks were lost are handed in again.

        Raises:
            Refused: the queue does not answer for a quarter of an hour.
        """
        everything = [each for study in studies for each in lossprobe.with_probe(self.arena, study)]
        self._follow(everything, watch)
        for full in filter(None, (lossprobe.plan_full(self.arena, study) for study in studies)):
            with watch(full) as watcher:
                self._submit(full, watcher)
            self._follow([full], watch)

    def _follow(self, studies: Sequence[Study], watch: Watch) -> None:
        with ExitStack() as stack:
            follows = [Follow(self, study, stack.enter_context(watch(study))) for study in studies]
            patience = Patience(self)
            while follows:
                told = patience.ask(follows)
                if told is not None:
                    follows = [follow for follow in follows if not follow.look(told)]
                if follows:
                    time.sleep(self.settings.poll_seconds)

    def cancel(self, study: Study) -> list[Task]:
        """Take the study's tasks out of the queue; those that were waiting, held or running."""
        active = [task for task in self.state([study]) if task.is_active]
        for job in sorted({task.job for task in active}):
            slurm.cancel(job)
        return active

    def drop(self, tasks: Sequence[Task]) -> None:
        """Take tasks out of the queue that nobody needs any more."""
        for job in sorted({task.job for task in tasks}):
            slurm.cancel(job, [task.block for task in tasks if task.job == job])

    def logs(self, study: Study) -> dict[str, bytes]:
        """What the tasks printed, where this machine sees the files."""
        files = sorted(Path(self._logs(study.id)).glob("*.out"))
        return {path.stem: path.read_bytes() for path in files}

    def note(self, task: Task) -> None:
        """Keep how a task ended: the queue forgets it after some minutes."""
        folder = self._notes(task.study)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{task.job}_{task.block}.json").write_bytes(msgspec.json.encode(task) + b"\n")

    def _read_notes(self, study: str, job: str) -> list[Task]:
        files = sorted(self._notes(study).glob(f"{job}_*.json"))
        return [msgspec.json.decode(path.read_bytes(), type=Task) for path in files]

    def _notes(self, study: str) -> Path:
        return self.arena.folder / "jobs" / study

    def _logs(self, study: str) -> str:
        return self.settings.logs or str(self._notes(study) if self.settings.results == "shared" else "/tmp")

    def _order(self, study: str) -> Order:
        remote = self.settings.remote if self.settings.results == "push" else ""
        return Order(
            arena=str(self.arena.repo.path), remote=remote, study=study, sandbox=self.options.sandbox,
            race=self.options.race, rejects=self.options.rejects,
        )  # fmt: skip


def _lost(study: Study, job: Job, block: int) -> Task:
    return Task(study=study.id, job=job.job, block=block, stand="lost", reason="the queue knows it no more")
