"""The small notations of the command line: sets of records, spans, hint tiers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from patchrun.core.errors import UsageError


@dataclass(frozen=True, order=True)
class Span:
    """From baseline ``first`` to the human code of record ``last``, both included."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}..{self.last}"

    def to_json(self) -> int | str:
        """12 for one record, "30..62" for a span, as the JSON documents say it."""
        return self.first if self.first == self.last else str(self)


def parse_span(text: str) -> Span:
    """``12`` or ``30..62``; UsageError otherwise."""
    match = re.fullmatch(r"([0-9]{1,6})(?:\.\.([0-9]{1,6}))?", text.strip())
    if not match:
        raise UsageError(f"not a record or span: {text!r}", "write 12, or 30..62 with both ends included")
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= last:
        raise UsageError(f"empty span: {text!r}", "a span runs upward from 1 or more, as in 30..62")
    return Span(first, last)


def parse_set(text: str) -> tuple[int, ...]:
    """``2-6,9`` -> (2, 3, 4, 5, 6, 9), sorted without repeats; UsageError otherwise."""
    numbers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", part.strip())
        if not match or not 1 <= int(match[1]) <= int(match[2] or match[1]):
            raise UsageError(f"not a set of records: {text!r}", "write numbers and ranges, as in 2-6,9")
        numbers.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return tuple(sorted(numbers))


def parse_tiers(text: str) -> tuple[int, ...]:
    """``1,3`` -> (1, 3); ``0`` is none -> (). UsageError otherwise."""
    parts = {part.strip() for part in text.split(",")}
    if not parts <= {"0", "1", "2", "3"} or ("0" in parts and len(parts) > 1):
        raise UsageError(f"not hint tiers: {text!r}", "choose from 1, 2, 3, as in 1,3; 0 is none")
    return tuple(sorted(int(part) for part in parts if part != "0"))
