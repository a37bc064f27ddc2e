"""The last day of a model's training data: a table that ships, and a user's own word before it."""

from __future__ import annotations

from datetime import date
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import Annotated

from msgspec import Meta

from patchrun.core.manifest import Strict, load_manifest


class Cutoff(Strict):
    """Some models (ids or glob patterns), the last day of their training data, and where that is said."""

    models: Annotated[tuple[str, ...], Meta(min_length=1)]
    last: date
    source: str


class CutoffTable(Strict):
    """``cutoffs.toml``; the first entry that fits counts."""

    version: Annotated[int, Meta(ge=1, le=1)]
    cutoff: tuple[Cutoff, ...]


def find_cutoff(model: str) -> date | None:
    """The last day of a model's training data, None where the table does not know it."""
    text = files("patchrun").joinpath("cutoffs.toml").read_text(encoding="utf-8")
    table = load_manifest(CutoffTable, text, "cutoffs.toml")
    fitting = (one.last for one in table.cutoff if any(fnmatchcase(model, name) for name in one.models))
    return next(fitting, None)
