"""Reading a patch: a plain diff, a mail of `git format-patch`, or a series of mails, with prose around it.

What the text itself shows is said here. Where hunks land and which files change is git's to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from patchrun.core.codes import make_finding
from patchrun.core.errors import NotADiff, UnreadableDiff
from patchrun.core.findings import Finding
from patchrun.core.hidden import HIDDEN, find_hidden
from patchrun.core.sections import Section, read_sections

MAIL = re.compile(rb"^From [0-9a-f]{40} Mon Sep 17 00:00:00 2001\r?$", re.MULTILINE)
ENCODED_MAIL = re.compile(
    rb"^Content-Transfer-Encoding:\s*(quoted-printable|base64)", re.MULTILINE | re.IGNORECASE
)
UTF16 = (b"\xff\xfe", b"\xfe\xff")
HOW_TO = "make one with `git diff` or `git format-patch` against the baseline"


@dataclass(frozen=True)
class Part:
    """One mail of a series, or the whole of a plain diff; ``line`` is the number of its first line."""

    line: int
    data: bytes
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Patch:
    """A diff as handed in, and what was read from it."""

    data: bytes
    parts: tuple[Part, ...]

    @property
    def sections(self) -> Iterator[Section]:
        return (section for part in self.parts for section in part.sections)


def read_patch(data: bytes, limit_kb: int) -> Patch:
    """Read a diff of at most ``limit_kb`` KiB.

    Raises:
        UnreadableDiff: it is empty, too large, in another encoding, or holds no diff of any file.
    """
    if len(data) > limit_kb * 1024:
        raise UnreadableDiff(
            f"the diff is larger than the {limit_kb} KiB that the track takes",
            "hand in source changes only; the track's limits.diff_kb says how much is taken",
        )
    if not data.strip():
        raise UnreadableDiff("the diff is empty", HOW_TO)
    if data.startswith(UTF16):
        raise UnreadableDiff("cannot be read as a diff: it is UTF-16", "save it as UTF-8")
    parts = tuple(part for part in _split_mails(data) if part.sections)
    if not parts:
        raise NotADiff("cannot be read as a diff: no file header and no hunk in it", _reading_hint(data))
    return Patch(data, parts)


def check_text(patch: Patch) -> list[Finding]:
    """What the diff's own text shows, before git is asked: PR101 to PR107."""
    findings = _check_bytes(patch.data)
    for part in patch.parts:
        findings += _check_twice(part)
        for section in part.sections:
            findings += [*_check_hidden(section), *_check_returns(section), *_check_header(section)]
    return findings


def check_named(patch: Patch, changed: Iterable[str]) -> list[Finding]:
    """PR107 for each changed path that no header names."""
    named = {name for section in patch.sections for name in section.names.spelled}
    return [
        make_finding("PR107", f"{path} would change, and no header names it", path)
        for path in sorted(set(changed) - named)
    ]


def _split_mails(data: bytes) -> Iterator[Part]:
    starts = sorted({0, *(match.start() for match in MAIL.finditer(data))})
    line = 1
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        piece = data[start:end]
        lines = piece.decode("utf-8", "surrogateescape").split("\n")
        yield Part(line, piece, tuple(read_sections(lines, line)))
        line += len(lines) - 1


def _reading_hint(data: bytes) -> str:
    if ENCODED_MAIL.search(data):
        return "it is a mail in a transfer encoding: hand in the file that `git format-patch` wrote"
    if b"\n@@@ -" in data:
        return "it is a merge's combined diff: " + HOW_TO
    return HOW_TO


def _check_bytes(data: bytes) -> list[Finding]:
    findings = []
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        findings.append(make_finding("PR102", f"line {line} of the diff holds a NUL byte", line=line))
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        message = f"line {line} of the diff is not UTF-8: byte 0x{data[error.start]:02x}"
        findings.append(make_finding("PR101", message, line=line))
    return findings


def _check_hidden(section: Section) -> Iterator[Finding]:
    for number, text in section.added_lines():
        in_header = number < section.line + len(section.header)
        strict = ((char, "error") for char in HIDDEN.findall(text))
        worst = min(strict if in_header else find_hidden(text), key=lambda one: one[1], default=None)
        if worst:
            char, severity = worst
            message = (
                f"the diff of {section.names.target} brings in the invisible character U+{ord(char):04X}"
            )
            yield make_finding("PR103", message, line=number, severity=severity)


def _check_returns(section: Section) -> Iterator[Finding]:
    """At most one PR104: a diff in CRLF, a line that alone in its file ends so, or a CR inside a line."""
    if section.header[0].endswith("\r"):
        yield make_finding("PR104", "the lines of the diff itself end in CRLF", line=section.line)
        return
    usual = any(text.endswith("\r") for text in section.hunks if not text.startswith("+"))
    for number, text in section.added_lines():
        if "\r" in (text.removesuffix("\r") if usual else text):
            yield make_finding("PR104", f"the diff of {section.names.target} brings in a CR", line=number)
            return


def _check_header(section: Section) -> Iterator[Finding]:
    names = section.names
    if not names.agree:
        stated = ", ".join(sorted(names.spelled)) or "none"
        yield make_finding(
            "PR107", f"the header lines of one diff name different files: {stated}", line=section.line
        )
    if section.surplus:
        message = f"a hunk of {names.target} has more lines than its header counts"
        yield make_finding("PR106", message, line=section.surplus)
    if any(line.startswith("GIT binary patch") for line in section.header):
        yield make_finding("PR203", f"the diff of {names.target} is a binary patch", line=section.line)


def _check_twice(part: Part) -> list[Finding]:
    seen: dict[str, int] = {}
    findings = []
    for section in part.sections:
        first = seen.setdefault(section.names.target, section.line)
        if first != section.line:
            message = (
                f"{section.names.target} has a diff at line {first} and another one at line {section.line}"
            )
            findings.append(make_finding("PR105", message, line=section.line))
    return findings
