"""Where the tasks of jobs stand: Slurm's states and reasons in patchrun's words, one task a block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

Stand = Literal[
    "waiting", "held", "running", "done", "failed", "lost", "preempted", "timed-out", "out-of-memory", "cancelled"
]  # fmt: skip
ACTIVE: frozenset[Stand] = frozenset({"waiting", "held", "running"})
# lost, preempted and failed may go well elsewhere; a limit would be met again, and who cancels means it
RETRIED: frozenset[Stand] = frozenset({"failed", "lost", "preempted"})
FORMAT = "%F|%K|%T|%N|%r|%j"  # array job, task, state, nodes, reason, name
WHOLE = -1  # the block of a record that stands for all tasks of its array that have none of their own
_STANDS: dict[str, Stand] = {
    "COMPLETED": "done", "FAILED": "failed", "BOOT_FAIL": "lost", "NODE_FAIL": "lost", "PREEMPTED": "preempted",
    "TIMEOUT": "timed-out", "DEADLINE": "timed-out", "OUT_OF_MEMORY": "out-of-memory", "CANCELLED": "cancelled",
    "REVOKED": "cancelled", "PENDING": "waiting", "REQUEUED": "waiting", "REQUEUE_FED": "waiting",
    "REQUEUE_HOLD": "held", "SPECIAL_EXIT": "held",
}  # fmt: skip


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One task of an array: the ``block`` of a study, as the queue last told of it."""

    study: str
    job: str
    block: int
    stand: Stand
    node: str = ""
    reason: str = ""

    @property
    def is_active(self) -> bool:
        return self.stand in ACTIVE


def read_stand(state: str, reason: str) -> Stand:
    """Slurm's state in our words; one that is not known here (STAGE_OUT, SUSPENDED) is a running one.

    A waiting job that somebody or the controller holds is ``held``: nothing happens until it is released.
    """
    stand = _STANDS.get(state.split(" ")[0].rstrip("+"), "running")
    return "held" if stand == "waiting" and "held" in reason.lower() else stand


def read_queue(text: str, studies: Sequence[str]) -> list[Task]:
    """The tasks of ``studies`` in the output of ``squeue --array --noheader --format FORMAT``, as they came.

    A job is one of ours by its name, which ends in ``-<study>``. See ``spread`` for those with the block ``WHOLE``.
    """
    found = []
    for line in text.splitlines():
        job, block, state, node, reason, name = (line.split("|", 5) + [""] * 6)[:6]
        study = name.rpartition("-")[2]
        if study in studies and job.isdecimal():
            number = int(block) if block.isdecimal() else WHOLE
            said = "" if reason == "None" else reason
            stand = read_stand(state, reason)
            found.append(Task(study=study, job=job, block=number, stand=stand, node=node, reason=said))
    return found


def spread(tasks: Sequence[Task], blocks: Mapping[str, Sequence[int]]) -> list[Task]:
    """Records of whole arrays as one task for each of the job's ``blocks`` that has no record of its own.

    A controller that was started anew tells so of tasks that ended without ever having started.
    """
    own = {(task.job, task.block) for task in tasks}
    found = [task for task in tasks if task.block != WHOLE]
    for task in tasks:
        rest = blocks.get(task.job, ()) if task.block == WHOLE else ()
        found += [
            msgspec.structs.replace(task, block=block) for block in rest if (task.job, block) not in own
        ]
    return found


def read_history(text: str, study: str) -> list[Task]:
    """The tasks in the output of ``sacct --parsable2 --noheader --format JobID,State,NodeList``; steps left out."""
    found = []
    for line in text.splitlines():
        name, state, node = (line.split("|") + [""] * 3)[:3]
        job, _, block = name.partition("_")
        if job.isdecimal() and block.isdecimal():
            found.append(Task(study=study, job=job, block=int(block), stand=read_stand(state, ""), node=node))
    return found


def newest(tasks: Iterable[Task]) -> dict[int, Task]:
    """Block -> the task that says most of it: an active one before an ended one, then that of the latest job."""
    chosen: dict[int, Task] = {}
    for task in sorted(
        tasks, key=lambda task: (task.is_active, int(task.job) if task.job.isdecimal() else 0)
    ):
        chosen[task.block] = task
    return chosen


def without_runs(task: Task) -> Task:
    """A task of a block that has no runs: one that ended well has failed all the same."""
    if task.stand != "done":
        return task
    return msgspec.structs.replace(task, stand="failed", reason="it ended without storing its runs")


def describe(tasks: Sequence[Task]) -> str:
    """What the queue says in a line: ``slurm 12: 2 running on n1, n2; 1 waiting: Resources``."""
    groups: dict[tuple[str, str, str], list[Task]] = {}
    for task in sorted(tasks, key=lambda task: task.block):
        why = task.reason if task.stand != "running" else ""
        groups.setdefault((task.job, task.stand, why), []).append(task)
    words: dict[str, list[str]] = {}
    for (job, stand, why), own in groups.items():
        nodes = sorted({task.node for task in own if task.node}) if stand == "running" else []
        place = f" on {', '.join(nodes)}" if nodes else ""
        words.setdefault(job, []).append(f"{len(own)} {stand}{place}" + (f": {why}" if why else ""))
    return " / ".join(f"slurm {job}: {'; '.join(said)}" for job, said in words.items())
