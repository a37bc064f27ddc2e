"""All that the site shows, read from the arena once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from patchrun import __version__
from patchrun.adapters.store import Arena
from patchrun.core.errors import UsageError
from patchrun.core.ladderstats import Row
from patchrun.core.leaderboard import RATED_AGENTS, Leaderboard
from patchrun.core.picks import record_key
from patchrun.core.scoring import Score
from patchrun.core.stats import Interval
from patchrun.core.track import Track
from patchrun.core.winmatrix import WinMatrix, make_matrix
from patchrun.faces.report.extras import Extras, read_extras
from patchrun.services import ladderbook, standings, tournament
from patchrun.services.tournament import Scored


@dataclass(frozen=True)
class Board:
    """A leaderboard of the attempts with certain hints; ``key`` names it on the page."""

    key: str
    label: str
    found: Leaderboard

    @property
    def page(self) -> str:
        return "index.html" if self.key == "all" else f"{self.key}.html"


@dataclass(frozen=True)
class Site:
    """One state of an arena: all that pages are made of but runs, diffs and logs, which are read page by page."""

    arena: Arena
    entries: tuple[Scored, ...]
    boards: tuple[Board, ...]
    matrix: WinMatrix | None
    ladder: tuple[Row, ...]
    hazards: Mapping[str, str]
    extras: Extras
    runs: int
    refs: str
    built: str
    version: str = __version__

    @property
    def track(self) -> Track:
        return self.arena.track

    @property
    def measure(self) -> str:
        """What submissions are compared by: FSR, or the speedup where records have no human patch."""
        return "speedup" if self.boards[0].found.metric == "speedup" else "FSR"

    def worth(self, score: Score) -> tuple[float | None, Interval | None]:
        """A score's value by that measure, and its interval."""
        return (score.fsr, score.fsr_ci) if self.measure == "FSR" else (score.speedup, score.speedup_ci)

    @cached_property
    def records(self) -> tuple[str, ...]:
        """Every record of the ladder and every span that was tried."""
        numbers = {str(row.record.number) for row in self.ladder}
        return tuple(sorted(numbers | {one.attempt.record for one in self.entries}, key=record_key))

    @cached_property
    def by_record(self) -> dict[str, list[Scored]]:
        """Record -> its attempts, the best first: valid ones by falling FSR (else speedup), then the others."""
        return {name: sorted(own, key=_best_first) for name, own in _group(self.entries, "record").items()}

    @cached_property
    def by_agent(self) -> dict[str, list[Scored]]:
        """Agent -> its attempts by record, in the order handed in."""
        groups = _group(self.entries, "agent")
        return {name: sorted(own, key=_in_order) for name, own in sorted(groups.items())}


def gather(arena: Arena) -> Site:
    """Read and score everything once."""
    refs = digest_refs(arena)  # before the rest: what comes meanwhile makes the next state
    entries = tuple(tournament.assess(arena))
    boards, matrix = tuple(make_boards(arena, entries)), _make_matrix(entries)
    entries = tuple(replace(one, runs=()) for one in entries)  # pages read the runs that they show
    book = ladderbook.read(arena)
    return Site(
        arena=arena, entries=entries, boards=boards, matrix=matrix,
        ladder=book.rows, hazards=book.hazards, extras=read_extras(arena),
        runs=len(arena.repo.refs("refs/patchrun/runs/")), refs=refs,
        built=tournament.now()[:16].replace("T", " ") + " UTC",
    )  # fmt: skip


def digest_refs(arena: Arena) -> str:
    """A hash over every ref of the arena: the same while nothing was added."""
    digest = hashlib.sha256()
    for name, oid in sorted(arena.repo.refs().items()):
        digest.update(f"{oid} {name}\n".encode())
    return digest.hexdigest()


def make_boards(arena: Arena, entries: Sequence[Scored]) -> Iterable[Board]:
    """The board of all attempts, then one for each set of hints where there are several."""
    yield Board("all", "all attempts", standings.rank_scored(arena, entries))
    tiers = sorted({one.attempt.hint_tiers for one in entries})
    for chosen in tiers if len(tiers) > 1 else ():
        name = ", ".join(map(str, chosen))
        own = [one for one in entries if one.attempt.hint_tiers == chosen]
        label = f"hint tier {name}" if chosen else "no hints"
        yield Board("tier-" + ("-".join(map(str, chosen)) or "0"), label, standings.rank_scored(arena, own))


def _make_matrix(entries: Sequence[Scored]) -> WinMatrix | None:
    """None where there are no agents to compare, or more than the matrix can hold."""
    agents = {one.attempt.agent for one in entries}
    if not 2 <= len(agents) <= RATED_AGENTS:
        return None
    try:
        return make_matrix([(one.attempt, one.score) for one in entries])
    except UsageError:
        return None


def _group(entries: Iterable[Scored], key: str) -> dict[str, list[Scored]]:
    found: dict[str, list[Scored]] = {}
    for one in entries:
        found.setdefault(getattr(one.attempt, key), []).append(one)
    return found


def _best_first(one: Scored) -> tuple[bool, float, str]:
    value = one.score.fsr if one.score.fsr is not None else one.score.speedup
    return (not one.score.is_valid, -(value or 0.0), one.attempt.created)


def _in_order(one: Scored) -> tuple[tuple[int, int], str]:
    return record_key(one.attempt.record), one.attempt.created
