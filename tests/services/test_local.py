"""Studies run by this process: seen and interrupted from another terminal."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time

import pytest

from patchrun.adapters.jobbook import add_job
from patchrun.adapters.store import Arena
from patchrun.core.errors import UsageError
from patchrun.core.results import Job
from patchrun.services import tournament
from patchrun.services.local import LocalExecutor
from patchrun.services.study import Options
from tests.conftest import TINY
from tests.services.test_tournament import hand_in
from tests.shell import Shell

PATCH = TINY / "patches" / "0001-Raise-the-learning-rate.patch"


def test_a_local_run_is_seen_and_cancelled_from_another_terminal(tiny: Arena, capsys) -> None:
    words = ["-C", str(tiny.repo.path), "submit", str(PATCH), "--record", "1", "--agent", "ada"]
    child = subprocess.Popen([sys.executable, "-m", "patchrun", *words], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
    shell = Shell(tiny, capsys)
    try:
        deadline = time.monotonic() + 100
        while not (tiny.studies() and tiny.holder(tiny.studies()[0].id)):
            assert child.poll() is None and time.monotonic() < deadline, child.communicate()[0]
            time.sleep(0.05)
        [row] = shell.json("status")["rows"]
        assert row["queue"] == f"process {child.pid} on {platform.node()} runs it"
        document = shell.json("cancel", row["id"])
        assert [one["job"] for one in document["cancelled"]] == [str(child.pid)]
        said = child.communicate(timeout=60)[0].decode()
        assert child.returncode == 130 and "finished runs are kept" in said, said
        assert shell.json("status")["rows"][0]["queue"] is None
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def on_progress(self, progress: object) -> None: ...

    def on_wait(self) -> None: ...

    def tell(self, line: str) -> None:
        self.lines.append(line)


def test_a_run_on_another_machine_cannot_be_cancelled_here(plain: Arena) -> None:
    hand_in(plain)
    [study] = tournament.plan_waiting(plain)
    executor = LocalExecutor(plain, Options())
    assert executor.state([study]) == [] and executor.cancel(study) == [] and executor.logs(study) == {}
    with plain.lock(study.id):
        (plain.folder / "locks" / study.id).write_text("1 elsewhere")
        with pytest.raises(UsageError, match="process 1 on elsewhere runs it"):
            executor.cancel(study)


def test_a_process_that_is_gone_or_of_another_user_is_no_crash(
    plain: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in(plain)
    [study] = tournament.plan_waiting(plain)
    gone = subprocess.Popen(["true"])
    gone.wait()
    monkeypatch.setattr(Arena, "holder", lambda arena, name: (gone.pid, platform.node()))
    assert [task.job for task in LocalExecutor(plain, Options()).cancel(study)] == [str(gone.pid)]
    monkeypatch.setattr(os, "kill", lambda pid, signal: (_ for _ in ()).throw(PermissionError()))
    with pytest.raises(UsageError, match="for another user"):
        LocalExecutor(plain, Options()).cancel(study)


def test_who_runs_here_what_was_handed_to_a_queue_is_told(plain: Arena) -> None:
    hand_in(plain)
    [study] = tournament.plan_waiting(plain)
    heard = Heard()
    executor = LocalExecutor(plain, Options())
    executor.submit(study, heard)
    assert heard.lines == []
    job = Job(study=study.id, executor="slurm", cluster="", job="12", name="n", blocks=(0,), user="ada", host="login",
              created="2026-01-02T00:00:00+00:00")  # fmt: skip
    add_job(plain, job)
    executor.submit(study, heard)
    assert heard.lines == ["record 1: handed to slurm before, job 12; a block that both run counts once"]
