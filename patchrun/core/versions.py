"""One value a name, where arenas that ran apart hold several: the same one from whichever side one looks.

The order in which arenas met decides nothing: a choice rests on the contents alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from patchrun.core.results import Attempt, FinalRound, Reveal, Ruling, Run, StopRecord, Study

T = TypeVar("T")
V = TypeVar("V", Attempt, Study, StopRecord, FinalRound, Reveal)


@dataclass(frozen=True)
class Version(Generic[T]):
    """A value under a name (a ref without its prefix), and the commit that holds it."""

    name: str
    commit: str
    value: T


def settle(versions: Sequence[Version[V]]) -> list[V]:
    """One value a name: the one that was created first."""
    if len({version.name for version in versions}) == len(versions):
        return [version.value for version in versions]
    chosen: dict[str, Version[V]] = {}
    for version in sorted(versions, key=lambda each: (each.value.created, each.commit), reverse=True):
        chosen[version.name] = version
    return [version.value for version in chosen.values()]


def settle_runs(versions: Sequence[Version[Run]]) -> list[Run]:
    """One run a slot. A block that several machines ran counts as one of them ran it, whole.

    Times of two machines are not compared, so a block is never put together from both: the machine with most of its
    slots is taken, of those the one that began first.
    """
    counts = Counter(version.name for version in versions)
    contested = {
        (version.value.study, version.value.block) for version in versions if counts[version.name] > 1
    }
    settled: list[Run] = []
    blocks: dict[tuple[str, int], list[Version[Run]]] = defaultdict(list)
    for version in versions:
        place = (version.value.study, version.value.block)
        if place in contested:
            blocks[place].append(version)
        else:
            settled.append(version.value)
    for block in blocks.values():
        settled += _settle_block(block)
    return settled


def _settle_block(versions: Iterable[Version[Run]]) -> list[Run]:
    machines: dict[str, list[Version[Run]]] = defaultdict(list)
    for version in versions:
        machines[version.value.machine.host].append(version)
    chosen: dict[str, Version[Run]] = {}
    for version in sorted(min(machines.values(), key=_rank), key=_age, reverse=True):
        chosen[version.name] = version
    return [version.value for version in chosen.values()]


def _rank(own: Sequence[Version[Run]]) -> tuple[int, tuple[str, str]]:
    return -len({version.name for version in own}), min(map(_age, own))


def _age(version: Version[Run]) -> tuple[str, str]:
    return version.value.started, version.commit


def number(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Attempts, oldest first, with the number of each among its agent's on its record."""
    counts: Counter[tuple[str, str]] = Counter()
    numbered = []
    for attempt in sorted(attempts, key=lambda each: (each.created, each.id)):
        counts[attempt.agent, attempt.record] += 1
        place = counts[attempt.agent, attempt.record]
        same = attempt.sequence == place
        numbered.append(attempt if same else msgspec.structs.replace(attempt, sequence=place))
    return numbered


def strongest(rulings: Iterable[Ruling]) -> dict[str, Ruling]:
    """Submission -> the ruling that decides: a disqualification before a withdrawal; its reason names the others."""
    said: dict[str, list[Ruling]] = defaultdict(list)
    for ruling in rulings:
        said[ruling.submission].append(ruling)
    return {submission: _join(own) for submission, own in said.items()}


def _join(rulings: list[Ruling]) -> Ruling:
    first, *others = sorted(rulings, key=lambda each: (each.ruling != "disqualified", each.created, each.by))
    if not others:
        return first
    also = "; ".join(f"{each.ruling} by {each.by}: {each.reason}" for each in others)
    return msgspec.structs.replace(first, reason=f"{first.reason} (also {also})")
