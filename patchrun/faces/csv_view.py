"""The leaderboard as comma-separated values."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from patchrun.faces import cost_view

if TYPE_CHECKING:
    from patchrun.core.leaderboard import Leaderboard, Row


def leaderboard_csv(board: Leaderboard) -> str:
    """One line an agent, four columns a record; what does not exist is empty."""
    names = [*board.records, *board.unscorable]
    headers = [
        "rank",
        "agent",
        "score",
        "low",
        "high",
        "log_speedup_fraction",
        "rating",
        "valid",
        "attempted",
        "hint_tiers",
        "tokens",
        "usd",
        "usd_per_percent",
    ]
    headers += [f"{name}_{what}" for name in names for what in ("verdict", "fsr", "low", "high")]
    lines = [headers] + [_csv_row(board, row, names) for row in board.rows]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().rstrip("\n")


def _csv_row(board: Leaderboard, row: Row, names: Sequence[str]) -> list[Any]:
    line = [row.rank, row.agent, row.score, *(row.ci or (None, None)), row.log_speedup_fraction, row.rating]
    line += [row.valid, row.attempted]
    facts = cost_view.row_document(board, row)
    tiers = facts["hint_tiers"]
    line += [None if tiers is None else " ".join(map(str, tiers)) or "0"]
    line += [facts["tokens"], facts["usd"], facts["usd_per_percent"]]
    for name in names:
        cell = row.records.get(name)
        line += [cell.verdict or cell.state, cell.fsr, *(cell.ci or (None, None))] if cell else [None] * 4
    return line
