"""Results as text, JSON documents, CSV and Markdown. The keys of the documents are the contract of CLI.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from patchrun.faces import cells, cost_view, csv_view, work_view
from patchrun.faces.cells import NOTHING

if TYPE_CHECKING:
    from patchrun.core.leaderboard import Cell, Leaderboard, Row
    from patchrun.core.results import Attempt, Run
    from patchrun.core.scoring import Score
    from patchrun.core.similarity import Similarity
    from patchrun.core.versus import Versus

SHOWN_AGENTS = 4  # as many columns of cells as fit in 100 characters


def leaderboard_document(board: Leaderboard, track: str) -> dict[str, Any]:
    """The leaderboard as JSON; numbers that do not exist are null."""
    return {
        "track": track,
        "pick": board.pick,
        "metric": board.metric,
        "records": list(board.records),
        "filters": list(board.filters),
        "machine": board.machine or None,
        "rows": [_row_document(board, row) for row in board.rows],
        "notes": list(board.notes),
    }


def _row_document(board: Leaderboard, row: Row) -> dict[str, Any]:
    known = cost_view.row_document(board, row)
    return {
        "rank": row.rank,
        "agent": known.pop("agent"),
        "score": row.score,
        "ci": cells.pair(row.ci),
        "log_speedup_fraction": row.log_speedup_fraction,
        "rating": row.rating,
        "valid": row.valid,
        "attempted": row.attempted,
        "machine_seconds": board.spent.get(row.agent),
        **known,
        "records": {
            name: _cell_document(cell, board.similarity.get(row.agent, {}).get(name))
            for name, cell in row.records.items()
        },
    }


def _cell_document(cell: Cell, similarity: Similarity | None) -> dict[str, Any]:
    return {
        "id": cell.id,
        "state": cell.state,
        "verdict": cell.verdict,
        "fsr": cell.fsr,
        "ci": cells.pair(cell.ci),
        "speedup": cell.speedup,
        "similarity": similarity.value if similarity else None,
        "tried": cell.tried,
    }


def versus_document(versus: Versus) -> dict[str, Any]:
    """The head-to-head as JSON."""
    return {
        "a": versus.a,
        "b": versus.b,
        "records": {
            name: {
                "a_fsr": match.a_fsr,
                "b_fsr": match.b_fsr,
                "difference": match.difference,
                "ci": cells.pair(match.ci),
                "winner": match.winner,
                "method": match.method,
            }
            for name, match in versus.records.items()
        },
        "wins": versus.wins,
        "p_a_better": versus.p_a_better,
        "notes": list(versus.notes),
    }


def show_document(
    attempt: Attempt, score: Score, runs: Iterable[Run], tried: int | None = None
) -> dict[str, Any]:
    """One submission as JSON, ``tried``: of how many of its agent on its record; ``time_source``: whose seconds."""
    runs = list(runs)
    return {
        "id": attempt.id,
        "track": attempt.track,
        "record": attempt.span.to_json(),
        "agent": attempt.agent,
        "attempt": attempt.sequence,
        "attempts": tried,
        "hint_tiers": list(attempt.hint_tiers),
        "onto": attempt.onto or None,
        "state": score.state,
        "verdict": score.verdict,
        "reason": score.reason,
        "fsr": score.fsr,
        "fsr_ci": cells.pair(score.fsr_ci),
        "speedup": score.speedup,
        "speedup_ci": cells.pair(score.speedup_ci),
        "n_blocks": score.n_blocks,
        "clock": score.clock,
        "time_source": "local" if runs else None,
        "seconds": _plain(score.seconds),
        "loss": _plain(score.loss),
        "missing": list(score.missing),
        "reviews": list(score.reviews),
        "runs": [run_document(run, work_view.references_in(runs)) for run in runs],
        "findings": [_plain(finding) for finding in attempt.findings],
    }


def run_document(run: Run, references: Sequence[Run] = ()) -> dict[str, Any]:
    """One run as JSON, its work beside that of ``references``; ``block`` counts from 0, as stored."""
    return {
        "arm": run.arm,
        "block": run.block,
        "seed": run.seed,
        "seconds": run.seconds,
        "wall_seconds": run.wall_seconds,
        "claimed_seconds": run.claimed_seconds,
        "lead_seconds": run.lead_seconds,
        "work": work_view.work_document(run, references),
        "loss": run.loss,
        "exit": run.exit,
        "reason": run.reason,
        "sandbox": run.sandbox,
        "machine": _plain(run.machine),
        "gpus_at_start": _plain(run.gpus_at_start),
        "gpus_at_end": _plain(run.gpus_at_end),
    }


def _plain(value: Any) -> Any:
    """Structs and tuples as JSON has them."""
    import msgspec

    return msgspec.json.decode(msgspec.json.encode(value))


def render_leaderboard(board: Leaderboard, form: str = "text") -> str:
    """The leaderboard as ``text``, ``markdown`` or ``csv``."""
    if form == "csv":
        return csv_view.leaderboard_csv(board)
    return leaderboard_text(board, "github" if form == "markdown" else "simple")


def leaderboard_text(board: Leaderboard, style: str = "simple") -> str:
    """Ranks with intervals, then what each agent did on each record; at most 100 columns wide."""
    if not board.rows:
        return "no attempts yet"
    what = "FSR clipped to [0, 1]" if board.metric == "fsr" else "speedup, at least 1"
    count = f"{len(board.records)} record{'s' if len(board.records) != 1 else ''}"
    parts = [
        f"Mean {what}, over {count}; pick: {board.pick}; 95% intervals."
        + (f" Only: {'; '.join(board.filters)}." if board.filters else ""),
        _rank_table(board, style),
        _cell_table(board, style),
    ]
    if costs := cost_view.cost_rows(board):
        parts.append(
            cells.table(costs, cost_view.HEAD, style, "llrrrrrl", widths=(24, 6, 9, 10, 10, 10, 8, 10))
        )
    if len(board.rows) > SHOWN_AGENTS:
        parts.append(
            f"The first {SHOWN_AGENTS} of {len(board.rows)} agents by record; json and csv have all."
        )
    return "\n\n".join([*parts, *(f"Note: {note}." for note in board.notes)])


def _rank_table(board: Leaderboard, style: str) -> str:
    total = len(board.records)
    rows = [
        (
            row.rank, row.agent, cells.number(row.score), cells.interval(row.ci),
            cells.number(row.log_speedup_fraction), cells.number(row.rating, ".0f"),
            f"{row.valid}/{total}", _tried(row, board.records),
        )
        for row in board.rows
    ]  # fmt: skip
    headers = ("rank", "agent", "score", "interval", "log speedup", "rating", "valid", "tried")
    if not board.spent:
        return cells.table(rows, headers, style, "rlrlrrrr", widths=(4, 24, 6, 16, 11, 6, 5, 9))
    rows = [
        (*line, cells.number(board.spent.get(row.agent), ".0f"))
        for line, row in zip(rows, board.rows, strict=True)
    ]
    headers += (f"{board.machine} s",)
    return cells.table(rows, headers, style, "rlrlrrrrr", widths=(4, 20, 6, 16, 7, 6, 5, 9, 7))


def _tried(row: Row, records: Sequence[str]) -> str:
    """Records tried of those that count, and in how many attempts where there were more."""
    attempts = sum(cell.tried for name, cell in row.records.items() if name in records)
    more = f" in {attempts}" if attempts > row.attempted else ""
    return f"{row.attempted}/{len(records)}{more}"


def _cell_table(board: Leaderboard, style: str) -> str:
    shown = board.rows[:SHOWN_AGENTS]
    names = [*board.records, *board.unscorable]
    rows = [(name, *(_cell(row.records.get(name), board.metric) for row in shown)) for name in names]
    headers = ("record", *(row.agent for row in shown))
    return cells.table(rows, headers, style, "r" + "l" * len(shown), widths=(8, *[20] * len(shown)))


def _cell(cell: Cell | None, metric: str) -> str:
    """A valid one's number with its interval, any other by the name of its verdict or state."""
    if cell is None:
        return NOTHING
    if cell.verdict != "valid" or cell.state != "done":
        return cell.verdict or cell.state
    value = cell.fsr if metric == "fsr" else cell.speedup
    if value is None:
        return f"{cell.score:.2f} (mean of {cell.tried})"
    return f"{value:.2f}" + (f" [{cell.ci[0]:.2f}, {cell.ci[1]:.2f}]" if cell.ci else "")


def versus_text(versus: Versus, style: str = "simple") -> str:
    """Each record's difference with its interval and winner, then the sums."""
    names = {"a": versus.a, "b": versus.b, "tie": "tie", "unknown": "unknown"}
    rows = [
        (
            name, _side(match.a_fsr, match.a_verdict), _side(match.b_fsr, match.b_verdict),
            cells.number(match.difference, "+.3f"), cells.interval(match.ci, "+.3f"), names[match.winner], match.method,
        )
        for name, match in versus.records.items()
    ]  # fmt: skip
    headers = ("record", versus.a, versus.b, "difference", "interval", "winner", "by")
    wins = versus.wins
    sums = (
        f"{versus.a} {wins['a']}, {versus.b} {wins['b']}, ties {wins['tie']}, unknown {wins['unknown']}. "
        + _say_probability(versus)
    )
    title = f"{versus.a} against {versus.b}: difference of FSR ({versus.a} less {versus.b}), 95% intervals."
    table = cells.table(rows, headers, style, "rrrrlll", widths=(8, 13, 13, 10, 16, 12, 17))
    return "\n\n".join([title, table, sums, *(f"Note: {note}." for note in versus.notes)])


def _side(fsr: float | None, verdict: str | None) -> str:
    """An agent's FSR, else the name of what it has instead."""
    return (verdict or NOTHING) if fsr is None else cells.number(fsr)


def _say_probability(versus: Versus) -> str:
    if versus.p_a_better is None:
        return "No probability."
    return (
        f"P({versus.a} is better) = {versus.p_a_better:.3f}, bootstrap over {versus.shared} shared records."
    )


def show_text(
    attempt: Attempt,
    score: Score,
    runs: Iterable[Run],
    tried: int | None = None,
    more: Sequence[tuple[str, str]] = (),
) -> str:
    """One submission: what was said of it and why, its numbers, ``more`` facts, its runs, its findings.

    ``tried`` as in JSON.
    """
    tiers = ", ".join(str(tier) for tier in attempt.hint_tiers) or "none"
    number = f"attempt {attempt.sequence}" + (f" of {tried}" if tried else "")
    said = f"record {attempt.record}, agent {attempt.agent}, {number}, hint tiers: {tiers}"
    facts = [("submission", attempt.id), ("of", said), ("verdict", score.verdict or score.state)]
    facts += [("built on", attempt.onto)] if attempt.onto else []
    facts += [("because", score.reason)] if score.reason else []
    facts += [("review", said) for said in score.reviews]
    parts = [cells.table([*facts, *_score_facts(score), *more], (), "plain", "ll")]
    runs = list(runs)
    if runs:
        parts.append(runs_text(runs))
    if attempt.findings:
        found = [
            (f.code, f.severity, f"{f.path or 'diff'}:{f.line or ''}", f.message) for f in attempt.findings
        ]
        parts.append(
            cells.table(
                found, ("code", "severity", "where", "message"), "simple", "llll", widths=(8, 8, 24, 52)
            )
        )
    return "\n\n".join(parts)


def _score_facts(score: Score) -> list[tuple[str, str]]:
    """The numbers that exist, a line each."""
    paired = "paired" if score.paired else "unpaired"
    facts = []
    if score.fsr is not None:
        facts.append(("FSR", f"{score.fsr:.3f}, 95% interval {cells.interval(score.fsr_ci)} ({paired})"))
    if score.speedup is not None:
        facts.append(("speedup", f"{score.speedup:.3f}x, 95% interval {cells.interval(score.speedup_ci)}"))
    if score.loss.mean is not None:
        p_value = "" if score.loss.p_value is None else f", p = {score.loss.p_value:.2g}"
        facts.append(("loss", f"mean {score.loss.mean:.4f}, target {score.loss.target:g}{p_value}"))
    arms = (
        ("baseline", score.seconds.baseline),
        ("human", score.seconds.human),
        ("submission", score.seconds.submission),
    )
    known = [f"{name} {seconds:.4g}" for name, seconds in arms if seconds is not None]
    if known:
        blocks = f"{score.n_blocks} complete block{'s' if score.n_blocks != 1 else ''}"
        facts.append(("seconds", f"{', '.join(known)} ({score.clock} clock, means, {blocks})"))
    if score.missing:
        more = f" and {len(score.missing) - 3} more" if len(score.missing) > 3 else ""
        facts.append(("missing", ", ".join(score.missing[:3]) + more))
    return facts


RUN_COLUMNS = (
    ("arm", "l", 10), ("block", "r", 5), ("seed", "r", 10), ("seconds", "r", 9), ("wall", "r", 9), ("loss", "r", 7),
    ("exit", "l", 12), ("machine", "l", 14), ("reason", "l", 18),
)  # fmt: skip


def runs_text(runs: Iterable[Run]) -> str:
    """One line a run; blocks count from 1; machine and sandbox stand below where they are all the same."""
    runs = sorted(runs, key=lambda run: (run.block, run.position))
    if not runs:
        return "no runs yet"
    rows = [_run_row(run) for run in runs]
    places = {row[7] for row in rows}
    left_out = {7} if len(places) == 1 else set()
    left_out |= set() if any(row[8] for row in rows) else {8}
    shown = [k for k in range(len(RUN_COLUMNS)) if k not in left_out]
    headers, sides, widths = zip(*(RUN_COLUMNS[k] for k in shown), strict=True)
    table = cells.table([[row[k] for k in shown] for row in rows], headers, "simple", "".join(sides), widths)
    parts = [table, *([f"All on {places.pop()}."] if len(places) == 1 else []), *work_view.work_text(runs)]
    return "\n\n".join(parts)


def _run_row(run: Run) -> tuple[Any, ...]:
    return (
        run.kind, run.block + 1, run.seed, cells.number(run.seconds), cells.number(run.wall_seconds),
        cells.number(run.loss, ".4f"), run.exit, f"{run.machine.hardware_class}, sandbox {run.sandbox}", run.reason,
    )  # fmt: skip


def status_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line an attempt: what was said or what it waits for."""
    if not rows:
        return "no attempts yet"
    table = [
        (
            row["id"][:12], row["record"], row["agent"], row["attempt"], row["verdict"] or row["state"],
            f"{row['runs_done']}/{row['runs_planned']}", row["reason"],
        )
        for row in rows
    ]  # fmt: skip
    headers = ("id", "record", "agent", "attempt", "verdict", "runs", "because")
    return cells.table(table, headers, "simple", "lrlrlrl", widths=(12, 8, 16, 7, 13, 7, 30))
