"""What a machine lacks to run a record of a real ladder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from patchrun.core.errors import SetupError
from patchrun.core.ladder import Era, Ladder
from patchrun.core.launchline import choose_processes
from patchrun.core.selection import Span
from patchrun.core.track import Hardware


@dataclass(frozen=True)
class Seen:
    """What a machine has: GPU models, package versions, importable modules, what is wrong with the data."""

    gpus: tuple[str, ...]
    packages: Mapping[str, str]
    modules: frozenset[str]
    data_problem: str = ""


@dataclass(frozen=True)
class Gap:
    """One thing that is missing, and how to get it."""

    what: str
    hint: str


def find_gaps(ladder: Ladder, hardware: Hardware, span: Span, seen: Seen) -> list[Gap]:
    """What ``seen`` lacks for the baseline and the human code of ``span``, in the environment of the human code."""
    era, before = ladder.era_of(span.last), ladder.era_of(span.first - 1)
    if era is None:
        return [
            Gap(f"the ladder does not say what record {span.last} needs", "add an [[era]] to records.toml")
        ]
    gaps = _gpu_gaps(hardware, [era, *([before] if before else [])], seen.gpus)
    gaps += [gap for package in era.packages if (gap := _package_gap(package, seen.packages))]
    for module in sorted(set(era.modules) - seen.modules):
        gaps.append(Gap(f"module {module} cannot be imported", f"{era.attention}: install it by hand"))
    if seen.data_problem:
        gaps.append(Gap(seen.data_problem, "get the token shards"))
    return gaps


def _gpu_gaps(hardware: Hardware, eras: list[Era], gpus: tuple[str, ...]) -> list[Gap]:
    """Too few GPUs is a gap; so is another model, since its times are not comparable with the ladder's."""
    allowed = sorted(set.intersection(*(set(era.processes) for era in eras)))
    if choose_processes(len(gpus), allowed) is None:
        counts = " or ".join(str(count) for count in allowed)
        return [Gap(f"{len(gpus)} GPUs, the code trains on {counts}", "run it where they are")]
    others = sorted(set(gpus) - {hardware.gpu_model})
    if others and hardware.gpu_model:
        return [Gap(f"{', '.join(others)}, the ladder's times are of {hardware.gpu_model}",
                    "all arms run here are still comparable with each other")]  # fmt: skip
    return []


def _package_gap(pin: str, installed: Mapping[str, str]) -> Gap | None:
    """``name==version`` against what is installed; a local version label (``+cu126``) does not matter."""
    name, wanted = re.split(r"==", pin, maxsplit=1)
    version = installed.get(name.lower().replace("_", "-"), "")
    if version.split("+")[0] == wanted:
        return None
    return Gap(f"{name} {version or 'is not installed'}, the record needs {wanted}", f"pip install {pin}")


def refuse(gaps: list[Gap], span: Span) -> SetupError:
    """One message with everything that is missing, and how to bring a submission to a machine that has it."""
    lines = "\n".join(f"  - {gap.what} ({gap.hint})" for gap in gaps)
    return SetupError(
        f"this machine cannot run record {span}:\n{lines}",
        "the submission waits in the arena: `patchrun sync REMOTE` here and there, then `patchrun run --pending` there",
    )
