"""How runs are made, as options of a command: by which executor, how many at once, in which sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal

import click

from patchrun.core.errors import UsageError

if TYPE_CHECKING:
    from patchrun.adapters.store import Arena
    from patchrun.core.results import Study
    from patchrun.services.executor import Executor


@dataclass(frozen=True)
class How:
    """What the options of ``with_how`` said."""

    executor: Literal["local", "slurm"] = "local"
    jobs: int | None = None
    sandbox: str = "default"
    retries: int | None = None
    no_wait: bool = False
    race: bool = False
    rejects: bool = False

    def choose(self, arena: Arena) -> Executor:
        """The executor, with the user's settings; nothing is asked of it yet. UsageError for options it has not."""
        from patchrun.services import executors
        from patchrun.services.study import Options

        if self.executor == "local" and (self.no_wait or self.retries is not None):
            raise UsageError("--no-wait and --retries are for a queue", "say --executor slurm too")
        if self.executor == "slurm" and self.jobs is not None and self.jobs < 1:
            raise UsageError(f"--jobs {self.jobs}: at least one task at once", "leave it out for no limit")
        options = Options(1 if self.jobs is None else self.jobs, self.sandbox, self.race, self.rejects)
        return executors.choose(arena, self.executor, options, limit=self.jobs, retries=self.retries)


jobs_option = click.option(
    "--jobs", type=int, help="Blocks at once (local: 1, a CPU each; slurm: as many as fit)."
)
sandbox_option = click.option(
    "--sandbox",
    type=click.Choice(["default", "bwrap", "seccomp", "none"]),
    default="default",
    show_default=True,
    help="What goes around a run; default is bwrap.",
)
race_options = (
    click.option(
        "--race",
        is_flag=True,
        help="End a run or submission that cannot rank any more (or is proven already).",
    ),
    click.option(
        "--rejects",
        is_flag=True,
        help="Of one agent's submissions to a record find the best by successive rejects, for --pick best.",
    ),
)
executor_options = (
    click.option("--executor", type=click.Choice(["local", "slurm"]), default="local", show_default=True),
    click.option("--retries", type=click.IntRange(min=0),
                 help="slurm: hand a block whose task was lost in again, so often (default: its settings)."),
    click.option("--no-wait", is_flag=True, help="slurm: return when the blocks are handed in."),
)  # fmt: skip


def with_run_options(command: Any) -> Any:
    """Add the options of commands that only this process runs."""
    jobs = click.option("--jobs", type=int, default=1, show_default=True, help="Blocks at once, a CPU each.")
    return jobs(sandbox_option(command))


def with_race_options(command: Any) -> Any:
    """Add the options that end what cannot matter any more."""
    for option in reversed(race_options):
        command = option(command)
    return command


def with_how(command: Any) -> Any:
    """Add the options that say how runs are made; the command gets them as ``how``."""

    @wraps(command)
    def bundled(*args: Any, **given: Any) -> Any:
        own = {name: given.pop(name) for name in How.__dataclass_fields__ if name in given}
        return command(*args, how=How(**own), **given)

    for option in reversed((*executor_options, jobs_option, sandbox_option)):
        bundled = option(bundled)
    return bundled


def measure(arena: Arena, studies: Sequence[Study], how: How) -> None:
    """Run what the studies lack, with live progress on standard error."""
    from patchrun.faces.live import Watch, watch

    executor = how.choose(arena)
    if studies:
        executor.check()
    for study in studies:
        executor.submit(study, Watch(study))
    if how.executor == "local":
        executor.wait(studies, watch)
    elif not how.no_wait:
        wait_for_queue(executor, studies)


def wait_for_queue(executor: Executor, studies: Sequence[Study]) -> None:
    """Lines, no bars: many studies go on at once. Interrupting it leaves the queue as it is."""
    from contextlib import nullcontext

    from patchrun.faces.live import Watch

    try:
        executor.wait(studies, lambda study: nullcontext(Watch(study)))
    except KeyboardInterrupt:
        click.echo("the queue goes on: `patchrun status` says where, `patchrun cancel ID` ends it", err=True)
        raise
