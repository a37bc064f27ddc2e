"""Studies on a real Slurm cluster of two nodes, through everything that clusters do to jobs."""

from __future__ import annotations

import difflib
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from patchrun.adapters.jobbook import read_jobs
from patchrun.adapters.store import Arena, run_name
from patchrun.core.results import Run
from patchrun.core.selection import Span
from patchrun.services import importer, tournament, verify
from tests.conftest import TINY, TRACK, change
from tests.faces.test_cli import Shell
from tests.services.test_tournament import hand_in
from tests.slurm.cluster import PATH, Cluster, await_that, find_reason, start_cluster

EXAMPLES = Path(__file__).parents[2] / "examples"
CRASH = {"def main():\n": "def main():\n    raise OSError('no')\n"}
SLURM = ("--executor", "slurm")
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if reason := find_reason():
        pytest.skip(reason)
    with start_cluster() as running:
        yield running


@pytest.fixture
def settings(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's file of settings; the queue is emptied afterwards."""
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    monkeypatch.setenv("PATH", PATH)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    path = tmp_path / "config" / "patchrun" / "slurm.toml"
    path.parent.mkdir(parents=True)
    path.write_text("poll_seconds = 0.5\n")
    yield path
    while CHILDREN:
        if (child := CHILDREN.pop()).poll() is None:
            child.kill()
            child.communicate()
    cluster("scancel", "--user=root")
    await_that(lambda: not cluster.tasks("pending,running,completing"), "the queue is empty")


@pytest.fixture
def shell(plain: Arena, settings: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(plain, capsys)


def edit(arena: Arena, number: int, changes: dict[str, str]) -> bytes:
    """A diff to a baseline: keys are text that it has, their values come in its place."""
    base = changed = arena.repo.read(f"{arena.baseline(number)}:train_gpt.py").decode()
    for old, new in changes.items():
        assert base.count(old) == 1, old
        changed = changed.replace(old, new)
    lines = (base.splitlines(keepends=True), changed.splitlines(keepends=True))
    return "".join(difflib.unified_diff(*lines, "a/train_gpt.py", "b/train_gpt.py")).encode()


CHILDREN: list[subprocess.Popen[bytes]] = []


def start(arena: Arena, *words: str) -> subprocess.Popen[bytes]:
    """A command in a process of its own, which does not outlive the test."""
    argv = [sys.executable, "-m", "patchrun", "-C", str(arena.repo.path), *words]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    CHILDREN.append(child)
    return child


def verdicts(arena: Arena) -> dict[tuple[str, str], str | None]:
    return {(one.attempt.agent, one.attempt.record): one.score.verdict for one in tournament.assess(arena)}


def losses(arena: Arena) -> dict[str, float | None]:
    return {run_name(run): run.loss for run in arena.runs()}


def make_arena(folder: Path, track: Path, changes: dict[str, str]) -> Arena:
    """An arena of a track whose ``track.toml`` has other text in some places."""
    shutil.copytree(track, folder / "track")
    manifest = folder / "track" / "track.toml"
    text = manifest.read_text()
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    manifest.write_text(text)
    importer.init(folder / "contest", str(folder / "track"))
    return Arena.open(folder / "contest")


@pytest.fixture
def contest(tmp_path: Path, settings: Path) -> Arena:
    """Two agents' submissions to the three quickest records of the pocket track, on blocks of three seeds.

    No verdict hangs on the draw of seeds: the target is 0.02 above the track's own, so that the mean loss of each arm
    that is to reach it lies five standard errors below, and what is to miss it is far above. Nor on noise of the clock,
    which could hide the gap of a record: the least of three repeats counts, and the gaps are 30% and more.
    """
    easier = {"loss = 3.40": "loss = 3.42", "blocks = 5": "blocks = 3", "repeats = 2": "repeats = 3"}
    arena = make_arena(tmp_path, importer.find_track("pocket"), easier)
    smaller = {"LAYERS = 2": "LAYERS = 1", "\nSTEPS = 67": "\nSTEPS = 80"}
    patches = {
        (7, "ada"): (EXAMPLES / "record-7-most.diff").read_bytes(),
        (7, "bob"): (EXAMPLES / "record-7-misses.diff").read_bytes(),
        (8, "ada"): (EXAMPLES / "record-8-most.diff").read_bytes(),
        (8, "bob"): (EXAMPLES / "record-8-neutral.diff").read_bytes(),
        (9, "ada"): edit(arena, 9, smaller),
        (9, "bob"): edit(arena, 9, CRASH),
    }
    for (number, agent), patch in patches.items():
        assert tournament.hand_in(arena, patch, Span(number, number), agent).attempt.accepted
    return arena


@pytest.mark.network
def test_a_tournament_survives_what_clusters_do(
    cluster: Cluster, contest: Arena, settings: Path, tmp_path: Path
) -> None:
    """A submitter is killed, a task requeued, a node lost, another task cancelled: every run counts once.

    What is left then comes back by push. The same studies run by this machine alone have the same losses, bit for bit,
    and the same verdicts.
    """
    local = mirror(contest, tmp_path / "local.git")
    doomed = trouble(cluster, contest)
    assert len(read_jobs(contest)) == 3, "nothing was doubled"
    assert len(contest.runs()) == 36 - 4, "the cancelled block is missing, the others are whole"
    settings.write_text(f'poll_seconds = 0.5\nresults = "push"\nremote = "file://{contest.repo.path}"\n')
    said = finish(start(contest, "run", "--pending", *SLURM))
    assert "1 blocks handed to slurm" in said and f"task {doomed}" not in said, said
    assert len(read_jobs(contest)) == 4

    cpus = min(2, len(os.sched_getaffinity(0)))
    finish(start(local, "run", "--pending", "--jobs", str(cpus)))
    for arena in (contest, local):
        finish(start(arena, "leaderboard"), 0)
        assert len(losses(arena)) == 36 and verify.verify(arena).problems == ()
    assert losses(contest) == losses(local)
    assert verdicts(contest) == verdicts(local) == {
        ("ada", "7"): "valid", ("bob", "7"): "missed-target",
        ("ada", "8"): "valid", ("bob", "8"): "valid",
        ("ada", "9"): "valid", ("bob", "9"): "failed",
    }  # fmt: skip


def mirror(arena: Arena, path: Path) -> Arena:
    """The arena as it is, once more: what was handed in, to run it elsewhere."""
    arena.repo.git("clone", "--quiet", "--mirror", str(arena.repo.path), str(path))
    return Arena.open(path)


def trouble(cluster: Cluster, contest: Arena) -> str:
    """Run the contest while everything happens to it; the task that was cancelled, whose block is missing then."""
    first = start(contest, "run", "--pending", *SLURM)
    await_that(lambda: len(cluster.tasks("running")) == 2, "two tasks run")
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    await_that(lambda: len(cluster.tasks()) >= 3, "the third waits")
    doomed = max(name for name, (state, _) in cluster.tasks().items() if state == "PENDING")
    cluster("scontrol", "hold", doomed)
    running = {node: name for name, (_, node) in cluster.tasks("running").items()}
    cluster("scontrol", "requeue", running["n1"])
    cluster.kill_slurmd("n2")
    second = start(contest, "run", "--pending", *SLURM)
    heard = read_until(second, f"{doomed}: held")
    assert "3 blocks are in the queue already" in heard, heard
    assert "held: JobHeldAdmin" in finish(start(contest, "status"), 0)
    cluster("scancel", doomed)
    await_that(lambda: "down" in cluster.node_state("n2"), "the node is given up")
    cluster.start_slurmd("n2")
    await_that(
        lambda: all("Restarts=1" in cluster("scontrol", "show", "job", name) for name in running.values()),
        "both start again",
    )
    assert f"task {doomed}: cancelled" in finish(second)
    return doomed


def finish(child: subprocess.Popen[bytes], *codes: int) -> str:
    """What a command prints to its end; a run says 1 where one of those whom it measured did not pass."""
    said = child.communicate(timeout=1800)[0].decode()
    print(said)
    assert child.returncode in (codes or (0, 1)), said
    return said


def test_racing_takes_out_of_the_queue_what_is_decided(
    cluster: Cluster, corpora: Path, settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What crashes or is far too slow has no more than the blocks that were under way when the first one ended.

    On record 1 nothing else is measured, and the study ends; on record 3 it goes on for who is left.
    """
    monkeypatch.setenv("PATCHRUN_CACHE", str(corpora))
    slower = {
        "blocks = 2": "blocks = 4",
        "wall_seconds = 60": "wall_seconds = 300",
    }  # a busy machine is no time-out
    arena = make_arena(tmp_path, TINY, slower)
    third = (TINY / "patches" / "0003-Show-each-position-the-token-before.patch").read_bytes()
    for number, agent, patch in (
        (1, "bob", edit(arena, 1, CRASH)), (1, "eve", edit(arena, 1, {"STEPS = 600": "STEPS = 6000"})),
        (3, "ada", third), (3, "bob", edit(arena, 3, CRASH)),
    ):  # fmt: skip
        assert tournament.hand_in(arena, patch, Span(number, number), agent).attempt.accepted
    said = finish(start(arena, "run", "--pending", "--race", *SLURM))
    assert said.count("runs no more") == 3 and "record 1: decided; taken out of the queue: block" in said, (
        said
    )
    await_that(lambda: not cluster.tasks("pending,running,completing"), "the queue is empty")
    counts = Counter(
        (run.record, run.kind if run.kind != "submission" else agent_of(arena, run)) for run in arena.runs()
    )
    assert max(counts["1", who] for who in ("baseline", "human", "bob", "eve")) <= 3, counts
    assert counts["3", "baseline"] == counts["3", "human"] == counts["3", "ada"] == 4 > counts["3", "bob"], (
        counts
    )
    found = verdicts(arena)
    assert (found["bob", "1"], found["eve", "1"], found["bob", "3"]) == ("failed", "stopped", "failed")
    assert found["ada", "3"] is not None and arena.extra_runs() == [] and len(read_jobs(arena)) == 2
    assert verify.verify(arena).problems == ()
    assert "nothing is missing" in finish(start(arena, "run", "--pending", "--race", *SLURM), 0)


def agent_of(arena: Arena, run: Run) -> str:
    return next(attempt.agent for attempt in arena.attempts() if attempt.id == run.arm)


def test_a_controller_that_is_away_is_waited_for(
    plain: Arena, cluster: Cluster, settings: Path, capsys
) -> None:
    settings.write_text('poll_seconds = 0.5\noptions = ["--hold"]\n')
    name = hand_in(plain).attempt.id
    waiting = start(plain, "run", name, *SLURM)
    read_until(waiting, ": held")
    cluster.stop_controller()
    try:
        heard = read_until(waiting, "asking again")
        assert "squeue does not answer" in heard and waiting.poll() is None
        row = Shell(plain, capsys).json("status", name)["rows"][0]
        assert "handed in by root" in row["queue"] and "squeue does not answer" in row["queue"]
    finally:
        cluster.start_controller()
    await_that(lambda: len(cluster.tasks("pending")) == 5, "the controller is back with its jobs")
    cluster("scancel", "--user=root")
    said = waiting.communicate(timeout=60)[0].decode()
    assert said.count(": cancelled") == 5 and waiting.returncode == 0, said


def forget(arena: Arena, prefix: str) -> None:
    """As if what lies below ``prefix`` had never been written."""
    for ref in arena.repo.refs(prefix):
        arena.repo.git("update-ref", "-d", ref)


def read_until(child: subprocess.Popen[bytes], words: str) -> str:
    """What a child prints up to the line with ``words``."""
    heard = ""
    for line in child.stdout:
        heard += line.decode()
        if words in heard:
            return heard
    raise AssertionError(f"it never said {words!r}:\n{heard}")


def test_a_held_job_is_shown_found_again_and_cancelled(
    shell: Shell, plain: Arena, cluster: Cluster, settings: Path
) -> None:
    settings.write_text('options = ["--hold"]\n')
    name = hand_in(plain).attempt.id
    shell("run", name, *SLURM, "--no-wait")
    assert "5 blocks handed to slurm" in shell.err
    row = shell.json("status", name)["rows"][0]
    assert (row["state"], row["runs_done"]) == ("pending", 0) and "5 held: JobHeld" in row["queue"]
    shell("run", "--pending", *SLURM, "--no-wait")
    assert "5 blocks are in the queue already" in shell.err and len(read_jobs(plain)) == 1
    forget(plain, "refs/patchrun/jobs/")
    shell("run", "--pending", *SLURM, "--no-wait")
    assert [job.blocks for job in read_jobs(plain)] == [(0, 1, 2, 3, 4)], (
        "found by its name, though nobody had said so"
    )
    document = shell.json("cancel", name)
    assert [one["block"] for one in document["cancelled"]] == [0, 1, 2, 3, 4]
    await_that(lambda: not cluster.tasks("pending"), "they are gone")
    assert "5 cancelled" in shell.json("status", name)["rows"][0]["queue"]
    shell("cancel", name, code=2)
    settings.write_text('partition = "closed"\n')
    shell("run", name, *SLURM, "--no-wait")
    assert len(read_jobs(plain)) == 2
    await_that(lambda: "PartitionDown" in shell("status", name), "the queue's reason is shown")
    assert verify.verify(plain).problems == ()


def test_what_sbatch_refuses_is_said_in_its_words(
    shell: Shell, plain: Arena, settings: Path, tmp_path: Path
) -> None:
    settings.write_text('partition = "nope"\n')
    (tmp_path / "d.diff").write_bytes(change("STEPS = 100", "STEPS = 60", 2))
    shell("submit", str(tmp_path / "d.diff"), "--record", "1", *SLURM, code=2)
    assert "sbatch does not take the job" in shell.err and "invalid partition" in shell.err.lower()
    assert str(settings) in shell.err and read_jobs(plain) == []
    assert shell.json("status")["rows"][0]["state"] == "pending", "it is stored, and can be run later"


def test_eight_gpus_are_asked_for_and_a_task_that_fails_is_tried_again_as_often_as_allowed(
    cluster: Cluster, settings: Path, tmp_path: Path, plain_track: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cluster's GPUs are made up: the node's own look finds none, and that is what its task says."""
    (plain_track / "track.toml").write_text(TRACK.replace('"cpu"\n\n[edit]', '"cuda"\ngpus = 8\n\n[edit]')
                                            .replace("blocks = 5", "blocks = 1"))  # fmt: skip
    importer.init(tmp_path / "gpus", str(plain_track))
    arena = Arena.open(tmp_path / "gpus")
    shell, name = Shell(arena, capsys), hand_in(arena).attempt.id
    shell("run", name, *SLURM, "--retries", "1")
    assert shell.err.count("1 blocks handed to slurm") == 2 and shell.err.count(": failed on n") == 2
    assert "needs 8 GPU(s), this machine has" in shell.err
    job = read_jobs(arena)[-1].job
    assert "gpu:8" in cluster("scontrol", "show", "job", job)
    assert "needs 8 GPU(s)" in shell("tasks", name) and "1 failed" in shell("status", name)
    assert arena.runs() == [] and verify.verify(arena).problems == ()


def test_a_lost_node_is_tried_again_and_a_time_limit_is_not(
    cluster: Cluster, settings: Path, tmp_path: Path, plain_track: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tasks that sleep: one on a node that dies, one until its limit, a minute, which is the shortest there is."""
    settings.write_text(
        'poll_seconds = 0.5\nminutes = 1\nsetup = ["sleep 300"]\noptions = ["--no-requeue"]\nretries = 1\n'
    )
    (plain_track / "track.toml").write_text(TRACK.replace("blocks = 5", "blocks = 2"))
    importer.init(tmp_path / "two", str(plain_track))
    arena = Arena.open(tmp_path / "two")
    name = hand_in(arena).attempt.id
    waiting = start(arena, "run", name, *SLURM)
    await_that(lambda: len(cluster.tasks("running")) == 2, "two tasks run")
    running = {node: task for task, (_, node) in cluster.tasks("running").items()}
    cluster.kill_slurmd("n2")
    await_that(lambda: "down" in cluster.node_state("n2"), "the node is given up")
    cluster.start_slurmd("n2")
    await_that(lambda: len(read_jobs(arena)) == 2, "its block is handed in again")
    await_that(lambda: cluster.tasks()[running["n1"]][0] == "TIMEOUT", "the other meets its limit", 180)
    again = read_jobs(arena)[-1]
    cluster("scancel", again.job)
    said = waiting.communicate(timeout=60)[0].decode()
    assert f"task {running['n2']}: lost on n2" in said and f"task {running['n1']}: timed-out on n1" in said, (
        said
    )
    assert f"task {again.job}_{again.blocks[0]}: cancelled" in said
    assert said.count("handed to slurm") == 2 and waiting.returncode == 0
    row = Shell(arena, capsys).json("status", name)["rows"][0]
    assert row["state"] == "pending" and "1 timed-out" in row["queue"] and "1 cancelled" in row["queue"]
    assert arena.runs() == [] and verify.verify(arena).problems == ()
