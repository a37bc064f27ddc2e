"""Which attempts a table is made of: by hints, day, hardware, sandbox, and after a record that a model may know.

What was never measured (rejected, pending) ran nowhere, so hardware and sandbox do not leave it out: else an agent
would lose its failures by asking for the machine that it has its successes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import msgspec

from patchrun.core.errors import UsageError
from patchrun.core.results import Attempt, Run


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept; None is no condition.

    ``tiers``: exactly these hints. ``since`` and ``until``: days of handing in (UTC), both included. ``hardware`` and
    ``sandbox``: every run that the score rests on was made on this class, in this sandbox. ``cutoff``: only records
    after it, for models whose training data may hold the solutions up to there.
    """

    tiers: tuple[int, ...] | None = None
    since: date | None = None
    until: date | None = None
    hardware: str | None = None
    sandbox: str | None = None
    cutoff: int | None = None

    def admits(self, attempt: Attempt, runs: Sequence[Run]) -> bool:
        """The attempt counts; ``runs`` are those that its score rests on."""
        day = attempt.created[:10]  # as text: what another arena wrote there need not be a day
        return (
            self.tiers in (None, attempt.hint_tiers)
            and (self.since is None or day >= self.since.isoformat())
            and (self.until is None or day <= self.until.isoformat())
            and (self.cutoff is None or attempt.span.first > self.cutoff)
            and all(self.hardware in (None, run.machine.hardware_class) for run in runs)
            and all(self.sandbox in (None, run.sandbox) for run in runs)
        )

    def describe(self) -> tuple[str, ...]:
        """Each condition in words."""
        tiers = None if self.tiers is None else ", ".join(map(str, self.tiers)) or "none"
        said = (
            ("hint tiers", tiers), ("handed in since", self.since), ("handed in until", self.until),
            ("hardware", self.hardware), ("sandbox", self.sandbox), ("records after", self.cutoff),
        )  # fmt: skip
        return tuple(f"{name} {value}" for name, value in said if value is not None)


EVERYTHING = Filter()


def check_known(wanted: str | None, known: Iterable[str], what: str) -> None:
    """UsageError when no run has the value asked for: an empty table would look like an answer."""
    names = sorted(set(known))
    if wanted is not None and wanted not in names:
        raise UsageError(f"no run with {what} {wanted!r}", f"there are: {', '.join(names) or 'no runs yet'}")


def find_cutoff(text: str, dates: Sequence[str]) -> int:
    """The last record that a model may know: a number, or the last one dated (``dates``, ISO, from record 1) by a day.

    0 when the day lies before the first. UsageError for what is neither.
    """
    if text.isdecimal() and int(text) <= len(dates):
        return int(text)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"not a cutoff: {text!r}", f"give a record 0..{len(dates)} or a day such as 2025-06-30"
        ) from None
    return max((number for number, one in enumerate(dates, 1) if date.fromisoformat(one) <= day), default=0)


def run_seconds(run: Run) -> float:
    """The machine's seconds that a run took: wall seconds of all repeats, times its GPUs where it had any."""
    wall = run.wall_seconds if run.wall_seconds is not None else run.seconds
    return (wall or 0.0) * max(1, len(run.repeats)) * max(1, len(run.machine.gpus))


def spent_seconds(measured: Iterable[tuple[Attempt, Sequence[Run]]]) -> dict[str, float]:
    """Agent -> the machine's seconds that its submissions' own runs took; reference runs are nobody's.

    A run that two attempts of an agent share counts once.
    """
    found: dict[str, dict[tuple[str, str, int], float]] = {}
    for attempt, runs in measured:
        own = found.setdefault(attempt.agent, {})
        for run in runs:
            if run.kind == "submission":
                own[run.study, run.tree, run.block] = run_seconds(run)
    return {agent: sum(seconds.values()) for agent, seconds in found.items()}
