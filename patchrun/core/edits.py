"""Reading edits from a diff whose form is spoiled: files, hunks and signed lines, by whatever of them can be told.

Counts of a ``@@`` line are taken where its lines bear them out; else a hunk ends where the next hunk, file, fence or
prose begins. Two other formats that models write are read as the same edits: ``apply_patch`` and SEARCH/REPLACE.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from patchrun.core.sections import HEADER_WORDS, decode_name

NUMBERS = re.compile(r"@@+ *-(\d{1,9})(?:,(\d{1,9}))? +\+(\d{1,9})(?:,(\d{1,9}))? *@@")
UPDATE = re.compile(r"\*\*\* (Update|Add|Delete) File: (.+)")
SEARCH, MIDDLE, REPLACE = re.compile(r"<{5,9} ?SEARCH"), re.compile(r"={5,9}"), re.compile(r">{5,9} ?REPLACE")
NO_NEWLINE = "\\"
UNREADABLE = ("rename ", "copy ", "similarity ", "dissimilarity ", "GIT binary patch", "Binary files ")
NAME_FIRST = re.compile(r"[`*#\s]*([\w./\- ]+?\.\w+)[`*:\s]*")


class Refusal(Exception):
    """A diff that cannot be brought into a normal form; ``hint`` is true for this very case."""

    def __init__(self, message: str, hint: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message, self.hint, self.line = message, hint, line


class NoEdits(Refusal):
    """There is nothing in the text that could be an edit."""


@dataclass(frozen=True)
class Line:
    """A line of a hunk: its number in the diff, its sign (" ", "+" or "-"), and its text with its newline, if any."""

    number: int
    sign: str
    text: str


@dataclass(frozen=True)
class Hunk:
    """``start``: the old file's line that its header names, 1-based, None where it names none."""

    number: int
    start: int | None
    lines: tuple[Line, ...]
    counted: bool

    @property
    def old(self) -> list[str]:
        return [line.text for line in self.lines if line.sign != "+"]


@dataclass
class FileEdit:
    """The edits of one file: its names as the header spells them, None for /dev/null, none where there is no header."""

    number: int
    names: list[str | None] = field(default_factory=list)
    hunks: list[Hunk] = field(default_factory=list)
    mode: str = "100644"

    @property
    def creates(self) -> bool:
        return bool(self.names) and self.names[0] is None

    @property
    def deletes(self) -> bool:
        return len(self.names) > 1 and self.names[-1] is None


def read_edits(lines: Sequence[str], first: int = 1) -> list[FileEdit]:
    """The edits in ``lines``, which have no newlines; the number of the first one is ``first``.

    Raises:
        Refusal: a hunk has lines without a sign, stands before any file, or a file is renamed, copied or binary.
    """
    reader = _Reader(lines, first)
    while reader.at < len(lines):
        reader.step()
    return [edit for edit in reader.edits if edit.hunks or edit.deletes or edit.creates]


class _Reader:
    """Goes over the lines once; ``at`` is the place of the next one."""

    def __init__(self, lines: Sequence[str], first: int) -> None:
        self.lines, self.first, self.at = lines, first, 0
        self.edits: list[FileEdit] = []

    def step(self) -> None:
        """Read what begins here: a file's header, a hunk, a block, or a line of prose."""
        line = self.lines[self.at]
        if begins_file(self.lines, self.at, bare=True):
            self._read_header()
        elif UPDATE.fullmatch(line):
            self._read_update()
        elif line.startswith("@@"):
            self._read_hunk()
        elif SEARCH.match(line):
            self._read_block()
        elif self._is_left_over(line):
            raise Refusal(
                f"line {self._number()} goes on after the end of a hunk, without a sign or a header before it",
                "begin each line of a hunk with a space, + or -, and each hunk with an @@ line",
                self._number(),
            )
        else:
            self.at += 1

    def _number(self, at: int | None = None) -> int:
        return self.first + (self.at if at is None else at)

    def _is_left_over(self, line: str) -> bool:
        """A signed line in prose, right behind what ended a hunk: it would be lost."""
        if not self.edits or not self.edits[-1].hunks or line.rstrip() in ("--", "---", "+++"):
            return False
        return line.startswith(("+", "-")) and not line.startswith(("- ", "+ ")) and self._is_near_hunk()

    def _is_near_hunk(self) -> bool:
        last = self.edits[-1].hunks[-1]
        end = last.lines[-1].number if last.lines else last.number
        return self._number() - end <= 2

    def _read_header(self) -> None:
        edit = FileEdit(self._number())
        while self.at < len(self.lines) and (
            self.at == edit.number - self.first or self.lines[self.at].startswith(HEADER_WORDS)
        ):
            line = self.lines[self.at]
            if line.startswith(UNREADABLE):
                raise Refusal(
                    f"line {self._number()} renames, copies or replaces a binary file: that has one form only",
                    "make the diff with `git diff --no-renames`, of text files",
                    self._number(),
                )
            if line.startswith(("--- ", "+++ ")):
                edit.names.append(_read_name(line[4:]))
            elif line.startswith("new file mode "):
                edit.mode = line.split()[-1]
            self.at += 1
        self._compare_names(edit, _names_of_git_line(self.lines[edit.number - self.first]))
        self.edits.append(edit)
        if self.at < len(self.lines) and self.lines[self.at].startswith(("+", "-", " ")):
            self._take_hunk(self._number(), None, None)

    def _compare_names(self, edit: FileEdit, stated: list[str]) -> None:
        """The names of the ``diff --git`` line must be those of the lines below it, or stand for them."""
        below = {_cut(name) for name in edit.names if name is not None}
        if below and stated and not below & {_cut(name) for name in stated}:
            raise Refusal(
                f"the header lines of the diff at line {edit.number} name different files: {', '.join(stated)} and "
                f"{', '.join(name or '/dev/null' for name in edit.names)}",
                "name one file on the diff, --- and +++ lines",
                edit.number,
            )
        edit.names = edit.names or [*stated]

    def _read_update(self) -> None:
        match = UPDATE.fullmatch(self.lines[self.at])
        assert match
        name = match[2].strip()
        names: dict[str, list[str | None]] = {
            "Update": [name, name], "Add": [None, name], "Delete": [name, None]
        }  # fmt: skip
        self.edits.append(FileEdit(self._number(), names[match[1]]))
        self.at += 1
        if self.at < len(self.lines) and self.lines[self.at][:1] in ("+", "-", " ") and match[1] != "Delete":
            self._take_hunk(self._number(self.at - 1), None, None)

    def _read_hunk(self) -> None:
        if not self.edits:
            raise Refusal(
                f"line {self._number()} begins a hunk, and no line before it names a file",
                "put `--- a/FILE` and `+++ b/FILE` before the hunks of each file",
                self._number(),
            )
        numbers = NUMBERS.match(self.lines[self.at])
        number, self.at = self._number(), self.at + 1
        start = int(numbers[1]) if numbers else None
        counts = (int(numbers[2] or 1), int(numbers[4] or 1)) if numbers else None
        self._take_hunk(number, start, counts)

    def _take_hunk(self, number: int, start: int | None, counts: tuple[int, int] | None) -> None:
        end = counts and self._end_by_counts(*counts)
        counted = bool(end)
        end = end or self._end_by_look()
        lines = tuple(self._signed(self._leave_blank_end(end)))
        if not lines:
            raise Refusal(f"the hunk at line {number} has no lines", "leave it out", number)
        self.edits[-1].hunks.append(Hunk(number, start, lines, counted))
        self.at = end

    def _end_by_counts(self, old: int, new: int) -> int | None:
        """The place after the lines that the header counts, None where the lines do not bear it out."""
        at = self.at
        while (old > 0 or new > 0) and at < len(self.lines):
            sign = self.lines[at][:1] or " "
            if sign == "\r":
                sign = " "
            if sign not in " +-\\":
                return None
            old -= sign in " -"
            new -= sign in " +"
            at += 1
        while at < len(self.lines) and self.lines[at].startswith(NO_NEWLINE):
            at += 1
        return at if old == new == 0 and not self._goes_on(at) else None

    def _goes_on(self, at: int) -> bool:
        if at >= len(self.lines) or begins_file(self.lines, at) or _is_signature(self.lines, at):
            return False
        return self.lines[at].startswith(("+", "-", " "))

    def _end_by_look(self) -> int:
        """The place where the hunk ends by the look of its lines; blank ones at its end are not its own."""
        at = self.at
        while at < len(self.lines) and self.lines[at][:1] in ("", " ", "+", "-", "\\", "\r"):
            if begins_file(self.lines, at) or _is_signature(self.lines, at):
                break
            at += 1
        return self._leave_blank_end(at)

    def _leave_blank_end(self, end: int) -> int:
        """The place before the blank lines at a hunk's end: context or not, they change nothing."""
        while end > self.at and self.lines[end - 1].rstrip("\r") == "":
            end -= 1
        return end

    def _signed(self, end: int) -> Iterator[Line]:
        for at in range(self.at, end):
            line = self.lines[at]
            if line.startswith(NO_NEWLINE):
                continue
            bare = at + 1 < end and self.lines[at + 1].startswith(NO_NEWLINE)
            sign = " " if line.rstrip("\r") == "" else line[0]
            text = line if line.rstrip("\r") == "" else line[1:]
            yield Line(self._number(at), sign, text + ("" if bare else "\n"))

    def _read_block(self) -> None:
        """A SEARCH/REPLACE block: old lines, new lines, the file's name on a line before it."""
        middle = self._find(MIDDLE, self.at + 1)
        end = None if middle is None else self._find(REPLACE, middle + 1)
        if middle is None or end is None:
            raise Refusal(
                f"the SEARCH block at line {self._number()} does not end", "close it", self._number()
            )
        name = self._name_before(self.at)
        if name:
            self.edits.append(FileEdit(self._number(), [name, name]))
        elif not self.edits:
            raise Refusal(
                f"the SEARCH block at line {self._number()} names no file",
                "write the file's name on the line before it",
                self._number(),
            )
        old = [Line(self._number(at), "-", self.lines[at] + "\n") for at in range(self.at + 1, middle)]
        new = [Line(self._number(at), "+", self.lines[at] + "\n") for at in range(middle + 1, end)]
        self.edits[-1].hunks.append(Hunk(self._number(), None, (*old, *new), False))
        self.at = end + 1

    def _find(self, pattern: re.Pattern[str], at: int) -> int | None:
        return next(
            (i for i in range(at, len(self.lines)) if pattern.fullmatch(self.lines[i].rstrip())), None
        )

    def _name_before(self, at: int) -> str:
        """A file's name on one of the two lines before ``at``, fences passed over."""
        before = [line for line in self.lines[max(0, at - 3) : at] if not line.strip().startswith("```")]
        match = NAME_FIRST.fullmatch(before[-1]) if before and before[-1].strip() else None
        return match[1].strip() if match else ""


def begins_file(lines: Sequence[str], at: int, bare: bool = False) -> bool:
    """Whether the header of a file's diff begins at ``at``; ``bare``: also one whose hunk has no @@ line."""
    if lines[at].startswith("diff --git "):
        return True
    pair = lines[at].startswith("--- ") and "".join(lines[at + 1 : at + 2]).startswith("+++ ")
    after = "".join(lines[at + 2 : at + 3])
    return pair and after.startswith(("@@", "+", "-", " ") if bare else "@@")


def _is_signature(lines: Sequence[str], at: int) -> bool:
    return lines[at].rstrip("\r") in ("--", "-- ") and all(
        not line.startswith(("+", "@@")) for line in lines[at + 1 : at + 4]
    )


def _read_name(text: str) -> str | None:
    name = text.rstrip("\r")
    plain = decode_name(name) if name.startswith('"') else name.split("\t")[0].rstrip()
    return None if plain == "/dev/null" else plain


def _cut(name: str) -> str:
    return name.split("/", 1)[-1]


def _names_of_git_line(line: str) -> list[str]:
    """Both names of a ``diff --git`` line; none on another line, or where they cannot be told apart."""
    if not line.startswith("diff --git "):
        return []
    rest = line.removeprefix("diff --git ").rstrip("\r")
    words = rest.split(" ")
    if len(words) % 2:
        return []
    middle = len(words) // 2
    return [" ".join(words[:middle]), " ".join(words[middle:])]
