"""Searches over an agent: which attempt comes next, from what became of those before. Pure, so a search can resume.

``flat``: independent drafts, each from the baseline, none of which learns of another. ``tree``: a draft; then each
attempt starts from the best one so far ("improve"), but one that failed is mended first ("debug"), at most
``DEBUGS`` times in a row. What is best is decided by the measured fraction, in a search that does not measure by
the last accepted one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from patchrun.core.transcripts import Scaffold, Task

DEBUGS = 2


@dataclass(frozen=True)
class Node:
    """One attempt of a search. ``has_diff``: there is code to start from; ``good``: it is valid, or accepted where
    nothing is measured; ``value`` orders good ones."""

    number: int
    task: Task
    base: int | None
    has_diff: bool
    good: bool
    value: float | None = None


@dataclass(frozen=True)
class Step:
    """What the next attempt does, and the number of the attempt that it starts from (None: the baseline)."""

    task: Task
    base: int | None = None


def choose_next(scaffold: Scaffold, nodes: Sequence[Node]) -> Step:
    """The next attempt of a search whose attempts so far are ``nodes``, oldest first."""
    if scaffold == "flat" or not nodes:
        return Step("draft")
    last = nodes[-1]
    if last.has_diff and not last.good and _debugs_in_a_row(nodes) < DEBUGS:
        return Step("debug", last.number)
    best = find_best(nodes)
    return Step("improve", best.number) if best else Step("draft")


def find_best(nodes: Sequence[Node]) -> Node | None:
    """The good node of the highest value; the latest of equals, and of those without a value."""
    good = [node for node in nodes if node.good]
    return max(good, key=lambda node: (node.value or 0.0, node.number), default=None)


def _debugs_in_a_row(nodes: Sequence[Node]) -> int:
    count = 0
    for node in reversed(nodes):
        if node.task != "debug":
            break
        count += 1
    return count


def share(left: float | None, attempts: int) -> float | None:
    """An attempt's part of what is left: even shares, so that what one leaves goes to those after it."""
    return None if left is None else max(left, 0.0) / max(attempts, 1)
