"""Streams in pieces, and work that is one item ahead."""

from __future__ import annotations

import threading

import pytest

from patchrun.core.chunks import batched, map_ahead


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (3, [3]), (4, [3, 1]), (7, [3, 3, 1])])
def test_pieces_keep_order_and_size(count: int, sizes: list[int]) -> None:
    pieces = list(batched(iter(range(count)), 3))
    assert [len(piece) for piece in pieces] == sizes
    assert [item for piece in pieces for item in piece] == list(range(count))


def test_results_come_in_order() -> None:
    assert list(map_ahead(lambda number: number * number, range(5))) == [
        (0, 0),
        (1, 1),
        (2, 4),
        (3, 9),
        (4, 16),
    ]
    assert list(map_ahead(str, [])) == []


def test_the_next_is_worked_on_while_this_one_is_used() -> None:
    begun = {number: threading.Event() for number in range(3)}
    for number, _ in map_ahead(lambda one: begun[one].set(), range(3)):
        if number + 1 in begun:
            assert begun[number + 1].wait(5), "before the loop asked for it"
        if number + 2 in begun:
            assert not begun[number + 2].is_set(), "and no further: memory stays bounded"


def test_what_fails_is_raised_where_it_would_have_been_used() -> None:
    seen = []
    with pytest.raises(ZeroDivisionError):
        for item, result in map_ahead(lambda number: 1 / number, [1, 2, 0, 4]):
            seen.append((item, result))
    assert seen == [(1, 1.0), (2, 0.5)]
