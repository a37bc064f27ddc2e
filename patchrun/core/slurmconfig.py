"""What a user says of a Slurm cluster in ``patchrun/slurm.toml``, and which of it holds for a track."""

from __future__ import annotations

import tomllib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from patchrun.core.errors import ManifestError
from patchrun.core.manifest import Count, Natural, Positive, Strict, load_manifest

Word = Annotated[str, Meta(pattern=r"\A[^\s\x00-\x1f]*\Z")]  # one word of an option: no blank, no line break
Line = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f]+\Z")]
Option = Annotated[str, Meta(pattern=r"\A--[a-z][^\x00-\x1f]*\Z")]


class Settings(Strict, frozen=True, kw_only=True):
    """What jobs ask of the cluster.

    ``exclusive``: the whole node, since what shares it is timed too. ``limit``: tasks at once of one study, 0 for no
    limit. ``minutes``: the time limit of a task, else from the track's limits. ``retries``: how often a block whose
    task was lost is handed in again. ``python``: the interpreter on the nodes that has patchrun, else the submitter's.
    ``environment``: further variables of the submitter that jobs get. ``setup``: shell lines before the command.
    ``options``: further options of sbatch. ``results``: ``shared``, the nodes see the arena's folder where it is;
    ``push``, a task fetches what it needs from ``remote`` and pushes its block there. ``logs``: the folder for what
    tasks print. ``poll_seconds``: between two looks at the queue.
    """

    partition: Word = ""
    account: Word = ""
    qos: Word = ""
    constraint: Word = ""
    exclusive: bool = True
    cpus: Count | None = None
    gpu_option: Literal["gpus-per-node", "gres"] = "gpus-per-node"
    gpu_type: Word = ""
    limit: Natural = 0
    minutes: Count | None = None
    retries: Natural = 2
    python: Word = ""
    environment: tuple[Annotated[str, Meta(pattern=r"\A[A-Za-z_][A-Za-z0-9_]*\Z")], ...] = ()
    setup: tuple[Line, ...] = ()
    options: tuple[Option, ...] = ()
    results: Literal["shared", "push"] = "shared"
    remote: Word = ""
    logs: Word = ""
    poll_seconds: Positive = 5.0


class Config(Settings, frozen=True, kw_only=True):
    """The whole file: settings for all tracks, and a table ``[track.NAME]`` for what differs on one."""

    track: dict[str, Settings] = {}


def load_settings(text: str, name: str, track: str) -> Settings:
    """The settings for ``track``; ManifestError names every problem of the file ``name`` by its key."""
    load_manifest(Config, text, name)
    table = tomllib.loads(text)
    own = table.pop("track", {}).get(track, {})
    settings = msgspec.convert(table | own, Settings)
    if settings.results == "push" and not settings.remote:
        raise ManifestError(
            f"{name}: remote: missing", "results = 'push' needs the arena's address on the nodes"
        )
    return settings
