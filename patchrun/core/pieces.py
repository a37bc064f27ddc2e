"""A patch as hunks and as pieces: what changed between two trees, cut so that any part of it can be put on alone.

A hunk is a range of lines of the old file and the range that takes its place in the new one. Putting some hunks on
is exact: there is no context that could match elsewhere, and no offset.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

HUNK_HEADER = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


COARSE = "neighbours, to keep within the budget"


class Hunk(msgspec.Struct, frozen=True, order=True):
    """Lines ``old_first`` up to ``old_end`` (from 0, end excluded) of ``path`` become the new file's lines.

    ``whole``: the file is added, removed, or changes its mode, and is one hunk for that.
    """

    path: str
    old_first: int
    old_end: int
    new_first: int
    new_end: int
    whole: bool = False

    @property
    def added(self) -> int:
        return self.new_end - self.new_first

    @property
    def removed(self) -> int:
        return self.old_end - self.old_first


class FileChange(msgspec.Struct, frozen=True):
    """A file in two trees; None where it is absent. Modes are git's, as octal text."""

    path: str
    before: bytes | None
    after: bytes | None
    old_mode: str = "100644"
    new_mode: str = "100644"

    @property
    def is_whole(self) -> bool:
        """It cannot be changed in part."""
        return self.before is None or self.after is None or self.old_mode != self.new_mode


def cut_lines(data: bytes) -> list[bytes]:
    """The lines as git counts them, each with its newline; the last one may lack it."""
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def read_hunks(change: FileChange, diff: bytes) -> list[Hunk]:
    """The hunks of ``git diff -U0`` of one file, in order; hunks that only blank lines part are one."""
    if change.is_whole:
        old, new = (len(cut_lines(data or b"")) for data in (change.before, change.after))
        return [Hunk(change.path, 0, old, 0, new, True)]
    found = [
        _read_header(change.path, match) for line in diff.split(b"\n") if (match := HUNK_HEADER.match(line))
    ]
    return _join_neighbours(found, cut_lines(change.before or b""))


def _read_header(path: str, match: re.Match[bytes]) -> Hunk:
    """git names an empty range by the line before it."""
    old_start, old_count, new_start, new_count = (1 if word is None else int(word) for word in match.groups())
    old, new = old_start - (old_count > 0), new_start - (new_count > 0)
    return Hunk(path, old, old + old_count, new, new + new_count)


def _join_neighbours(hunks: Iterable[Hunk], before: Sequence[bytes]) -> list[Hunk]:
    joined: list[Hunk] = []
    for hunk in hunks:
        last = joined[-1] if joined else None
        if last and not any(line.strip() for line in before[last.old_end : hunk.old_first]):
            joined[-1] = Hunk(hunk.path, last.old_first, hunk.old_end, last.new_first, hunk.new_end)
        else:
            joined.append(hunk)
    return joined


def put_on(change: FileChange, hunks: Collection[Hunk]) -> bytes | None:
    """The file with these of its hunks and no others; None where it is absent then."""
    if not hunks:
        return change.before
    if change.is_whole:
        return change.after
    before, after = cut_lines(change.before or b""), cut_lines(change.after or b"")
    lines, at = [], 0
    for hunk in sorted(hunks):
        lines += [*before[at : hunk.old_first], *after[hunk.new_first : hunk.new_end]]
        at = hunk.old_end
    return b"".join([*lines, *before[at:]])


class Piece(msgspec.Struct, frozen=True, order=True):
    """Hunks that are taken or left together, and why they are one."""

    hunks: tuple[Hunk, ...]
    reason: str = ""

    @property
    def added(self) -> int:
        return sum(hunk.added for hunk in self.hunks)

    @property
    def removed(self) -> int:
        return sum(hunk.removed for hunk in self.hunks)

    @property
    def places(self) -> str:
        """Where it is, by lines of the old files from 1: ``train.py:12-14,20``."""
        by_path: dict[str, list[str]] = {}
        for hunk in self.hunks:
            by_path.setdefault(hunk.path, []).append(_say_lines(hunk))
        return "; ".join(f"{path}:{','.join(lines)}" for path, lines in by_path.items())


def _say_lines(hunk: Hunk) -> str:
    first, last = hunk.old_first + 1, hunk.old_end
    if last < first:
        return f"{hunk.old_first}+"  # added below this line
    return str(first) if first == last else f"{first}-{last}"


def merge(pieces: Sequence[Piece], pairs: Mapping[tuple[int, int], str]) -> list[Piece]:
    """The pieces with those of each pair (by index) made one, in order; the reasons are kept."""
    group = list(range(len(pieces)))
    for first, second in pairs:
        old, new = sorted((group[first], group[second]), reverse=True)
        group = [new if one == old else one for one in group]
    merged: dict[int, list[int]] = {}
    for index, name in enumerate(group):
        merged.setdefault(name, []).append(index)
    return sorted(_make_one([pieces[k] for k in own], _reasons(own, pairs)) for own in merged.values())


def _reasons(members: Sequence[int], pairs: Mapping[tuple[int, int], str]) -> list[str]:
    return [reason for (first, second), reason in pairs.items() if first in members and second in members]


def _make_one(pieces: Sequence[Piece], reasons: Sequence[str]) -> Piece:
    words = dict.fromkeys(reason for reason in (*(piece.reason for piece in pieces), *reasons) if reason)
    return Piece(tuple(sorted(hunk for piece in pieces for hunk in piece.hunks)), "; ".join(words))


def coarsen(pieces: Sequence[Piece], most: int) -> list[Piece]:
    """At most ``most`` pieces: again and again the two neighbours with the fewest lines become one."""
    found = list(pieces)
    while len(found) > max(most, 1):
        at = min(range(len(found) - 1), key=lambda k: _size(found[k]) + _size(found[k + 1]))
        found[at : at + 2] = [_make_one(found[at : at + 2], [COARSE])]
    return found


def _size(piece: Piece) -> int:
    return piece.added + piece.removed
