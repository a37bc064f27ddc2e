from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from patchrun.adapters import cputime
from patchrun.core.errors import SetupError

BURN = "import time\nend = time.process_time() + {seconds}\nwhile time.process_time() < end: pass\n"
WAIT = "print('done', flush=True); time.sleep(60)\n"


def start(text: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)


def test_it_agrees_with_what_the_process_counts_itself():
    text = (
        "import time\n" + BURN.format(seconds=0.3) + "print(time.process_time(), flush=True); time.sleep(60)"
    )
    with start(text) as child:
        assert child.stdout
        own = float(child.stdout.readline())
        assert cputime.cpu_seconds(child.pid) == pytest.approx(own, abs=0.02)
        child.kill()


def test_sleep_costs_nothing_and_the_clock_is_finer_than_a_tick():
    with start("import time\n" + WAIT) as child:
        assert child.stdout
        child.stdout.readline()
        time.sleep(0.05)
        before = cputime.cpu_seconds(child.pid)
        time.sleep(0.3)
        assert 0 <= cputime.cpu_seconds(child.pid) - before < 0.005
        assert round(before, 2) != before
        child.kill()


def test_threads_count():
    text = "import threading, time\ndef burn():\n    end = time.thread_time() + 0.2\n"
    text += "    while time.thread_time() < end: pass\n"
    text += "threads = [threading.Thread(target=burn) for _ in range(2)]\n"
    text += "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
    with start(text + WAIT) as child:
        assert child.stdout
        child.stdout.readline()
        assert cputime.cpu_seconds(child.pid) > 0.4
        child.kill()


def test_living_and_reaped_descendants_count_below_a_wrapper():
    inner = "import subprocess, sys, time\n"
    inner += f"subprocess.run([sys.executable, '-c', {BURN.format(seconds=0.3)!r}])\n"
    inner += BURN.format(seconds=0.3) + WAIT
    outer = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {inner!r}])\n"
    with start(outer) as child:
        assert child.stdout
        child.stdout.readline()
        assert len(list(cputime.tree(child.pid))) == 2
        assert 0.6 < cputime.cpu_seconds(child.pid) < 1.5
        for pid in list(cputime.tree(child.pid))[::-1]:
            os.kill(pid, 9)


def test_a_process_that_is_gone_counts_nothing():
    child = start("pass")
    child.communicate()
    assert cputime.cpu_seconds(child.pid) == 0


def test_pin_binds_every_thread_below():
    cpu = max(os.sched_getaffinity(0))
    inner = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\n" + WAIT
    outer = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {inner!r}])\n"
    with start(outer) as child:
        assert child.stdout
        child.stdout.readline()
        cputime.pin(child.pid, cpu)
        pids = list(cputime.tree(child.pid))
        threads = [int(task.name) for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()]
        assert len(threads) >= 3
        assert {frozenset(os.sched_getaffinity(thread)) for thread in threads} == {frozenset({cpu})}
        for pid in pids[::-1]:
            os.kill(pid, 9)


def test_a_thread_that_ends_meanwhile_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    real = cputime._threads
    gone = Path("/proc/4194303/task/4194303")
    monkeypatch.setattr(cputime, "_threads", lambda pid: [gone, *real(pid)])
    cpu = max(os.sched_getaffinity(0))
    inner = "import time\n" + WAIT
    with start(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {inner!r}])\n") as child:
        assert child.stdout
        child.stdout.readline()
        pids = list(cputime.tree(child.pid))
        cputime.pin(child.pid, cpu)
        assert len(pids) == 2 and [os.sched_getaffinity(pid) for pid in pids] == [{cpu}, {cpu}]
        for pid in pids[::-1]:
            os.kill(pid, 9)


def test_pin_to_a_cpu_that_is_not_ours():
    with pytest.raises(SetupError, match="no CPU 4000"):
        cputime.pin(os.getpid(), 4000)
