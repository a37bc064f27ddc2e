"""Ablations, labels and transcripts: shown where an arena holds them, nothing where it does not, no trust in either."""

from __future__ import annotations

import gzip
import json

import msgspec
import pytest

from patchrun.adapters.store import Arena
from patchrun.faces.report.extras import ABLATIONS, LABELS, TRANSCRIPTS, read_extras
from patchrun.services import tournament
from tests.crowd import store
from tests.services.test_tournament import fill, hand_in

SUBMISSION = "ab" * 10


def add_transcript(arena: Arena, name: str, turns: object, **changes: object) -> None:
    document = {"submission": SUBMISSION, "agent": "ada", "model": "m", "outcome": "proposed", "usd": 0.5,
                "wall_seconds": 12.3, "created": "2026-01-01"} | changes  # fmt: skip
    packed = gzip.compress(json.dumps(turns).encode())
    files = {"transcript.json": json.dumps(document).encode(), "turns.json.gz": packed}
    store(arena, [(TRANSCRIPTS + name, files)])


def test_an_arena_without_them_has_none(plain: Arena) -> None:
    found = read_extras(plain)
    assert not found.sections and not found.usd


def test_transcripts_show_their_cost_and_turns(plain: Arena) -> None:
    add_transcript(plain, "a" * 20, [{"role": "user", "text": "<b>try</b>"}], created="2026-01-02")
    add_transcript(plain, "b" * 20, ["earlier"])
    add_transcript(plain, "c" * 20, [], submission="", usd=0.25)
    found = read_extras(plain)
    [extra] = found.sections[SUBMISSION]
    assert [row[0] for row in extra.rows] == ["b" * 12, "a" * 12] and extra.rows[0][3:] == ("0.5000", "12")
    assert "<b>try</b>" in extra.text and found.usd == {"ada": 1.25}


def test_labels(plain: Arena) -> None:
    label = {
        "depth": "Deep",
        "provenance": "Adapted",
        "by": "a person",
        "reason": "why",
        "created": "2026-01-01",
    }
    store(plain, [(f"{LABELS}{SUBMISSION}/x", {"label.json": json.dumps(label).encode()})])
    [extra] = read_extras(plain).sections[SUBMISSION]
    assert extra.rows == (("Deep", "Adapted", "a person", "why", "2026-01-01"),)


def test_an_ablation_shows_the_means_of_its_variants(plain: Arena) -> None:
    hand_in(plain)
    study = tournament.plan_waiting(plain)[0]
    fill(plain, study, {"baseline": 10.0, "human": 7.0, "submission": 8.0})
    stage = {"submission": SUBMISSION, "number": 0, "purpose": "each", "study": study.id, "created": "x",
             "variants": [[[0, 2], study.arms[-1].name], [[], "b1"], [[1], "never run"], "odd"]}  # fmt: skip
    store(plain, [(f"{ABLATIONS}{SUBMISSION}/y", {"ablation.json": json.dumps(stage).encode()})])
    [extra] = read_extras(plain).sections[SUBMISSION]
    assert [row[:3] for row in extra.rows] == [
        ("each", "1, 3", "5"),
        ("each", "none", "5"),
        ("each", "2", "0"),
    ]
    assert float(extra.rows[0][3]) == pytest.approx(8.02, abs=0.02) and extra.rows[2][3:] == ("–", "–")


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"null", b"[" * 100_000])
def test_damage_is_passed_over(plain: Arena, data: bytes) -> None:
    files = {"transcript.json": data, "ablation.json": data, "label.json": data}
    store(plain, [(f"{prefix}{SUBMISSION}/z", files) for prefix in (ABLATIONS, LABELS, TRANSCRIPTS)])
    assert not read_extras(plain).sections


def test_turns_that_cannot_be_read_leave_the_table(plain: Arena) -> None:
    files = {
        "transcript.json": msgspec.json.encode({"submission": SUBMISSION}),
        "turns.json.gz": b"not packed",
    }
    store(plain, [(TRANSCRIPTS + "d" * 20, files)])
    [extra] = read_extras(plain).sections[SUBMISSION]
    assert extra.text == "" and extra.rows == (("d" * 12, "–", "–", "–", "–"),)
