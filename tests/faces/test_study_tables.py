"""Golden texts of the tables about the method."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from patchrun.core.coverage import tabulate_coverage
from patchrun.core.fsrtable import Rule, make_table, read_runs, read_times
from patchrun.core.racesim import RaceResult, RejectResult
from patchrun.faces import race_view, study_tables

GOLDEN = Path(__file__).parent / "golden"
TIMES = read_times("record,seconds\n1,100\n2,80\n3,60\n4,70\n")
RUNS = read_runs("agent,record,seconds\nada,2,85\nada,2,95\nada,2,\nada,3,62\ngrace,2,101\ngrace,4,60\n")
RACES = [
    RaceResult("pocket", "all good", 300, 0.0, 0.0, 0.002, 0.0, 0.4811, 0.0),
    RaceResult(
        "nanogpt", "mixed", 300, 0.2704, 0.5246, 0.391, 0.4163, 0.6805, 0.0033, {"time, inside a run": 37}
    ),
]
REJECTS = [RejectResult("pocket", 5, 200, 0.332, 0.98, 0.0049)]

TEXTS = {
    "coverage.txt": lambda: study_tables.coverage_text(
        tabulate_coverage((3, 5), (0.0, 1.0), (0.1,), ("normal",), trials=2000)
    ),
    "races.txt": lambda: race_view.race_text(RACES) + "\n\n" + race_view.rejects_text(REJECTS),
    "fsr.txt": lambda: study_tables.fsr_table_text(make_table(TIMES, RUNS, Rule())),
}


@pytest.mark.parametrize("name", TEXTS)
def test_golden(name: str) -> None:
    assert TEXTS[name]() + "\n" == (GOLDEN / name).read_text()


@pytest.mark.parametrize("name", TEXTS)
def test_texts_fit_a_hundred_columns(name: str) -> None:
    assert max(map(len, TEXTS[name]().splitlines())) <= 100


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Rule(), "mean of all runs, failed runs count 0, each record clipped to [0, 1]"),
        (
            Rule(pick="top", top=3, failed="drop", clip="none", max_loss=3.29),
            "mean of the best 3 runs, failed runs are dropped, not clipped, loss at most 3.29",
        ),
        (Rule(pick="best", clip="runs"), "the best run, failed runs count 0, each run clipped to [0, 1]"),
    ],
)
def test_a_rule_in_words(rule: Rule, words: str) -> None:
    assert study_tables.describe_rule(rule) == words


def test_the_fsr_document_is_json() -> None:
    found = study_tables.fsr_table_document(make_table(TIMES, RUNS, Rule()))
    assert set(found) == {"rule", "cells", "agents", "excluded"}
    assert found["excluded"] == {"4": "the gap is not positive (-10 s)"}
    assert json.loads(json.dumps(found)) == found


def test_no_runs_is_an_empty_table() -> None:
    assert "agent" in study_tables.fsr_table_text(make_table(TIMES, (), Rule()))
