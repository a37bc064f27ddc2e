"""Hints as values: what the head of a hint says, and what its text must and must not hold.

A hint is a Markdown text below a head in TOML between two lines ``+++``. Whether it copies, ``core.copying`` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from patchrun.core.errors import ManifestError
from patchrun.core.ladder import Base, Ladder, Record
from patchrun.core.manifest import Count, Strict, load_manifest

MARK = "+++\n"
TIERS = (1, 2, 3)
WORDS = {1: (40, 500), 2: (60, 450), 3: (200, 1000)}
SECTIONS = ("Idea", "Motivation", "Method", "Expected effect", "References")
UNITS = (("mil", 0.001), ("ms", 0.001), ("m", 60.0), ("s", 1.0))  # seconds, by how the unit begins
DURATION = re.compile(
    r"(?<![\w.])(\d+(?:\.\d+)?)[\s-]*(ms|milliseconds?|s|secs?|seconds?|mins?|minutes?)\b", re.IGNORECASE
)
LOSS = re.compile(r"\b(?:val_loss|(?:validation|val|final|mean) loss)\b[^\n\d]{0,40}(\d\.\d+)", re.IGNORECASE)
DECIMAL = re.compile(r"(?<![\w.])\d+\.\d{3,}(?![\w.])")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
NO_TIME = "say what to change, not how fast it then is"
NO_LOSS = "the target is the only loss that a hint may name"

Change = Literal["architecture", "optimizer", "data", "kernel", "communication", "schedule", "systems"]
Text = Annotated[str, Meta(pattern=r"\A\S(.*\S)?\Z")]


class Head(Strict):
    """What a hint says of itself: whose it is, what kinds of change it is about, public sources of the idea."""

    record: Count
    tier: Literal[1, 2, 3]
    changes: tuple[Change, ...]
    references: tuple[Text, ...]

    def __post_init__(self) -> None:
        if not self.changes or len(set(self.changes)) < len(self.changes):
            raise ValueError("changes: expected one or more kinds of change, each once")


@dataclass(frozen=True)
class Hint:
    """A hint file, read: its head and the text below it."""

    head: Head
    body: str

    @property
    def prose(self) -> str:
        """The text without its list of references, whose titles are not our words."""
        for found in HEADING.finditer(self.body):
            if found[1].rstrip(":").lower() == "references":
                after = HEADING.search(self.body, found.end())
                return self.body[: found.start()] + (self.body[after.start() :] if after else "")
        return self.body


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong with a hint: its path, what is wrong, and what to do."""

    path: str
    problem: str
    hint: str


def read_hint(text: str, name: str) -> Hint:
    """A hint file as a value; ManifestError names every problem of its head."""
    text = text.replace("\r\n", "\n")
    head, mark, body = text.removeprefix(MARK).partition("\n" + MARK)
    if not text.startswith(MARK) or not mark:
        raise ManifestError(
            f"{name}: no head between two lines +++",
            "begin with record, tier, changes and references in TOML between +++ lines",
        )
    return Hint(load_manifest(Head, head, name), body.strip("\n") + "\n")


def show_hint(hint: Hint) -> str:
    """What an agent sees: one line that says what this is, then the text."""
    kinds = ", ".join(hint.head.changes)
    return f"Record {hint.head.record}, hint of tier {hint.head.tier} ({kinds})\n\n{hint.body}"


def hinted_records(ladder: Ladder) -> list[int]:
    """The records that have a human patch, by what the ladder says of their code."""
    return [record.number for record in ladder.record if record.patch or _has_both_sides(record)]


def _has_both_sides(record: Record) -> bool:
    return all(place is not None and place.kind != "none" for place in (record.baseline, record.solution))


def expected_files(ladder: Ladder) -> list[str]:
    """The paths, below the track's folder of hints, of every hint that there must be, in order."""
    return [f"{number}/tier-{tier}.md" for number in hinted_records(ladder) for tier in TIERS]


def check_place(hint: Hint, path: str) -> list[Problem]:
    """Does the head agree with the path ``<record>/tier-<tier>.md``?"""
    said = f"{hint.head.record}/tier-{hint.head.tier}.md"
    if path == said:
        return []
    return [Problem(path, f"its head says {said}", "record and tier in the head are those of the path")]


def check_form(hint: Hint, path: str) -> list[Problem]:
    """Length in words, and the sections of a tier 3 text."""
    low, high = WORDS[hint.head.tier]
    count, problems = count_words(hint.body), []
    if not low <= count <= high:
        advice = f"tier {hint.head.tier} takes {low} to {high} words"
        problems.append(Problem(path, f"{count} words", advice))
    if hint.head.tier == 3:
        found = [title.rstrip(":") for title in HEADING.findall(hint.body)]
        kept = [title for title in found if title in SECTIONS]
        if kept != list(SECTIONS):
            problem = f"its sections are {', '.join(kept) or 'none'}"
            problems.append(Problem(path, problem, f"in this order, once each: {', '.join(SECTIONS)}"))
    return problems


def count_words(text: str) -> int:
    """Words of a text: whatever stands between spaces and holds a letter or a digit."""
    return sum(any(letter.isalnum() for letter in word) for word in text.split())


def check_result(hint: Hint, path: str, ladder: Ladder, target: float) -> list[Problem]:
    """The record's time, its gain, a loss that was reached, or a contributor's name, in the text."""
    record = ladder.get(hint.head.record)
    problems = [
        Problem(path, f"gives away {text!r}", NO_TIME) for text in _durations(hint.body, ladder, record)
    ]
    problems += [
        Problem(path, f"gives away {text!r}", NO_LOSS) for text in _losses(hint.body, record, target)
    ]
    names = [name.strip().removeprefix("@") for name in record.by.split(",")]
    named = [
        name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", hint.prose, re.IGNORECASE)
    ]
    return problems + [Problem(path, f"names {name}", "name sources, not contributors") for name in named]


def _durations(body: str, ladder: Ladder, record: Record) -> Iterable[str]:
    known = result_seconds(ladder, record)
    for found in DURATION.finditer(body):
        unit = found[2].lower()
        scale = next(scale for start, scale in UNITS if unit.startswith(start))
        if any(_is_rounding(found[1], seconds / scale) for seconds in known):
            yield found[0]


def result_seconds(ladder: Ladder, record: Record) -> list[float]:
    """The record's seconds, published and measured, and the seconds that it gained by each."""
    last = ladder.get(record.number - 1) if record.number > 1 else None
    published = record.baseline_seconds or (last.published_seconds if last else None)
    pairs = [(published, record.published_seconds), (_mean(last or ladder.base), _mean(record))]
    times = [after for _, after in pairs if after is not None]
    return times + [before - after for before, after in pairs if before and after and before > after]


def _mean(owner: Record | Base) -> float | None:
    return owner.measured.seconds_mean if owner.measured else None


def _is_rounding(text: str, value: float) -> bool:
    """``text`` is ``value`` to the decimals that it has, and close enough to tell it (5%)."""
    half = 0.5 * 10.0 ** -len(text.partition(".")[2])
    return abs(float(text) - value) <= min(half * (1 + 1e-9), 0.05 * value)


def _losses(body: str, record: Record, target: float) -> Iterable[str]:
    """Losses that are named as such and are not the target, and the measured loss wherever it stands."""
    found = [number for number in LOSS.findall(body) if float(number) != target]
    measured = record.measured.loss_mean if record.measured else None
    if measured is not None:
        found += [number for number in DECIMAL.findall(body) if _is_rounding(number, measured)]
    return dict.fromkeys(found)


def check_places(found: Sequence[str], expected: Sequence[str]) -> list[Problem]:
    """Which hints are absent, and which files are none."""
    absent = [
        Problem(path, "absent", "write it: three tiers a record") for path in expected if path not in found
    ]
    surplus = [path for path in found if path not in expected]
    advice = "only tier-1.md to tier-3.md of a record with a human patch"
    return absent + [Problem(path, "surplus", advice) for path in surplus]
