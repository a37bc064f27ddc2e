"""Which executor was asked for, and what all of them say of an arena's studies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from patchrun.adapters import slurm
from patchrun.adapters.jobbook import read_jobs
from patchrun.adapters.store import Arena
from patchrun.core import plan
from patchrun.core.errors import PatchrunError
from patchrun.core.results import Attempt, Job, Study
from patchrun.core.tasks import Task, describe, newest, without_runs
from patchrun.services import tournament
from patchrun.services.executor import Executor
from patchrun.services.local import LocalExecutor
from patchrun.services.slurm import SlurmExecutor, lacking_blocks
from patchrun.services.study import Options

Name = Literal["local", "slurm"]


@dataclass(frozen=True)
class Cancelled:
    """What was ended, and whose other submissions shared it."""

    tasks: tuple[Task, ...]
    sharing: tuple[str, ...]


def choose(
    arena: Arena,
    name: Name,
    options: Options | None = None,
    *,
    limit: int | None = None,
    retries: int | None = None,
) -> Executor:
    """The executor ``name`` with the user's settings, before which ``limit`` and ``retries`` come.

    Raises:
        ManifestError: the settings are wrong.
        SetupError: they cannot be read.
    """
    options = options or Options()
    if name == "local":
        return LocalExecutor(arena, options)
    settings = slurm.read_settings(arena.track.name)
    said = {key: value for key, value in (("limit", limit), ("retries", retries)) if value is not None}
    return SlurmExecutor(arena, options, msgspec.structs.replace(settings, **said))


def tell_queues(arena: Arena, attempts: Iterable[Attempt]) -> dict[str, str]:
    """Attempt id -> what its unfinished studies wait for, or where they run; those of which nothing is known left out.

    Never fails for a queue that does not answer: then it says whom to ask.
    """
    wanted = list(attempts)
    studies = tournament.resume(arena, [attempt.id for attempt in wanted])
    words = _tell_studies(arena, studies)
    found: dict[str, str] = {}
    for attempt in wanted:
        own = [
            words[study.id]
            for study in studies
            if words.get(study.id) and plan.find_arm(study, attempt.record, attempt.ast_digest)
        ]
        if own:
            found[attempt.id] = " / ".join(own)
    return found


def _tell_studies(arena: Arena, studies: Sequence[Study]) -> dict[str, str]:
    local = LocalExecutor(arena, Options()).state(studies)
    words = {task.study: f"process {task.job} on {task.node} runs it" for task in local}
    jobs: dict[str, list[Job]] = {}
    for job in read_jobs(arena) if studies else ():
        jobs.setdefault(job.study, []).append(job)
    for study in studies:
        if study.id in jobs and study.id not in words:
            words[study.id] = _tell_queue(arena, study, jobs[study.id])
    return words


def _tell_queue(arena: Arena, study: Study, jobs: Sequence[Job]) -> str:
    """What Slurm knows of the blocks that are lacking."""
    try:
        slurm.check()
        executor = choose(arena, "slurm")
        assert isinstance(executor, SlurmExecutor)
        tasks = newest(executor.recall(study))
    except PatchrunError as error:
        last = jobs[-1]
        return f"slurm {last.job}, handed in by {last.user} on {last.host}: {error.message}"
    return describe([without_runs(tasks[block]) for block in lacking_blocks(arena, study) if block in tasks])


def cancel(arena: Arena, attempt: Attempt) -> Cancelled:
    """End what is under way of a submission's studies, here and in the queue; finished runs stay, and so does it.

    Raises:
        UsageError: another machine's process runs it.
        SetupError: the queue refuses or does not answer.
    """
    studies = tournament.resume(arena, [attempt.id])
    jobs = {job.study for job in read_jobs(arena)}
    ended: dict[str, list[Task]] = {study.id: [] for study in studies}
    for study in studies:
        ended[study.id] += LocalExecutor(arena, Options()).cancel(study)
        if study.id in jobs:
            slurm.check()
            ended[study.id] += choose(arena, "slurm").cancel(study)
    touched = [study for study in studies if ended[study.id]]
    sharing = tuple(name for name in tournament.covered(arena, touched) if name != attempt.id)
    return Cancelled(tuple(task for own in ended.values() for task in own), sharing if touched else ())


def read_logs(arena: Arena, attempt: Attempt) -> Mapping[str, bytes]:
    """What the queue's tasks for a submission printed."""
    executor = choose(arena, "slurm")
    studies = [s for s in arena.studies() if plan.find_arm(s, attempt.record, attempt.ast_digest)]
    return {f"{study.id} {name}": text for study in studies for name, text in executor.logs(study).items()}
