"""A stream in pieces, so that what is held at once does not grow with it (Python 3.12 has this in itertools)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

S, T = TypeVar("S"), TypeVar("T")


def batched(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """The items in their order, ``size`` at a time; the last may be fewer."""
    rest = iter(items)
    while chunk := tuple(islice(rest, size)):
        yield chunk


def map_ahead(work: Callable[[S], T], items: Iterable[S]) -> Iterator[tuple[S, T]]:
    """Each item with what ``work`` makes of it, in order; the next one is worked on while this one is used."""
    with ThreadPoolExecutor(1) as pool:
        rest = iter(items)
        coming = [(item, pool.submit(work, item)) for item in islice(rest, 1)]
        while coming:
            item, made = coming.pop()
            result = made.result()
            coming += [(following, pool.submit(work, following)) for following in islice(rest, 1)]
            yield item, result
