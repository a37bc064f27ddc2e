"""The win matrix and the plan of a tournament, as text and as JSON documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from patchrun.faces import cells
from patchrun.faces.cells import NOTHING

if TYPE_CHECKING:
    from patchrun.core.winmatrix import Standing, WinMatrix
    from patchrun.services.schedule import Item, Schedule

SHOWN_OPPONENTS = 5  # as many columns of opponents as fit in 100 characters


def matrix_document(matrix: WinMatrix) -> dict[str, Any]:
    """The win matrix as JSON: each agent's wins and matches against each other one."""
    names = [row.agent for row in matrix.rows]
    return {
        "pick": matrix.pick,
        "records": list(matrix.records),
        "groups": [list(group) for group in matrix.groups],
        "rows": [_row_document(row, names) for row in matrix.rows],
    }


def _row_document(row: Standing, names: list[str]) -> dict[str, Any]:
    met = [(name, won, games) for name, won, games in zip(names, row.wins, row.games, strict=True) if games]
    return {
        "agent": row.agent,
        "group": row.group,
        "rating": row.rating,
        "ci": None if row.ci is None else list(row.ci),
        "against": {name: {"wins": won, "matches": games} for name, won, games in met},
    }


def matrix_text(matrix: WinMatrix, style: str = "simple") -> str:
    """Wins of row over column of the matches played, with ratings; then which agents never met."""
    if not matrix.rows:
        return "no attempts yet"
    shown = matrix.rows[:SHOWN_OPPONENTS]
    table = [
        (
            row.agent, cells.number(row.rating, ".0f"), cells.interval(row.ci, ".0f"),
            *(_cell(row, k) for k in range(len(shown))),
        )
        for row in matrix.rows
    ]  # fmt: skip
    headers = ("agent", "rating", "interval", *(row.agent for row in shown))
    widths = (14, 6, 12, *[7] * len(shown))
    count = len(matrix.records)
    parts = [
        f"Wins of row over column / matches, ties as half, over {count} record{'s' if count != 1 else ''}; "
        f"pick: {matrix.pick}.\n"
        "Ratings with 95% intervals over records.",
        cells.table(table, headers, style, "lrl" + "r" * len(shown), widths),
    ]
    if len(matrix.rows) > SHOWN_OPPONENTS:
        parts.append(f"The first {SHOWN_OPPONENTS} of {len(matrix.rows)} agents have a column; json has all.")
    if len(matrix.groups) > 1:
        named = [", ".join(group[:8]) + (" ..." if len(group) > 8 else "") for group in matrix.groups]
        parts.append(
            f"Note: {len(matrix.groups)} groups of agents never met; compare ratings inside a group only:\n"
            + "\n".join(f"  {number}: {names}" for number, names in enumerate(named, 1))
        )
    return "\n\n".join(parts)


def _cell(row: Standing, column: int) -> str:
    won = row.wins[column]
    return NOTHING if won is None else f"{won:g}/{row.games[column]}"


REASONS = {
    "unfinished": "runs are missing",
    "pending": "not measured yet",
    "again": "narrows the ranking",
}


def schedule_text(schedule: Schedule) -> str:
    """The studies in the order to run them, what each takes and is worth, then the sums and what does not fit."""
    if not schedule.items and not schedule.left_out:
        return "Nothing waits, and no re-measurement would narrow the ranking much."
    sums = schedule.to_json()
    total = "unknown" if sums["wall_seconds"] is None else f"{sums['wall_seconds']:.0f} s"
    hours = "GPU-hours" if sums["gpu_hours"] else "CPU-hours"
    spent = sums["gpu_hours"] or sums["cpu_hours"]
    parts = [_schedule_table(schedule.items)] if schedule.items else ["Nothing fits the budget."]
    parts.append(f"In all about {total}" + (f", {spent:.3g} {hours}." if spent is not None else "."))
    if any(item.why == "again" for item in schedule.items):
        parts.append(
            "Worth: the expected fall of the chance that neighbours on the board are in the wrong order."
        )
    if schedule.left_out:
        parts.append("Waiting, but beyond the budget:\n\n" + _schedule_table(schedule.left_out))
    return "\n\n".join(parts)


def _schedule_table(items: Iterable[Item]) -> str:
    rows = [
        (
            item.study.record, ", ".join(item.agents), REASONS[item.why], item.cost.runs,
            "unknown" if item.cost.wall_seconds is None else f"{item.cost.wall_seconds:.0f}",
            cells.number(item.worth),
        )
        for item in items
    ]  # fmt: skip
    headers = ("record", "agents", "because", "runs", "about, wall s", "worth")
    return cells.table(rows, headers, "simple", "rllrrr", (8, 32, 20, 6, 13, 6))
