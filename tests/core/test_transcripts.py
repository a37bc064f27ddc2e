"""What is stored of a proposal, and sums in which the unknown stays unknown."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from patchrun.core import results
from patchrun.core.errors import ArenaError
from patchrun.core.transcripts import (
    Spent,
    Transcript,
    add_up,
    cut_turns,
    may_know,
    usd_per_percent,
)
from patchrun.core.usage import Usage
from tests.builders import make_transcript


def test_a_transcript_comes_back_as_it_was() -> None:
    one = make_transcript(cutoff=date(2026, 5, 31), base=3, task="debug", hint_tiers=(1, 3))
    assert results.decode(results.encode(one), Transcript) == one
    with pytest.raises(ArenaError, match="not a transcript"):
        results.decode(results.encode(one).replace(b'"proposed"', b'"triumphant"'), Transcript)
    with pytest.raises(ArenaError, match="version 2"):
        results.decode(results.encode(msgspec.structs.replace(one, version=2)), Transcript)


def test_sums() -> None:
    total = add_up([make_transcript(), make_transcript(usage=Usage(1, 2, 3, 4), usd=0.5, tries_seconds=2.0)])
    assert total == Spent(proposals=2, tokens=110, usd=0.75, wall_seconds=6.0, tries_seconds=2.0)
    unknown = add_up([make_transcript(), make_transcript(usage=None, usd=None)])
    assert (unknown.tokens, unknown.usd, unknown.wall_seconds) == (None, None, 6.0)
    assert add_up([]) == Spent()


def test_usd_for_each_percent_recovered() -> None:
    assert usd_per_percent(3.0, [0.5, 0.25]) == pytest.approx(0.04)
    assert usd_per_percent(None, [0.5]) is None, "unknown is not free"
    assert usd_per_percent(3.0, [0.0, 0.0]) is None and usd_per_percent(3.0, []) is None
    assert usd_per_percent(0.0, [0.5]) == 0


def test_what_a_model_may_know() -> None:
    assert may_know(date(2025, 6, 30), "2025-06-30") and may_know(date(2025, 6, 30), "2024-10-13")
    assert not may_know(date(2025, 6, 30), "2025-07-01") and not may_know(None, "2020-01-01")


def test_only_an_interrupted_one_does_not_count() -> None:
    counted = [
        name
        for name in ("proposed", "empty", "failed", "budget-spent", "interrupted")
        if make_transcript(outcome=name).counts
    ]
    assert counted == ["proposed", "empty", "failed", "budget-spent"]


def test_long_transcripts_lose_their_middle() -> None:
    turns = [{"role": "assistant", "text": f"{k:04d}" * 25} for k in range(100)]
    assert cut_turns(turns, 1 << 20) == turns
    cut = cut_turns(turns, 5000)
    assert len(msgspec.json.encode(cut)) < 5300
    assert cut[0] == turns[0] and cut[-1] == turns[-1]
    left_out = 100 - (len(cut) - 1)
    assert {
        "role": "patchrun",
        "text": f"{left_out} turns are left out here: the transcript is too large",
    } in cut
    assert len(cut_turns([{"text": "x" * 10_000}], 100)) == 1, "one turn that is too large is left out whole"
