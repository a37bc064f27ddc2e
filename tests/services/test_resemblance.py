"""What the board says of patches like the human's and of records that a model may know."""

from __future__ import annotations

from datetime import date

import pytest

from patchrun.adapters.store import Arena
from patchrun.core.selection import Span
from patchrun.services import resemblance, standings, tournament
from patchrun.services.agents.replay import HumanAgent
from patchrun.services.agents.search import Order, run_order
from tests.services.agents.test_search import make_order, put
from tests.services.test_tournament import fill

THREE = Span(3, 3)


@pytest.fixture
def copied(tiny: Arena) -> Arena:
    """The human patch of record 3: handed in without hints, with hints, and by the control; with made-up runs."""
    diff = tiny.repo.diff(tiny.baseline(3), tiny.human(3) or "")
    tournament.hand_in(tiny, diff, THREE, "copycat")
    tournament.hand_in(tiny, diff, THREE, "hinted", (1,))
    run_order(tiny, Order(HumanAgent(tiny), "human", "people", (THREE,)))
    for study in tournament.plan_waiting(tiny):
        fill(tiny, study, {"baseline": 10.0, "human": 7.0, "submission": 7.1}, loss=1.0)
    return tiny


def test_a_copy_without_hints_is_noted_and_nothing_else(copied: Arena) -> None:
    board = standings.board(copied)
    assert standings.board(copied) == board, "as it is remembered"
    assert {row.agent: row.valid for row in board.rows} == {"copycat": 1, "hinted": 1, "people": 1}
    flagged = [note for note in board.notes if "similarity" in note]
    assert flagged == [
        "copycat, record 3: similarity 1.00 to the human patch without hints; a flag, not a verdict"
    ]
    assert {agent: set(own) for agent, own in board.similarity.items()} == {"copycat": {"3"}}
    assert all(row.score == board.rows[0].score for row in board.rows), "a flag takes nothing off"


def test_what_was_computed_once_is_read_and_may_be_deleted(
    copied: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = next(one for one in copied.attempts() if one.agent == "copycat")
    first = resemblance.compare_with_human(copied, attempt)
    assert first and first.value == 1 and first.high
    (copied.folder / "similarities.sqlite").write_text("damaged")
    assert resemblance.compare_with_human(copied, attempt) == first
    monkeypatch.setattr(copied.repo, "changes_of", None)
    assert resemblance.compare_with_human(copied, attempt) == first, "nothing was compared again"


def test_many_are_compared_as_each_by_itself(tiny: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resemblance, "CHUNK", 2)
    spans = [Span(number, number) for number in (1, 2, 3)]
    diffs = [tiny.repo.diff(tiny.baseline(span.last), tiny.human(span.last) or "") for span in spans]
    made = [
        tournament.hand_in(tiny, diff, span, "copycat").attempt
        for diff, span in zip(diffs, spans, strict=True)
    ]
    together = resemblance.compare_all(tiny, made)
    (tiny.folder / "similarities.sqlite").unlink()
    assert together == {one.id: resemblance.compare_with_human(tiny, one) for one in made}
    assert {value.value for value in together.values()} == {1.0}


def test_a_rejected_attempt_has_no_similarity(tiny: Arena) -> None:
    diff = tiny.repo.diff(tiny.baseline(3), tiny.human(3) or "").replace(b"+import", b"+(((import")
    broken = diff.replace(b"\n+", b"\n+(", 3)
    attempt = tournament.hand_in(tiny, broken, THREE, "broken").attempt
    assert not attempt.accepted and resemblance.compare_with_human(tiny, attempt) is None


@pytest.mark.parametrize(("cutoff", "known"), [(date(2026, 1, 1), False), (date(2026, 1, 2), True)])
def test_records_that_a_model_may_know(plain: Arena, cutoff: date, known: bool) -> None:
    run_order(plain, make_order(put("STEPS = 100", "STEPS = 90"), name="model", cutoff=cutoff))
    board = standings.board(plain)
    assert board.competitors["model"].cutoff == cutoff
    assert board.competitors["model"].may_know == (("1",) if known else ())
    words = f"model: its model's training data reach to {cutoff}, so it may know record 1"
    assert (words in board.notes) == known


def test_only_the_proposals_that_the_filters_admit_cost(plain: Arena) -> None:
    from patchrun.core.filters import Filter

    run_order(plain, make_order(put("STEPS = 100", "STEPS = 90"), name="ada"))
    assert standings.board(plain).competitors["ada"].spent.usd == 0.5
    assert standings.board(plain, only=Filter(until=date(2020, 1, 1))).competitors == {}
    assert (
        standings.board(plain, records=[2]).rows == ()
        or standings.board(plain, records=[2]).competitors["ada"].spent is None
    )
