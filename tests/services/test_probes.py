"""Calls on a graph: every block once, then looks that replace what a causal model must not use."""

from __future__ import annotations

import numpy as np
import pytest

from patchrun.services.probes import STRICT_LOOKS, Blocks, Look, Splicer, plan_looks, seat_blocks

COUNT, CONTEXT, BATCH = 41, 16, 8


@pytest.fixture
def blocks() -> Blocks:
    text = np.random.default_rng(0).integers(30, size=COUNT * CONTEXT + 1).astype(np.uint16)
    return Blocks(text[:-1].reshape(COUNT, CONTEXT), text[1:].reshape(COUNT, CONTEXT))


def plan(blocks: Blocks, probes: int = 100, seed: int = 0) -> tuple[list[np.ndarray], list[Look]]:
    rng = np.random.default_rng(seed)
    seats = seat_blocks(blocks.count, BATCH, rng)
    return seats, list(plan_looks(blocks, seats, probes, BATCH, rng))


def test_every_block_has_a_seat_and_calls_are_full():
    seats = seat_blocks(COUNT, BATCH, np.random.default_rng(0))
    assert {len(seat) for seat in seats} == {BATCH}
    assert set(np.concatenate(seats).tolist()) == set(range(COUNT))
    assert len(seats) == 6


def test_seats_are_others_each_time():
    first, second = (seat_blocks(COUNT, BATCH, np.random.default_rng(seed)) for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_fewer_blocks_than_a_call_holds():
    (seat,) = seat_blocks(3, BATCH, np.random.default_rng(0))
    assert set(seat.tolist()) == {0, 1, 2} and len(seat) == BATCH


def test_a_look_keeps_the_beginning_and_replaces_the_rest(blocks: Blocks):
    _, looks = plan(blocks)
    changed = 0
    for look in looks:
        assert look.inputs.shape == (BATCH, CONTEXT)
        for row, slot, cut in zip(look.rows, look.slots, look.cuts, strict=True):
            true = blocks.inputs[row]
            assert np.array_equal(look.inputs[slot, : cut + 1], true[: cut + 1])
            if cut + 1 < CONTEXT:
                assert look.inputs[slot, cut + 1] != true[cut + 1], "a look one token ahead shows at the cut"
                changed += 1
    assert changed > 80


def test_the_first_new_token_has_followed_the_last_old_one_before(blocks: Blocks):
    text = blocks.inputs.reshape(-1)
    pairs = set(zip(text.tolist(), [*text.tolist()[1:], text[0].item()], strict=True))
    splicer = Splicer(blocks, np.random.default_rng(0))
    rows = [(splicer.splice(blocks.inputs[row], 5), row) for row in range(COUNT)]
    assert all((made[5].item(), made[6].item()) in pairs for made, _ in rows)


def test_a_token_that_has_one_follower_only_gets_another(blocks: Blocks):
    text = np.tile(np.arange(CONTEXT), 4).astype(np.uint16)
    always = Blocks(text.reshape(-1, CONTEXT), text.reshape(-1, CONTEXT))
    seen = [Splicer(always, np.random.default_rng(seed)).splice(always.inputs[0], 3)[4] for seed in range(9)]
    assert any(token != 4 for token in seen)


def test_cuts_are_spread_over_all_positions(blocks: Blocks):
    _, looks = plan(blocks, probes=4 * CONTEXT)
    cuts = np.concatenate([look.cuts for look in looks[:-STRICT_LOOKS]])
    assert np.bincount(cuts, minlength=CONTEXT).tolist() == [4] * CONTEXT


def test_fewer_probes_than_positions(blocks: Blocks):
    _, looks = plan(blocks, probes=5)
    assert sum(len(look.cuts) for look in looks[:-STRICT_LOOKS]) == 5
    assert all(look.inputs.shape == (BATCH, CONTEXT) for look in looks)


def test_strict_looks_seat_nobody_with_an_old_neighbour(blocks: Blocks):
    seats, looks = plan(blocks)
    call = {block: number for number, seat in enumerate(seats[:-1]) for block in seat.tolist()}
    for look in looks[-STRICT_LOOKS:]:
        calls = [call[row] for row in look.rows.tolist() if row in call]
        assert len(look.rows) == BATCH // 2 and len(set(calls)) >= len(calls) - 1
        others = set(range(BATCH)) - set(look.slots.tolist())
        assert others, "the rest of the batch is new text"


def test_places_in_the_batch_are_drawn(blocks: Blocks):
    _, looks = plan(blocks)
    assert any(look.slots.tolist() != sorted(look.slots.tolist()) for look in looks)
