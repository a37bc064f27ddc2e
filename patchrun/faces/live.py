"""Live progress on standard error: a bar for the study and one for each run in training; plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from patchrun.faces.plain_text import echo_plain, spell

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from patchrun.core.results import Run, Study
    from patchrun.services.study import Progress


@contextmanager
def watch(study: Study) -> Iterator[Watch]:
    """Show a study's progress: bars on a terminal, one line a finished run otherwise."""
    if not sys.stderr.isatty():
        yield Watch(study)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield LiveWatch(study, bars)


class Watch:
    """One line on standard error for each run that was stored."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.total = study.blocks * len(study.arms)
        self.done = 0
        self.guard = threading.Lock()

    def on_wait(self) -> None:
        """Another process runs this study."""
        click.echo(f"study {self.study.id}: another process runs it; waiting for it to end", err=True)

    def on_progress(self, progress: Progress) -> None:
        """Take one thing that happened; called from the threads that run blocks."""
        with self.guard:
            if progress.stop:
                self.tell(
                    f"record {self.study.record}: {progress.arm.name[:12]} runs no more, {progress.stop.reason}"
                )
            elif progress.run:
                self.done += progress.study.id == self.study.id  # its probe's runs are none of its blocks
                self.tell(describe(progress.run, self.done, self.total))
            elif progress.event:
                self.move(progress)

    def tell(self, line: str) -> None:
        echo_plain(line, err=True)

    def move(self, progress: Progress) -> None:
        """A step inside a run: not shown without a terminal."""


class LiveWatch(Watch):
    """Bars: the study, and each run with its step, loss, time and what is left."""

    def __init__(self, study: Study, bars: Bars) -> None:
        super().__init__(study)
        self.bars = bars
        self.whole = bars.add_task(f"record {study.record}", total=self.total, note="")
        self.tasks: dict[str, TaskID] = {}

    def tell(self, line: str) -> None:
        self.bars.console.print(spell(line), highlight=False, markup=False)
        self.bars.update(self.whole, completed=self.done)

    def move(self, progress: Progress) -> None:
        event = progress.event
        assert event
        name = f"{progress.arm.name[:8]} {progress.slot.name}"
        if name not in self.tasks:
            self.tasks[name] = self.bars.add_task(f"  {name}", total=None, note="")
        loss = "" if event.loss is None else f"loss {event.loss:.3f}"
        self.bars.update(
            self.tasks[name], total=event.steps, completed=event.step or 0, note=f"{event.phase} {loss}"
        )
        if event.phase == "done":
            self.bars.remove_task(self.tasks.pop(name))


def describe(run: Run, done: int, total: int) -> str:
    """One finished run in a line."""
    took = "" if run.seconds is None else f"{run.seconds:8.2f} s"
    loss = "" if run.loss is None else f"  loss {run.loss:.4f}"
    what = f"{took}{loss}  {run.reason}".rstrip() if run.exit == "ok" else f"{run.exit}: {run.reason}"
    return f"[{done}/{total}] record {run.record} block {run.block + 1} {run.arm[:12]:12} {what}"
