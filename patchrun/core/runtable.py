"""One tidy table of all runs: a row a run, a column a fact, for a notebook or a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from patchrun.core.results import Attempt, Run, Study

COLUMNS = (
    "study", "generation", "seed_source", "record", "kind", "arm", "agent", "hint_tiers", "attempt", "block",
    "position", "seed", "exit", "reason", "counted", "clock", "seconds", "wall_seconds", "claimed_seconds",
    "lead_seconds", "loss", "losses_at", "parameters", "evaluation_seconds", "sandbox", "host",
    "hardware_class", "cpu", "gpus", "torch", "python", "started", "commit", "track_digest", "tool_version",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def tabulate_runs(
    runs: Iterable[Run], extra: Iterable[Run], attempts: Iterable[Attempt], studies: Iterable[Study]
) -> list[dict[str, Any]]:
    """A row for each run, in the order of study, block and position.

    ``runs`` count; ``extra`` are later runs of taken slots (``counted`` False). Of a submission's run, ``agent``,
    ``hint_tiers`` and ``attempt`` are those of the submission that the arm is named after; reference arms have None.
    """
    makers = {attempt.id: attempt for attempt in attempts}
    plans = {study.id: study for study in studies}
    rows = [
        _row(run, counted, makers, plans) for counted, own in ((True, runs), (False, extra)) for run in own
    ]
    return sorted(
        rows, key=lambda row: (row["record"], row["study"], row["block"], row["position"], row["arm"])
    )


def _row(
    run: Run, counted: bool, makers: Mapping[str, Attempt], plans: Mapping[str, Study]
) -> dict[str, Any]:
    maker, plan = makers.get(run.arm), plans.get(run.study)
    known: dict[str, Any] = {
        "generation": plan.generation if plan else None, "seed_source": plan.seed_source if plan else None,
        "agent": maker.agent if maker else None, "attempt": maker.sequence if maker else None,
        "hint_tiers": list(maker.hint_tiers) if maker else None, "counted": counted,
    }  # fmt: skip
    found = {name: known[name] if name in known else _fact(run, name) for name in COLUMNS}
    losses = [f"{number}:{loss:.4f}" for number, loss in run.losses_at]
    return found | {"gpus": list(run.machine.gpus), "losses_at": losses}


def _fact(run: Run, name: str) -> Any:
    return getattr(run if name in Run.__struct_fields__ else run.machine, name)


def runs_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows as CSV under one headline; lists joined by ``;``, what does not exist left empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(row[name]) for name in COLUMNS] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return ";".join(str(entry) for entry in value)
    return plain_cell(value) if isinstance(value, str) else value


def plain_cell(text: str) -> str:
    """``text`` as a cell that no spreadsheet takes for a formula: an apostrophe before =, +, - and @."""
    return f"'{text}" if text.startswith(FORMULA) else text
