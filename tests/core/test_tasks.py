"""Slurm's states in our words, on what squeue and sacct really print."""

from __future__ import annotations

import pytest

from patchrun.core.tasks import (
    ACTIVE,
    RETRIED,
    WHOLE,
    Task,
    describe,
    newest,
    read_history,
    read_queue,
    read_stand,
    spread,
    without_runs,
)

STUDY = "2185b846d81a14c028a0"
QUEUE = f"""\
12|2|PENDING||JobArrayTaskLimit|patchrun-43fc81ba-{STUDY}
12|3|PENDING||JobHeldAdmin|patchrun-43fc81ba-{STUDY}
12|0|RUNNING|n1|None|patchrun-43fc81ba-{STUDY}
12|1|CANCELLED||Dependency|with|bars|patchrun-43fc81ba-{STUDY}
9|1|NODE_FAIL|n2|None|patchrun-43fc81ba-{STUDY}
14|N/A|CANCELLED||JobHeldAdmin|patchrun-43fc81ba-{STUDY}
14|1|COMPLETED|n1|None|patchrun-43fc81ba-{STUDY}
13|0|RUNNING|n2|None|somebody-elses
"""


def task(block: int, stand: str, job: str = "12", node: str = "", reason: str = "") -> Task:
    return Task(study=STUDY, job=job, block=block, stand=stand, node=node, reason=reason)


@pytest.mark.parametrize(
    ("state", "reason", "stand"),
    [
        ("PENDING", "Resources", "waiting"),
        ("PENDING", "JobHeldUser", "held"),
        ("PENDING", "launch failed requeued held", "held"),
        ("REQUEUE_HOLD", "", "held"),
        ("RUNNING", "None", "running"),
        ("COMPLETING", "None", "running"),
        ("SUSPENDED", "None", "running"),
        ("COMPLETED", "None", "done"),
        ("FAILED", "NonZeroExitCode", "failed"),
        ("NODE_FAIL", "None", "lost"),
        ("BOOT_FAIL", "None", "lost"),
        ("PREEMPTED", "None", "preempted"),
        ("TIMEOUT", "TimeLimit", "timed-out"),
        ("DEADLINE", "", "timed-out"),
        ("OUT_OF_MEMORY", "OutOfMemory", "out-of-memory"),
        ("CANCELLED by 1000", "", "cancelled"),
        ("CANCELLED+", "", "cancelled"),
    ],
)
def test_states(state: str, reason: str, stand: str) -> None:
    assert read_stand(state, reason) == stand


def test_what_is_tried_again_has_ended_and_was_nobody_s_wish() -> None:
    assert not RETRIED & ACTIVE
    assert not RETRIED & {"cancelled", "timed-out", "out-of-memory", "done"}


def test_the_queue_is_read_and_others_jobs_are_left_out() -> None:
    found = read_queue(QUEUE, [STUDY])
    assert [(one.job, one.block, one.stand) for one in found] == [
        ("12", 2, "waiting"), ("12", 3, "held"), ("12", 0, "running"), ("12", 1, "cancelled"), ("9", 1, "lost"),
        ("14", WHOLE, "cancelled"), ("14", 1, "done"),
    ]  # fmt: skip
    assert found[2].node == "n1" and found[2].reason == "" and found[1].reason == "JobHeldAdmin"
    assert read_queue(QUEUE, ["another"]) == [] and read_queue("", [STUDY]) == []
    assert read_queue("slurm_load_jobs error\n12|0\n", [STUDY]) == []


def test_history_leaves_steps_and_whole_jobs_out() -> None:
    text = "12_0|COMPLETED|n1\n12_1|CANCELLED by 0|None assigned\n12_1.batch|CANCELLED|n1\n12|FAILED|n1\n"
    assert [(one.block, one.stand) for one in read_history(text, STUDY)] == [(0, "done"), (1, "cancelled")]


def test_the_newest_task_of_a_block_counts_and_an_active_one_before_all() -> None:
    chosen = newest(
        [task(0, "running", "9"), task(0, "lost", "12"), task(1, "lost", "9"), task(1, "failed", "10")]
    )
    assert (chosen[0].job, chosen[1].job) == ("9", "10")


def test_a_line_for_people() -> None:
    tasks = [
        task(0, "running", node="n2"), task(1, "running", node="n1"), task(2, "waiting", reason="Resources"),
        task(3, "lost", "9", "n1"),
    ]  # fmt: skip
    assert describe(tasks) == "slurm 12: 2 running on n1, n2; 1 waiting: Resources / slurm 9: 1 lost"
    assert describe([]) == ""


def test_a_task_that_ended_well_without_runs_has_failed() -> None:
    assert without_runs(task(0, "done")).stand == "failed"
    assert without_runs(task(0, "lost")) == task(0, "lost")


def test_a_record_of_a_whole_array_speaks_for_the_tasks_without_one() -> None:
    """What squeue prints of an array that was cancelled before it began, after a restart of the controller."""
    tasks = read_queue(QUEUE, [STUDY])
    found = spread(tasks, {"14": (0, 1, 2), "12": (0, 1, 2, 3)})
    assert [(one.block, one.stand) for one in found if one.job == "14"] == [
        (1, "done"), (0, "cancelled"), (2, "cancelled"),
    ]  # fmt: skip
    assert [one for one in found if one.job == "12"] == [one for one in tasks if one.job == "12"]
    assert all(one.block != WHOLE for one in spread(tasks, {})), "of a job that nobody knows nothing is said"
