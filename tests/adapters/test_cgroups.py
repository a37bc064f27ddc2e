"""The account of a control group, where this machine lets us make one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from patchrun.adapters import cgroups
from patchrun.adapters.cgroups import Cgroup

# Its child burns CPU while nobody waits for it: such time is on no parent's account.
UNSEEN = """
import os, signal, sys, time
open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
if os.fork() == 0:
    while time.process_time() < 0.4:
        pass
    os._exit(0)
try:
    os.wait()
except ChildProcessError:
    pass
"""


def test_the_time_of_children_that_nobody_waited_for_is_seen() -> None:
    group = cgroups.make(1 << 30, 64)
    if group is None:
        pytest.skip("no control group can be made here")
    try:
        before = group.cpu_seconds()
        if before is None:
            pytest.skip("this machine's groups have no account of CPU time")
        account = next(
            folder
            for folder in group.folders
            if (folder / "cpuacct.usage").exists() or len(group.folders) == 1
        )
        subprocess.run([sys.executable, "-c", UNSEEN, str(account)], check=True)
        assert (group.cpu_seconds() or 0.0) - before > 0.35
    finally:
        group.end()
    assert not any(folder.exists() for folder in group.folders)


def test_the_accounts_of_both_generations(tmp_path: Path) -> None:
    (tmp_path / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\nsystem_usec 1\n")
    assert Cgroup((tmp_path,)).cpu_seconds() == 2.5
    (tmp_path / "cpuacct.usage").write_text("1500000000\n")
    assert Cgroup((tmp_path / "none", tmp_path)).cpu_seconds() == 1.5
    assert Cgroup((tmp_path / "none",)).cpu_seconds() is None
    (tmp_path / "cpuacct.usage").write_text("")
    assert Cgroup((tmp_path,)).cpu_seconds() is None
