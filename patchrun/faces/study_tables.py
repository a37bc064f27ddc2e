"""Tables about the method: coverage of the intervals, FSR tables from outside data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from patchrun.faces import cells

if TYPE_CHECKING:
    from patchrun.core.coverage import Coverage
    from patchrun.core.fsrtable import FsrTable, Rule
    from patchrun.core.gaps import GapRow


def coverage_text(rows: Iterable[Coverage], style: str = "simple") -> str:
    """How often a 95% interval holds the true FSR; ``style`` is one of tabulate's, "github" for Markdown."""
    headers = (
        "blocks",
        "noise / gap",
        "shape",
        "true FSR",
        "covered",
        "bootstrap",
        "no interval",
        "half-width",
    )
    table = [
        (
            row.n_blocks, f"{row.noise:g}", row.shape, f"{row.fsr:g}", cells.percent(row.covered),
            cells.percent(row.bootstrap), cells.percent(row.unbounded), f"{row.half_width:.3f}",
        )
        for row in rows
    ]  # fmt: skip
    return cells.table(table, headers, style, "rrlrrrrr")


def gaps_text(rows: Sequence[GapRow], style: str = "simple") -> str:
    """Each record's gap with its interval, whether it can carry an FSR, and what a patch that changes nothing earns."""
    from patchrun.core.gaps import mean_luck

    names = list(rows[0].luck) if rows else []
    lines = [
        (
            row.record, f"{row.gap:.2f}", cells.interval(row.ci, ".2f"), "yes" if row.scorable else "no",
            cells.number(row.noise),
            *map(cells.number, row.luck.values()),
        )
        for row in rows
    ]  # fmt: skip
    for said, only in (("mean, gap > 0", False), ("mean, scorable", True)):
        means = mean_luck(rows, only)
        lines.append((said, "", "", "", "", *(f"{means[name]:.3f}" for name in names if name in means)))
    headers = ("record", "gap s", "95% interval", "scorable", "noise / gap", *names)
    return cells.table(lines, headers, style, "rrlr" + "r" * (1 + len(names)))


def fsr_table_text(found: FsrTable, style: str = "simple") -> str:
    """Each agent's mean FSR under the rule, then each record, then what was left out and why."""
    agents = [
        (a.agent, f"{a.mean:.3f}", cells.interval(a.ci), f"{a.iqm:.3f}",
         f"{a.tried}/{a.records}")
        for a in found.agents
    ]  # fmt: skip
    records = [
        (c.record, c.agent, c.runs, c.failed, c.used, cells.number(c.fsr))
        for c in sorted(found.cells, key=lambda cell: (cell.record, cell.agent))
    ]
    parts = [
        f"Rule: {describe_rule(found.rule)}.",
        cells.table(agents, ("agent", "mean FSR", "95% interval", "middle half", "tried"), style, "lrlrr"),
        cells.table(records, ("record", "agent", "runs", "failed", "used", "FSR"), style, "rlrrrr"),
    ]
    left_out = [f"record {record}: {reason}" for record, reason in found.excluded.items()]
    return "\n\n".join(parts + ([f"Left out: {'; '.join(left_out)}."] if left_out else []))


def describe_rule(rule: Rule) -> str:
    """The rule in words."""
    pick = {"mean": "mean of all runs", "top": f"mean of the best {rule.top} runs", "best": "the best run"}
    clip = {
        "runs": "each run clipped to [0, 1]",
        "records": "each record clipped to [0, 1]",
        "none": "not clipped",
    }
    failed = {"zero": "failed runs count 0", "drop": "failed runs are dropped"}
    loss = "" if rule.max_loss is None else f", loss at most {rule.max_loss:g}"
    return f"{pick[rule.pick]}, {failed[rule.failed]}, {clip[rule.clip]}{loss}"


def fsr_table_document(found: FsrTable) -> dict[str, Any]:
    """The FSR table as JSON."""
    import msgspec

    return msgspec.json.decode(msgspec.json.encode(found))
