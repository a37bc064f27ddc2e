"""Moments at which a model is copied: drawn, sent, and how surely they show what was put in."""

from __future__ import annotations

import random

import pytest

from patchrun.core.snapshots import (
    MOMENTS,
    START,
    chance_to_see,
    draw_moments,
    find_fall,
    floor_at,
    name_moment,
    pack_moments,
)


@pytest.mark.parametrize("floors", [0, 1, 2, 3, 4, 9, 40])
def test_moments_are_the_fixed_ones_a_secret_one_and_later_ones(floors: int):
    for seed in range(200):
        drawn = draw_moments(floors, random.Random(seed))
        last = max(floors, 2)
        assert list(drawn) == sorted(set(drawn)) and len(drawn) <= MOMENTS
        assert {1, 2, last} <= set(drawn)
        assert len([number for number in drawn if 2 < number < last]) == (1 if last > 3 else 0)
        later = [number for number in drawn if number >= last]
        assert all(number <= 2.5 * before for before, number in zip(later, later[1:], strict=False))
        assert later[-1] > 2000


def test_every_number_with_a_floor_and_many_later_ones_are_drawn():
    drawn = [draw_moments(9, random.Random(seed)) for seed in range(400)]
    assert {number for numbers in drawn for number in numbers if number < 9} == set(range(1, 9))
    assert len({number for numbers in drawn for number in numbers if 9 < number < 100}) > 80


def test_the_signal_has_one_length_whatever_was_drawn():
    assert {len(pack_moments(draw_moments(floors, random.Random(floors)))) for floors in range(50)} == {
        START.size
    }
    assert pack_moments(()) == bytes(START.size)
    assert START.unpack(pack_moments((1, 2, 300)))[:4] == (1, 2, 300, 0)


def test_floors_are_those_of_the_updates_before():
    floors = (6.1, 5.8, 5.2)
    assert [floor_at(number, floors) for number in (1, 2, 3, 4)] == [6.1, 5.8, 5.2, None]
    assert floor_at(1, ()) is None


def test_what_stays_is_always_seen_and_what_is_hidden_again_mostly():
    """Ten trainings a study; one number of six is drawn each: (5/6) ** 10 of them miss a single call."""
    assert chance_to_see(5, 1000, 9, 1) == 1.0
    assert chance_to_see(2, 2, 9, 1) == chance_to_see(9, 9, 9, 1) == 1.0
    assert chance_to_see(5, 5, 9, 10) == pytest.approx(1 - (5 / 6) ** 10)
    assert chance_to_see(3, 8, 9, 1) == 1.0
    assert chance_to_see(10, 12, 9, 10) == 0.0


def test_the_chance_is_that_of_the_draw():
    seen = sum(
        any(4 <= number <= 5 for number in draw_moments(9, random.Random(seed))) for seed in range(3000)
    )
    assert seen / 3000 == pytest.approx(chance_to_see(4, 5, 9, 1), abs=0.03)


def test_names():
    assert name_moment(1) == "before training"
    assert name_moment(2) == "after at most 1 update"
    assert name_moment(7) == "after at most 6 updates"


@pytest.mark.parametrize(
    ("losses", "final"),
    [
        ([], 3.4),
        ([(1, 6.24), (2, 6.2)], 6.1),
        ([(1, 6.24), (2, 6.18), (9, 4.25), (17, 3.64)], 3.62),  # batches of 128
        ([(1, 6.24), (2, 6.2), (17, 4.15), (23, 3.93), (45, 3.57), (64, 3.36)], 3.35),
        ([(4, 5.79), (8, 4.48)], 3.67),
        ([(1, 6.24), (2, 6.18), (90, 3.7)], 3.4),  # nothing is known of what lies between
    ],
)
def test_honest_curves_are_not_steep(losses: list[tuple[int, float]], final: float):
    assert find_fall(losses, final) == ""


def test_a_steep_fall_is_told():
    flat = [(1, 6.24), (2, 6.24), (17, 6.24)]
    assert find_fall([*flat, (30, 3.41)], 3.4).startswith(
        "the loss fell from 6.24 to 3.41 between the model's call 17 and the model's call 30"
    )
    assert "between the model's call 17 and the end" in find_fall(flat, 3.4)
