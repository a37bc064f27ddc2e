"""What a run took place on, in the words that results carry."""

from __future__ import annotations

import os
import platform
import re
from collections import Counter
from functools import cache
from pathlib import Path

from patchrun.adapters import process
from patchrun.core.errors import SetupError
from patchrun.core.results import Machine


def describe(torch: str, python: str) -> Machine:
    """This machine, with the versions of torch and python that the run used."""
    cpu, gpus = cpu_model(), list_gpus()
    return Machine(
        host=platform.node(),
        cpu=cpu,
        cores=os.cpu_count() or 1,
        gpus=gpus,
        torch=torch,
        python=python,
        kernel=platform.release(),
        hardware_class=hardware_class(cpu, gpus),
    )


def hardware_class(cpu: str, gpus: tuple[str, ...]) -> str:
    """What must agree for times to be compared: ``8x nvidia-h100-80gb-hbm3``, else ``amd-epyc-family-25-model-1``."""
    if gpus:
        return " + ".join(f"{count}x {_slug(name)}" for name, count in sorted(Counter(gpus).items()))
    return _slug(cpu)


@cache
def cpu_model() -> str:
    """The CPU's name as the kernel says it, with family and model, since virtual machines cut names short."""
    try:
        said = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    facts = dict(re.findall(r"^(model name|cpu family|model)\s*:\s*(.+?)\s*$", said, re.MULTILINE))
    if "model name" not in facts:
        return platform.machine()
    numbers = [
        f"{word} {facts[key]}" for word, key in (("family", "cpu family"), ("model", "model")) if key in facts
    ]
    return " ".join([facts["model name"], *numbers])


@cache
def list_gpus() -> tuple[str, ...]:
    """The names of the NVIDIA GPUs, in their order; none without the driver's tool."""
    try:
        seen = process.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], timeout=30)
    except SetupError:
        return ()
    return (
        tuple(line.strip() for line in seen.stdout.decode().splitlines() if line.strip()) if seen.ok else ()
    )


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower().replace("(r)", "").replace("(tm)", "")).strip("-")
