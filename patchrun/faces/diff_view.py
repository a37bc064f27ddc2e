"""A submission's diff on a terminal: in colour, side by side where there is room, what is known of a line beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from patchrun.core.findings import Finding
from patchrun.core.pieces import FileChange, Hunk, cut_lines
from patchrun.faces.plain_text import decode_spelled, spell

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from patchrun.core.ablation import Ablation

WIDE = 120  # columns from which old and new stand side by side
CONTEXT = 3
COLOURS = {"error": "bold red", "review": "bold magenta", "warning": "bold yellow", "info": "cyan"}


@dataclass(frozen=True)
class Line:
    """A row: line numbers (from 1) in the old and the new file, None on the side where it is absent."""

    old: int | None
    new: int | None
    hunk: Hunk | None = None
    starts: bool = False


@dataclass(frozen=True)
class Note:
    """Something said of a place: plain text and a style of rich."""

    text: str
    style: str


def lay_out(change: FileChange, hunks: Sequence[Hunk], paired: bool) -> list[list[Line]]:
    """The rows of a file's diff with three lines of context, in stretches between which lines are left out.

    ``paired``: removed and added lines share rows, for two columns; else the removed ones come first.
    """
    total = len(cut_lines(change.before or b""))
    stretches: list[list[Line]] = []
    done, shift = 0, 0
    for hunk in sorted(hunks):
        first = max(hunk.old_first - CONTEXT, done)
        if not stretches or first > done:
            stretches.append([])
        stretches[-1] += _context(first, hunk.old_first, shift)
        stretches[-1] += _pair(hunk) if paired else _stack(hunk)
        shift = hunk.new_end - hunk.old_end
        following = min(
            (h.old_first for h in hunks if h.old_first >= hunk.old_end and h != hunk), default=total
        )
        done = min(hunk.old_end + CONTEXT, following, total)
        stretches[-1] += _context(hunk.old_end, done, shift)
    return stretches


def _context(first: int, end: int, shift: int) -> list[Line]:
    return [Line(k + 1, k + 1 + shift) for k in range(first, end)]


def _stack(hunk: Hunk) -> list[Line]:
    removed = [Line(k + 1, None, hunk) for k in range(hunk.old_first, hunk.old_end)]
    return _mark_first(removed + [Line(None, k + 1, hunk) for k in range(hunk.new_first, hunk.new_end)])


def _pair(hunk: Hunk) -> list[Line]:
    rows = []
    for k in range(max(hunk.removed, hunk.added)):
        old = hunk.old_first + k + 1 if k < hunk.removed else None
        rows.append(Line(old, hunk.new_first + k + 1 if k < hunk.added else None, hunk))
    return _mark_first(rows)


def _mark_first(rows: list[Line]) -> list[Line]:
    return [Line(row.old, row.new, row.hunk, k == 0) for k, row in enumerate(rows)]


class DiffView:
    """One submission's diff: its files, its hunks, its findings, and what an ablation says of its pieces."""

    def __init__(
        self,
        changes: Sequence[FileChange],
        hunks: Mapping[str, Sequence[Hunk]],
        findings: Sequence[Finding] = (),
        ablation: Ablation | None = None,
    ) -> None:
        self.changes, self.hunks, self.findings, self.ablation = changes, hunks, findings, ablation

    def render(self, width: int) -> Iterator[RenderableType]:
        """What rich prints: for each file a heading and its stretches; first what is said of no line that is shown."""
        from rich.text import Text

        wide = width >= WIDE
        shown: set[Finding] = set()
        tables = [part for change in self.changes for part in self._render_file(change, wide, shown)]
        for finding in self.findings:
            if finding not in shown:
                place = f"{finding.path or 'the diff'}{f':{finding.line}' if finding.line else ''}: "
                note = _tell(finding)
                yield Text(spell(place), "bold") + Text(note.text, note.style)
        yield from tables

    def _render_file(self, change: FileChange, wide: bool, shown: set[Finding]) -> Iterator[RenderableType]:
        from rich.rule import Rule
        from rich.text import Text

        sides = [_colour(change.path, data) for data in (change.before, change.after)]
        what = "added" if change.before is None else "removed" if change.after is None else "changed"
        yield Rule(Text(f"{spell(change.path)} ({what})", "bold"), align="left")
        for stretch in lay_out(change, self.hunks[change.path], paired=wide):
            yield self._table(change.path, stretch, sides, wide, shown)

    def _table(
        self, path: str, stretch: Sequence[Line], sides: Sequence[list[Text]], wide: bool, shown: set[Finding]
    ) -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        rows = [(line, self._notes(path, line, shown)) for line in stretch]
        beside = wide and any(notes for _, notes in rows)
        table = Table.grid(padding=(0, 1), expand=True)
        for _ in range(2 if wide else 1):
            table.add_column(justify="right", no_wrap=True)
            table.add_column(ratio=3, overflow="fold")
        if beside:
            table.add_column(ratio=2, overflow="fold")
        for line, notes in rows:
            cells = _cells(line, sides, wide)
            told = Text("\n").join(Text(note.text, note.style) for note in notes)
            table.add_row(*cells, *([told] if beside else []))
            if told and not beside:
                table.add_row("", Text("  ^ ") + told)
        table.add_row("")
        return table

    def _notes(self, path: str, line: Line, shown: set[Finding]) -> list[Note]:
        own = [one for one in self.findings if one.path == path and one.line and one.line == line.new]
        shown |= set(own)
        return [*(_tell(one) for one in own), *(self._worth(line.hunk) if line.starts and line.hunk else [])]

    def _worth(self, hunk: Hunk) -> list[Note]:
        """What the ablation says of the piece that a hunk belongs to."""
        if self.ablation is None:
            return []
        for one in self.ablation.worths:
            if hunk in self.ablation.pieces[one.piece].hunks:
                cost = (
                    "" if one.seconds.difference is None else f", {one.seconds.difference:+.3f} s without it"
                )
                style = {"pays": "green", "carries": "green", "harms": "red"}.get(one.label or "", "blue")
                return [Note(f"piece {one.piece + 1}: {one.label or 'not measured'}{cost}", style)]
        return []


def _tell(finding: Finding) -> Note:
    message = spell(finding.message.split("\n")[0])
    return Note(f"{finding.code} {finding.severity}: {message}", COLOURS[finding.severity])


def _cells(line: Line, sides: Sequence[list[Text]], wide: bool) -> list[Text]:
    """Number and text of both sides, or of the one that stands in a narrow row."""
    old = _cell(line.old, sides[0], "-", "red", line.new is None or line.hunk is not None)
    new = _cell(line.new, sides[1], "+", "green", line.old is None or line.hunk is not None)
    if wide:
        return [*old, *new]
    return old if line.new is None else new


def _cell(
    number: int | None, lines: Sequence[Text], mark: str, style: str, changed: bool
) -> tuple[Text, Text]:
    from rich.text import Text

    if number is None:
        return Text(""), Text("")
    text = lines[number - 1].copy() if number <= len(lines) else Text("")
    if not changed:
        text.stylize("dim")
        return Text(str(number), "dim"), Text("  ") + text
    return Text(str(number), style), Text(f"{mark} ", f"bold {style}") + text


def _colour(path: str, data: bytes | None) -> list[Text]:
    """The lines of a file with the colours of its syntax; nothing in them can steer a terminal."""
    from rich.syntax import Syntax

    lexer = "python" if path.endswith(".py") else "text"
    plain = "\n".join(decode_spelled(line.rstrip(b"\n")).expandtabs(4) for line in cut_lines(data or b""))
    text = Syntax("", lexer, theme="ansi_dark", background_color="default").highlight(plain)
    text.no_wrap = False
    return list(text.split("\n", allow_blank=True))
