"""Calls on a scored graph: every block once, then second looks at secret places.

A graph is a pure function of one batch of token ids, of a fixed shape. It may use of a row only what stands up to the
position whose logits it gives. So a second look gives it the same beginning of a row with another continuation, among
other rows, and every position up to the cut must agree with the first look.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

STRICT_LOOKS = 4  # calls in which no row shares the batch with one that it shared it with before
TRIES = 8  # at a continuation that differs in its first token


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
    """One call on ``inputs`` [batch, context]: places ``slots`` hold blocks ``rows``, each up to its place in ``cuts``.

    What stands behind a cut, and in the other rows, is not compared.
    """

    inputs: np.ndarray
    rows: np.ndarray
    slots: np.ndarray
    cuts: np.ndarray


def seat_blocks(count: int, batch: int, rng: np.random.Generator) -> list[np.ndarray]:
    """``count`` blocks in random order, ``batch`` a call; the last call is filled up with blocks from the others."""
    import numpy as np

    order = rng.permutation(count)
    short = -count % batch
    filled = np.concatenate([order, rng.integers(count, size=short)])
    return list(filled.reshape(-1, batch))


def plan_looks(
    blocks: Blocks, seats: Sequence[np.ndarray], probes: int, batch: int, rng: np.random.Generator
) -> Iterator[Look]:
    """Second looks: ``probes`` cuts, ``batch`` a call, and some calls whose other rows are all new.

    Cuts are drawn evenly over the positions: a look one token ahead shows at the cut alone.
    """
    import numpy as np

    splicer = Splicer(blocks, rng)
    rounds = -(-probes // blocks.context)
    cuts = np.concatenate([rng.permutation(blocks.context) for _ in range(rounds)])[:probes]
    for start in range(0, probes, batch):
        part = cuts[start : start + batch]
        rows = rng.integers(blocks.count, size=len(part))
        yield splicer.make_look(rows, part, batch)
    for _ in range(STRICT_LOOKS):
        rows = np.array([rng.choice(seat) for seat in seats[: batch // 2]])
        yield splicer.make_look(rows, rng.integers(blocks.context, size=len(rows)), batch)


class Splicer:
    """Makes batches out of beginnings of blocks and continuations from elsewhere in the same text."""

    def __init__(self, blocks: Blocks, rng: np.random.Generator) -> None:
        import numpy as np

        self.blocks, self.rng = blocks, rng
        self.text = blocks.inputs.reshape(-1)
        self.places = np.argsort(self.text, kind="stable")
        self.sorted = self.text[self.places]

    def make_look(self, rows: np.ndarray, cuts: np.ndarray, batch: int) -> Look:
        """``rows`` up to ``cuts`` in random slots of a batch whose other rows are shuffled text."""
        import numpy as np

        context = self.blocks.context
        starts = self.rng.integers(len(self.text) - context + 1, size=batch)
        inputs = np.stack([self.rng.permutation(self.text[start : start + context]) for start in starts])
        slots = self.rng.permutation(batch)[: len(rows)]
        for slot, row, cut in zip(slots, rows, cuts, strict=True):
            inputs[slot] = self.splice(self.blocks.inputs[row], int(cut))
        return Look(inputs, rows, slots, cuts)

    def splice(self, row: np.ndarray, cut: int) -> np.ndarray:
        """``row`` up to ``cut``, then what follows the same token elsewhere: no pair of tokens gives the cut away."""
        import numpy as np

        length = len(row) - cut - 1
        if length == 0:
            return row
        first, last = (
            np.searchsorted(self.sorted, row[cut], "left"),
            np.searchsorted(self.sorted, row[cut], "right"),
        )
        for _ in range(TRIES):
            start = self.places[self.rng.integers(first, last)] + 1
            if self.text[start % len(self.text)] != row[cut + 1]:
                break
        tail = self.text[(start + np.arange(length)) % len(self.text)]
        if tail[0] == row[cut + 1]:  # this token is always followed by one and the same
            tail = self.rng.permutation(self.text)[:length]
        return np.concatenate([row[: cut + 1], tail])
