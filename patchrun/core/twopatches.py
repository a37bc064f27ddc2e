"""Two patches to one baseline: what both change, what only one does, by the changed lines of the resulting files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from patchrun.core.pieces import FileChange, Hunk, cut_lines


@dataclass(frozen=True)
class Change:
    """A hunk with its lines: ``old`` are the baseline's, ``new`` what the patch puts in their place."""

    hunk: Hunk
    old: tuple[bytes, ...]
    new: tuple[bytes, ...]


@dataclass(frozen=True)
class Comparison:
    """``both``: the same change; ``differ``: the same lines changed in two ways, as (of a, of b); and the rest."""

    both: tuple[Change, ...]
    differ: tuple[tuple[tuple[Change, ...], tuple[Change, ...]], ...]
    only_a: tuple[Change, ...]
    only_b: tuple[Change, ...]


def read_changes(hunks: Sequence[Hunk], files: Mapping[str, FileChange]) -> list[Change]:
    """The hunks with their lines."""
    found = []
    for hunk in sorted(hunks):
        before, after = (cut_lines(data or b"") for data in (files[hunk.path].before, files[hunk.path].after))
        old, new = before[hunk.old_first : hunk.old_end], after[hunk.new_first : hunk.new_end]
        found.append(Change(hunk, tuple(old), tuple(new)))
    return found


def compare_patches(a: Sequence[Change], b: Sequence[Change]) -> Comparison:
    """Group the changes of two patches to the same baseline.

    The same lines replaced by the same lines are one change. Others that touch a common line of the baseline (or
    insert at the same place) are two ways; each group of those is as small as can be.
    """
    keys_a, keys_b = ({_key(one) for one in side} for side in (a, b))
    both = [one for one in a if _key(one) in keys_b]
    left, right = [x for x in a if _key(x) not in keys_b], [x for x in b if _key(x) not in keys_a]
    groups = _group(left, right)
    differ = tuple((tuple(one), tuple(other)) for one, other in groups if one and other)
    return Comparison(
        tuple(both), differ,
        tuple(x for one, other in groups if not other for x in one),
        tuple(x for one, other in groups if not one for x in other),
    )  # fmt: skip


def _key(change: Change) -> tuple:
    hunk = change.hunk
    return hunk.path, hunk.old_first, hunk.old_end, change.new


def _group(left: Sequence[Change], right: Sequence[Change]) -> list[tuple[list[Change], list[Change]]]:
    """Changes of either side in order of place, those that overlap (through a chain of others) together."""
    marked = [(one, 0) for one in left] + [(one, 1) for one in right]
    marked.sort(key=lambda pair: (pair[0].hunk.path, pair[0].hunk.old_first, pair[0].hunk.old_end))
    groups: list[tuple[list[Change], list[Change]]] = []
    path, end = "", -1
    for change, side in marked:
        hunk = change.hunk
        if hunk.path != path or not _touches(hunk, end, groups[-1] if groups else None):
            groups.append(([], []))
            path, end = hunk.path, hunk.old_end
        groups[-1][side].append(change)
        end = max(end, hunk.old_end)
    return groups


def _touches(hunk: Hunk, end: int, group: tuple[list[Change], list[Change]] | None) -> bool:
    """It begins inside what the group covers, or both insert at the same place."""
    if hunk.old_first < end:
        return True
    last = [change.hunk for side in group or () for change in side]
    return (
        any(one.old_first == hunk.old_first == one.old_end for one in last) and hunk.old_first == hunk.old_end
    )
