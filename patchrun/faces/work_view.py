"""Work outside the clock, as people and programs read it: each run's figures beside its reference arms'."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from patchrun.faces import cells

if TYPE_CHECKING:
    from patchrun.core.results import Run

KINDS = {"joules": "GPU energy", "busy": "GPU busy", "cpu": "CPU time"}
NOTE = "Work before the first timed line / from it on, in multiples of the block's reference arms' mean."


def references_in(runs: Iterable[Run]) -> list[Run]:
    """The runs of reference arms that ended well."""
    return [run for run in runs if run.kind != "submission" and run.exit == "ok"]


def work_text(runs: Sequence[Run]) -> list[str]:
    """Seconds and work of each run, a line each, and what the figures are; nothing where no run has any."""
    measured = [run for run in runs if run.work is not None]
    if not measured:
        return []
    counted = [kind for kind in KINDS if any(getattr(run.work, kind) is not None for run in measured)]
    references = references_in(runs)
    rows = [
        (run.kind, run.block + 1, cells.number(run.seconds), cells.number(run.lead_seconds),
         *(_cell(kind, run, references) for kind in counted))
        for run in measured
    ]  # fmt: skip
    headers = ("arm", "block", "seconds", "lead", *(KINDS[kind] for kind in counted))
    absent = ", ".join(name for kind, name in KINDS.items() if kind not in counted)
    note = NOTE + (f"\nNo counter here for: {absent}." if absent else "")
    return [cells.table(rows, headers, "simple", "lrrr" + "l" * len(counted)), note]


def _cell(kind: str, run: Run, references: Sequence[Run]) -> str:
    """``1.02 / 0.99``; what cannot be compared is a dash."""
    return " / ".join("-" if ratio is None else f"{ratio:.2f}" for ratio in _ratios(kind, run, references))


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
