"""The win matrix, from literal scores."""

from __future__ import annotations

import pytest
from builders import make_entry

from patchrun.core import winmatrix
from patchrun.core.errors import UsageError
from patchrun.core.picks import Entry
from patchrun.core.winmatrix import make_matrix


def make_entries() -> list[Entry]:
    """Ada beats Bob on two records and ties on one; Eve and Dan met only each other, on a record of their own."""
    entries = [make_entry("ada", r, f) for r, f in (("2", 0.9), ("3", 0.8), ("5", 0.5))]
    entries += [make_entry("bob", r, f) for r, f in (("2", 0.3), ("3", 0.2), ("5", 0.5))]
    return [*entries, make_entry("eve", "9", 0.9), make_entry("dan", "9", 0.1)]


def test_wins_are_counted_with_ties_as_halves() -> None:
    matrix = make_matrix(make_entries())
    assert [row.agent for row in matrix.rows] == ["ada", "bob", "eve", "dan"]
    ada, bob, eve, dan = matrix.rows
    assert (ada.wins, ada.games) == ((None, 2.5, None, None), (0, 3, 0, 0))
    assert (bob.wins, bob.games) == ((0.5, None, None, None), (3, 0, 0, 0))
    assert eve.wins[3] == 1 and dan.wins[2] == 0
    assert matrix.records == ("2", "3", "5", "9")


def test_agents_that_never_met_are_groups_of_their_own() -> None:
    matrix = make_matrix([*make_entries(), make_entry("zoe", "12", 0.7)])
    assert matrix.groups == (("ada", "bob"), ("eve", "dan"), ("zoe",))
    assert [row.group for row in matrix.rows] == [1, 1, 2, 2, 3]
    assert matrix.rows[4].rating is None and matrix.rows[4].ci is None
    assert matrix.rows[0].rating + matrix.rows[1].rating == pytest.approx(3000)
    assert matrix.rows[2].rating + matrix.rows[3].rating == pytest.approx(3000)


def test_what_is_unknown_is_no_match() -> None:
    pending = make_entry("bob", "2", None, state="pending", verdict=None, scorable=None)
    matrix = make_matrix([make_entry("ada", "2", 0.9), pending])
    assert [row.games for row in matrix.rows] == [(0, 0), (0, 0)]
    assert len(matrix.groups) == 2


def test_ratings_have_intervals_over_records() -> None:
    many = [
        make_entry(a, str(n), f + 0.3 * (n % 3))
        for a, f in (("ada", 0.3), ("bob", 0.28))
        for n in range(2, 12)
    ]
    many += [make_entry("eve", str(n), 0.0) for n in range(2, 12)]
    for row in make_matrix(many).rows:
        assert row.ci is not None and row.ci[0] <= row.rating <= row.ci[1]
    assert make_matrix(many) == make_matrix(many[::-1])


def test_a_set_of_records_and_nothing_at_all() -> None:
    assert make_matrix(make_entries(), records=[9]).groups == (("eve", "dan"),)
    assert make_matrix([]).rows == ()


def test_refusals() -> None:
    with pytest.raises(UsageError, match="no matches under pick mean"):
        make_matrix(make_entries(), pick="mean")
    crowd = [make_entry(f"agent-{k}", "2", 0.5) for k in range(winmatrix.RATED_AGENTS + 1)]
    with pytest.raises(UsageError, match=r"301 agents.*\n.*versus A B"):
        make_matrix(crowd)
