"""The batch script of a study: an array with one task a block, all arms of a block on one node."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from patchrun.core.results import content_id
from patchrun.core.slurmconfig import Settings
from patchrun.core.track import Track

START_SECONDS = 300.0  # for the imports of one training, and the same again for the evaluation's workers
MARK = "PATCHRUN_ORDER"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a task is told: the arena, the study, how runs are made. The block is the task's own number.

    Seeds and code are in the study's ref: neither they nor the owner's key are told here.
    """

    version: int = 1
    arena: str  # its git directory; with ``remote`` only where the submitter has it
    remote: str = ""
    study: str
    sandbox: str = "default"
    race: bool = False
    rejects: bool = False


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What the size of a job depends on."""

    study: str
    arms: int
    blocks: tuple[int, ...]


def job_name(order: Order) -> str:
    """By this the queue knows a study's jobs, whoever handed them in: results go to one place, for one study."""
    return f"patchrun-{content_id(order.remote or order.arena)[:8]}-{order.study}"


def array_words(blocks: Sequence[int], limit: int) -> str:
    """``0-2,5%2``: the blocks as sbatch's ``--array`` takes them, at most ``limit`` at once (0: as many as fit)."""
    spans: list[list[int]] = []
    for block in sorted(blocks):
        if spans and block == spans[-1][1] + 1:
            spans[-1][1] = block
        else:
            spans.append([block, block])
    text = ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
    return text + (f"%{limit}" if limit else "")


def block_minutes(track: Track, arms: int) -> int:
    """The longest that a block may take by the track's limits, in minutes, rounded up.

    Each arm trains ``repeats`` times, and once for a single step where the model is the evidence; then it is evaluated.
    Every one of these has the track's wall seconds and the time to start.
    """
    parts = track.clock.repeats + (2 if track.evidence.kind == "model" else 0)
    return math.ceil(arms * parts * (track.limits.wall_seconds + START_SECONDS) / 60)


def list_options(track: Track, settings: Settings, shape: Shape, name: str, output: str) -> list[str]:
    """The options of sbatch; the user's own come last, and win."""
    gpus = f"{settings.gpu_type}:" * bool(settings.gpu_type) + str(track.hardware.gpus)
    gres = "gpu:" * (settings.gpu_option == "gres")
    asked = {
        "partition": settings.partition, "account": settings.account, "qos": settings.qos,
        "constraint": settings.constraint,
    }  # fmt: skip
    return [
        f"--job-name={name}",
        f"--array={array_words(shape.blocks, settings.limit)}",
        "--nodes=1",
        "--ntasks=1",
        *_share(track, settings),
        *([f"--{settings.gpu_option}={gres}{gpus}"] if track.hardware.gpus else []),
        f"--time={settings.minutes or block_minutes(track, shape.arms)}",
        "--requeue",
        "--open-mode=append",
        f'--output="{output}"' if " " in output else f"--output={output}",
        "--chdir=/",
        "--export=NIL",
        *(f"--{key}={value}" for key, value in asked.items() if value),
        *settings.options,
    ]


def _share(track: Track, settings: Settings) -> list[str]:
    """The node as a whole, or what one block needs of it."""
    if settings.exclusive:
        return ["--exclusive", "--mem=0", *([f"--cpus-per-task={settings.cpus}"] if settings.cpus else [])]
    return [f"--cpus-per-task={settings.cpus or 2}", f"--mem={2 * track.limits.memory_mb}M"]


def write_script(
    options: Sequence[str], settings: Settings, order: Order, environment: Mapping[str, str], python: str
) -> str:
    """The script: options, the listed environment, the user's lines, the command, and the order as its input.

    The task replaces the shell, so that signals of the queue reach it.
    """
    exports = [f"export {key}={shlex.quote(value)}" for key, value in sorted(environment.items())]
    document: dict[str, Any] = msgspec.to_builtins(order)
    command = f"exec {shlex.quote(settings.python or python)} -m patchrun block - <<'{MARK}'"
    lines = [
        "#!/bin/bash",
        *(f"#SBATCH {option}" for option in options),
        "set -e",
        *exports,
        *settings.setup,
        command,
        json.dumps(document, indent=1, sort_keys=True),
        MARK,
    ]
    return "\n".join(lines) + "\n"
