"""Golden texts and documents of the win matrix and of a tournament's plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builders import make_entry, make_study

from patchrun.core.picks import Entry
from patchrun.core.results import Study
from patchrun.core.winmatrix import WinMatrix, make_matrix
from patchrun.faces import match_tables
from patchrun.services.cost import Cost
from patchrun.services.schedule import Item, Schedule

GOLDEN = Path(__file__).parent / "golden"
WIDTH = 100


def make_entries() -> list[Entry]:
    """Three agents that met on records 2 to 5, two on record 9 only, and one that met nobody."""
    entries = [make_entry("ada", str(n), 0.8 + 0.05 * n) for n in range(2, 6)]
    entries += [make_entry("grace", str(n), 0.55 + 0.1 * (n % 2)) for n in range(2, 6)]
    entries += [make_entry("hopper", str(n), 0.75 - 0.1 * n) for n in range(2, 5)]
    return [*entries, make_entry("eve", "9", 0.9), make_entry("dan", "9", 0.1), make_entry("zoe", "12", 0.5)]


def make_board() -> WinMatrix:
    return make_matrix(make_entries())


def cost_of(study: Study, seconds: float | None, runs: int = 15, gpus: int = 0) -> Cost:
    hours = None if seconds is None else seconds * gpus / 3600
    return Cost(study.record, len(study.arms) - 2, runs, seconds, seconds, hours)


def make_plan(seconds: float | None = 215.0, gpus: int = 0) -> Schedule:
    two, five, nine = (make_study(record=record, id=f"s{record}") for record in ("2", "5", "9"))
    items = (
        Item(two, "unfinished", ("ada",), cost_of(two, 86.0, 6, gpus)),
        Item(five, "pending", ("grace",), cost_of(five, seconds, 15, gpus)),
        Item(nine, "again", ("dan", "eve"), cost_of(nine, 330.5, 20, gpus), 0.0834),
    )
    return Schedule(items, (), None)


TEXTS = {
    "matrix.txt": lambda: match_tables.matrix_text(make_board()),
    "schedule.txt": lambda: match_tables.schedule_text(make_plan()),
}


@pytest.mark.parametrize("name", TEXTS)
def test_golden(name: str) -> None:
    assert TEXTS[name]() + "\n" == (GOLDEN / name).read_text()


def test_texts_fit_a_hundred_columns() -> None:
    crowd = make_matrix(
        [make_entry(f"agent-with-a-long-name-{k}", n, 0.9 - k / 20) for k in range(9) for n in "23"]
    )
    text = match_tables.matrix_text(crowd)
    assert "The first 5 of 9 agents have a column" in text
    for one in (text, *(make() for make in TEXTS.values())):
        assert max(len(line) for line in one.splitlines()) <= WIDTH


def test_the_matrix_document() -> None:
    found = match_tables.matrix_document(make_board())
    assert json.loads(json.dumps(found)) == found
    ada = found["rows"][0]
    assert (ada["agent"], ada["group"]) == ("ada", 1)
    assert ada["against"]["grace"] == {"wins": 4.0, "matches": 4}
    assert "eve" not in ada["against"], "they never met"
    assert found["groups"] == [["ada", "grace", "hopper"], ["eve", "dan"], ["zoe"]]
    assert found["rows"][-1] == {"agent": "zoe", "group": 3, "rating": None, "ci": None, "against": {}}


def test_an_empty_matrix_and_an_empty_plan() -> None:
    assert match_tables.matrix_text(make_matrix([])) == "no attempts yet"
    assert match_tables.schedule_text(Schedule((), (), None)).startswith("Nothing waits")


def test_one_group_has_no_note() -> None:
    assert "Note" not in match_tables.matrix_text(
        make_matrix([make_entry("a", "2", 0.5), make_entry("b", "2", 0.1)])
    )


def test_the_sums_of_a_plan() -> None:
    document = make_plan().to_json()
    assert document["wall_seconds"] == 631.5
    assert document["cpu_hours"] == pytest.approx(631.5 / 3600, abs=1e-6) and document["gpu_hours"] == 0
    assert [study["why"] for study in document["studies"]] == ["unfinished", "pending", "again"]
    assert json.loads(json.dumps(document)) == document


def test_gpu_hours_of_a_plan() -> None:
    text = match_tables.schedule_text(make_plan(gpus=8))
    assert "In all about 632 s, 1.4 GPU-hours." in text


def test_an_unknown_cost_is_said() -> None:
    text = match_tables.schedule_text(make_plan(None))
    assert "unknown" in text and "In all about unknown." in text
    assert make_plan(None).to_json()["wall_seconds"] is None


def test_what_is_beyond_the_budget_is_listed() -> None:
    plan = make_plan()
    text = match_tables.schedule_text(Schedule((), plan.items[:1], 10.0))
    assert text.startswith("Nothing fits the budget.") and "beyond the budget" in text
