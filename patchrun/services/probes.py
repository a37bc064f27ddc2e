"""Second looks at a scored model: from prefixes alone, and in another order of blocks.

A model that reads the future answers differently when the future is missing; one that remembers earlier calls, or
looks at the other rows of a call, answers differently among other blocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

ORDER_SHARE = 4  # one block in so many is seen again


@dataclass(frozen=True)
class Blocks:
    """Validation tokens cut up: ``inputs`` and ``targets``, uint16 [blocks, context] each."""

    inputs: np.ndarray
    targets: np.ndarray

    @property
    def count(self) -> int:
        return int(self.inputs.shape[0])

    @property
    def context(self) -> int:
        return int(self.inputs.shape[1])


@dataclass(frozen=True)
class Look:
    """One call: these blocks up to and with ``last``, of which only the positions from ``first`` on are compared."""

    rows: np.ndarray
    first: int
    last: int

    def inputs(self, blocks: Blocks) -> np.ndarray:
        return blocks.inputs[self.rows, : self.last + 1]

    def targets(self, blocks: Blocks) -> np.ndarray:
        """Targets [rows, last - first + 1] of the compared positions."""
        return blocks.targets[self.rows, self.first : self.last + 1]

    def disagreement(self, table: np.ndarray, logprobs: np.ndarray) -> np.ndarray:
        """Absolute differences between ``logprobs`` [rows, last - first + 1] and the first look's ``table``."""
        import numpy as np

        return np.abs(table[self.rows, self.first : self.last + 1] - logprobs)

    @property
    def way(self) -> str:
        """How this look differs from the first one, in words."""
        return "from its prefix alone" if self.first == self.last else "in another order of blocks"


def plan_looks(count: int, context: int, probes: int, batch: int, rng: np.random.Generator) -> list[Look]:
    """``probes`` random positions among ``count`` blocks, and a share of whole blocks, in random order.

    Positions are drawn evenly over the lengths of their prefixes, so that a look at the future has no place to
    hide; those with one length share a call of at most ``batch`` rows.
    """
    looks = [*_prefix_looks(count, context, probes, batch, rng), *_order_looks(count, context, batch, rng)]
    return [looks[index] for index in rng.permutation(len(looks))]


def _prefix_looks(
    count: int, context: int, probes: int, batch: int, rng: np.random.Generator
) -> Iterator[Look]:
    import numpy as np

    rounds = math.ceil(probes / context)
    positions = np.concatenate([rng.permutation(context) for _ in range(rounds)])[:probes]
    for position, times in zip(*np.unique(positions, return_counts=True), strict=True):
        rows = rng.integers(count, size=int(times))
        for part in batches(rows, batch):
            yield Look(part, int(position), int(position))


def _order_looks(count: int, context: int, batch: int, rng: np.random.Generator) -> Iterator[Look]:
    share = max(count // ORDER_SHARE, min(count, batch))
    for part in batches(rng.permutation(count)[:share], batch):
        yield Look(part, 0, context - 1)


def batches(rows: np.ndarray, batch: int) -> Iterator[np.ndarray]:
    """``rows`` in pieces of ``batch`` at most."""
    for start in range(0, len(rows), batch):
        yield rows[start : start + batch]
