"""What a submission changes, taken apart for people: its files and hunks, and another patch to the same baseline."""

from __future__ import annotations

from dataclasses import dataclass

from patchrun.adapters.store import Arena
from patchrun.core.errors import UsageError
from patchrun.core.pieces import FileChange, Hunk
from patchrun.core.results import Attempt
from patchrun.core.twopatches import Change, Comparison, compare_patches, read_changes
from patchrun.services import pieces


@dataclass(frozen=True)
class Changed:
    """The files that differ from the baseline, and the hunks of each by path."""

    files: tuple[FileChange, ...]
    hunks: dict[str, list[Hunk]]


def read_changed(arena: Arena, before: str, after: str) -> Changed:
    """What differs between two commits or trees.

    Raises:
        UsageError: something other than plain files differs.
    """
    trees = [arena.repo.resolve(f"{name}^{{tree}}") for name in (before, after)]
    files = tuple(pieces.read_changes(arena, *trees))
    return Changed(files, {change.path: pieces.find_hunks(arena, change) for change in files})


def compare(arena: Arena, attempt: Attempt, other: str) -> tuple[Comparison, str]:
    """The submission against ``human`` or another submission's id, and the other's name in words.

    Raises:
        UsageError: one of them was rejected, or they are patches to different baselines.
    """
    mine = read_changed(arena, attempt.baseline_commit, _commit(arena, attempt))
    if other == "human":
        commit, name = _human(arena, attempt), f"human patch {attempt.span.last}"
    else:
        found = arena.attempt(other)
        if found.baseline_commit != attempt.baseline_commit:
            raise UsageError(
                f"{found.id} is a patch for record {found.record}, {attempt.id} for record {attempt.record}",
                "compare patches to the same baseline",
            )
        commit, name = _commit(arena, found), f"{found.id[:12]} by {found.agent}"
    theirs = read_changed(arena, attempt.baseline_commit, commit)
    return compare_patches(_read(mine), _read(theirs)), name


def _read(changed: Changed) -> list[Change]:
    hunks = [hunk for own in changed.hunks.values() for hunk in own]
    return read_changes(hunks, {change.path: change for change in changed.files})


def _commit(arena: Arena, attempt: Attempt) -> str:
    if not attempt.accepted:
        raise UsageError(f"{attempt.id} was rejected: it has no patched code", "`patchrun show` says why")
    return arena.submission(attempt.id)


def _human(arena: Arena, attempt: Attempt) -> str:
    commit = arena.human(attempt.span.last)
    if commit is None:
        raise UsageError(f"record {attempt.span.last} has no human patch", "name another submission's id")
    return commit
