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
    """What a machine has.

    ``processors``: GPU models, or one entry a CPU for a track that runs on CPUs. ``packages``: versions by name, in the
    interpreter looked at; ``modules``: importable there. ``can_build``: uv is here to build environments;
    ``fetched``: what the scripts fetch when they start was brought in.
    """

    processors: tuple[str, ...]
    packages: Mapping[str, str]
    modules: frozenset[str]
    data_problem: str = ""
    data_hint: str = ""
    can_build: bool = False
    fetched: bool = False


@dataclass(frozen=True)
class Gap:
    """One thing that is missing, and how to get it; one that is not ``blocking`` keeps no run from starting."""

    what: str
    hint: str
    blocking: bool = True


def allowed_processes(ladder: Ladder, span: Span) -> list[int]:
    """The process counts on which both the baseline and the human code of ``span`` train the same."""
    eras = _eras_of(ladder, span)
    return sorted(set.intersection(*(set(era.processes) for era in eras))) if eras else []


def needed_fetches(ladder: Ladder, span: Span) -> tuple[list[str], list[str]]:
    """The kernels and encodings that the baseline's and the human code's scripts fetch when they start."""
    eras = _eras_of(ladder, span)
    kernels = {name for era in eras for name in era.kernels}
    return sorted(kernels), sorted({name for era in eras for name in era.encodings})


def _eras_of(ladder: Ladder, span: Span) -> list[Era]:
    """What the human code of ``span`` needs, and its baseline."""
    return [era for number in (span.last, span.first - 1) if (era := ladder.era_of(number))]


def find_gaps(ladder: Ladder, hardware: Hardware, span: Span, seen: Seen) -> list[Gap]:
    """What ``seen`` lacks for the baseline and the human code of ``span``, in the environment of the human code."""
    era = ladder.era_of(span.last)
    if era is None:
        return [
            Gap(f"the ladder does not say what record {span.last} needs", "add an [[era]] to records.toml")
        ]
    gaps = _processor_gaps(hardware, allowed_processes(ladder, span), seen.processors)
    gaps += find_environment_gaps(era, span, seen)
    kernels, encodings = needed_fetches(ladder, span)
    if (kernels or encodings) and not seen.fetched:
        what = ", ".join([*kernels, *encodings])
        gaps.append(
            Gap(f"not fetched yet: {what}", "the first run does, if the network answers", blocking=False)
        )
    if seen.data_problem:
        gaps.append(Gap(seen.data_problem, seen.data_hint or "get the token shards"))
    return gaps


def find_environment_gaps(era: Era, span: Span, seen: Seen) -> list[Gap]:
    """What the interpreter looked at lacks of an era's packages and modules."""
    lacking = [gap for package in era.packages if (gap := _package_gap(package, seen))]
    for module in sorted(set(era.modules) - seen.modules):
        made = f"`patchrun doctor --record {span} --build` makes the environment to install it into"
        lacking.append(Gap(f"module {module} cannot be imported", f"{era.attention}; {made}"))
    return lacking


def _processor_gaps(hardware: Hardware, allowed: list[int], present: tuple[str, ...]) -> list[Gap]:
    """Too few is a gap; another GPU model is worth a word, since its times are not comparable with the ladder's."""
    kind = "GPUs" if hardware.device == "cuda" else "CPUs"
    if choose_processes(len(present), allowed) is None:
        counts = " or ".join(str(count) for count in allowed)
        return [Gap(f"{len(present)} {kind}, the code trains on {counts}", "run it where they are")]
    others = sorted(set(present) - {hardware.gpu_model})
    if others and hardware.gpu_model:
        return [Gap(f"{', '.join(others)}, the ladder's times are of {hardware.gpu_model}",
                    "all arms run here are still comparable with each other", blocking=False)]  # fmt: skip
    return []


def _package_gap(pin: str, seen: Seen) -> Gap | None:
    """``name==version`` against what is installed; a local version label (``+cu126``) does not matter."""
    name, wanted = re.split(r"==", pin, maxsplit=1)
    version = seen.packages.get(name.lower().replace("_", "-"), "")
    if version.split("+")[0] == wanted:
        return None
    what = f"{name} {version or 'is not installed'}, the record needs {wanted}"
    if seen.can_build:
        return Gap(what, "the first run builds its environment with uv", blocking=False)
    return Gap(what, "pip install uv: patchrun then builds the environment of the record")


def blocking(gaps: list[Gap]) -> list[Gap]:
    """The gaps that keep a run from starting."""
    return [gap for gap in gaps if gap.blocking]


def refuse(gaps: list[Gap], span: Span) -> SetupError:
    """One message with everything that is missing, and how to bring a submission to a machine that has it."""
    lines = "\n".join(f"  - {gap.what} ({gap.hint})" for gap in blocking(gaps))
    return SetupError(
        f"this machine cannot run record {span}:\n{lines}",
        "a submission waits in the arena: `patchrun sync REMOTE` here and there, then `patchrun run --pending` there",
    )
