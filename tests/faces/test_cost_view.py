"""The cost table, and the lines of `show` on how a patch came about."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest
from builders import make_entry

from patchrun.core.competitors import describe_competitors, label_keys
from patchrun.core.leaderboard import Leaderboard, rank
from patchrun.core.similarity import Similarity
from patchrun.faces import cost_view, tables
from tests.builders import make_transcript as make

MAY = date(2026, 5, 31)


@pytest.fixture
def board() -> Leaderboard:
    """Ada's proposals have a price, Grace's have none, nobody knows how Hopper works."""
    names = ("ada", "grace", "hopper")
    found = rank([make_entry("ada", "2", 0.9), make_entry("ada", "5", 0.6), make_entry("grace", "2", 0.5),
                  make_entry("hopper", "2", None, verdict="failed")])  # fmt: skip
    made = [make(), make(usd=2.75, cutoff=MAY), make(agent="grace", usage=None, usd=None)]
    people = describe_competitors(
        label_keys((name, ()) for name in names), made, {"2": "2026-01-01"}, mixed=False
    )
    return msgspec.structs.replace(found, competitors=people)


def test_the_table(board: Leaderboard) -> None:
    assert cost_view.cost_rows(board) == [
        ("ada", "none", "2", "200", "$3.00", "$0.0200", "6", "2026-05-31"),
        ("grace", "none", "1", "unknown", "unknown", "unknown", "3", "unknown"),
    ]
    text = tables.leaderboard_text(board)
    assert "USD per %" in text and max(map(len, text.splitlines())) <= 100
    assert "USD" not in tables.leaderboard_text(msgspec.structs.replace(board, competitors={}))


def test_what_is_not_known_is_null(board: Leaderboard) -> None:
    rows = {row["agent"]: row for row in tables.leaderboard_document(board, "pocket")["rows"]}
    assert rows["ada"]["usd_per_percent"] == pytest.approx(3.0 / 150)
    assert (rows["ada"]["model_cutoff"], rows["ada"]["may_know"]) == ("2026-05-31", ["2"])
    assert (rows["grace"]["tokens"], rows["grace"]["usd"], rows["grace"]["usd_per_percent"]) == (
        None,
        None,
        None,
    )
    assert (rows["hopper"]["proposals"], rows["hopper"]["usd"], rows["hopper"]["hint_tiers"]) == (
        None,
        None,
        [],
    )


def test_nothing_recovered_has_no_price_for_a_percent() -> None:
    found = rank([make_entry("ada", "2", None, verdict="failed"), make_entry("eve", "2", 0.5)])
    people = describe_competitors({("ada", ()): "ada"}, [make()], {}, mixed=False)
    [row] = cost_view.cost_rows(msgspec.structs.replace(found, competitors=people))
    assert row[4:6] == ("$0.2500", "-")


def test_similarity_in_words() -> None:
    assert cost_view.say_similarity(Similarity(0.82, 40), hinted=False).endswith(
        "without hints: a flag, not a verdict"
    )
    assert cost_view.say_similarity(Similarity(0.82, 40), hinted=True).endswith("high, with hints")
    assert cost_view.say_similarity(Similarity(0.21, 40), hinted=False) == (
        "0.21 to the human patch, over 40 runs of new tokens"
    )
    assert "too few to say much" in cost_view.say_similarity(Similarity(1.0, 3), hinted=False)
    assert "cannot be told" in cost_view.say_similarity(Similarity(None, 0), hinted=False)


def test_lines_of_show() -> None:
    facts = dict(cost_view.show_facts(None, [make(cutoff=MAY)], False, "2026-05-01"))
    assert facts["made by"] == "claude m, transcript t1: 100 tokens, $0.2500, 3 s"
    assert (
        facts["cutoff"] == "training data to 2026-05-31; the record, of 2026-05-01, is older: it may know it"
    )
    younger = dict(cost_view.show_facts(None, [make(cutoff=MAY, usage=None, usd=None)], False, "2026-06-01"))
    assert younger["cutoff"].endswith("is younger") and "unknown tokens, unknown" in younger["made by"]
    assert cost_view.show_facts(None, [], False, "2026-06-01") == []
