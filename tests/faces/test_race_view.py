"""The racing page and its tables from values."""

from __future__ import annotations

import json

import pytest

from patchrun.core.racesim import RaceResult, RejectResult
from patchrun.faces import race_view
from patchrun.faces.cli import run

RACE = RaceResult("pocket", "mixed", 60, 0.0, 0.45, 0.5, 0.3, 0.58, 0.0, {"time, inside a run": 7})
REJECT = RejectResult("pocket", 5, 20, 0.33, 0.98, 0.005)


def test_the_page_holds_every_table_and_no_hole() -> None:
    page = race_view.race_page([RACE], [], [REJECT])
    assert "{" not in page and not page.endswith("\n")
    assert "45.0%" in page and "time, inside a run" in page and "33.0%" in page
    assert max(map(len, page.splitlines())) <= 120


def test_a_small_race_on_one_track_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", "racing", "--track", "pocket", "--studies", "3", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {(row["world"], row["population"]) for row in found["rows"]} == {
        ("pocket", "mixed"),
        ("pocket", "all good"),
    }
    assert all(row["submissions"] == 9 and row["wrong"] == 0 for row in found["rows"])
    assert [row["arms"] for row in found["rejects"]] == [3, 5, 10]


def test_a_track_without_figures_is_refused(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.conftest import TINY

    assert run(["simulate", "racing", "--track", str(TINY)]) == 2
    assert "race.csv" in capsys.readouterr().err
    assert run(["simulate", "racing", "--track", str(tmp_path)]) == 2
