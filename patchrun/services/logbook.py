"""What ingested logs say of a submission."""

from __future__ import annotations

from patchrun.adapters.store import Arena
from patchrun.core.logscore import LogScore, score_logs
from patchrun.core.results import Attempt
from patchrun.services.upstream_logs import read_facts


def score_from_logs(arena: Arena, attempt: Attempt) -> LogScore | None:
    """The score that logs give; None when none was taken in for it. Spans have no logs of their own."""
    facts = read_facts(arena)
    if not any(fact.arm == attempt.id for fact in facts):
        return None
    return score_logs(facts, arena.ladder.get(attempt.span.first), attempt.id, arena.track)
