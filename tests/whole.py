"""The whole-script track for tests: its folder with the torch that is here, its shards, an arena, a slot to run."""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from patchrun.adapters.corpus import write_shard
from patchrun.adapters.store import Arena
from patchrun.core.results import Arm, Slot
from patchrun.core.track import Track, load_track
from patchrun.services import importer
from patchrun.services.logslot import LogRequest
from patchrun.services.readiness import Site
from patchrun.services.runner import SlotRequest

FOLDER = Path(__file__).parent / "tracks" / "whole"
SCRIPT = (FOLDER / "base" / "train_gpt.py").read_text()
RULE = "=" * 100
PROBE = "[probe]" + (FOLDER / "track.toml").read_text().partition("[probe]")[2]
PROBE_TOKENS = 32768  # of a shard: from fewer the baseline does not come within 1% of what is known


def whole_track(**changes: dict[str, Any]) -> Track:
    """The track; ``limits={"wall_seconds": 2}`` changes keys inside a table."""
    track = load_track((FOLDER / "track.toml").read_text())
    tables = {name: replace(getattr(track, name), **values) for name, values in changes.items()}
    return replace(track, **tables)


def write_shards(folder: Path, tokens: int = 4096) -> Path:
    """Shards of a chain in which each token is mostly the one before plus one; the folder above ``data/``."""
    home = folder / "data" / "fineweb10B"
    home.mkdir(parents=True)
    draws = np.random.default_rng(0)
    for name in ("train_000001", "val_000000"):
        chain = np.cumsum(draws.choice([1, 1, 1, 5], size=tokens)) % 16
        write_shard(home / f"fineweb_{name}.bin", chain.astype(np.uint16))
    return folder


def make_whole(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    torch: str = "",
    looks: str = "looks = [2, 4]",
    probe: str = "",
    tokens: int = 4096,
) -> Arena:
    """An arena of the track with its data; ``torch``: the version that its era pins (else the one that is here).

    ``probe``: its probe's table in place of the track's; none is made unless it is given. ``tokens``: of each shard.
    """
    track = Path(shutil.copytree(FOLDER, folder / "whole-track"))
    version = torch or metadata.version("torch").split("+")[0]
    text = (track / "records.toml").read_text()
    (track / "records.toml").write_text(text.replace("torch==TORCH", f"torch=={version}"))
    rules = (track / "track.toml").read_text()
    rules = rules.replace("looks = [2, 4]", looks).replace(PROBE, probe)
    if probe:  # nothing is timed there, and a busy machine takes minutes to start two ranks
        rules = rules.replace("wall_seconds = 60", "wall_seconds = 600")
    (track / "track.toml").write_text(rules)
    monkeypatch.setenv("DATA_PATH", str(write_shards(folder / "shards", tokens)))
    monkeypatch.setenv("PATCHRUN_CACHE", str(folder / "cache"))
    importer.init(folder / "arena", str(track))
    return Arena.open(folder / "arena")


def log_request(
    folder: Path,
    python: str,
    text: str = SCRIPT,
    run_sh: str = "",
    track: Track | None = None,
    **changes: Any,
) -> LogRequest:
    """A slot of record 1's baseline with ``text`` as its script, on one process."""
    code = folder / "code"
    code.mkdir(parents=True)
    (code / "train_gpt.py").write_text(text)
    if run_sh:
        (code / "run.sh").write_text(run_sh)
    slot = SlotRequest(
        track=track or whole_track(),
        arm=Arm(name="b1", kind=changes.pop("kind", "baseline"), commit="c" * 40, tree="t" * 40, ast_digest="a"),
        study="study", record="1", slot=Slot(0, 0, 1), code_dir=code, corpus=None, scratch=folder / "scratch",
        cpu=None,
    )  # fmt: skip
    shards = write_shards(folder / "shards")
    return LogRequest(slot, Site(python, changes.pop("processes", 1), shards), **changes)
