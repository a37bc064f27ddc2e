from __future__ import annotations

import numpy as np
import pytest

from patchrun.services.probes import Blocks, Look, batches, plan_looks


def plan(count: int = 40, context: int = 16, probes: int = 100, batch: int = 8, seed: int = 0) -> list[Look]:
    return plan_looks(count, context, probes, batch, np.random.default_rng(seed))


def prefixes(looks: list[Look]) -> list[Look]:
    return [look for look in looks if look.first == look.last]


def test_as_many_positions_as_asked_spread_evenly_over_the_lengths():
    per_length = np.zeros(16, int)
    for look in prefixes(plan(probes=100)):
        per_length[look.last] += len(look.rows)
    assert per_length.sum() == 100
    assert set(per_length) == {6, 7}


def test_fewer_probes_than_lengths_are_still_all_there():
    looks = prefixes(plan(probes=5))
    assert sum(len(look.rows) for look in looks) == 5
    assert len({look.last for look in looks}) == 5


def test_no_call_is_larger_than_a_batch():
    assert max(len(look.rows) for look in plan(probes=1000)) == 8


def test_a_quarter_of_the_blocks_is_seen_again_each_once():
    whole = [look for look in plan(count=80) if look.first != look.last]
    rows = np.concatenate([look.rows for look in whole])
    assert len(rows) == len(set(rows)) == 20
    assert {(look.first, look.last) for look in whole} == {(0, 15)}


def test_few_blocks_are_all_seen_again():
    rows = np.concatenate([look.rows for look in plan(count=5) if look.first != look.last])
    assert sorted(rows) == [0, 1, 2, 3, 4]


def test_the_plan_is_another_one_each_time_and_mixes_both_kinds():
    first, second = plan(seed=1), plan(seed=2)
    assert [look.rows.tolist() for look in first] != [look.rows.tolist() for look in second]
    kinds = [look.first == look.last for look in first]
    assert kinds != sorted(kinds)
    assert kinds != sorted(kinds, reverse=True)


@pytest.fixture
def blocks() -> Blocks:
    tokens = np.arange(21, dtype=np.uint16)
    return Blocks(tokens[:20].reshape(5, 4), tokens[1:21].reshape(5, 4))


def test_a_prefix_look_sees_its_prefix_and_compares_its_last_position(blocks: Blocks):
    look = Look(np.array([3, 0]), 2, 2)
    assert look.inputs(blocks).tolist() == [[12, 13, 14], [0, 1, 2]]
    assert look.targets(blocks).tolist() == [[15], [3]]
    table = np.arange(20.0).reshape(5, 4)
    assert look.disagreement(table, np.array([[14.0], [2.5]])).tolist() == [[0.0], [0.5]]
    assert "prefix" in look.way


def test_a_look_at_whole_blocks_compares_everything(blocks: Blocks):
    look = Look(np.array([1]), 0, 3)
    assert look.inputs(blocks).tolist() == [[4, 5, 6, 7]]
    assert look.targets(blocks).tolist() == [[5, 6, 7, 8]]
    assert look.disagreement(np.zeros((5, 4)), np.array([[0, 1, -2, 0]])).tolist() == [[0, 1, 2, 0]]
    assert "order" in look.way


def test_batches():
    assert [part.tolist() for part in batches(np.arange(5), 2)] == [[0, 1], [2, 3], [4]]
    assert list(batches(np.arange(0), 2)) == []
