"""Where files outside an arena lie."""

from __future__ import annotations

import os
from pathlib import Path


def data_home() -> Path:
    """Where the owner's keys lie, outside every arena (``XDG_DATA_HOME``)."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "patchrun"


def cache_home() -> Path:
    """Where corpora and exported tracks are cached (``PATCHRUN_CACHE``, ``XDG_CACHE_HOME``)."""
    if chosen := os.environ.get("PATCHRUN_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "patchrun"
