"""Where the edits of a spoiled diff belong: which file a name means, and at which line a hunk's old lines stand.

Only one answer counts: a name or a place that could be meant in two ways is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from patchrun.core.edits import FileEdit, Hunk, Refusal

USUAL = (("a", "b"), ("i", "w"), ("c", "i"), ("c", "w"), ("o", "w"), ("1", "2"))
SHOWN = 60  # characters of a line in a message
MOST_PLACES = 5  # line numbers in a message


@dataclass(frozen=True)
class Placed:
    """A hunk and the place of its old lines in the file, 0-based; ``old`` are the file's own lines there."""

    hunk: Hunk
    at: int
    old: tuple[str, ...]

    @property
    def end(self) -> int:
        return self.at + len(self.old)

    @property
    def changes(self) -> Placed:
        """The same without the context before its first and after its last change; empty where it changes nothing."""
        lines = self.hunk.lines
        changed = [at for at, line in enumerate(lines) if line.sign != " "]
        first, last = (changed[0], changed[-1] + 1) if changed else (0, 0)
        kept = replace(self.hunk, lines=lines[first:last])
        return Placed(kept, self.at + first, self.old[first : first + len(kept.old)])


def find_file(edit: FileEdit, known: Collection[str]) -> tuple[str, bool]:
    """(the file that an edit changes, whether its names had to be read otherwise than git reads them).

    Raises:
        Refusal: its names mean no file or different ones.
    """
    names = [name for name in edit.names if name is not None]
    if not names:
        if len(known) == 1:
            return next(iter(known)), True
        raise Refusal(
            f"the diff at line {edit.number} names no file",
            "put `--- a/FILE` and `+++ b/FILE` before its hunks",
            edit.number,
        )
    if len(edit.names) > 1 and _prefixes(edit.names) and len({_cut(name) for name in names}) == 1 and (
        _cut(names[0]) in known or None in edit.names
    ):  # fmt: skip
        return _cut(names[0]), False
    meant = {file for name in names for file in _candidates(name, known)}
    if not meant and edit.creates:
        return names[-1].removeprefix("./"), True
    if len(meant) != 1 or any(not _candidates(name, known) for name in names):
        said = " and ".join(dict.fromkeys(repr(name) for name in names))
        files = ", ".join(sorted(meant)) or "none"
        raise Refusal(
            f"the names {said} at line {edit.number} of the diff can mean these files of the baseline: {files}",
            f"this baseline tracks {', '.join(sorted(known)[:MOST_PLACES])}: name one of them on both lines",
            edit.number,
        )
    return next(iter(meant)), True


def place_hunk(hunk: Hunk, lines: Sequence[str], path: str) -> tuple[Placed, list[str]]:
    """The place of a hunk in a file's ``lines`` (with their newlines), and what had to be passed over for it.

    Raises:
        Refusal: its old lines stand nowhere, or in several places of which its header names none.
    """
    old = hunk.old
    if not old:
        return _place_insertion(hunk, lines, path)
    for same, mend in ((_same, ""), (_same_but_blanks, "white space at the end of lines")):
        places = _find(old, lines, same)
        stated = None if hunk.start is None else hunk.start - 1
        if stated in places:
            at = stated
        elif len(places) == 1:
            at = places[0]
        elif places:
            raise _refuse_several(hunk, places, path)
        else:
            continue
        mends = [mend] if mend else []
        if at != stated:
            mends.append("line numbers" if hunk.start is not None else "hunk headers without line numbers")
        return Placed(hunk, at, tuple(lines[at : at + len(old)])), mends
    raise _refuse_absent(hunk, lines, path)


def order(placed: Iterable[Placed], path: str) -> list[Placed]:
    """The hunks of a file from its top to its bottom.

    Raises:
        Refusal: two of them claim the same lines, or add lines at the same place.
    """
    ordered = sorted(placed, key=lambda one: (one.at, one.end))
    for before, after in zip(ordered, ordered[1:], strict=False):
        if after.at < before.end or (after.at == before.at and after.end == before.end):
            raise Refusal(
                f"the hunks at lines {before.hunk.number} and {after.hunk.number} of the diff overlap at line "
                f"{after.at + 1} of {path}",
                "merge them into one hunk",
                after.hunk.number,
            )
    return ordered


def _place_insertion(hunk: Hunk, lines: Sequence[str], path: str) -> tuple[Placed, list[str]]:
    if not lines and hunk.start in (0, None):
        return Placed(hunk, 0, ()), []
    raise Refusal(
        f"the hunk at line {hunk.number} only adds lines, and nothing says beside which lines of {path}",
        "make the diff with context: `git diff -U3`",
        hunk.number,
    )


def _prefixes(names: Sequence[str | None]) -> bool:
    """Whether the names bear the prefixes that git or diff writes."""
    first, last = (None if name is None else name.split("/", 1)[0] for name in (names[0], names[-1]))
    return any(first in (None, a) and last in (None, b) for pair in USUAL for a, b in (pair, pair[::-1]))


def _cut(name: str) -> str:
    return name.split("/", 1)[-1]


def _candidates(name: str, known: Collection[str]) -> set[str]:
    """The files that ``name`` can mean: itself, or what is left when leading folders are taken away."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        return set()
    return {"/".join(parts[at:]) for at in range(len(parts))} & set(known)


def _find(old: Sequence[str], lines: Sequence[str], same: Callable[[str, str], bool]) -> list[int]:
    rare = max(range(len(old)), key=lambda at: len(old[at].strip()))
    starts = [at - rare for at, line in enumerate(lines) if same(old[rare], line)]
    return [
        at for at in starts
        if at >= 0 and at + len(old) <= len(lines) and all(map(same, old, lines[at : at + len(old)]))
    ]  # fmt: skip


def _same(one: str, other: str) -> bool:
    return one == other


def _same_but_blanks(one: str, other: str) -> bool:
    return one.rstrip(" \t\n") == other.rstrip(" \t\n")


def _refuse_several(hunk: Hunk, places: Sequence[int], path: str) -> Refusal:
    shown = ", ".join(str(at + 1) for at in places[:MOST_PLACES])
    more = f" and {len(places) - MOST_PLACES} more" if len(places) > MOST_PLACES else ""
    return Refusal(
        f"the old lines of the hunk at line {hunk.number} stand in {len(places)} places of {path} (lines {shown}"
        f"{more}), and its header names none of them",
        "give it more context: `git diff -U10`",
        hunk.number,
    )


def _refuse_absent(hunk: Hunk, lines: Sequence[str], path: str) -> Refusal:
    """Names the first line that differs at the place where most of the hunk's old lines stand."""
    old = [line for line in hunk.lines if line.sign != "+"]
    at, score = _nearest(hunk.old, lines, hunk.start)
    bad = next((i for i, line in enumerate(old) if not _stands(line.text, lines, at + i)), 0)
    there = lines[at + bad].rstrip("\n") if 0 <= at + bad < len(lines) else "the end of the file"
    if score == 0 and hunk.start is None:
        return Refusal(
            f"none of the old lines of the hunk at line {hunk.number} stands in {path}",
            "make the diff against this baseline: `patchrun checkout N DIR`, edit, `git diff`",
            hunk.number,
        )
    said = f"line {old[bad].number} of the diff says {_show(old[bad].text)}"
    return Refusal(
        f"{said}, and line {at + bad + 1} of {path} is {_show(there)}",
        "copy the context from the baseline as it is, then make the change",
        old[bad].number,
    )


def _nearest(old: Sequence[str], lines: Sequence[str], start: int | None) -> tuple[int, int]:
    """(place, how many lines agree) where most of ``old`` stands, the stated place first among equals."""
    votes: dict[int, int] = {}
    where: dict[str, list[int]] = {}
    for at, line in enumerate(lines):
        where.setdefault(line.rstrip(), []).append(at)
    for offset, line in enumerate(old):
        places = where.get(line.rstrip(), [])
        if line.strip() and len(places) <= 50:
            for at in places:
                votes[at - offset] = votes.get(at - offset, 0) + 1
    stated = (start or 1) - 1
    if not votes:
        return stated, 0
    best = max(votes, key=lambda at: (votes[at], -abs(at - stated)))
    return best, votes[best]


def _stands(text: str, lines: Sequence[str], at: int) -> bool:
    return 0 <= at < len(lines) and _same_but_blanks(text, lines[at])


def _show(text: str) -> str:
    plain = text.rstrip("\n")
    return repr(plain if len(plain) <= SHOWN else plain[:SHOWN] + "...")
