"""The search index: script files that name every submission, since a page opened from a file may fetch nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from patchrun.faces.report import names

if TYPE_CHECKING:
    from patchrun.faces.report.gather import Site
    from patchrun.services.tournament import Scored

PART = 1000  # rows of one file
ESCAPES = {
    ord("<"): "\\u003c",
    ord(">"): "\\u003e",
    ord("&"): "\\u0026",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


def write_index(site: Site) -> Iterator[tuple[str, str]]:
    """(name, text) of each part: a script that adds agents and rows, with no character that could end a script."""
    for at in range(0, len(site.entries), PART):
        part = site.entries[at : at + PART]
        agents = sorted({one.attempt.agent for one in part})
        numbers = {agent: k for k, agent in enumerate(agents)}
        document = {
            "agents": [[names.reveal(agent)[:100], names.agent_page(agent)] for agent in agents],
            "rows": [_row(site, one, numbers[one.attempt.agent]) for one in part],
        }
        text = json.dumps(document, separators=(",", ":"), allow_nan=False).translate(ESCAPES)
        yield f"data/submissions-{at // PART + 1}.js", f"(globalThis.PATCHRUN_INDEX??=[]).push({text});\n"


def _row(site: Site, one: Scored, agent: int) -> list[Any]:
    """id, page (empty where the id names it), agent's number, record, hints, verdict, worth, its ends, seconds, day."""
    attempt, score = one.attempt, one.score
    page = names.submission_page(attempt.id)
    value, ends = site.worth(score)
    low, high = ends or (None, None)
    return [
        names.reveal(attempt.id)[:64], "" if page == f"submission/{attempt.id}.html" else page, agent,
        attempt.record, ", ".join(map(str, attempt.hint_tiers)) or "none", score.verdict or score.state,
        _short(value), _short(low), _short(high), _short(score.seconds.submission, ".3f"),
        names.reveal(attempt.created[:16]).replace("T", " "),
    ]  # fmt: skip


def _short(value: float | None, form: str = ".4g") -> float | None:
    return None if value is None else float(format(value, form))
