"""A real Slurm cluster of two nodes on this host, for tests: started by up.sh, stopped by down.sh."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def find_reason() -> str:
    """Why no cluster can be started here; empty where one can."""
    absent = [name for name in PROGRAMS if not shutil.which(name, path=PATH)]
    if absent:
        return f"Slurm is not installed: {', '.join(absent)} not found (`make slurm` installs it)"
    return "" if os.geteuid() == 0 else "slurmd starts jobs as root only"


class Cluster:
    """A running cluster, and what can happen to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": PATH}

    def __call__(self, *words: str) -> str:
        """What a command of Slurm says."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout.strip()

    def tasks(self, state: str = "all") -> dict[str, tuple[str, str]]:
        """Task (``12_0``) -> its state and node."""
        lines = self(
            "squeue", "--noheader", "--array", f"--states={state}", "--format=%F_%K|%T|%N"
        ).splitlines()
        return {name: (stand, node) for name, stand, node in (line.split("|") for line in lines)}

    def kill_slurmd(self, node: str) -> None:
        """As if the node were lost: its tasks go on where nobody sees them."""
        os.kill(int((self.folder / f"slurmd.{node}.pid").read_text()), signal.SIGKILL)

    def start_slurmd(self, node: str) -> None:
        subprocess.run(["sh", HERE / "node.sh", self.folder, node], env=self.environment, check=True)

    def stop_controller(self) -> None:
        """As for a restart: it keeps its jobs, and nobody answers until ``start_controller``."""
        pid = int((self.folder / "slurmctld.pid").read_text())
        os.kill(pid, signal.SIGTERM)
        await_that(lambda: is_gone(pid), "the controller ends")

    def start_controller(self) -> None:
        subprocess.run(["slurmctld", "-f", self.folder / "slurm.conf"], env=self.environment, check=True)

    def node_state(self, node: str) -> str:
        return self("sinfo", "--noheader", "--partition=main", f"--nodes={node}", "--format=%T")


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def await_that(holds: Callable[[], object], what: str, seconds: float = 120) -> None:
    """Wait until ``holds()``; AssertionError with ``what`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.2)


@contextmanager
def start_cluster() -> Iterator[Cluster]:
    """A cluster in a folder with a short name; everything that it started is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    try:
        done = subprocess.run(["sh", HERE / "up.sh", folder], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        yield Cluster(folder)
    finally:
        subprocess.run(["sh", HERE / "down.sh", folder], timeout=60)
        shutil.rmtree(folder, ignore_errors=True)
