"""What this machine has for a record of a real ladder, looked up without importing torch."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from patchrun.adapters import process
from patchrun.adapters.shards import check_shards
from patchrun.adapters.store import Arena
from patchrun.core.errors import SetupError
from patchrun.core.readiness import Gap, Seen, find_gaps
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


def find_gaps_here(
    arena: Arena, span: Span, data: Path | None = None, python: str = sys.executable
) -> list[Gap]:
    """What this machine and the environment of ``python`` lack for ``span``; empty on tracks that say no needs.

    ``data``: the folder above ``data/fineweb10B`` (else ``DATA_PATH``, else the working directory).
    """
    if not arena.ladder.era:
        return []
    modules = sorted({name for era in arena.ladder.era for name in era.modules})
    folder = data or Path(os.environ.get("DATA_PATH") or ".")
    packages, importable = _probe(python, modules)
    seen = Seen(list_gpus(), packages, importable, _data_problem(folder, arena.track.data))
    return find_gaps(arena.ladder, arena.track.hardware, span, seen)


def list_gpus() -> tuple[str, ...]:
    """The model of each GPU, by the driver's own tool; none where there is no driver."""
    if not shutil.which("nvidia-smi"):
        return ()
    done = process.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], timeout=60)
    return (
        tuple(line.strip() for line in done.stdout.decode().splitlines() if line.strip()) if done.ok else ()
    )


def _probe(python: str, modules: list[str]) -> tuple[dict[str, str], frozenset[str]]:
    done = process.run([python, "-c", _PROBE, *modules], timeout=120)
    if not done.ok:
        raise SetupError(f"{python} does not run: {done.errors[-200:]}", "name a working interpreter")
    packages, importable = json.loads(done.stdout)
    return packages, frozenset(importable)


def _data_problem(folder: Path, spec: DataSpec) -> str:
    if spec.source != "shards":
        return ""
    try:
        check_shards(folder, spec.pattern, spec.val_tokens)
    except SetupError as error:
        return error.message
    return ""
