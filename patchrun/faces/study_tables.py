"""Tables about the method: coverage of the intervals, what racing saves, FSR tables from outside data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from patchrun.faces.tables import NOTHING

if TYPE_CHECKING:
    from patchrun.core.coverage import Coverage
    from patchrun.core.fsrtable import FsrTable, Rule
    from patchrun.core.gaps import GapRow
    from patchrun.core.racesim import RaceResult


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
            row.n_blocks, f"{row.noise:g}", row.shape, f"{row.fsr:g}", _percent(row.covered), _percent(row.bootstrap),
            _percent(row.unbounded), f"{row.half_width:.3f}",
        )
        for row in rows
    ]  # fmt: skip
    return _table(table, headers, style, "rrlrrrrr")


def race_text(rows: Iterable[RaceResult], style: str = "simple") -> str:
    """What racing saves of full studies, and the share of studies that it gets wrong."""
    headers = ("world", "population", "studies", "saved by looks", "saved in all", "wrong")
    table = [
        (r.world, r.population, r.studies, _percent(r.saved_by_looks), _percent(r.saved), _percent(r.wrong))
        for r in rows
    ]
    return _table(table, headers, style, "llrrrr")


RACE_PAGE = """\
# Racing: what it saves and what it gets wrong

`patchrun submit --race` and `patchrun run --race` judge each submission after every block and end it when its verdict
cannot change for the better. The tables are made by `patchrun simulate racing --format markdown`, from fixed seeds.

## Between blocks only, as real studies are raced

{between}

## Also inside runs, by clock and loss curve

{inside}

Saved: shares of the seconds that full studies take, by the early looks of the validity test alone, and in all. Wrong:
the share of submissions that were stopped though the full study scores them above 0. A third of the broken crash, a
third are slower than the baseline by one gap or more, a third miss the target by five standard deviations or more. The
populations' figures are those of `World` in `patchrun/core/racesim.py`.

What was stopped in the second table, and where:

{stops}

- A study with a fixed number of blocks has no early looks, so only what the broken take can be saved: a third of the
  submissions, and more than a third of the seconds, since a third of them are slow. That is less than half. The nanogpt
  world saves more because a proof at an early look ends a study too.
- Stops inside a run rest on printed steps and losses, which are no evidence; real studies are ended between blocks,
  on what patchrun measured itself.
- The simulation has three blocks of reference runs before the first of the submission. A real study runs its arms side
  by side and knows the spread from the second block on, so it stops a little later.
- A stop needs that the chance to still reach the target, or to still be faster than the baseline, is below 0.001 at
  that look. It is stored with its evidence; `patchrun verify` and `sync` judge it again from the stored runs.
"""


def race_page(between: Sequence[RaceResult], inside: Sequence[RaceResult]) -> str:
    """The page of the documents: races between runs only and inside them, and what was stopped by which rule."""
    stops = [
        (row.world, row.population, what, count) for row in inside for what, count in row.stopped.items()
    ]
    table = _table(stops, ("world", "population", "stopped by", "submissions"), "github", "lllr")
    return RACE_PAGE.format(
        between=race_text(between, "github"), inside=race_text(inside, "github"), stops=table
    ).rstrip("\n")


def gaps_text(rows: Sequence[GapRow], style: str = "simple") -> str:
    """Each record's gap with its interval, whether it can carry an FSR, and what a patch that changes nothing earns."""
    from patchrun.core.gaps import mean_luck

    names = list(rows[0].luck) if rows else []
    lines = [
        (
            row.record, f"{row.gap:.2f}", f"{row.ci[0]:.2f} to {row.ci[1]:.2f}", "yes" if row.scorable else "no",
            NOTHING if row.noise is None else f"{row.noise:.3f}",
            *(NOTHING if value is None else f"{value:.3f}" for value in row.luck.values()),
        )
        for row in rows
    ]  # fmt: skip
    for said, only in (("mean, gap > 0", False), ("mean, scorable", True)):
        means = mean_luck(rows, only)
        lines.append((said, "", "", "", "", *(f"{means[name]:.3f}" for name in names if name in means)))
    headers = ("record", "gap s", "95% interval", "scorable", "noise / gap", *names)
    return _table(lines, headers, style, "rrlr" + "r" * (1 + len(names)))


def fsr_table_text(found: FsrTable, style: str = "simple") -> str:
    """Each agent's mean FSR under the rule, then each record, then what was left out and why."""
    agents = [
        (a.agent, f"{a.mean:.3f}", NOTHING if a.ci is None else f"{a.ci[0]:.3f} to {a.ci[1]:.3f}", f"{a.iqm:.3f}",
         f"{a.tried}/{a.records}")
        for a in found.agents
    ]  # fmt: skip
    cells = [
        (c.record, c.agent, c.runs, c.failed, c.used, NOTHING if c.fsr is None else f"{c.fsr:.3f}")
        for c in sorted(found.cells, key=lambda cell: (cell.record, cell.agent))
    ]
    parts = [
        f"Rule: {describe_rule(found.rule)}.",
        _table(agents, ("agent", "mean FSR", "95% interval", "middle half", "tried"), style, "lrlrr"),
        _table(cells, ("record", "agent", "runs", "failed", "used", "FSR"), style, "rlrrrr"),
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


def rules_text(found: Mapping[str, Mapping[str, float]], rules: Sequence[str], style: str = "simple") -> str:
    """Agents by rule: how much the rule alone changes."""
    table = [(agent, *(f"{means[rule]:.3f}" for rule in rules)) for agent, means in found.items()]
    return _table(table, ("agent", *rules), style, "l" + "r" * len(rules))


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.1f}%"


def _table(rows: Sequence[Sequence[Any]], headers: Sequence[str], style: str, align: str) -> str:
    from tabulate import tabulate

    sides = [{"l": "left", "r": "right"}[letter] for letter in align]
    return tabulate(rows, headers, tablefmt=style, disable_numparse=True, colalign=sides if rows else None)
