"""Bradley-Terry: the worked example, what regularisation does, components, intervals, speed."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.testing import assert_allclose

from patchrun.core import rating

# Wikipedia, "Bradley-Terry model", worked example: wins of row over column among A, B, C, D.
FOUR_TEAMS = np.array([[0, 2, 0, 1], [3, 0, 5, 0], [0, 3, 0, 1], [4, 0, 3, 0]], dtype=float)


def test_strengths_of_four_teams() -> None:
    theta = rating.fit_strengths(FOUR_TEAMS, virtual_games=0)
    assert_allclose(np.exp(theta), [0.640, 1.043, 0.660, 2.270], atol=5e-4)


def test_the_fit_balances_expected_and_actual_wins() -> None:
    table = FOUR_TEAMS + rating.VIRTUAL_GAMES / 6 * (1 - np.eye(4))
    theta = rating.fit_strengths(FOUR_TEAMS)
    expected = (table + table.T) / (1 + np.exp(theta[None, :] - theta[:, None]))
    assert_allclose(expected.sum(axis=1), table.sum(axis=1), atol=1e-4)


def test_an_undefeated_agent_has_a_finite_strength() -> None:
    theta = rating.fit_strengths([[0, 3], [0, 0]])
    # one virtual game each, half won: (3 + 0.5) to 0.5
    assert theta[0] - theta[1] == pytest.approx(np.log(7), abs=1e-5)


def test_four_hundred_points_are_ten_to_one() -> None:
    one = rating.rate(["a", "b"], np.array([[[0.0, 9.5], [0.5, 0.0]]]), replicates=0)
    virtual = (9.5 + 0.5) / (0.5 + 0.5)
    assert one[0].rating is not None
    assert one[1].rating is not None
    assert one[0].rating - one[1].rating == pytest.approx(400 * np.log10(virtual), abs=0.01)
    assert one[0].rating + one[1].rating == pytest.approx(3000)


def test_ties_only_are_equal_ratings() -> None:
    found = rating.rate(["a", "b", "c"], np.full((4, 3, 3), 0.5) * (1 - np.eye(3)), replicates=50)
    assert [round(one.rating or 0, 6) for one in found] == [1500.0] * 3
    assert [(one.wins, one.losses) for one in found] == [(4.0, 4.0)] * 3
    assert found[0].ci == pytest.approx((1500, 1500))


def test_agents_who_never_met_are_in_components_of_their_own() -> None:
    wins = np.zeros((2, 5, 5))
    wins[0, 0, 1] = wins[1, 2, 3] = 1
    found = rating.rate(list("abcde"), wins, replicates=20)
    assert [one.component for one in found] == [0, 0, 1, 1, 2]
    assert found[4].rating is None
    assert found[4].ci is None
    assert found[0].rating == pytest.approx(found[2].rating), "each component is centred alone"
    assert found[0].rating != found[1].rating


def test_one_record_gives_no_interval() -> None:
    assert rating.rate(["a", "b"], np.array([[[0.0, 1.0], [0.0, 0.0]]]))[0].ci is None


def test_no_matches_at_all() -> None:
    assert [one.rating for one in rating.rate(["a", "b"], np.zeros((3, 2, 2)))] == [None, None]


@pytest.mark.parametrize("table", [[[0, -1], [1, 0]], [[0, np.nan], [1, 0]], [[0, 1, 2], [1, 0, 2]]])
def test_tables_that_are_none_are_refused(table: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="square table"):
        rating.fit_strengths(table)


def make_tournament(agents: int, records: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """True log-strengths, centred, and the outcome of every pair on every record."""
    random = np.random.default_rng(seed)
    theta = np.linspace(-1, 1, agents)
    chance = 1 / (1 + np.exp(theta[None, :] - theta[:, None]))
    upper = np.triu(random.uniform(size=(records, agents, agents)) < chance, 1).astype(float)
    return theta, upper + np.tril(1 - upper.transpose(0, 2, 1), -1)


def test_strengths_are_recovered() -> None:
    theta, wins = make_tournament(10, 200, seed=1)
    assert_allclose(rating.fit_strengths(wins.sum(axis=0)), theta, atol=0.2)


def test_intervals_over_records_cover() -> None:
    hits = []
    for seed in range(40):
        theta, wins = make_tournament(5, 40, seed)
        found = rating.rate(list("abcde"), wins, replicates=200, seed=seed)
        truth = rating.CENTRE + rating.POINTS * theta
        hits += [
            one.ci is not None and one.ci[0] <= t <= one.ci[1] for one, t in zip(found, truth, strict=True)
        ]
    assert 0.88 < np.mean(hits) < 0.99


def test_two_hundred_agents_do_not_take_minutes() -> None:
    _, wins = make_tournament(200, 88, seed=2)
    start = time.process_time()
    found = rating.rate([str(k) for k in range(200)], wins, replicates=20)
    assert time.process_time() - start < 20, "about 0.1 s alone; the bound only catches a change of order"
    assert found[0].rating is not None
    assert found[-1].rating is not None
    assert found[0].rating < found[-1].rating
