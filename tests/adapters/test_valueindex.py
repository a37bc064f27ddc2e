"""What commits hold, decoded once: kept by commit, made again when damaged, done without where it cannot be kept."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from patchrun.adapters import store
from patchrun.adapters.store import RUNS, Arena
from patchrun.adapters.valueindex import ValueIndex
from patchrun.core.errors import ArenaError
from patchrun.core.results import CurvePoint, Run, Study, drop_curve
from patchrun.services import standings, tournament, verify
from tests.core.test_plan import run, study
from tests.services.test_tournament import fill, hand_in

SECONDS = {"baseline": 10.0, "human": 7.0, "submission": 8.0}


class Word(msgspec.Struct):
    text: str


class Number(msgspec.Struct):
    text: int


@pytest.fixture
def index(tmp_path: Path) -> ValueIndex:
    return ValueIndex(tmp_path / "own" / "values.sqlite")


def test_what_was_put_is_there_and_nothing_else(index: ValueIndex) -> None:
    assert index.get(Word, ["a"]) == {}
    index.put(Word, {"a": Word("one"), "b": Word("two")})
    assert index.get(Word, ["b", "c"]) == {"b": Word("two")}
    assert index.get(Word, []) == {}


def test_kinds_do_not_meet(index: ValueIndex) -> None:
    index.put(Word, {"a": Word("one")})
    assert index.get(Number, ["a"]) == {}
    index.put(Number, {"a": Number(1)})
    assert index.get(Word, ["a"]) == {"a": Word("one")} and index.get(Number, ["a"]) == {"a": Number(1)}


def test_a_kind_with_other_fields_is_another_kind(index: ValueIndex) -> None:
    index.put(Word, {"a": Word("one")})
    newer = msgspec.defstruct("Word", [("text", str), ("more", int, 0)])
    assert index.get(newer, ["a"]) == {}, "or a default would stand where git has a value"


def test_the_first_value_of_a_commit_stays(index: ValueIndex) -> None:
    index.put(Word, {"a": Word("one")})
    index.put(Word, {"a": Word("other")})
    assert index.get(Word, ["a"]) == {"a": Word("one")}


@pytest.mark.parametrize("damage", [b"no database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_dropped_and_made_again(index: ValueIndex, damage: bytes) -> None:
    index.put(Word, {"a": Word("one")})
    index.path.write_bytes(damage)
    assert index.get(Word, ["a"]) == {}
    index.put(Word, {"a": Word("one")})
    assert index.get(Word, ["a"]) == {"a": Word("one")}


def test_a_value_that_cannot_be_read_drops_the_file(index: ValueIndex) -> None:
    index.put(Word, {"a": Word("one")})
    with sqlite3.connect(index.path) as database:
        [(table,)] = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        database.execute(f"UPDATE {table} SET value = x'c1'")
    database.close()
    assert index.get(Word, ["a"]) == {} and not index.path.exists()


def test_a_locked_file_is_done_without(index: ValueIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    index.put(Word, {"a": Word("one")})
    monkeypatch.setattr("patchrun.adapters.valueindex.WAIT_SECONDS", 0.05)
    owner = sqlite3.connect(index.path)
    owner.execute("BEGIN EXCLUSIVE")
    assert index.get(Word, ["a"]) == {}
    index.put(Word, {"b": Word("two")})
    owner.rollback()
    owner.close()
    assert index.get(Word, ["a", "b"]) == {"a": Word("one")}, (
        "the reader waited for nobody, the owner lost nothing"
    )


def test_a_full_disk_keeps_nothing_and_breaks_nothing(index: ValueIndex) -> None:
    index.path.parent.mkdir()
    index.path.symlink_to("/dev/full")
    index.put(Word, {"a": Word("one")})
    assert index.get(Word, ["a"]) == {}


def test_many_writers_at_once_lose_nothing(index: ValueIndex) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: index.put(Number, {str(number): Number(number)}), range(40)))
    found = index.get(Number, [str(number) for number in range(40)])
    assert found == {str(number): Number(number) for number in range(40)}


def test_an_arena_reads_git_once_for_each_result(plain: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_in(plain)
    [made] = tournament.plan_waiting(plain)
    fill(plain, made, SECONDS)
    first = plain.runs()
    asked: list[str] = []
    stream = plain.repo.stream
    monkeypatch.setattr(
        plain.repo, "stream", lambda specs: stream(asked.extend(wanted := list(specs)) or wanted)
    )
    assert plain.runs() == first and asked == []
    plain.add_run(run(made.id, "b1", "baseline", 9), b"log")
    assert len(plain.runs()) == len(first) + 1 and len(asked) == 1, "only what is new is read"


def test_a_leaderboard_is_the_same_without_the_file_and_with_a_damaged_one(plain: Arena) -> None:
    hand_in(plain)
    fill(plain, tournament.plan_waiting(plain)[0], SECONDS)
    file, boards = plain.folder / "values.sqlite", []
    for damage in (None, b"", b"nonsense"):
        for remembered in (plain.folder / "remembered").glob("*"):
            remembered.unlink()
        if damage is None:
            file.unlink(missing_ok=True)
        else:
            file.write_bytes(damage)
        boards.append(standings.board(plain))
    assert boards[0] == boards[1] == boards[2] and boards[0].rows[0].valid == 1
    assert verify.verify(plain).problems == ()


def test_damage_in_git_is_told_when_nothing_is_known_of_it(plain: Arena) -> None:
    tree = plain.repo.store_files({"run.json": b"{"})
    commit = plain.repo.commit(tree, [], "w\n", store.PATCHRUN, "2026-01-01T00:00:00+00:00")
    plain.repo.create_refs({f"{RUNS}b1/s-b0p0s1": commit})
    for _ in range(2):
        with pytest.raises(ArenaError, match="not a run"):
            plain.runs()


def curved(made: Study) -> Run:
    points = tuple(CurvePoint(step, 3.0, 1.0, 0.1 * step) for step in range(5))
    return msgspec.structs.replace(run(made.id, "b5", "baseline", 0), curve=points)


def test_all_runs_come_without_curves_and_those_of_a_study_whole(plain: Arena) -> None:
    made, other = study(), msgspec.structs.replace(study(), id="s2")
    plain.add_run(whole := curved(made), b"log")
    plain.add_run(msgspec.structs.replace(whole, study="s2"), b"log")
    assert [each.curve for each in plain.runs()] == [(), ()]
    assert plain.runs_of([made]) == [whole] and plain.runs_of([]) == []
    assert {each.study for each in plain.runs_of([made, other])} == {made.id, "s2"}
    assert plain.log(drop_curve(whole)) == plain.log(whole) == b"log"


def test_a_study_whose_id_begins_like_anothers_is_another(plain: Arena) -> None:
    made = study()
    longer = msgspec.structs.replace(made, id=f"{made.id}1")
    plain.add_run(run(made.id, "b5", "baseline", 0), b"log")
    plain.add_run(run(longer.id, "b5", "baseline", 0), b"log")
    assert {each.study for each in plain.runs_of([made])} == {made.id}
    assert len(plain.slots(made)) == len(plain.slots(longer)) == 1


def test_many_results_are_read_in_pieces(plain: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    made = study()
    for block in range(7):
        plain.add_run(run(made.id, "b5", "baseline", block), b"log")
    monkeypatch.setattr(store, "CHUNK", 3)
    sizes: list[int] = []
    put = ValueIndex.put
    monkeypatch.setattr(
        ValueIndex, "put", lambda self, kind, values: sizes.append(len(values)) or put(self, kind, values)
    )
    assert len(plain.runs()) == 7 and sizes == [3, 3, 1]
