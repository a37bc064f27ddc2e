"""Gaps of a published ladder and the luck of a rule, on literals and worked examples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from patchrun.core.errors import UsageError
from patchrun.core.gaps import expect_clipped, expect_top, mean_luck, read_figures, tabulate_gaps
from patchrun.core.stats import unpaired_interval

FIGURES = "record,seconds,sd,n\n1,100,2,3\n2,80,1,3\n3,79.5,1,3\n4,81,0,3\n"


@pytest.mark.parametrize(
    ("n", "top", "mean"),
    [
        (1, 1, 0.0),
        (2, 1, 1 / math.sqrt(math.pi)),
        (3, 1, 1.5 / math.sqrt(math.pi)),
        (3, 3, 0.0),
        (10, 1, 1.53875),
        (10, 2, (1.53875 + 1.00136) / 2),
    ],
)
def test_the_best_of_n_normal_draws(n: int, top: int, mean: float) -> None:
    """Closed forms for two and three; for ten the tabled means of normal order statistics (Harter 1961)."""
    assert expect_top(n, top) == pytest.approx(mean, abs=1e-5)


def test_what_cannot_be_chosen() -> None:
    for n, top in ((3, 4), (3, 0), (0, 1)):
        with pytest.raises(UsageError, match="choose top from 1"):
            expect_top(n, top)


def test_the_mean_of_a_clipped_normal() -> None:
    assert expect_clipped(0.0, 0.01) == pytest.approx(0.01 / math.sqrt(2 * math.pi), rel=1e-2)
    assert expect_clipped(0.5, 0.1) == pytest.approx(0.5, abs=1e-4)
    assert (expect_clipped(-1.0, 0.0), expect_clipped(2.0, 0.0), expect_clipped(0.3, 0.0)) == (0, 1, 0.3)
    drawn = np.clip(np.random.default_rng(1).normal(0.2, 0.8, 400_000), 0, 1)
    assert expect_clipped(0.2, 0.8) == pytest.approx(drawn.mean(), abs=2e-3)


def test_each_gap_with_welchs_interval() -> None:
    rows = {row.record: row for row in tabulate_gaps(read_figures(FIGURES))}
    assert list(rows) == [2, 3, 4]
    # three values with mean 0 and sd 1 are -1, 0, 1
    before, after = 100 + 2 * np.array([-1.0, 0, 1]), 80 + np.array([-1.0, 0, 1])
    assert rows[2].ci == pytest.approx(unpaired_interval(before, after))
    assert [rows[n].scorable for n in (2, 3, 4)] == [True, False, False]
    assert (rows[2].gap, rows[2].noise) == (20, 0.1)
    assert rows[4].noise is None and set(rows[4].luck.values()) == {None}


def test_luck_is_that_of_a_simulation() -> None:
    [row, *_] = tabulate_gaps(read_figures(FIGURES), tries=5, top=2)
    runs = np.sort(np.random.default_rng(2).normal(0, row.noise, (100_000, 5)), axis=1)
    assert row.luck["best 2 of 5"] == pytest.approx(runs[:, -2:].mean(), abs=1e-3)
    assert row.luck["mean of 5, clipped"] == pytest.approx(np.clip(runs.mean(axis=1), 0, 1).mean(), abs=1e-3)


def test_means_over_the_records_with_a_gap() -> None:
    rows = tabulate_gaps(read_figures(FIGURES), tries=3, top=1)
    both, sure = mean_luck(rows, False), mean_luck(rows, True)
    assert sure["best 1 of 3"] == pytest.approx(0.1 * 1.5 / math.sqrt(math.pi), abs=1e-5)
    assert both["best 1 of 3"] > sure["best 1 of 3"]
    assert mean_luck((), False) == {}


def test_no_spread_at_all() -> None:
    [row] = tabulate_gaps(read_figures("record,seconds,sd,n\n1,10,0,3\n2,9,0,3\n"))
    assert row.ci == (1, 1) and row.scorable and set(row.luck.values()) == {0}


def test_a_hole_in_the_ladder_leaves_out_what_follows_it() -> None:
    assert [
        row.record for row in tabulate_gaps(read_figures("record,seconds,sd,n\n1,10,1,3\n3,9,1,3\n"))
    ] == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("record,seconds\n1,2\n", "no column n, sd"),
        ("record,seconds,sd,n\n1,2,x,3\n", "line 2: expected four numbers"),
        ("record,seconds,sd,n\n1,2,0.1\n", "line 2: expected four numbers"),
        ("record,seconds,sd,n\n1,2,0.1,1\n", "n of 2 or more"),
        ("record,seconds,sd,n\n1,nan,0.1,3\n", "seconds above 0"),
        ("record,seconds,sd,n\n1,2,-1,3\n", "sd of 0 or more"),
        ("record,seconds,sd,n\n1,2,1,3\n1,2,1,3\n", "line 3: not usable\n.*a record comes once"),
        ("", "no column"),
    ],
)
def test_bad_figures_name_the_line(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        read_figures(text, "times.csv")
