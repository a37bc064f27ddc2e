"""A final round as text and as a JSON document: a table of its own, the ordinary scores beside, never mixed."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from patchrun.faces import cells
from patchrun.faces.cells import NOTHING

if TYPE_CHECKING:
    from patchrun.core.finalscore import Excess
    from patchrun.core.leaderboard import Row
    from patchrun.core.results import FinalRound, Reveal
    from patchrun.core.scoring import Score
    from patchrun.services.finals import Entry, Standing

SHOWN_ID = 8
WIDTH = 100
FLAG = "losses rise more than the baseline's and the human's"


def final_document(final: FinalRound, reveal: Reveal | None) -> dict[str, Any]:
    """What was promised, and whether it was kept open or is revealed."""
    return {
        "id": final.id,
        "track": final.track,
        "key_commitment": final.key_commitment,
        "tokens_digest": final.tokens_digest,
        "tokens": final.tokens,
        "source": final.source,
        "by": final.by,
        "created": final.created,
        "revealed": reveal.created if reveal else None,
        "key": reveal.key if reveal else None,
    }


def final_text(final: FinalRound, reveal: Reveal | None) -> str:
    """A round in words: what was promised, by whom, and whether it can be checked yet."""
    source = "drawn by its key" if final.source == "drawn" else "given by the owner"
    state = f"revealed {reveal.created[:16]}" if reveal else "secrets not revealed yet"
    return _wrap(
        f"Final round {final.id}: {final.tokens} held-back tokens, {source}; committed to by {final.by} on "
        f"{final.created[:16]}; {state}."
    )


def _wrap(text: str) -> str:
    return "\n".join(textwrap.wrap(text, WIDTH, break_on_hyphens=False))


def standing_document(found: Standing) -> dict[str, Any]:
    """The round as JSON; numbers that do not exist are null."""
    return {
        "track": found.final.track,
        "final": final_document(found.final, found.reveal),
        "records": list(found.board.records),
        "sandboxes": list(found.sandboxes),
        "rows": [
            {
                "rank": row.rank, "agent": row.agent, "score": row.score, "ci": cells.pair(row.ci),
                "ordinary_score": ordinary.score if ordinary else None, "valid": row.valid, "entered": row.attempted,
            }
            for row, ordinary in _rows(found)
        ],
        "submissions": [_entry_document(entry) for entry in found.entries],
        "notes": list(found.board.notes),
    }  # fmt: skip


def _entry_document(entry: Entry) -> dict[str, Any]:
    attempt, final = entry.attempt, entry.found
    change = final.changes.get("submission")
    return {
        "id": attempt.id,
        "record": attempt.span.to_json(),
        "agent": attempt.agent,
        "attempt": attempt.sequence,
        "state": final.score.state,
        "verdict": final.score.verdict,
        "reason": final.score.reason,
        "fsr": final.score.fsr,
        "fsr_ci": cells.pair(final.score.fsr_ci),
        "n_blocks": final.score.n_blocks,
        "ordinary": {
            "verdict": final.ordinary.verdict, "fsr": final.ordinary.fsr, "fsr_ci": cells.pair(final.ordinary.fsr_ci),
        },
        "loss": {
            "validation": change.validation if change else None, "held_out": change.held_out if change else None,
            "target": final.score.loss.target if final.offset is not None else None, "offset": final.offset,
        },
        "excess": _excess_document(final.excess),
        "excess_over_human": _excess_document(final.excess_over_human),
        "overfit": final.overfit,
    }  # fmt: skip


def _excess_document(excess: Excess | None) -> dict[str, Any] | None:
    return None if excess is None else {"value": excess.value, "ci": cells.pair(excess.ci)}


def _rows(found: Standing) -> list[tuple[Row, Row | None]]:
    """Each agent's row in the round with its row by ordinary scores of the same attempts."""
    ordinary = {row.agent: row for row in found.ordinary.rows}
    return [(row, ordinary.get(row.agent)) for row in found.board.rows]


def standing_text(found: Standing) -> str:
    """Ranks, then each submission's FSR, then its losses; at most 100 columns wide."""
    head = final_text(found.final, found.reveal)
    if not found.entries:
        return f"{head}\n\nNothing was run under it yet: `patchrun final run` runs the picks."
    parts = [head, _rank_table(found), _fsr_table(found), _loss_table(found), *_flag_lines(found)]
    if weaker := [name for name in found.sandboxes if name != "bwrap"]:
        parts.append(
            _wrap(f"Note: runs in sandbox {', '.join(weaker)} could have read the held-back tokens.")
        )
    return "\n\n".join([*parts, *(f"Note: {note}." for note in found.board.notes)])


def _rank_table(found: Standing) -> str:
    count = len(found.board.records)
    rows = [
        (row.rank, row.agent, f"{row.score:.3f}", cells.interval(row.ci, ".3f"),
         f"{ordinary.score:.3f}" if ordinary else NOTHING, f"{row.valid}/{count}", f"{row.attempted}/{count}")
        for row, ordinary in _rows(found)
    ]  # fmt: skip
    headers = ("rank", "agent", "final score", "interval", "ordinary score", "valid", "entered")
    return cells.table(rows, headers, "simple", "rlrlrrr", (4, 24, 6, 16, 8, 5, 7))


def _fsr_table(found: Standing) -> str:
    rows = [
        (e.attempt.record, e.attempt.agent, e.attempt.id[:SHOWN_ID], _fsr(e.found.ordinary), _fsr(e.found.score),
         e.found.score.n_blocks)
        for e in found.entries
    ]  # fmt: skip
    headers = ("record", "agent", "id", "ordinary FSR", "final FSR", "blocks")
    return cells.table(rows, headers, "simple", "rlllll", (8, 20, SHOWN_ID, 22, 22, 6))


def _fsr(score: Score) -> str:
    """A valid one's FSR (or speedup) with its interval, any other by name."""
    if not score.is_valid:
        return score.verdict or score.state
    value, ends = (score.fsr, score.fsr_ci) if score.fsr is not None else (score.speedup, score.speedup_ci)
    return (
        NOTHING
        if value is None
        else f"{value:.2f}" + (f" [{cells.interval(ends, '.2f', ', ')}]" if ends else "")
    )


def _loss_table(found: Standing) -> str:
    rows = []
    for e in found.entries:
        change, final = e.found.changes.get("submission"), e.found
        target = f"{final.score.loss.target:.4f}" if final.offset is not None else NOTHING
        losses = (f"{change.validation:.4f}", f"{change.held_out:.4f}") if change else (NOTHING, NOTHING)
        overfit = {True: "yes", False: "no", None: NOTHING}[final.overfit]
        over_human = f"{final.excess_over_human.value:+.3f}" if final.excess_over_human else NOTHING
        last = (_excess(final.excess), over_human, overfit)
        rows.append((e.attempt.record, e.attempt.agent, *losses, target, *last))
    headers = (
        "record", "agent", "loss", "held-out loss", "target there", "rises more than baseline's", "than human's",
        "overfit",
    )  # fmt: skip
    return cells.table(rows, headers, "simple", "rlrrrlrl", (6, 16, 6, 8, 6, 23, 7, 7))


def _excess(excess: Excess | None) -> str:
    if excess is None:
        return NOTHING
    return f"{excess.value:+.3f}" + (f" [{cells.interval(excess.ci, '+.3f', ', ')}]" if excess.ci else "")


def _flag_lines(found: Standing) -> list[str]:
    return [
        _wrap(f"{e.attempt.agent}, record {e.attempt.record}: {FLAG} from the validation tokens to those that nobody "
              "had seen. It seems to be fitted to the validation tokens; look at its diff.")
        for e in found.entries if e.found.overfit
    ]  # fmt: skip
