"""Ablations in words and as JSON, from literal runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from patchrun.core.ablation import MEANINGS
from patchrun.core.pieces import COARSE, Hunk, Piece
from patchrun.faces.ablation_view import ablation_document, ablation_text, prospect_document, prospect_text
from patchrun.services.ablation import Prospect
from tests.core.test_ablation import EXACT, LEFT_OUT, ablate

GOLDEN = Path(__file__).parent / "golden" / "ablation.txt"


def test_golden() -> None:
    assert ablation_text(ablate(), 0.8) + "\n" == GOLDEN.read_text()


def test_it_fits_a_hundred_columns() -> None:
    assert max(map(len, ablation_text(ablate()).splitlines())) <= 100


def test_the_search_says_what_ended_it() -> None:
    assert "; none of them can be left out." in ablation_text(ablate())
    assert "the budget ended the search" in ablation_text(ablate(arms=LEFT_OUT))
    slower = ablation_text(ablate(EXACT | {"full": 12.0}))
    assert "No search for the fewest pieces: the whole patch is not faster" in slower


def test_what_breaks_is_told_from_what_misses() -> None:
    text = ablation_text(ablate(EXACT | {"rest0": 8.0}, {"rest0": 3.9}, rest1="exit status 1"))
    table = text.split("Fewest")[0]
    assert table.count("carries:") == 2 and table.count("misses") == table.count("breaks") == 1


def test_the_document_counts_from_1_and_has_every_figure() -> None:
    document = ablation_document(ablate(), 0.8)
    assert json.loads(json.dumps(document)) == document
    pays = document["pieces"][0]
    assert pays["piece"] == 1 and pays["label"] == "pays" and pays["joined_since"] is None
    assert pays["hunks"] == [{"path": "train.py", "old": [1, 1], "new": [1, 1]}]
    assert set(pays["seconds"]) == {"difference", "ci", "p", "p_holm"} == set(pays["loss"])
    assert pays["alone"]["fsr"] == pytest.approx(0.8 * pays["alone"]["share"])
    assert document["fewest"]["pieces"] == [1] and document["fewest"]["is_minimal"] is True
    assert document["whole"]["pieces"] == [1, 2, 3] and document["whole"]["share"] == pytest.approx(1)
    assert ablation_document(ablate(EXACT | {"full": 12.0}))["fewest"] is None


PIECES = (Piece((Hunk("a.py", 4, 5, 4, 6),), COARSE), Piece((Hunk("a.py", 9, 9, 9, 12),)))


def test_the_cost_is_said_in_runs() -> None:
    prospect = Prospect(PIECES, 5, 30, 0, 200, 61.4, True)
    text = prospect_text(prospect)
    assert "2 pieces:" in text and "  1  a.py:5 (+2 -1); one since: neighbours" in text
    assert "Each left out, and alone: 30 runs in 5 blocks, about 61 s of training." in text
    assert "at most 170 more (--budget-runs 200)" in text
    document = prospect_document(prospect, "x")
    assert (
        document["runs"] == {"first": 30, "most": 200, "stored": 0} and document["training_seconds"] == 61.4
    )
    lean = prospect_text(Prospect(PIECES, 5, 20, 7, 20, None, False))
    assert "the budget does not take each alone" in lean and "7 of the ablation's are there" in lean
    assert "at most 0 more" in lean


def test_the_page_says_what_each_label_means() -> None:
    page = (Path(__file__).parents[2] / "docs" / "ablation.md").read_text()
    for label, meaning in MEANINGS.items():
        assert f"| {label} | {meaning} |" in page
