"""The ladder's story as tables, bars, JSON and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from patchrun.core.history import CLOCK, By, Group, History, Step, cumulate, since_first_ai, split

if TYPE_CHECKING:
    from patchrun.core.labels import LabelBook
    from patchrun.core.published import Comparison

ALL: tuple[By, ...] = ("depth", "provenance", "period", "ai", "contributor")
TITLES = {
    "depth": "By depth of the optimization",
    "provenance": "By provenance of the idea",
    "period": "By half-year",
    "ai": "Human against AI",
    "contributor": "By contributor, a record being split among those it names",
}
HOW = (
    "A record's factor is the time before it over its own, as published. Factors multiply: each table's give the\n"
    "speedup of the whole ladder. The share is that of the logarithm, so that the shares add up to 100%."
)
CLOCK_NOTE = (
    f"\n{CLOCK}: the same code timed before and after the rules of timing changed, which is nobody's gain."
)
SHOWN_CONTRIBUTORS = 12
WIDTH, BAR_WIDTH = 100, 64  # columns


def history_document(
    history: History, book: LabelBook, groupings: Sequence[By], comparisons: Sequence[Comparison]
) -> dict[str, Any]:
    """The JSON document of ``patchrun history``."""
    return {
        "track": history.track,
        "until": history.until,
        "records": len(history.steps),
        "seconds": [history.start, history.last],
        "speedup": history.speedup,
        "ai_records": [step.record for step in history.steps if step.ai_system],
        "labelled_by": book.by,
        "groups": {by: [_group_document(group, history) for group in split(history, by)] for by in groupings},
        "cumulative": {
            by: [{"period": period, "factors": factors} for period, factors in cumulate(history, by)]
            for by in groupings
            if by in ("depth", "provenance", "ai")
        },
        "rows": [step_document(step) for step in history.steps],
        "comparison": [
            {"question": one.question, "published": one.theirs, "ours": one.ours, "verdict": one.verdict}
            for one in comparisons
        ],
        "published_source": book.published.source if book.published and comparisons else None,
    }


def _group_document(group: Group, history: History) -> dict[str, Any]:
    return {
        "name": group.name,
        "records": group.records,
        "factor": group.factor,
        "log_share": _share(group, history),
    }


def step_document(step: Step) -> dict[str, Any]:
    """One record with its gain and its label."""
    label = step.label
    return {
        "record": step.record,
        "date": step.date,
        "period": step.period,
        "by": list(step.by),
        "ai_system": step.ai_system or None,
        "seconds": step.seconds,
        "factor": math.exp(step.log_gain) if step.timed else None,
        "log_speedup": step.log_gain if step.timed else None,
        "depth": label.depth,
        "provenance": label.provenance,
        "close_depth": label.close_depth,
        "close_provenance": label.close_provenance,
        "reason": label.reason or label.unlabelled,
        "labelled_by": label.by or None,
        "labelled_on": label.date or None,
    }


def history_csv(history: History) -> str:
    """One line a record."""
    rows = [step_document(step) for step in history.steps]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(row | {"by": "; ".join(row["by"])} for row in rows)
    return file.getvalue()


def history_text(
    history: History,
    book: LabelBook,
    groupings: Sequence[By],
    comparisons: Sequence[Comparison],
    *,
    markdown: bool = False,
    records: bool = False,
) -> str:
    """Every table that was asked for, with bars on a terminal; the comparison comes last."""
    style = "github" if markdown else "simple"
    parts = [head_text(history), HOW + (CLOCK_NOTE if any(step.clock_gain for step in history.steps) else "")]
    for by in groupings:
        parts += _grouping(history, by, style)
    if records:
        parts += [_title("The records", style), _records_table(history, book, style)]
    if comparisons and book.published:
        parts += [_title("Beside a published analysis", style), _comparison_text(comparisons, book, style)]
    return "\n\n".join(parts)


def head_text(history: History) -> str:
    """One line: how many records, from when to when, how fast."""
    first, last = history.steps[0], history.steps[-1]
    if history.speedup is None:
        return f"{history.track}: {len(history.steps)} records to {history.until}, no times published"
    return (
        f"{history.track}: {len(history.steps)} records from {first.date} to {last.date}, "
        f"{history.start:.4g} s to {history.last:.4g} s: {history.speedup:.1f}x; "
        f"{sum(bool(step.ai_system) for step in history.steps)} credit an AI system"
    )


def _grouping(history: History, by: By, style: str) -> list[str]:
    groups = split(history, by)
    shown = _gather_rest(groups) if by == "contributor" else groups
    parts = [_title(TITLES[by], style), _group_table(history, by, shown, style)]
    if style == "simple":
        parts.append(draw_waterfall(history, shown))
    if by in ("depth", "provenance"):
        parts += [
            "Factor reached by the end of each half-year:",
            _cumulative_table(history, by, groups, style),
        ]
    return [*parts, *([_ai_line(history)] if by == "ai" else [])]


def _gather_rest(groups: Sequence[Group]) -> list[Group]:
    """The first contributors, the others as one group; the clock stays apart."""
    people = [group for group in groups if group.name != CLOCK]
    rest = people[SHOWN_CONTRIBUTORS:]
    together = Group(f"{len(rest)} more", 0, math.fsum(group.log_gain for group in rest))
    clock = [group for group in groups if group.name == CLOCK]
    return [*people[:SHOWN_CONTRIBUTORS], *([together] if rest else []), *clock]


def _group_table(history: History, by: By, groups: Sequence[Group], style: str) -> str:
    rows = [_group_row(group, history) for group in groups]
    rows.append(("together", str(len(history.steps)), f"{history.speedup or 1:.3f}x", "100%"))
    headers = ({"ai": "made by"}.get(by, by), "records", "factor", "share of log speedup")
    return tabulate(rows, headers, style, disable_numparse=True, colalign=("left", *["right"] * 3))


def _ai_line(history: History) -> str:
    found = since_first_ai(history)
    if found is None:
        return "No record credits an AI system."
    day, count, gain, credited = found
    numbers = [str(step.record) for step in history.steps if step.ai_system]
    share = credited / gain if gain else 0.0
    return (
        f"Records {', '.join(numbers)} credit an AI system: {math.exp(credited):.3f}x together.\n"
        f"Since the first of them ({day}) there were {count} records, {math.exp(gain):.3f}x:\n"
        f"the AI systems' are {len(numbers) / count:.0%} of these records and {share:.0%} of their log speedup."
    )


def _title(text: str, style: str) -> str:
    return f"## {text}" if style == "github" else f"{text}\n{'=' * len(text)}"


def _group_row(group: Group, history: History) -> tuple[str, ...]:
    count = str(group.records) if group.records else ""
    return group.name, count, f"{group.factor:.3f}x", f"{_share(group, history) or 0:.1%}"


def _share(group: Group, history: History) -> float | None:
    return group.log_gain / history.log_speedup if history.log_speedup else None


def _cumulative_table(history: History, by: By, groups: Sequence[Group], style: str) -> str:
    names = [group.name for group in groups]
    rows = [
        (period, *(f"{factors.get(name, 1.0):.2f}x" for name in names), f"{math.prod(factors.values()):.2f}x")
        for period, factors in cumulate(history, by)
    ]
    headers = ("to the end of", *names, "together")
    return tabulate(
        rows, headers, style, disable_numparse=True, colalign=("left", *["right"] * (len(names) + 1))
    )


def draw_waterfall(history: History, groups: Sequence[Group]) -> str:
    """A bar a group on one logarithmic axis from 1x to the whole speedup, each beginning where the last one ended."""
    from rich.bar import Bar
    from rich.console import Console
    from rich.table import Table

    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, max_width=26)
    grid.add_column(no_wrap=True)
    whole = max(history.log_speedup, 1e-9)
    reached = 0.0
    for group in groups:
        if not group.log_gain:
            continue
        ends = sorted((reached, reached + group.log_gain))
        reached += group.log_gain
        begin, end = (min(max(edge, 0.0), whole) for edge in ends)
        grid.add_row(group.name, Bar(whole, begin, end, width=BAR_WIDTH))
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None, highlight=False)
    console.print(grid)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    return "\n".join([*lines, f"(on a logarithmic axis from 1x to {math.exp(whole):.1f}x)"])


def _records_table(history: History, book: LabelBook, style: str) -> str:
    rows = [_record_row(step, book.by) for step in history.steps]
    headers = ("record", "date", "factor", "depth", "provenance", "AI", "why")
    widths = None if style == "github" else [None, None, None, 12, 12, 10, 60]
    table = tabulate(rows, headers, style, disable_numparse=True, maxcolwidths=widths)
    return (
        f"{table}\n\nLabelled by {book.by}, {book.date}. In brackets: a neighbour that could be argued for."
    )


def _record_row(step: Step, by: str) -> tuple[str, ...]:
    label = step.label
    depth = _with_close(label.depth, label.close_depth)
    provenance = _with_close(label.provenance, label.close_provenance)
    why = label.reason or f"unlabelled: {label.unlabelled}"
    who = f" (so {label.by})" if label.by not in ("", by) else ""
    factor = f"{math.exp(step.log_gain):.3f}x" if step.timed else "start"
    return str(step.record), step.date, factor, depth, provenance, step.ai_system, why + who


def _with_close(label: str | None, close: str | None) -> str:
    return f"{label or ''} ({close})" if close else label or ""


def _comparison_text(comparisons: Sequence[Comparison], book: LabelBook, style: str) -> str:
    rows = [(one.question, one.theirs, one.ours, one.verdict) for one in comparisons]
    widths = None if style == "github" else [40, 20, 28, 8]
    table = tabulate(rows, ("", "published", "ours", ""), style, disable_numparse=True, maxcolwidths=widths)
    published = book.published
    return (
        f"{table}\n\nPublished, on the records to {published.until}:\n{published.source}.\n\n"
        "How it counts a part of a speedup is not known here, so ours is given in three ways. In brackets: the least\n"
        "and the most with close labels either way; a published figure outside differs. Labels are not fitted to it."
        f"{_remark(published.remark)}"
    )


def _remark(remark: str) -> str:
    return f"\n\n{remark.strip()}" if remark else ""
