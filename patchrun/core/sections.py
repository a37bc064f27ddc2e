"""The diffs of single files inside a text: where they begin and end, and which files their headers name.

The counts of each ``@@`` line decide where a hunk ends, as they do for git: a removed line may look like a header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

HUNK = re.compile(r"@@ -\d{1,9}(?:,(\d{1,9}))? \+\d{1,9}(?:,(\d{1,9}))? @@")
HEADER_WORDS = (
    "index ", "old mode ", "new mode ", "deleted file mode ", "new file mode ", "copy from ", "copy to ",
    "rename from ", "rename to ", "similarity index ", "dissimilarity index ", "--- ", "+++ ",
    "GIT binary patch", "Binary files ",
)  # fmt: skip
ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


@dataclass(frozen=True)
class Section:
    """The diff of one file: its header lines and its hunk lines, ``line`` being the first one's number.

    ``surplus`` is the number of a line that follows a hunk whose header does not count it, else None.
    """

    line: int
    header: tuple[str, ...]
    hunks: tuple[str, ...]
    surplus: int | None = None

    @property
    def names(self) -> Names:
        return read_names(self.header)

    def added_lines(self) -> Iterator[tuple[int, str]]:
        """The header and added lines with their numbers in the diff: all that a patch brings in."""
        yield from enumerate(self.header, self.line)
        first = self.line + len(self.header)
        yield from ((number, text) for number, text in enumerate(self.hunks, first) if text.startswith("+"))


@dataclass(frozen=True)
class Names:
    """What a header says: the file that results, whether its lines agree, and every name in them."""

    target: str
    agree: bool
    spelled: frozenset[str]


def read_sections(lines: list[str], first: int) -> Iterator[Section]:
    """The diffs of single files among ``lines``, whose first has the number ``first``."""
    at = 0
    while at < len(lines):
        if not _begins_section(lines, at):
            at += 1
            continue
        hunks = _end_of_header(lines, at)
        end = hunks
        while end < len(lines) and (after := _end_of_hunk(lines, end)):
            end = after
        surplus = end + first if _goes_on(lines, end) and end > hunks else None
        yield Section(at + first, tuple(lines[at:hunks]), tuple(lines[hunks:end]), surplus)
        at = end


def read_names(header: Sequence[str]) -> Names:
    """The names in the header of one file's diff, their first folder (a/, b/) taken off as git does."""
    minus = [_side(name) for name in _said(header, "--- ")]
    plus = [_side(name) for name in _said(header, "+++ ")]
    sources = [decode_name(name) for verb in ("rename", "copy") for name in _said(header, f"{verb} from ")]
    targets = [decode_name(name) for verb in ("rename", "copy") for name in _said(header, f"{verb} to ")]
    if sources and targets:
        old, new = {*sources, *minus} - {None}, {*targets, *plus} - {None}
        return Names(targets[0], len(old) == len(new) == 1, frozenset(old | new))
    pair = _pair(header[0].rstrip("\r"))
    stated = [name for name in (*plus, *minus, *pair) if name]
    return Names(stated[0] if stated else "", len(set(stated)) == 1, frozenset(stated))


def _said(header: Sequence[str], word: str) -> list[str]:
    return [line[len(word) :].rstrip("\r") for line in header if line.startswith(word)]


def _pair(line: str) -> tuple[str, ...]:
    """Both names of a ``diff --git`` line; two that differ when they cannot be told apart; () for other lines."""
    if not line.startswith("diff --git "):
        return ()
    rest = line.removeprefix("diff --git ")
    if match := re.fullmatch(r'("(?:\\.|[^"\\])*"|\S+) ("(?:\\.|[^"\\])*"|\S+)', rest):
        return _strip(decode_name(match[1])), _strip(decode_name(match[2]))
    middle = len(rest) // 2
    return _strip(rest[:middle].rstrip()), _strip(rest[middle:].lstrip())


def _side(name: str) -> str | None:
    """The file on a --- or +++ line, without its timestamp; None for /dev/null."""
    plain = decode_name(name if name.startswith('"') else name.split("\t")[0])
    return None if plain == "/dev/null" else _strip(plain)


def decode_name(name: str) -> str:
    """A name as git writes it, its C quoting undone."""
    if not name.startswith('"'):
        return name
    inner = name[1:].rsplit('"', 1)[0].encode("utf-8", "surrogateescape")
    plain = re.sub(rb"\\([0-7]{3}|.)", lambda match: _unescape(match[1]), inner)
    return plain.decode("utf-8", "surrogateescape")


def _unescape(code: bytes) -> bytes:
    return bytes([int(code, 8) % 256]) if len(code) == 3 else ESCAPES.get(code, code)


def _strip(name: str) -> str:
    return name.split("/", 1)[1] if "/" in name else name


def _begins_section(lines: list[str], at: int) -> bool:
    if lines[at].startswith("diff --git "):
        return True
    pair = lines[at].startswith("--- ") and "".join(lines[at + 1 : at + 2]).startswith("+++ ")
    return pair and "".join(lines[at + 2 : at + 3]).startswith("@@ -")


def _end_of_header(lines: list[str], at: int) -> int:
    at += 1
    while at < len(lines) and lines[at].startswith(HEADER_WORDS):
        at += 1
    return at


def _end_of_hunk(lines: list[str], at: int) -> int | None:
    """The place after the hunk at ``at``, as its own counts have it or where its lines end; None if none is there."""
    header = HUNK.match(lines[at])
    if not header:
        return None
    old, new = (1 if count is None else int(count) for count in header.groups())
    at += 1
    while at < len(lines) and (old > 0 or new > 0) and lines[at][:1] in ("", " ", "+", "-", "\\", "\r"):
        old -= lines[at][:1] in ("", " ", "-", "\r")
        new -= lines[at][:1] in ("", " ", "+", "\r")
        at += 1
    while at < len(lines) and lines[at].startswith("\\"):
        at += 1
    return at


def _goes_on(lines: list[str], at: int) -> bool:
    """Whether a hunk's lines go on at ``at``: not the next diff, not a mail's signature, not prose."""
    if at >= len(lines) or _begins_section(lines, at) or lines[at].rstrip() in ("--", "-- "):
        return False
    if lines[at].startswith(("+", "-", " ")):
        return True
    if lines[at] != "":
        return False
    text = next((lines[later] for later in range(at, len(lines)) if lines[later].strip()), "")
    return text.startswith(("+", " "))
