"""How much of a patch stands in another one, token by token, on the lines that they add.

Both patches change the same baseline. What is compared is what each brings in that the baseline does not have: the
runs of ``WINDOW`` code tokens on added lines that occur nowhere in the baseline. Comments, layout and quotes do not
count. The similarity is Dice's: ``2 |A and B| / (|A| + |B|)``, 1 for the same code, 0 for nothing in common (L. R.
Dice, Ecology 26, 1945). Two people who change the same line to different values share little, since what surrounds
the value is the baseline's own: only windows with the new value are new.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from patchrun.core.copying import read_runs

WINDOW = 4  # code tokens
FEW = 15  # windows: of patches that bring in fewer the number says little, so it flags nothing
HIGH = 0.5  # see docs/agents.md for what other pairs of patches reach

Files = Mapping[str, bytes]
Window = tuple[str, ...]


@dataclass(frozen=True)
class Similarity:
    """``value`` is Dice's, None where a patch brings in nothing new; ``windows`` of the smaller patch."""

    value: float | None
    windows: int

    @property
    def high(self) -> bool:
        """As similar as copies are, on enough code to say so."""
        return self.value is not None and self.value >= HIGH and self.windows >= FEW


def compare(baseline: Files, one: Files, other: Files) -> Similarity:
    """The similarity of two patches, given as the files that they change: path -> bytes, on all three sides."""
    known = read_windows({}, baseline)
    first, second = (read_windows(baseline, files) - known for files in (one, other))
    if not first or not second:
        return Similarity(None, 0)
    return Similarity(2 * len(first & second) / (len(first) + len(second)), min(len(first), len(second)))


def read_windows(before: Files, after: Files) -> set[Window]:
    """The windows of code on the lines that a change of files adds; of new files, all there are."""
    return {window for path, data in after.items() for window in _windows(before.get(path, b""), data, path)}


@lru_cache(maxsize=256)
def _windows(before: bytes, after: bytes, path: str) -> frozenset[Window]:
    """The windows of code on the lines that a change of a file adds; many patches are compared with one baseline."""
    runs = read_runs({path: before}, {path: after})
    return frozenset(tuple(run[at : at + WINDOW]) for run in runs for at in range(len(run) - WINDOW + 1))
