"""The control group as a page: which human patches pass, which are flagged, and what the codes mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from patchrun.core.codes import CODES

if TYPE_CHECKING:
    from patchrun.services.control import Control

HEAD = """\
# The control group: every human patch through the validator

Made by `patchrun control --format markdown`. Each human patch of the ladder is handed to the validator as an agent's
would be. A patch that is flagged for review is accepted: a person is asked to look at what the code names. `exact`: the
patch, applied as a diff to its baseline, gives the stored human code byte for byte.
"""
COLUMNS = ("record", "files", "+", "-", "exact", "outcome", "findings")


def control_text(rows: Sequence[Control], form: str) -> str:
    """The table (``text`` or ``markdown``), the counts, why patches are rejected, the codes."""
    from tabulate import tabulate

    table = tabulate(
        [_cells(row) for row in rows], COLUMNS, tablefmt="github" if form == "markdown" else "simple"
    )
    judged = [row for row in rows if row.files]
    flagged = [row for row in judged if row.accepted and any(f.severity == "review" for f in row.findings)]
    counts = (
        f"{sum(row.accepted for row in judged)} of {len(judged)} accepted, {len(flagged)} of these flagged for review; "
        f"{sum(row.exact for row in rows)} of {len(rows)} exact"
    )
    parts = [*([HEAD] if form == "markdown" else []), table, "", counts, ""]
    return "\n".join([*parts, *_rejections(judged), *_legend(rows)])


def _cells(row: Control) -> tuple[object, ...]:
    outcome = ("accepted" if row.accepted else "rejected") if row.files else "no file changes"
    found = ", ".join(f"{count} {code}" for code, count in row.codes.items())
    return row.record, row.files, row.added, row.removed, "yes" if row.exact else "NO", outcome, found


def _rejections(rows: Sequence[Control]) -> list[str]:
    """Each error without what it quotes: the code may be another's."""
    return [
        f"- record {row.record} is rejected: {finding.code}, {finding.message.partition(': ')[0]}"
        for row in rows
        for finding in row.findings
        if finding.severity == "error"
    ]


def _legend(rows: Sequence[Control]) -> list[str]:
    seen = {finding.code for row in rows for finding in row.findings}
    return [f"- {code} {CODES[code].name}: {CODES[code].meaning}" for code in sorted(seen)]
