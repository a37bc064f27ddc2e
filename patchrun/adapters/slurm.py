"""The one place that talks to Slurm: sbatch, squeue, scancel, and sacct where there is accounting."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from patchrun.adapters import process
from patchrun.core.errors import SetupError
from patchrun.core.slurmconfig import Settings, load_settings
from patchrun.core.tasks import FORMAT, Task, read_history, read_queue

PROGRAMS = ("sbatch", "squeue", "scancel")
COMMAND_SECONDS = 60.0
# a caller's defaults would change what a script asks for, and a job that hands in jobs is not their parent
FOREIGN = ("SBATCH_", "SQUEUE_", "SCANCEL_", "SACCT_", "SLURM_JOB", "SLURM_ARRAY", "SLURM_STEP", "SLURM_TASK")


class Refused(SetupError):
    """The queue refuses, in its own words."""


def config_file() -> Path:
    """Where the user's settings lie (``XDG_CONFIG_HOME``)."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "patchrun" / "slurm.toml"


def read_settings(track: str) -> Settings:
    """The user's settings for ``track``, all defaults without a file.

    Raises:
        ManifestError: the file is wrong; every problem is named.
        SetupError: it cannot be read.
    """
    path = config_file()
    try:
        return load_settings(path.read_text(), str(path), track)
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"cannot read {path}: {error}") from None


def check() -> None:
    """SetupError where Slurm's commands are not installed."""
    absent = [name for name in PROGRAMS if not shutil.which(name)]
    if absent:
        raise SetupError(
            f"no Slurm on this machine: {', '.join(absent)} not found",
            "run it where jobs are handed in (a login node), or say --executor local",
        )


def submit(script: str) -> tuple[str, str]:
    """Hand a batch script in; the job's number and its cluster's name ("" where sbatch does not say).

    Raises:
        Refused: sbatch does not take it, in sbatch's words.
    """
    done = _run("sbatch", "--parsable", input=script.encode())
    if not done.ok:
        raise Refused(f"sbatch does not take the job: {done.errors}", f"mend {config_file()}")
    job, _, cluster = done.stdout.decode().strip().partition(";")
    return job, cluster


def read_tasks(names: Sequence[str], studies: Sequence[str]) -> list[Task]:
    """The tasks that the queue knows of jobs with these names; ended ones for some minutes only.

    Raises:
        Refused: the queue does not answer.
    """
    words = ("--noheader", "--array", "--states=all", f"--name={','.join(names)}", f"--format={FORMAT}")
    done = _run("squeue", *words)
    if (
        not done.ok or "slurm_load" in done.errors
    ):  # while its controller starts anew it fails with status 0 too
        raise Refused(f"squeue does not answer: {done.errors}", "is the cluster's controller up?")
    return read_queue(done.stdout.decode("utf-8", "replace"), studies)


def read_ended(job: str, study: str) -> list[Task]:
    """What accounting knows of a job's tasks; nothing where there is none."""
    if not shutil.which("sacct"):
        return []
    words = ("--noheader", "--parsable2", "--allocations", "--format=JobID,State,NodeList", f"--jobs={job}")
    done = _run("sacct", *words)
    return read_history(done.stdout.decode("utf-8", "replace"), study) if done.ok else []


def cancel(job: str, blocks: Sequence[int] = ()) -> None:
    """Take a job, or some tasks of its array, out of the queue; Refused in scancel's words."""
    tasks = f"_[{','.join(map(str, blocks))}]" if blocks else ""
    done = _run("scancel", f"{job}{tasks}")
    if not done.ok:
        raise Refused(f"scancel does not end job {job}: {done.errors}", "is it yours?")


def _run(program: str, *words: str, input: bytes | None = None) -> process.Completed:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
    return process.run([program, *words], input=input, env=environment, timeout=COMMAND_SECONDS)
