"""FSR tables from outside data under a stated rule: CSV text in, a table out.

Times file, one line a record, either ``record,seconds`` (the time of record N's code; the baseline of N is the
line of N - 1) or ``record,baseline_seconds,human_seconds``. Runs file, one line a run: ``record,seconds``, and where
known ``agent``, ``loss``, ``valid`` (yes or no). Other columns are ignored; an empty ``seconds`` is a run that failed.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np

from patchrun.core.bootstrap import interquartile_mean, percentile_intervals, resample
from patchrun.core.errors import UsageError
from patchrun.core.stats import Interval

FAILED_WORDS = {"no": False, "false": False, "0": False, "yes": True, "true": True, "1": True, "": True}


class Gap(msgspec.Struct, frozen=True):
    """The seconds before and after one record."""

    baseline: float
    human: float


class OutsideRun(msgspec.Struct, frozen=True):
    """One run of an agent on a record; ``seconds`` None: it failed."""

    record: int
    agent: str
    seconds: float | None
    loss: float | None = None
    valid: bool = True


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """How runs become one FSR a record.

    ``pick``: the mean over all runs, over the ``top`` best, or the best alone. ``max_loss``: a run above it
    failed. ``failed``: counts as FSR 0, or is dropped. ``clip``: each run's FSR to [0, 1] before the mean
    (``runs``), each record's after it (``records``), or not at all.
    """

    pick: Literal["mean", "top", "best"] = "mean"
    top: int = 3
    max_loss: float | None = None
    failed: Literal["zero", "drop"] = "zero"
    clip: Literal["runs", "records", "none"] = "records"


class FsrCell(msgspec.Struct, frozen=True, kw_only=True):
    """One agent on one record: ``runs`` in all, ``failed`` of them, ``used`` in ``fsr``; None when nothing is left."""

    record: int
    agent: str
    runs: int
    failed: int
    used: int
    fsr: float | None


class AgentMean(msgspec.Struct, frozen=True, kw_only=True):
    """An agent over all scorable records, a record without a result as 0; the interval resamples records."""

    agent: str
    mean: float
    ci: Interval | None
    iqm: float
    records: int
    tried: int


class FsrTable(msgspec.Struct, frozen=True, kw_only=True):
    """``excluded``: record -> why it cannot carry an FSR."""

    rule: Rule
    cells: tuple[FsrCell, ...]
    agents: tuple[AgentMean, ...]
    excluded: dict[int, str]


def read_times(text: str, name: str = "times") -> dict[int, Gap]:
    """Record -> seconds before and after; UsageError names file, line and column."""
    lines = _read(text, name, ("record",))
    if not lines:
        raise UsageError(f"{name}: no lines", "write a header and one line a record")
    if {"baseline_seconds", "human_seconds"} <= set(lines[0][1]):
        rows = [(_record(n, line, name), n, line) for n, line in lines]
        _refuse_repeats([record for record, _, _ in rows], name)
        return {
            r: Gap(_seconds(n, line, "baseline_seconds", name), _seconds(n, line, "human_seconds", name))
            for r, n, line in rows
        }
    if "seconds" not in lines[0][1]:
        columns = "record,seconds, or record,baseline_seconds,human_seconds"
        raise UsageError(f"{name}: no column `seconds`", f"the header must name {columns}")
    records = [_record(n, line, name) for n, line in lines]
    _refuse_repeats(records, name)
    times = {r: _seconds(n, line, "seconds", name) for r, (n, line) in zip(records, lines, strict=True)}
    return {r: Gap(times[r - 1], times[r]) for r in sorted(times) if r - 1 in times}


def read_runs(text: str, name: str = "runs", agent: str = "agent") -> tuple[OutsideRun, ...]:
    """The runs in file order; ``agent`` names those of a file without that column. UsageError as above."""
    found = []
    for number, line in _read(text, name, ("record", "seconds")):
        said = (line.get("valid") or "").strip().lower()
        if said not in FAILED_WORDS:
            raise UsageError(f"{name}: line {number}: valid: expected yes or no, got {said!r}")
        seconds = _seconds(number, line, "seconds", name) if line["seconds"].strip() else None
        loss = _number(number, line, "loss", name) if (line.get("loss") or "").strip() else None
        whose = (line.get("agent") or "").strip() or agent
        found.append(OutsideRun(_record(number, line, name), whose, seconds, loss, FAILED_WORDS[said]))
    return tuple(found)


def _read(text: str, name: str, needed: Iterable[str]) -> list[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), skipinitialspace=True)
    absent = [column for column in needed if column not in (reader.fieldnames or [])]
    if absent:
        raise UsageError(
            f"{name}: no column {', '.join(f'`{c}`' for c in absent)}", "the first line names the columns"
        )
    lines = []
    for line in reader:
        if None in line or None in line.values():
            raise UsageError(f"{name}: line {reader.line_num}: not as many fields as the header has")
        lines.append((reader.line_num, line))
    return lines


def _record(number: int, line: Mapping[str, str], name: str) -> int:
    if not line["record"].strip().isdecimal():
        raise UsageError(f"{name}: line {number}: record: expected a number, got {line['record']!r}")
    return int(line["record"])


def _number(number: int, line: Mapping[str, str], column: str, name: str) -> float:
    try:
        value = float(line[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{name}: line {number}: {column}: expected a finite number, got {line[column]!r}")
    return value


def _seconds(number: int, line: Mapping[str, str], column: str, name: str) -> float:
    value = _number(number, line, column, name)
    if value <= 0:
        raise UsageError(f"{name}: line {number}: {column}: expected more than 0 seconds, got {value:g}")
    return value


def _refuse_repeats(records: Sequence[int], name: str) -> None:
    twice = sorted({record for record in records if records.count(record) > 1})
    if twice:
        raise UsageError(f"{name}: more than one line for record {', '.join(map(str, twice))}")


def make_table(
    times: Mapping[int, Gap], runs: Sequence[OutsideRun], rule: Rule, *, replicates: int = 1000, seed: int = 0
) -> FsrTable:
    """The table under ``rule``, over every record of ``times`` with a positive gap.

    Records without one are excluded for everybody, and so are runs on records that ``times`` does not have.
    """
    excluded = {
        r: f"the gap is not positive ({g.baseline - g.human:.3g} s)"
        for r, g in times.items()
        if g.baseline <= g.human
    }
    excluded |= {run.record: "no times" for run in runs if run.record not in times}
    records = sorted(set(times) - set(excluded))
    grouped: dict[tuple[str, int], list[OutsideRun]] = {}
    for run in runs:
        if run.record not in excluded:
            grouped.setdefault((run.agent, run.record), []).append(run)
    cells = tuple(_make_cell(key, grouped[key], times[key[1]], rule) for key in sorted(grouped))
    agents = tuple(_average(a, cells, records, replicates, seed) for a in sorted({run.agent for run in runs}))
    return FsrTable(rule=rule, cells=cells, agents=agents, excluded=dict(sorted(excluded.items())))


def _make_cell(key: tuple[str, int], runs: Sequence[OutsideRun], gap: Gap, rule: Rule) -> FsrCell:
    good = [run.seconds for run in runs if run.seconds is not None and _passes(run, rule)]
    values = sorted(((gap.baseline - s) / (gap.baseline - gap.human) for s in good), reverse=True)
    failed = len(runs) - len(values)
    if rule.clip == "runs":
        values = [min(max(value, 0.0), 1.0) for value in values]
    if rule.failed == "zero":
        values = sorted(values + [0.0] * failed, reverse=True)
    values = values[: {"best": 1, "top": rule.top, "mean": len(values)}[rule.pick]]
    fsr = sum(values) / len(values) if values else None
    if fsr is not None and rule.clip == "records":
        fsr = min(max(fsr, 0.0), 1.0)
    return FsrCell(record=key[1], agent=key[0], runs=len(runs), failed=failed, used=len(values), fsr=fsr)


def _passes(run: OutsideRun, rule: Rule) -> bool:
    if not run.valid:
        return False
    return rule.max_loss is None or (run.loss is not None and run.loss <= rule.max_loss)


def _average(
    agent: str, cells: Iterable[FsrCell], records: Sequence[int], replicates: int, seed: int
) -> AgentMean:
    own = {cell.record: cell.fsr for cell in cells if cell.agent == agent}
    scores = np.array([own.get(record) or 0.0 for record in records])
    if not records:
        raise UsageError("no record can carry an FSR", "every gap in the times is absent or not positive")
    interval = (
        percentile_intervals(resample(scores, replicates=replicates, seed=seed))[0]
        if len(records) > 1
        else None
    )
    return AgentMean(
        agent=agent, mean=float(scores.mean()), ci=interval, iqm=float(interquartile_mean(scores)),
        records=len(records), tried=sum(record in own for record in records),
    )  # fmt: skip
