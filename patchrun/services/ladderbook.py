"""The ladder of an arena with all its figures: manifest, ingested logs, the arena's own runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from patchrun.adapters.store import Arena
from patchrun.core.evidence import is_usable
from patchrun.core.ladderstats import (
    MEASURED_HAZARDS,
    Row,
    Sample,
    Totals,
    all_totals,
    build_rows,
    document_row,
    document_totals,
)
from patchrun.core.results import Run
from patchrun.services.upstream_logs import read_facts


@dataclass(frozen=True)
class Book:
    """A row per record, totals at the milestones, and what each hazard means."""

    track: str
    rows: tuple[Row, ...]
    totals: tuple[Totals, ...]
    hazards: dict[str, str]

    def document(self) -> dict[str, Any]:
        """The JSON document of ``patchrun records``."""
        used = {name for row in self.rows for name in row.hazards}
        return {
            "track": self.track,
            "rows": [document_row(row) for row in self.rows],
            "totals": [document_totals(totals) for totals in self.totals],
            "hazards": {name: text for name, text in self.hazards.items() if name in used},
        }


def read(arena: Arena) -> Book:
    """The ladder of ``arena`` with its figures."""
    ladder, track = arena.ladder, arena.track
    rows = build_rows(ladder, track.target.loss, arena.code, read_facts(arena), local_samples(arena.runs()))
    return Book(track.name, tuple(rows), tuple(all_totals(ladder)), ladder.hazard | MEASURED_HAZARDS)


def local_samples(runs: list[Run]) -> dict[tuple[int, str], Sample]:
    """Seconds and losses of the arena's own finished reference runs, by record and arm; losses on other tokens are no
    losses of the ladder's, so runs of final rounds are left out."""
    found: dict[tuple[int, str], Sample] = {}
    for run in runs:
        if not is_usable(run) or run.kind == "submission" or run.final:
            continue
        key = (int(run.arm[1:]), run.kind)
        known = found.get(key, Sample())
        found[key] = Sample((*known.seconds, run.seconds), (*known.losses, run.loss))
    return found
