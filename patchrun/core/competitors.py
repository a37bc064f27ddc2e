"""Who competes on a board: an agent with the hints it had, and what its patches cost.

Attempts under different hint tiers are never mixed silently: an agent that has several is several competitors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

import msgspec

from patchrun.core.results import Attempt
from patchrun.core.transcripts import Spent, Transcript, add_up, may_know

Key = tuple[str, tuple[int, ...]]


class Competitor(msgspec.Struct, frozen=True, kw_only=True):
    """One row's agent and hints (``tiers`` None: mixed on request), with what is known of how its patches were made.

    ``spent`` is None without any transcript. ``cutoff``: the latest day up to which its models' training data reach;
    ``may_know``: those of its records that are not younger.
    """

    agent: str
    tiers: tuple[int, ...] | None
    spent: Spent | None = None
    cutoff: date | None = None
    may_know: tuple[str, ...] = ()


def say_tiers(tiers: tuple[int, ...]) -> str:
    """Hint tiers in words: "hints 1,3" or "no hints"."""
    return f"hints {','.join(map(str, tiers))}" if tiers else "no hints"


def label_keys(keys: Iterable[Key]) -> dict[Key, str]:
    """(agent, tiers) -> the name of its row: the agent's own where it had the same hints throughout."""
    found = set(keys)
    several = {
        agent for agent, tiers in found if any(name == agent and other != tiers for name, other in found)
    }
    return {
        (agent, tiers): f"{agent} ({say_tiers(tiers)})" if agent in several else agent
        for agent, tiers in found
    }


def relabel(attempt: Attempt, labels: Mapping[Key, str]) -> Attempt:
    """The attempt under the name of its row."""
    return msgspec.structs.replace(attempt, agent=labels[attempt.agent, attempt.hint_tiers])


def describe_competitors(
    labels: Mapping[Key, str], transcripts: Iterable[Transcript], days: Mapping[str, str], mixed: bool
) -> dict[str, Competitor]:
    """Row name -> competitor; ``days``: record -> the day of its human patch (ISO). Rows are those of ``labels``."""
    grouped: dict[str, list[Transcript]] = {label: [] for label in labels.values()}
    for one in transcripts:
        if (label := labels.get((one.agent, one.hint_tiers))) is not None:
            grouped[label].append(one)
    return {
        label: _describe(agent, None if mixed else tiers, grouped[label], days)
        for (agent, tiers), label in labels.items()
    }


def _describe(
    agent: str, tiers: tuple[int, ...] | None, made: list[Transcript], days: Mapping[str, str]
) -> Competitor:
    cutoffs = [one.cutoff for one in made if one.cutoff]
    known = {one.record for one in made if one.record in days and may_know(one.cutoff, days[one.record])}
    return Competitor(
        agent=agent, tiers=tiers, spent=add_up(made) if made else None, cutoff=max(cutoffs, default=None),
        may_know=tuple(sorted(known, key=lambda record: (len(record), record))),
    )  # fmt: skip
