"""Work outside the clock, as people and programs read it: each run's figures beside its reference arms'."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from patchrun.core.results import Run

KINDS = {"joules": "energy", "busy": "busy", "cpu": "CPU"}
NO_COUNTER = "no counter"
NOTE = (
    "Work: before the first timed line / from then on, as multiples of the mean of the reference arms of the block; "
    "what is not listed has no counter here."
)


def references_in(runs: Iterable[Run]) -> list[Run]:
    """The runs of reference arms that ended well."""
    return [run for run in runs if run.kind != "submission" and run.exit == "ok"]


def work_cell(run: Run, references: Sequence[Run]) -> str:
    """``energy 1.02/0.99``; a figure that cannot be compared is a dash, no figure at all says so."""
    if run.work is None:
        return ""
    parts = []
    for kind, name in KINDS.items():
        if getattr(run.work, kind) is not None:
            ratios = ("-" if ratio is None else f"{ratio:.2f}" for ratio in _ratios(kind, run, references))
            parts.append(f"{name} {'/'.join(ratios)}")
    return ", ".join(parts) or NO_COUNTER


def work_document(run: Run, references: Sequence[Run]) -> dict[str, Any]:
    """What a run used and how often the reference arms' mean that is; null where there is no counter."""
    document: dict[str, Any] = {}
    for kind in KINDS:
        amount = getattr(run.work, kind) if run.work else None
        lead, whole = _ratios(kind, run, references)
        found = amount and {
            "lead": amount.lead,
            "whole": amount.whole,
            "lead_ratio": lead,
            "whole_ratio": whole,
        }
        document[kind] = found
    return document


def _ratios(kind: str, run: Run, references: Sequence[Run]) -> tuple[float | None, float | None]:
    """Of what was used before the first timed line, and from then on, to the reference arms' mean."""
    from patchrun.core import outside

    figures = {"joules": outside.JOULES, "busy": outside.BUSY, "cpu": outside.CPU}[kind]
    lead, rest = (outside.compare(figure, run, references) for figure in figures)
    return lead.ratio if lead else None, rest.ratio if rest else None
