"""A run's console against its own log: every line the log's, in order, each step line once.

Times are taken from the arrival of console lines, and what they claim from the log. Where the two are not the same
lines, neither says anything. What the log has and the console has not (the source, the environment) is no matter; step
lines are: all of them, or none where the reference arms print none either.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from patchrun.core.arrival import Stamp, read_stamp
from patchrun.core.librarylines import Budget, find_listed
from patchrun.core.results import Console
from patchrun.core.runlog import LINE_BYTES, printable
from patchrun.core.trainlog import is_step_line

MOST_LINES = 200_000
MOST_CHARACTERS = 32 * 2**20
MOST_SHAPES = 64
LOOK_AHEAD = 8  # log lines among which the one is sought that another process wrote into
DIFFERENT = "console lines are not those of the log"
_NUMBER = re.compile(r"0x[0-9a-f]+|\d+(?:\.\d+)?(?:e[+-]?\d+)?|\bnan\b|\binf\b", re.IGNORECASE)


@dataclass
class Tape:
    """The lines of a console as they arrive, in seconds after the start signal; ``full`` where there were too many."""

    lines: list[tuple[str, float]] = field(default_factory=list)
    characters: int = 0
    full: bool = False

    def add(self, line: str, at: float) -> None:
        self.full = self.full or len(self.lines) >= MOST_LINES or self.characters > MOST_CHARACTERS
        if not self.full:
            self.characters += len(line)
            self.lines.append((line.rstrip(), at))


@dataclass(frozen=True)
class Match:
    """What came of the log's lines, and what else.

    ``stamps``: of its step lines as they came. ``missing``: the first of them that did not. ``problem``: what the
    console must not have. ``console``: what is kept of it.
    """

    stamps: tuple[Stamp, ...]
    missing: str
    problem: str
    console: Console


def shape_of(line: str) -> str:
    """The line with every number as 0, cut to 200 characters."""
    return printable(_NUMBER.sub("0", line), 200)


def match_console(tape: Tape, log_lines: Sequence[str], known: Collection[str] | None) -> Match:
    """Lay ``tape`` beside the lines of the log after its source.

    ``known``: shapes of other lines that may come (those of the reference arms); None: any may, but no step line.
    """
    matcher = _Matcher(log_lines, known)
    for line, at in tape.lines:
        if line and not matcher.problem:
            matcher.take(line, at)
    if tape.full:
        matcher.refuse(f"it has more than {MOST_LINES} lines, or {MOST_CHARACTERS >> 20} MiB")
    return matcher.result()


class _Matcher:
    """Walks through both; ``place`` is the first line of the log that has not come yet."""

    def __init__(self, log_lines: Sequence[str], known: Collection[str] | None) -> None:
        self.log = [line.encode()[:LINE_BYTES].decode("utf-8", "replace").rstrip() for line in log_lines]
        self.known = known
        self.places: dict[str, list[int]] = {}
        for place, line in enumerate(self.log):
            self.places.setdefault(line, []).append(place)
        self.steps = [place for place, line in enumerate(self.log) if is_step_line(line)]
        self.place = 0
        self.budget = Budget()
        self.stamps: list[Stamp] = []
        self.others: dict[str, None] = {}
        self.missing = self.problem = ""
        self.misplaced = False

    def take(self, line: str, at: float) -> None:
        place = self._find(line)
        if place is None and (place := self._find_glued(line)) is None:
            self._take_other(line)
            return
        self.budget.end_message()
        self._skip_to(place)
        self.place = place + 1
        stamp = read_stamp(self.log[place], at)
        self.stamps += [stamp] if stamp else []

    def refuse(self, problem: str) -> None:
        self.problem = self.problem or problem

    def result(self) -> Match:
        self._skip_to(len(self.log))
        complete = bool(self.stamps) and not self.missing and not self.problem and not self.misplaced
        kept = Console(complete, tuple(self.others)[:MOST_SHAPES])
        return Match(tuple(self.stamps), self.missing, self.problem, kept)

    def _find(self, line: str) -> int | None:
        """Where the log has this line, from ``place`` on."""
        places = self.places.get(line, [])
        index = bisect_left(places, self.place)
        return places[index] if index < len(places) else None

    def _find_glued(self, line: str) -> int | None:
        """Another process's message may have come between a line and its newline, or just before the line."""
        step = bisect_left(self.steps, self.place)
        near = [*range(self.place, min(self.place + LOOK_AHEAD, len(self.log))), *self.steps[step : step + 1]]
        return next((place for place in near if self._is_glued(line, self.log[place])), None)

    def _is_glued(self, line: str, own: str) -> bool:
        if not own or len(line) == len(own):
            return False
        rests = [line.removeprefix(own)] if line.startswith(own) else []
        rests += [line.removesuffix(own)] if line.endswith(own) else []
        return any(find_listed(rest.strip()) and not _may_be_step(rest) for rest in rests)

    def _skip_to(self, place: int) -> None:
        """The step lines that are passed over have not come."""
        first = bisect_left(self.steps, self.place)
        if not self.missing and first < len(self.steps) and self.steps[first] < place:
            self.missing = self.log[self.steps[first]]

    def _take_other(self, line: str) -> None:
        """A line that is no step line may come again; of all else the list or the reference arms must know."""
        is_step, logged = _may_be_step(line), line in self.places
        if not is_step and (logged or self.budget.take(line)):
            return
        self.misplaced = self.misplaced or is_step
        shape = shape_of(line)
        self.others[shape] = None
        if self.known is not None and shape not in self.known:
            where = "again, or out of order" if logged else "not in the log"
            advice = "" if is_step else " (write it to the log too, or do not print it)"
            self.refuse(f"{where}: {printable(line, 120)!r}{advice}")


def _may_be_step(line: str) -> bool:
    """Whether somebody could take ``line`` for a step line, or for two."""
    return bool(re.search(r"step:\d|train_time:|\bs:\d+ t[er]l:", line))


def join_shapes(consoles: Iterable[Console | None]) -> frozenset[str]:
    """The shapes of the other lines of several runs."""
    return frozenset(shape for console in consoles if console for shape in console.others)
