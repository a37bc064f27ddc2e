"""Statistics and positions of hunks, read with unidiff; whether a patch applies is git's to say.

unidiff takes some malformed hunks silently and raises on others: what it cannot read counts as nothing here, and
`place_hunks` trusts it only where the hunk's lines are found in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unidiff import PatchSet, UnidiffParseError

from patchrun.core.codes import make_finding
from patchrun.core.findings import Finding
from patchrun.core.patch import Part
from patchrun.core.sections import Section


@dataclass(frozen=True)
class Stats:
    """How many files a diff names, and how many lines its readable hunks add and remove."""

    files: int
    added: int
    removed: int


@dataclass(frozen=True)
class Placement:
    """Where the old lines of a hunk stand in the file: all matches, 0-based; ``exact`` if where its header says."""

    hunk: int
    exact: bool
    matches: tuple[int, ...]
    shift: int


def count_lines(sections: Iterable[Section]) -> Stats:
    """The statistics of a diff; a file that several mails of a series touch counts once."""
    names, added, removed = set(), 0, 0
    for section in sections:
        names.add(section.names.target)
        for file in _read(section, metadata_only=True):
            added, removed = added + file.added, removed + file.removed
    return Stats(len(names), added, removed)


def place_hunks(section: Section, before: Sequence[str]) -> list[Placement]:
    """Where each hunk of ``section`` fits into the lines of the file that it changes."""
    placements, shift = [], 0
    for number, hunk in enumerate((hunk for file in _read(section) for hunk in file), 1):
        old = [line.value.removesuffix("\n") for line in hunk.source_lines()]
        expected = max(hunk.target_start - 1, 0) - shift
        matches = tuple(_find(old, before))
        placements.append(Placement(number, expected in matches, matches, shift))
        shift += hunk.target_length - hunk.source_length
    return placements


def judge_offsets(section: Section, before: Sequence[str]) -> list[Finding]:
    """PR109 for each hunk that fits in one other place than its header says, PR110 where it fits in several."""
    path = section.names.target
    findings = []
    for place in place_hunks(section, before):
        if place.exact:
            continue
        lines = [match + 1 for match in place.matches]
        if len(lines) == 1:
            message = f"hunk #{place.hunk} of {path} was placed at line {lines[0]}, not where its header says"
            findings.append(make_finding("PR109", message, path, lines[0] + place.shift))
        else:
            where = f"at lines {', '.join(map(str, lines[:10]))}" if lines else "nowhere as it reads"
            message = f"hunk #{place.hunk} of {path} does not fit where its header says, but {where}"
            findings.append(make_finding("PR110", message, path, lines[0] + place.shift if lines else None))
    return findings


def explain_refusal(part: Part, refusal: str) -> Finding:
    """PR108 in git's words, with the hunk and the line of the diff that they are about where they tell."""
    if match := re.search(r"corrupt patch at line (\d+)", refusal):
        return make_finding("PR108", refusal, line=part.line + int(match[1]) - 1)
    if match := re.search(r"patch failed: (.+):(\d+)", refusal):
        for section in part.sections:
            if match[1] in section.names.spelled and (told := _hunk_at(section, match[2])):
                number, line = told
                return make_finding(
                    "PR108", f"{refusal} (hunk #{number}, line {line} of the diff)", line=line
                )
    return make_finding("PR108", refusal)


def _hunk_at(section: Section, start: str) -> tuple[int, int] | None:
    """(number of the hunk, its line in the diff) of the hunk that begins at line ``start`` of the old file."""
    lines = enumerate(section.hunks, section.line + len(section.header))
    headers = [(line, text) for line, text in lines if text.startswith("@@ -")]
    found = (
        (number, line)
        for number, (line, text) in enumerate(headers, 1)
        if re.match(rf"@@ -{start}[, ]", text)
    )
    return next(found, None)


def _find(wanted: list[str], lines: Sequence[str]) -> list[int]:
    """Every place in ``lines`` where ``wanted`` stands; nothing stands everywhere."""
    places = range(len(lines) - len(wanted) + 1)
    if not wanted:
        return list(places)
    return [at for at in places if lines[at] == wanted[0] and list(lines[at : at + len(wanted)]) == wanted]


def _read(section: Section, metadata_only: bool = False) -> PatchSet | list[list]:
    """The hunks of one file as unidiff reads them, under neutral names; empty where it cannot."""
    text = "\n".join(("--- a", "+++ b", *section.hunks)) + "\n"
    try:
        return PatchSet.from_string(text, metadata_only=metadata_only)
    except (UnidiffParseError, ValueError, AssertionError, IndexError):
        return []
