"""Which re-measurement narrows a ranking most: worked examples, and the choice among literals."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from builders import make_entry

from patchrun.core.narrowing import (
    Choice,
    Estimate,
    Price,
    chance_of_error,
    choose_measurements,
    expected_chance,
    make_estimate,
)
from patchrun.core.picks import pick_all


def estimate(name: str, record: str = "2", value: float = 0.5, variance: float = 0.01) -> Estimate:
    return Estimate(submission=name, record=record, value=value, variance=variance, blocks=5)


def choose(means: dict[str, float], estimates: dict[str, list[Estimate]], **more) -> tuple[Choice, ...]:
    """Two records; a study costs 20 s for its references and 10 s a submission, unless told."""
    prices = more.pop("prices", {"2": Price(20.0, 10.0), "3": Price(20.0, 10.0)})
    order = sorted(means, key=lambda agent: -means[agent])
    return choose_measurements(order, means, 2, estimates, prices, blocks=5, **more)


def test_the_chance_of_a_wrong_order_is_the_normal_tail() -> None:
    assert chance_of_error(1.959964, 1.0) == pytest.approx(0.025, abs=1e-6)
    assert chance_of_error(-1.0, 4.0) == pytest.approx(0.3085375, abs=1e-6)
    assert chance_of_error(0.0, 1.0) == 0.5
    assert (chance_of_error(0.1, 0.0), chance_of_error(0.0, 0.0)) == (0.0, 0.5)


def test_the_expected_chance_lies_between_knowing_all_and_knowing_nothing_more() -> None:
    assert expected_chance(0.3, 1.0, 1.0) == chance_of_error(0.3, 1.0)
    assert expected_chance(0.3, 1.0, 0.0) == 0
    falling = [expected_chance(0.3, 1.0, after) for after in (0.9, 0.5, 0.1)]
    assert chance_of_error(0.3, 1.0) > falling[0] > falling[1] > falling[2] > 0


@pytest.mark.parametrize("difference", [0.0, 0.4, -1.0])
def test_the_expected_chance_is_that_of_a_simulation(difference: float) -> None:
    """Half the variance left: draw the truth around what is seen now, what is seen later around the truth."""
    random = np.random.default_rng(1)
    later = random.normal(difference, math.sqrt(0.5), 200_000)
    truth = random.normal(later, math.sqrt(0.5))
    wrong = float((np.sign(truth) != np.sign(later)).mean())
    assert expected_chance(difference, 1.0, 0.5) == pytest.approx(wrong, abs=0.005)


def test_a_draw_with_half_the_variance_left_is_a_quarter() -> None:
    """Two normals with correlation sqrt(1/2) differ in sign with chance arccos(rho) / pi (Sheppard 1899)."""
    assert expected_chance(0.0, 2.0, 1.0) == pytest.approx(math.acos(math.sqrt(0.5)) / math.pi, abs=2e-3)


def test_the_estimate_of_a_pick() -> None:
    picks = pick_all(
        [
            make_entry("ada", "2", 0.5, ci=(0.3, 0.7)), make_entry("bob", "2", 1.4, ci=(1.2, 1.6)),
            make_entry("dan", "2", 0.9, ci=(0.7, 1.1)), make_entry("eve", "2", None),
            make_entry("zoe", "2", 0.5, n_blocks=1),
        ]
    )  # fmt: skip
    found = {agent: make_estimate(own["2"]) for agent, own in picks.items()}
    # t(0.975, 4) = 2.776
    assert found["ada"].variance == pytest.approx((0.2 / 2.776) ** 2, rel=1e-3)
    assert found["bob"].variance == 0 and found["bob"].value == 1, "above 1 nothing is left to learn"
    assert found["dan"].variance == pytest.approx((0.15 / 2.776) ** 2, rel=1e-3)
    assert found["eve"] is None and found["zoe"] is None


def test_close_neighbours_are_measured_and_distant_ones_are_not() -> None:
    means = {"ada": 0.9, "bob": 0.5, "eve": 0.48}
    chosen = choose(means, {agent: [estimate(agent)] for agent in means})
    assert {choice.agent for choice in chosen} == {"bob", "eve"}
    assert all(choice.worth >= 0.01 for choice in chosen)


def test_a_second_submission_to_a_record_shares_its_references() -> None:
    means = {"bob": 0.5, "eve": 0.49}
    chosen = choose(means, {agent: [estimate(agent)] for agent in means})
    assert [choice.seconds for choice in chosen] == [30.0, 10.0]
    apart = choose(means, {"bob": [estimate("b")], "eve": [estimate("e", "3")]})
    assert [choice.seconds for choice in apart] == [30.0, 30.0]


def test_the_noisier_and_the_cheaper_go_first() -> None:
    means = {"bob": 0.5, "eve": 0.48}
    noisy = choose(
        means, {"bob": [estimate("calm", "2", variance=0.002), estimate("noisy", "3", variance=0.02)]}
    )
    assert noisy[0].submission == "noisy"
    prices = {"2": Price(20.0, 10.0), "3": Price(2.0, 1.0)}
    cheap = choose(means, {"bob": [estimate("dear", "2"), estimate("cheap", "3")]}, prices=prices)
    assert cheap[0].submission == "cheap"


def test_a_budget_is_kept_and_needs_prices() -> None:
    means = {"bob": 0.5, "eve": 0.49}
    both = {agent: [estimate(agent)] for agent in means}
    assert choose(means, both, budget=29.0) == ()
    assert len(choose(means, both, budget=39.0)) == 1
    assert sum(choice.seconds for choice in choose(means, both, budget=40.0)) == 40
    unknown = {"2": Price(None, None)}
    assert choose(means, both, prices=unknown, budget=1000.0) == ()
    assert [choice.seconds for choice in choose(means, both, prices=unknown)] == [None, None]


def test_nothing_to_choose() -> None:
    assert choose({}, {}) == ()
    assert choose({"ada": 0.5}, {"ada": [estimate("a")]}) == (), "one agent has no neighbour"
    exact = {agent: [estimate(agent, variance=0.0)] for agent in ("bob", "eve")}
    assert choose({"bob": 0.5, "eve": 0.5}, exact) == (), "an exact draw stays a draw"


def test_each_is_chosen_once() -> None:
    means = {"bob": 0.5, "eve": 0.5}
    chosen = choose(means, {agent: [estimate(agent, variance=1.0)] for agent in means}, least=1e-9)
    assert sorted(choice.submission for choice in chosen) == ["bob", "eve"]


def test_many_agents_take_seconds() -> None:
    """Each choice looks anew at three agents only."""
    random = np.random.default_rng(1)
    means = {f"agent-{k}": float(mean) for k, mean in enumerate(random.uniform(0.2, 0.8, 10_000))}
    estimates = {
        agent: [estimate(f"{agent}-{r}", r, mean, 0.01) for r in ("2", "3")] for agent, mean in means.items()
    }
    start = time.perf_counter()
    chosen = choose(means, estimates, budget=200.0)
    assert sum(choice.seconds for choice in chosen) <= 200 and len(chosen) >= 15
    assert time.perf_counter() - start < 20


def test_the_worth_falls_once_a_neighbour_is_measured() -> None:
    means = {"ada": 0.52, "bob": 0.5, "eve": 0.48}
    chosen = choose(means, {agent: [estimate(agent)] for agent in means}, least=1e-6)
    alone = {a: choose(means, {a: [estimate(a)]}, least=1e-6)[0].worth for a in means}
    assert chosen[0].agent == "bob", "it has two neighbours"
    assert all(choice.worth > 0 for choice in chosen) and len(alone) == 3
