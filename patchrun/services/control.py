"""The control group: every human patch of a ladder goes through the validator, as an agent's would."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from patchrun.adapters.store import Arena
from patchrun.core.findings import Finding
from patchrun.core.selection import Span
from patchrun.services import materials
from patchrun.services.validator import validate


@dataclass(frozen=True)
class Control:
    """One human patch: its size, whether it gives exactly the stored tree, and what the validator says of it.

    ``files`` is 0 where the record changes no file (only its environment): then nothing is validated.
    """

    record: int
    files: int
    added: int
    removed: int
    exact: bool
    accepted: bool
    findings: tuple[Finding, ...]

    @property
    def codes(self) -> dict[str, int]:
        """How often each ``severity code`` was found, worst first."""
        counts: dict[str, int] = {}
        for finding in self.findings:
            key = f"{finding.severity} {finding.code}"
            counts[key] = counts.get(key, 0) + 1
        return counts


def run_control(arena: Arena) -> list[Control]:
    """Validate the stored human patch of every record that has one."""
    numbers = [record.number for record in arena.ladder.record]
    return [_check(arena, number) for number in numbers if _has_pair(arena, number)]


def _has_pair(arena: Arena, number: int) -> bool:
    return f"refs/heads/baseline/{number}" in arena.code and arena.human(number) is not None


def _check(arena: Arena, number: int) -> Control:
    repo, baseline = arena.repo, arena.baseline(number)
    diff = repo.diff(baseline, repo.resolve(f"refs/patchrun/human/{number}"))
    if not diff:
        return Control(number, 0, 0, 0, True, True, ())
    find_limit = partial(materials.find_limit, arena, Span(number, number))
    found = validate(repo, arena.track.at_record(number), baseline, diff, find_limit)
    exact = found.tree == repo.tree_of(f"refs/patchrun/human/{number}")
    stats = found.stats
    return Control(number, stats.files, stats.added, stats.removed, exact, found.accepted, found.findings)
