"""The table of all runs: which rows, which cells, and that it can be read again."""

from __future__ import annotations

import csv
import io

import pytest

from patchrun.core.runtable import COLUMNS, plain_cell, runs_csv, tabulate_runs
from tests.builders import SUBMISSION, make_attempt, make_run, make_study


def rows_of(**changes: object) -> list[dict]:
    runs = [make_run("submission", 1, 8.5, 3.7), make_run("baseline", 0, 10.0, 3.7)]
    later = [make_run("submission", 1, 7.0, 3.7)]
    attempt = make_attempt(id=SUBMISSION, hint_tiers=(1, 3), **changes)
    return tabulate_runs(runs, later, [attempt], [make_study()])


def test_a_row_a_run_in_order() -> None:
    rows = rows_of()
    assert [(row["kind"], row["block"], row["counted"]) for row in rows] == [
        ("baseline", 0, True), ("submission", 1, True), ("submission", 1, False),
    ]  # fmt: skip
    assert all(tuple(row) == COLUMNS for row in rows)


def test_a_submissions_run_names_its_maker_and_a_reference_nobody() -> None:
    baseline, own, _ = rows_of()
    assert (own["agent"], own["hint_tiers"], own["attempt"]) == ("ada", [1, 3], 1)
    assert (baseline["agent"], baseline["hint_tiers"], baseline["attempt"]) == (None, None, None)
    assert (own["generation"], own["seed_source"], own["hardware_class"]) == (0, "scoring", "cpu-a")


def test_a_run_without_its_study_is_kept() -> None:
    [row] = tabulate_runs([make_run("human", 0, 8.0, None, exit="failed")], [], [], [])
    assert row["generation"] is None and row["exit"] == "failed" and row["loss"] is None


def test_csv_is_read_back() -> None:
    read = list(csv.DictReader(io.StringIO(runs_csv(rows_of()))))
    assert [row["seconds"] for row in read] == ["10.0", "8.5", "7.0"]
    assert read[1]["hint_tiers"] == "1;3" and read[0]["agent"] == "" and read[0]["gpus"] == ""


def test_csv_keeps_lines_and_quotes_and_starts_no_formula() -> None:
    name = '=cmd("x")\nnext, "line"'
    [_, own, _] = csv.DictReader(io.StringIO(runs_csv(rows_of(agent=name))))
    assert own["agent"] == f"'{name}"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_what_a_spreadsheet_would_run(text: str) -> None:
    assert plain_cell(text) == f"'{text}"
    assert plain_cell("a" + text) == "a" + text


def test_no_runs_are_a_headline() -> None:
    assert runs_csv([]) == ",".join(COLUMNS) + "\n"
