"""CPUs are given out one a holder, across processes, and come back when a holder dies."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from patchrun.adapters.cpus import hold_cpu

HOLD = "from patchrun.adapters.cpus import hold_cpu\nwith hold_cpu() as cpu:\n print(cpu, flush=True)\n input()\n"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def test_another_process_gets_another_cpu_and_a_dead_one_gives_it_back() -> None:
    cpus = sorted(os.sched_getaffinity(0))
    child = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert int(child.stdout.readline()) == cpus[0]
        if len(cpus) > 1:
            with hold_cpu() as second:
                assert second == cpus[1]
    finally:
        child.kill()
        child.communicate()
    with hold_cpu() as again:
        assert again == cpus[0]


def test_where_all_are_held_one_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    first = min(os.sched_getaffinity(0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {first})
    got: list[int] = []

    def take() -> None:
        with hold_cpu() as cpu:
            got.append(cpu)

    with hold_cpu():
        thread = threading.Thread(target=take)
        thread.start()
        thread.join(0.3)
        assert got == []
    thread.join(10)
    assert got == [first]
