"""A diff as rows of a page: numbered, highlighted, the findings beside their lines, cut at a stated limit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from patchrun.core.errors import UnreadableDiff
from patchrun.core.findings import Finding
from patchrun.core.patch import read_patch
from patchrun.faces.report.names import reveal

if TYPE_CHECKING:
    from markupsafe import Markup

    from patchrun.core.sections import Section

MOST_BYTES = 150_000  # of one diff's rows, markup included: with the rest a page stays under 500 KB
FILE_BYTES, ROW_BYTES, NOTE_BYTES = 1000, 90, 1100  # markup of a file, a line, and a finding with its own
MOST_LINE = 400
HUNK = re.compile(r"@@ -([0-9]{1,9})(?:,[0-9]+)? \+([0-9]{1,9})")
KINDS = {"+": "add", "-": "del", " ": "ctx", "\\": "sign"}


@dataclass
class Row:
    """One line: its kind, its numbers in the old and the new file, its text as markup, findings about it."""

    kind: str
    text: Markup
    old: int | None = None
    new: int | None = None
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class FileRows:
    """The rows of one file's diff; ``path`` as the diff spells it."""

    path: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class DiffRows:
    """A diff as far as it is shown: ``shown`` of ``lines`` lines; ``added`` and ``removed`` count the whole."""

    files: tuple[FileRows, ...]
    shown: int
    lines: int
    added: int
    removed: int

    @property
    def is_cut(self) -> bool:
        return self.shown < self.lines


def read_rows(diff: bytes, findings: Iterable[Finding] = (), most: int = MOST_BYTES) -> DiffRows:
    """The rows of ``diff`` until their markup has ``most`` bytes; an unreadable diff has none."""
    try:
        sections = list(read_patch(diff, len(diff) // 1024 + 1).sections)
    except UnreadableDiff:
        return DiffRows((), 0, 0, 0, 0)
    files = tuple(_take_files(sections, [note for note in findings if note.line is not None], most))
    lines = [line for section in sections for line in section.hunks]
    total = len(lines) + sum(len(section.header) for section in sections)
    added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    return DiffRows(files, sum(len(file.rows) for file in files), total, added, removed)


def _take_files(sections: Iterable[Section], notes: Sequence[Finding], room: int) -> Iterator[FileRows]:
    """Files, as many and as much of the last as ``room`` bytes of markup hold."""
    for section in sections:
        rows: list[Row] = []
        room -= FILE_BYTES
        for row in _section_rows(section, notes, room):
            room -= len(row.text.encode("utf-8", "replace")) + ROW_BYTES + NOTE_BYTES * len(row.findings)
            if room < 0:
                break
            rows.append(row)
        if rows:
            yield FileRows(section.names.target, tuple(rows))
        if room < 0:
            return


def _section_rows(section: Section, notes: Sequence[Finding], room: int) -> Iterator[Row]:
    """The header and hunk lines of one file, each with its findings; none where ``room`` holds no line."""
    for number, row in enumerate(_number_rows(section, max(0, room // ROW_BYTES)), section.line):
        places = ((section.names.target, row.new), (None, number))
        row.findings = [note for note in notes if (note.path, note.line) in places]
        yield row


def _number_rows(section: Section, most: int) -> Iterator[Row]:
    """At most ``most`` lines of the header and of the hunks: what is not shown need not be lexed."""
    from markupsafe import escape

    yield from (Row("head", escape(_show(line))) for line in section.header[:most])
    old, new, hunks = 0, 0, section.hunks[:most]
    for line, text in zip(hunks, _highlight(section.names.target, hunks), strict=True):
        if starts := HUNK.match(line):
            old, new = int(starts[1]), int(starts[2])
            yield Row("hunk", text)
            continue
        row = Row(KINDS.get(line[:1], "ctx"), text)
        row.old = old if row.kind in ("del", "ctx") else None
        row.new = new if row.kind in ("add", "ctx") else None
        old, new = old + (row.old is not None), new + (row.new is not None)
        yield row


def _show(line: str) -> str:
    return reveal(line[:MOST_LINE]) + ("…" if len(line) > MOST_LINE else "")


def _highlight(path: str, lines: Sequence[str]) -> list[Markup]:
    """Each line without its sign, as markup: each side of each hunk lexed as a text of its own.

    A hunk may begin inside a string; what follows it must not be taken for one.
    """
    from markupsafe import escape

    plain = [_show(line if line.startswith(("@@", "\\")) else line[1:]) for line in lines]
    marked = [escape(text) for text in plain]
    starts = [k for k, line in enumerate(lines) if line.startswith("@@")]
    for start, end in zip(starts, [*starts, len(lines)][1:], strict=True):
        for sides in ("- ", "+ "):
            chosen = [k for k in range(start, end) if lines[k][:1] in sides]
            for k, text in zip(chosen, _lex(path, [plain[k] for k in chosen]), strict=True):
                marked[k] = text
    return marked


def _lex(path: str, lines: Sequence[str]) -> list[Markup]:
    """Python as spans with short class names; anything else as it is."""
    from markupsafe import Markup, escape
    from pygments.lexers.python import PythonLexer
    from pygments.token import STANDARD_TYPES

    if not path.endswith(".py") or not lines:
        return [escape(line) for line in lines]
    out: list[list[str]] = [[]]
    for token, value in PythonLexer(stripnl=False, ensurenl=False).get_tokens("\n".join(lines)):
        name = SHORT.get(STANDARD_TYPES.get(token, "")[:1], "")
        for at, piece in enumerate(value.split("\n")):
            if at:
                out.append([])
            if piece:
                out[-1].append(_mark(piece, name))
    if len(out) != len(lines):
        return [escape(line) for line in lines]
    return [Markup("").join(map(Markup, pieces)) for pieces in out]


def _mark(piece: str, name: str) -> str:
    from markupsafe import escape

    return f'<span class="{name}">{escape(piece)}</span>' if name and piece.strip() else str(escape(piece))


SHORT = {
    "k": "k",
    "s": "s",
    "c": "c",
    "m": "m",
}  # keywords, strings, comments, numbers: by pygments' first letter
