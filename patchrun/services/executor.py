"""The interface behind which studies are run: by this process, or by a queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from patchrun.core.results import Study
from patchrun.core.tasks import Task
from patchrun.services.study import Progress


class Watcher(Protocol):
    """Who is told what happens to one study."""

    def on_progress(self, progress: Progress) -> None: ...

    def on_wait(self) -> None: ...

    def tell(self, line: str) -> None: ...


Watch = Callable[[Study], AbstractContextManager[Watcher]]


class Executor(Protocol):
    """Runs what studies lack. A study's plan is stored before its first run, whoever runs it."""

    name: str

    def check(self) -> None:
        """PatchrunError where it cannot run anything at all; asked before anything is stored."""

    def submit(self, study: Study, watcher: Watcher) -> None:
        """Take what the study lacks; what is under way already is not doubled."""

    def state(self, studies: Sequence[Study]) -> list[Task]:
        """What is under way or has ended lately, a task a block."""

    def wait(self, studies: Sequence[Study], watch: Watch) -> None:
        """Return when nothing of the submitted studies is under way any more."""

    def cancel(self, study: Study) -> list[Task]:
        """End what is under way; what was. Finished runs stay."""

    def logs(self, study: Study) -> dict[str, bytes]:
        """What the study's tasks printed, by name; the logs of runs are in the arena."""
