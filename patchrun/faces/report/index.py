"""The search index: one script file that names every submission, since a page opened from a file may fetch nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from patchrun.faces.report import names

if TYPE_CHECKING:
    from patchrun.faces.report.gather import Site
    from patchrun.services.tournament import Scored

ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def write_index(site: Site) -> str:
    """The script: one assignment of columns and rows, agents by number, no character that could end a script."""
    agents = list(site.by_agent)
    numbers = {agent: k for k, agent in enumerate(agents)}
    document = {
        "agents": [[names.reveal(agent), names.agent_page(agent)] for agent in agents],
        "rows": [_row(one, numbers[one.attempt.agent]) for one in site.entries],
    }
    text = json.dumps(document, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return f"globalThis.PATCHRUN_INDEX={text.translate(ESCAPES)};\n"


def _row(one: Scored, agent: int) -> list[Any]:
    """id, page, agent's number, record, hint tiers, verdict or state, FSR, its ends, seconds, day of handing in."""
    attempt, score = one.attempt, one.score
    tiers = ", ".join(map(str, attempt.hint_tiers)) or "none"
    low, high = score.fsr_ci or (None, None)
    return [
        names.reveal(attempt.id), names.submission_page(attempt.id), agent, attempt.record, tiers,
        score.verdict or score.state, _short(score.fsr), _short(low), _short(high), _short(score.seconds.submission),
        attempt.created[:16].replace("T", " "),
    ]  # fmt: skip


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
