"""What this machine has for a record of a real ladder, without importing torch, and where its arms would run."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from patchrun.adapters import process
from patchrun.adapters.environments import build_environment, environment_home
from patchrun.adapters.fetched import fetch, fetched_home, is_fetched
from patchrun.adapters.homes import cache_home
from patchrun.adapters.machine import cpu_model, list_gpus
from patchrun.adapters.shards import check_shards
from patchrun.adapters.store import Arena
from patchrun.core.errors import SetupError
from patchrun.core.ladder import Era
from patchrun.core.launchline import choose_processes
from patchrun.core.readiness import (
    Gap,
    Seen,
    allowed_processes,
    blocking,
    find_environment_gaps,
    find_gaps,
    needed_fetches,
    refuse,
)
from patchrun.core.selection import Span
from patchrun.core.track import DataSpec

_PROBE = """
import importlib.util, json, sys
from importlib import metadata
found = [(d.metadata["Name"] or "", d.version) for d in metadata.distributions()]
names = {name.lower().replace("_", "-"): version for name, version in found}
modules = [name for name in sys.argv[1:] if importlib.util.find_spec(name)]
print(json.dumps([names, modules]))
"""


@dataclass(frozen=True)
class Site:
    """Where the arms of a study run: the interpreter, how many processes, the folder above ``data/``.

    ``fetched``: the folder of what scripts would fetch when they start, None where they fetch nothing.
    """

    python: str
    processes: int
    data: Path
    fetched: Path | None = None


def data_home() -> Path:
    """The folder above the token shards' own (``DATA_PATH``, else the working directory)."""
    return Path(os.environ.get("DATA_PATH") or ".").resolve()


def find_gaps_here(
    arena: Arena, span: Span, data: Path | None = None, python: str | None = None
) -> list[Gap]:
    """What this machine lacks for ``span``; empty on tracks that say no needs.

    ``data``: as ``data_home``. ``python``: the interpreter to look at; else ours or a built one, whichever fits.
    """
    if not arena.ladder.era:
        return []
    era = arena.ladder.era_of(span.last)
    return find_gaps(
        arena.ladder, arena.track.hardware, span, _look(arena, era, span, data or data_home(), python)[1]
    )


def prepare_site(arena: Arena, span: Span) -> Site:
    """Where the arms of ``span`` run on this machine; builds the environment of the human code if it must.

    Raises:
        SetupError: with everything that is missing, in one message.
    """
    hardware, processors = arena.track.hardware, _processors(arena)
    era = arena.ladder.era_of(span.last)
    if era is None:
        return Site(sys.executable, _count_without_eras(arena, span, processors), data_home())
    python, seen = _look(arena, era, span, data_home(), None)
    gaps = find_gaps(arena.ladder, hardware, span, seen)
    if blocking(gaps):
        raise refuse(gaps, span)
    if find_environment_gaps(era, span, seen):
        python, seen = _look(arena, era, span, data_home(), build(era))
        if lacking := find_environment_gaps(era, span, seen):
            raise refuse([replace(gap, blocking=True) for gap in lacking], span)
    processes = choose_processes(len(processors), allowed_processes(arena.ladder, span))
    assert processes is not None  # else it was a gap
    return Site(python, processes, data_home(), _fetch(arena, span, python))


def _count_without_eras(arena: Arena, span: Span, processors: tuple[str, ...]) -> int:
    """The process count of a track whose ladder says nothing of it: the GPUs that the track names."""
    wanted = max(1, arena.track.hardware.gpus)
    if arena.ladder.era:
        raise refuse(find_gaps_here(arena, span), span)
    if len(processors) < wanted:
        raise refuse(
            [Gap(f"{len(processors)} processors, the track needs {wanted}", "run it where they are")], span
        )
    return wanted


def build(era: Era) -> str:
    """The interpreter of an era's environment, built with uv unless it is cached; SetupError when it cannot be."""
    return str(build_environment(era.packages, cache_home()))


def build_for(arena: Arena, span: Span) -> str:
    """The interpreter of the environment of ``span``, built, with what its scripts fetch beside it; "" without eras."""
    era = arena.ladder.era_of(span.last)
    if era is None:
        return ""
    python = build(era)
    _fetch(arena, span, python)
    return python


def _fetch(arena: Arena, span: Span, python: str) -> Path | None:
    """The folder of what the scripts of both arms fetch, brought in unless it is there."""
    kernels, encodings = needed_fetches(arena.ladder, span)
    return fetch(python, kernels, encodings, cache_home()) if kernels or encodings else None


def _look(arena: Arena, era: Era | None, span: Span, data: Path, python: str | None) -> tuple[str, Seen]:
    """The interpreter that fits best and what is there: ours, or the era's own if it is built."""
    modules = sorted({name for each in arena.ladder.era for name in each.modules})
    problem, hint = _data_problem(data, arena.track.data)
    found: list[tuple[str, Seen]] = []
    for candidate in [python] if python else _candidates(era):
        packages, importable = _probe(candidate, modules)
        can_build = shutil.which("uv") is not None
        kernels, encodings = needed_fetches(arena.ladder, span)
        there = is_fetched(fetched_home(candidate, kernels, encodings, cache_home()))
        seen = Seen(_processors(arena), packages, importable, problem, hint, can_build, there)
        found.append((candidate, seen))
        if era is None or not find_environment_gaps(era, span, seen):
            return candidate, seen
    return found[-1]


def _candidates(era: Era | None) -> list[str]:
    built = environment_home(era.packages, cache_home()) / "bin" / "python" if era else None
    return [sys.executable, *([str(built)] if built and built.is_file() else [])]


def _processors(arena: Arena) -> tuple[str, ...]:
    if arena.track.hardware.device == "cuda":
        return list_gpus()
    return (cpu_model(),) * len(os.sched_getaffinity(0))


def _probe(python: str, modules: list[str]) -> tuple[dict[str, str], frozenset[str]]:
    done = process.run([python, "-c", _PROBE, *modules], timeout=120)
    if not done.ok:
        raise SetupError(f"{python} does not run: {done.errors[-200:]}", "name a working interpreter")
    packages, importable = json.loads(done.stdout)
    return packages, frozenset(importable)


def _data_problem(folder: Path, spec: DataSpec) -> tuple[str, str]:
    """What is wrong with the token shards, and what to do."""
    if spec.source != "shards":
        return "", ""
    try:
        check_shards(folder, spec.pattern, spec.val_tokens)
    except SetupError as error:
        return error.message, error.hint
    return "", ""
