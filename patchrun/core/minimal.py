"""Which few pieces keep what a patch is worth: greedy first, then delta debugging.

A pure search over what is known already: where it needs an outcome that nobody measured it stops and names it, so
that one routine plans the next runs, resumes after an interruption, and reads the result from stored runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

Subset = frozenset[int]


@dataclass(frozen=True)
class Search:
    """``best``: the smallest subset so far that keeps it; ``wanted``: subsets to measure next, () when it is over."""

    best: Subset
    wanted: tuple[Subset, ...] = ()

    @property
    def is_over(self) -> bool:
        return not self.wanted


def minimise(pieces: Collection[int], droppable: Collection[int], keeps: Mapping[Subset, bool]) -> Search:
    """Search for a subset of ``pieces`` that keeps the worth and of which no piece can be left out.

    ``keeps`` holds what was measured; all pieces together keep it, none of them does not. Greedy: all that are
    ``droppable`` one by one are dropped at once; if that fails they all stay. Then ``ddmin``.
    """
    everything = frozenset(pieces)
    keeps = {**keeps, everything: True, frozenset(): False}
    lean = everything - frozenset(droppable)
    if lean not in keeps:
        return Search(everything, (lean,))
    return ddmin(lean if keeps[lean] else everything, keeps)


def ddmin(start: Subset, keeps: Mapping[Subset, bool]) -> Search:
    """Delta debugging from ``start``, which keeps the worth, to a subset that is 1-minimal.

    Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE Trans. Software Eng. 28
    (2002) 183-200, figure 3: split in n parts; go on with a part that keeps it, else with what is left when a part
    is taken away, else with finer parts. Subsets of one round are wanted together: they share their reference runs.
    """
    best, parts = start, 2
    while len(best) > 1:
        chunks = _split(sorted(best), min(parts, len(best)))
        rests = [best - chunk for chunk in chunks]
        candidates = list(dict.fromkeys([*chunks, *rests]))
        found = next((one for one in candidates if keeps.get(one)), None)
        wanted = [one for one in candidates if one not in keeps]
        if found is None and wanted:
            return Search(best, tuple(wanted))
        if found is not None:
            parts = 2 if found in chunks else max(len(chunks) - 1, 2)
            best = found
        elif len(chunks) == len(best):
            return Search(best)
        else:
            parts = 2 * len(chunks)
    return Search(best)


def _split(items: Sequence[int], parts: int) -> list[Subset]:
    """``items`` in ``parts`` runs of sizes that differ by one at most."""
    ends = [round(k * len(items) / parts) for k in range(parts + 1)]
    return [frozenset(items[a:b]) for a, b in zip(ends, ends[1:], strict=False)]
