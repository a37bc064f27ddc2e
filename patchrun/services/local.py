"""Studies run by this process."""

from __future__ import annotations

import os
import platform
import signal
from collections.abc import Sequence

from patchrun.adapters.jobbook import read_jobs
from patchrun.adapters.store import Arena
from patchrun.core.errors import UsageError
from patchrun.core.results import Study
from patchrun.core.tasks import Task
from patchrun.services.executor import Watch, Watcher
from patchrun.services.study import Options, run_study


class LocalExecutor:
    """This process: blocks run while it waits for them, ``options.jobs`` at once."""

    name = "local"

    def __init__(self, arena: Arena, options: Options) -> None:
        self.arena, self.options = arena, options

    def check(self) -> None:
        """What a run needs is looked at when it starts."""

    def submit(self, study: Study, watcher: Watcher) -> None:
        """Nothing to hand over: the plan is stored when the first block starts."""
        if jobs := sorted({job.job for job in read_jobs(self.arena) if job.study == study.id}):
            handed = f"record {study.record}: handed to slurm before, job {', '.join(jobs)}"
            watcher.tell(f"{handed}; a block that both run counts once")

    def state(self, studies: Sequence[Study]) -> list[Task]:
        """The studies that a process of some machine runs now, as one task each."""
        found = []
        for study in studies:
            if holder := self.arena.holder(study.id):
                pid, host = holder
                found.append(Task(study=study.id, job=str(pid), block=0, stand="running", node=host))
        return found

    def wait(self, studies: Sequence[Study], watch: Watch) -> None:
        """Run the studies here, one after the other."""
        for study in studies:
            with watch(study) as live:
                run_study(self.arena, study, self.options, live.on_progress, live.on_wait)

    def cancel(self, study: Study) -> list[Task]:
        """Interrupt the process that runs the study, as Ctrl-C does.

        Raises:
            UsageError: it runs on another machine, or another user runs it.
        """
        tasks = self.state([study])
        for task in tasks:
            if task.node != platform.node():
                raise UsageError(f"process {task.job} on {task.node} runs it", "cancel it there")
            _interrupt(int(task.job))
        return tasks

    def logs(self, study: Study) -> dict[str, bytes]:
        """Nothing: a process prints on its own terminal."""
        return {}


def _interrupt(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGINT)
    except ProcessLookupError:  # it came to its end meanwhile
        return
    except PermissionError:
        raise UsageError(f"process {pid} runs it for another user", "only they can cancel it") from None
