"""At which moments a training's model is copied, what loss it must still have then, and how surely that shows.

Copies are made before the forwards with certain numbers. Number m is reached after at most m - 1 updates, so a track's
floors (``evidence.min_loss_steps``: the least loss after 0, 1, 2, ... updates) bound it: a script that calls its model
more often than it updates it is only further from them.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

MOMENTS = 16  # numbers in the start signal, unused ones 0
START = struct.Struct(f"<{MOMENTS}I")  # as launch/launcher.py reads it
LATEST = 1 << 20
STEEP = 2.0  # nats within about a doubling of the calls; honest runs of pocket lose 1.3 at most


def draw_moments(floors: int, rng: random.Random) -> tuple[int, ...]:
    """Numbers of forwards, rising: the first two, the last with a floor, a random one before it, and later ones.

    Later ones double from a random start, so that there are some in every part of a training, however long it is.
    """
    last = max(floors, 2)
    secret = [rng.randint(3, last - 1)] if last > 3 else []
    phase = rng.random()
    later = [round(last * 2 ** (phase + power)) for power in range(MOMENTS - 4)]
    numbers = {1, 2, *secret, last, *(number for number in later if number <= LATEST)}
    return tuple(sorted(numbers))


def pack_moments(numbers: Sequence[int]) -> bytes:
    """The start signal: always of the same length."""
    return START.pack(*numbers, *[0] * (MOMENTS - len(numbers)))


def floor_at(number: int, floors: Sequence[float]) -> float | None:
    """The least loss before forward ``number`` (from 1 on), None where none is known."""
    return floors[number - 1] if number <= len(floors) else None


def chance_to_see(first: int, last: int, floors: int, trainings: int) -> float:
    """The chance that one of ``trainings`` copies the model before a forward from ``first`` to ``last``.

    Each draws a number between 3 and ``floors`` - 1 for itself, all as likely; 1, 2 and ``floors`` are always copied.
    """
    if any(first <= number <= last for number in (1, 2, floors)):
        return 1.0
    seen = max(0, min(last, floors - 1) - max(first, 3) + 1)
    return 1 - (1 - seen / (floors - 3)) ** trainings


def name_moment(number: int) -> str:
    """When a copy was made, in words."""
    return (
        "before training" if number == 1 else f"after at most {number - 1} update{'s' if number > 2 else ''}"
    )


def find_fall(losses: Sequence[tuple[int, float]], final: float) -> str:
    """Where the loss falls steeply, in words for a person; "" where it does not.

    ``losses``: (number of the forward, loss before it), rising by number; ``final`` is reached before twice the last.
    """
    ends = [(number, loss, f"the model's call {number}") for number, loss in losses]
    ends.append((2 * ends[-1][0] if ends else 1, final, "the end"))
    for (first, before, start), (then, after, end) in zip(ends, ends[1:], strict=False):
        if then <= 2.5 * first and before - after > STEEP:
            losses_seen = f"the loss fell from {before:.2f} to {after:.2f}"
            return f"{losses_seen} between {start} and {end}: see what the script does there"
    return ""
