"""Tables are remembered for one state of the arena and made again when anything changed or the copy is damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from patchrun.adapters.memory import KEPT, remember
from patchrun.adapters.store import Arena
from patchrun.services import standings, tournament
from tests.services.test_tournament import fill, hand_in


class Table(msgspec.Struct):
    value: int


class Count:
    """How often it was made."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> Table:
        self.made += 1
        return Table(self.made)


def files(arena: Arena) -> list[Path]:
    return sorted((arena.folder / "remembered").glob("*.json"))


def test_one_question_in_one_state_is_worked_out_once(plain: Arena) -> None:
    work = Count()
    assert [remember(plain, Table, ("q",), work).value for _ in range(3)] == [1, 1, 1]
    assert remember(plain, Table, ("another",), work).value == 2


def test_a_new_result_is_a_new_state(plain: Arena) -> None:
    work = Count()
    remember(plain, Table, ("q",), work)
    hand_in(plain)
    assert remember(plain, Table, ("q",), work).value == 2


@pytest.mark.parametrize("damage", [b"", b"{", b'{"value": "text"}', b"\xff\xfe"])
def test_a_damaged_copy_is_made_again(plain: Arena, damage: bytes) -> None:
    work = Count()
    remember(plain, Table, ("q",), work)
    [file] = files(plain)
    file.write_bytes(damage)
    assert remember(plain, Table, ("q",), work).value == 2
    assert remember(plain, Table, ("q",), work).value == 2


def test_few_are_kept(plain: Arena) -> None:
    for index in range(KEPT + 5):
        remember(plain, Table, (index,), Count())
    assert len(files(plain)) == KEPT


def test_a_leaderboard_is_the_same_remembered_or_not(plain: Arena) -> None:
    handed = hand_in(plain)
    fill(plain, tournament.plan_waiting(plain)[0], {"baseline": 10.0, "human": 7.0, "submission": 8.0})
    fresh = standings.board(plain)
    assert len(files(plain)) == 1 and standings.board(plain) == fresh
    tournament.rule(plain, handed.attempt, "disqualified", "cheats", "owner")
    assert standings.board(plain).rows[0].valid == 0 and fresh.rows[0].valid == 1


def test_an_arena_without_a_folder_of_its_own_is_read_all_the_same(plain: Arena) -> None:
    shutil.rmtree(plain.folder)
    (plain.repo.path / "patchrun").write_text("in the way")
    work = Count()
    assert [remember(plain, Table, ("q",), work).value for _ in range(2)] == [1, 2]
