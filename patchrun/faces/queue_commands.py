"""Commands about what runs and waits: status, cancel, tasks; and the one that a queue's task runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from patchrun.core.errors import UsageError
from patchrun.faces.how import How
from patchrun.faces.options import about_one, echo_json, format_option, open_arena
from patchrun.faces.plain_text import echo_plain

if TYPE_CHECKING:
    from patchrun.adapters.store import Arena
    from patchrun.core.results import Study


def show_scripts(arena: Arena, studies: Sequence[Study], how: How, *, err: bool) -> None:
    """Print the batch script that each study would be handed in with."""
    from patchrun.services.follow import lacking_blocks
    from patchrun.services.slurm import SlurmExecutor

    executor = how.choose(arena)
    assert isinstance(executor, SlurmExecutor)
    for study in studies:
        if blocks := lacking_blocks(arena, study):
            click.echo(executor.script(study.id, len(study.arms), blocks), err=err)


@click.command("status")
@click.argument("name", metavar="[ID]", required=False)
@format_option("text", "json")
@click.pass_obj
def status_command(named: str | None, name: str | None, form: str) -> int:
    """What runs, what waits, what failed and why."""
    from patchrun.faces import tables
    from patchrun.services import executors, standings

    arena = open_arena(named)
    wanted = arena.attempt(name).id if name else None
    attempts = [attempt for attempt in arena.attempts() if wanted in (None, attempt.id)]
    queues = executors.tell_queues(arena, attempts)
    rows = [row | {"queue": queues.get(row["id"])} for row in standings.status(arena, wanted)]
    if form == "json":
        echo_json({"track": arena.track.name, "rows": rows})
    else:
        echo_plain(tables.status_text([row | {"reason": row["queue"] or row["reason"]} for row in rows]))
    return 0


@click.command("cancel")
@about_one("text", "json")
def cancel_command(named: str | None, name: str, form: str) -> int:
    """End what waits or runs for a submission, in the queue or in another terminal; finished runs stay."""
    from patchrun.services import executors

    arena = open_arena(named)
    attempt = arena.attempt(name)
    done = executors.cancel(arena, attempt)
    if not done.tasks:
        raise UsageError(
            f"nothing waits in a queue or runs for {attempt.id}",
            "`patchrun withdraw` takes a submission back",
        )
    if form == "json":
        tasks = [{"study": t.study, "job": t.job, "block": t.block, "was": t.stand} for t in done.tasks]
        echo_json({"id": attempt.id, "cancelled": tasks, "sharing": list(done.sharing)})
        return 0
    jobs = ", ".join(sorted({task.job for task in done.tasks}))
    click.echo(
        f"cancelled {len(done.tasks)} of {attempt.id}: {jobs}; `patchrun run {attempt.id[:12]}` goes on"
    )
    if done.sharing:
        click.echo(f"these share its study and wait too: {', '.join(done.sharing)}")
    return 0


@click.command("tasks")
@about_one("text", "json")
def tasks_command(named: str | None, name: str, form: str) -> int:
    """What the queue's tasks for a submission printed (`patchrun log` has the logs of runs)."""
    from patchrun.services import executors

    arena = open_arena(named)
    logs = executors.read_logs(arena, arena.attempt(name))
    texts = {task: text.decode("utf-8", "replace") for task, text in logs.items()}
    if form == "json":
        echo_json(texts)
        return 0
    if not texts:
        raise UsageError(f"no task for {name} has printed anything here", "`patchrun status` says what waits")
    for task, text in texts.items():
        echo_plain(f"==> study {task}\n{text}")
    return 0


@click.command("block", hidden=True)
@click.argument("order", type=click.File("rb"))
@click.option("--block", type=click.IntRange(min=0), help="Else the task's own number in its array.")
def block_command(order: click.utils.LazyFile, block: int | None) -> int:
    """Train one block of a study, as the batch script of a queue says; it stores the block as a whole."""
    from patchrun.faces.live import describe
    from patchrun.services import blocktask
    from patchrun.services.study import Progress

    given = os.environ.get("SLURM_ARRAY_TASK_ID", "") if block is None else str(block)
    if not given.isdecimal():
        raise UsageError("which block?", "inside a job array SLURM_ARRAY_TASK_ID says it, else --block")

    def tell(progress: Progress) -> None:
        if progress.run:
            echo_plain(describe(progress.run, progress.slot.position + 1, len(progress.study.arms)))
            sys.stdout.flush()

    if blocktask.do_block(blocktask.read_order(order.read()), int(given), tell):
        return 0
    click.echo("patchrun: stopped before its end; nothing of this block is stored", err=True)
    return 1
