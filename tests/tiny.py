"""The tiny track for tests that train: its manifest, its corpus, its scripts, and a slot to run."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from patchrun.adapters import corpus
from patchrun.adapters.corpus import Corpus
from patchrun.core.results import Arm, Slot
from patchrun.core.track import Track, load_track
from patchrun.services.runner import SlotRequest

FOLDER = Path(__file__).parent / "tracks" / "tiny"
SCRIPT = "train_gpt.py"
_kept: list[tempfile.TemporaryDirectory[str]] = []


def tiny_track(**changes: dict[str, Any]) -> Track:
    """The track; ``limits={"wall_seconds": 2}`` changes keys inside a table."""
    track = load_track((FOLDER / "track.toml").read_text())
    tables = {name: replace(getattr(track, name), **values) for name, values in changes.items()}
    return replace(track, **tables)


@cache
def tiny_corpus() -> Corpus:
    """The corpus, built once a test process."""
    _kept.append(tempfile.TemporaryDirectory())
    return corpus.prepare(tiny_track().data, Path(_kept[-1].name), FOLDER)


def base_script() -> str:
    return (FOLDER / "base" / SCRIPT).read_text()


def write_code(folder: Path, text: str | None = None, record: int = 0) -> Path:
    """A folder ``code`` with ``text``, or with the base script and the patches up to ``record``."""
    code = folder / "code"
    code.mkdir(parents=True)
    (code / SCRIPT).write_text(text if text is not None else base_script())
    for patch in sorted((FOLDER / "patches").iterdir())[:record]:
        subprocess.run(["git", "apply", patch], cwd=code, check=True)
    return code


def slot_request(folder: Path, code: Path, track: Track | None = None, **changes: Any) -> SlotRequest:
    """A slot of record 1's baseline, seed 1."""
    values: dict[str, Any] = {
        "track": track or tiny_track(),
        "arm": Arm(name="b1", kind="baseline", commit="c" * 40, tree="t" * 40, ast_digest="a"),
        "study": "study",
        "record": "1",
        "slot": Slot(0, 0, 1),
        "code_dir": code,
        "corpus": tiny_corpus(),
        "scratch": folder / "scratch",
        "cpu": None,
    }
    return SlotRequest(**(values | changes))
