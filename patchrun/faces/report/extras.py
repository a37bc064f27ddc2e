"""What else an arena may hold of a submission: ablations, labels, transcripts with their cost. Nothing where there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from patchrun.adapters.store import Arena
    from patchrun.core.results import Attempt

MOST_TEXT, MOST_ROWS, MOST_CELL = 30_000, 60, 600


@dataclass(frozen=True)
class Extra:
    """A section of a submission's page: a table, and a longer text behind a fold."""

    title: str
    caption: str
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    summary: str = ""
    text: str = ""


def read_extras(arena: Arena, attempt: Attempt) -> list[Extra]:
    """Every section there is something for."""
    return []
