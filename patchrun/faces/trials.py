"""Trials that never count: on public seeds, or of a few steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from patchrun.faces import cells
from patchrun.faces.how import How, measure
from patchrun.faces.options import echo_json
from patchrun.faces.plain_text import echo_plain

if TYPE_CHECKING:
    from patchrun.adapters.store import Arena
    from patchrun.core.steptimes import StepTimes


def try_seeds(arena: Arena, ids: Sequence[str], seeds: str, how: How, form: str) -> int:
    """Run submissions on public seeds; the runs are shown and never counted."""
    from patchrun.faces import tables
    from patchrun.services import tournament

    studies = tournament.plan_trial(arena, ids, seeds)
    measure(arena, studies, how)
    runs = arena.runs_of(studies)
    if form == "json":
        echo_json({"counted": False, "runs": [tables.run_document(run) for run in runs]})
    else:
        click.echo("On public seeds: for trying, these never count.")
        echo_plain(tables.runs_text(runs))
    return 0 if all(run.exit == "ok" for run in runs) else 1


def try_steps(arena: Arena, ids: Sequence[str], steps: int, how: How, form: str) -> int:
    """Stop every run after ``steps`` steps and compare step times; never counted."""
    from patchrun.core.steptimes import compare_steps
    from patchrun.services import tournament

    studies = tournament.plan_steps(arena, ids, steps)
    measure(arena, studies, how)
    found = {study.record: compare_steps(arena.runs_of([study]), steps) for study in studies}
    if form == "json":
        documents = {record: [steps_document(row) for row in rows] for record, rows in found.items()}
        echo_json({"counted": False, "steps": steps, "records": documents})
    else:
        click.echo(f"Stopped after {steps} steps: step times only, for trying; these never count.")
        for record, rows in found.items():
            echo_plain(steps_text(record, rows))
    return 1 if any(row.trouble for rows in found.values() for row in rows) else 0


def steps_document(row: StepTimes) -> dict[str, Any]:
    """One arm's step times as JSON, milliseconds a step."""
    return {
        "arm": row.arm, "kind": row.kind, "runs": row.runs, "steps": row.steps, "median_ms": _ms(row.median),
        "mean_ms": _ms(row.mean), "sd_ms": _ms(row.sd), "ratio": row.ratio, "trouble": row.trouble or None,
    }  # fmt: skip


def steps_text(record: str, rows: Sequence[StepTimes]) -> str:
    """A line an arm: milliseconds a step, and their ratio to the baseline's."""
    headers = (f"record {record}", "runs", "steps timed", "median ms", "mean ms", "sd", "of baseline", "")
    table = [
        (f"{row.kind} {row.arm[:12]}", row.runs, row.steps,
         *(cells.number(_ms(seconds), ".2f") for seconds in (row.median, row.mean, row.sd)),
         cells.percent(row.ratio), row.trouble)
        for row in rows
    ]  # fmt: skip
    return cells.table(table, headers, align="lrrrrrrl")


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds
