"""What was handed to queues: a ref for each job, so that every machine that has the arena knows whom to ask."""

from __future__ import annotations

import hashlib
from contextlib import suppress

from patchrun.adapters.gitrepo import PATCHRUN, RefExists
from patchrun.adapters.store import Arena
from patchrun.core import results
from patchrun.core.errors import ArenaError
from patchrun.core.results import Job

JOBS = "refs/patchrun/jobs/"


def read_jobs(arena: Arena) -> list[Job]:
    """Every job, oldest first; ArenaError naming one that is damaged."""
    refs = arena.repo.refs(JOBS)
    blobs = arena.repo.read_many(f"{commit}:job.json" for commit in refs.values())
    found = [_decode(name, data) for name, data in zip(refs, blobs, strict=True)]
    return sorted(found, key=lambda job: (job.created, job.job))


def _decode(name: str, data: bytes | None) -> Job:
    if data is None:
        raise ArenaError(f"{name} holds no job", "`patchrun verify` lists all damage")
    return results.decode(data, Job, name)


def add_job(arena: Arena, job: Job) -> None:
    """Store that blocks were handed to a queue."""
    tree = arena.repo.store_files({"job.json": results.encode(job)})
    words = f"job {job.job} of {job.executor}: study {job.study}\n"
    commit = arena.repo.commit(tree, [], words, PATCHRUN, job.created)
    with suppress(RefExists):  # its name is its content: it was stored before
        arena.repo.create_refs({JOBS + job_ref(job): commit})


def job_ref(job: Job) -> str:
    """``<study>/<executor>-<job>-<digest>``: a queue that starts anew counts from 1 again."""
    digest = hashlib.sha256(results.encode(job)).hexdigest()[:8]
    return f"{job.study}/{job.executor}-{job.job}-{digest}"
