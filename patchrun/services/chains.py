"""What an arena knows of chains: the links of a submission, and the frontier that agents have reached."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from patchrun.adapters.store import Arena
from patchrun.core.chains import trace_chain
from patchrun.core.errors import UsageError
from patchrun.core.filters import EVERYTHING, Filter, run_seconds
from patchrun.core.frontier import Point, Step, trace_frontier
from patchrun.core.transcripts import Transcript
from patchrun.services.assessment import Scored, assess


@dataclass(frozen=True)
class Spent:
    """What an attempt took: the machine's seconds of its own runs, and US dollars of making it, None if not known."""

    seconds: float
    usd: float | None = None


def find_spent(one: Scored, made: Iterable[Transcript]) -> Spent:
    """The one place that says what an attempt cost; ``made``: the transcripts of an arena. Reference runs are nobody's.

    A diff that was handed in by itself says nothing of the money that making it took.
    """
    own = {(run.study, run.block): run_seconds(run) for run in one.runs if run.kind == "submission"}
    paid = [each.usd for each in made if each.submission == one.attempt.id]
    known = [usd for usd in paid if usd is not None]
    return Spent(sum(own.values()), sum(known) if known and len(known) == len(paid) else None)


def list_chain(arena: Arena, wanted: str) -> list[Scored]:
    """The links from the first to the submission ``wanted`` (a whole id), each with its score."""
    known = {attempt.id: attempt for attempt in arena.attempts()}
    links = [link.id for link in trace_chain(known[wanted], known)]
    by_id = {one.attempt.id: one for one in assess(arena, ids=links)}
    return [by_id[name] for name in links]


def frontier(
    arena: Arena, agent: str | None = None, first: int | None = None, only: Filter = EVERYTHING
) -> list[Point]:
    """The frontier of every agent from every baseline, or of one ``agent``, or from baseline ``first``.

    Raises:
        UsageError: nobody of that name has handed anything in.
    """
    everything = assess(arena)
    agents = sorted({one.attempt.agent for one in everything})
    if agent is not None and agent not in agents:
        raise UsageError(f"no agent {agent!r} here", f"agents: {', '.join(agents) or 'none yet'}")
    made = arena.transcripts()
    return trace_frontier(
        _make_step(one, made) for one in everything
        if agent in (None, one.attempt.agent) and first in (None, one.attempt.span.first)
        and only.admits(one.attempt, one.runs)
    )  # fmt: skip


def _make_step(one: Scored, made: Sequence[Transcript]) -> Step:
    attempt, score, spent = one.attempt, one.score, find_spent(one, made)
    valid = score.is_valid
    return Step(
        id=attempt.id, agent=attempt.agent, first=attempt.span.first, record=attempt.record, created=attempt.created,
        seconds=spent.seconds, usd=spent.usd, speedup=score.speedup if valid else None,
        ci=score.speedup_ci if valid else None, fsr=score.fsr if valid else None, onto=attempt.onto,
    )  # fmt: skip
