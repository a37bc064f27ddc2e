"""What a tournament may be fed by mistake: a stated result or a clear refusal, never a wrong number."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
from builders import (
    BASELINE,
    GOOD,
    HUMAN,
    SUBMISSION,
    make_entry,
    make_machine,
    make_reference,
    make_runs,
    make_score,
    make_study,
    make_track,
)

from patchrun.core import bootstrap, leaderboard, stats
from patchrun.core.results import Run
from patchrun.core.scoring import Score, score
from patchrun.core.versus import compare_agents
from patchrun.core.winmatrix import make_matrix

FAST = (8.4, 8.5, 8.2, 8.6, 8.7)


def assess(*runs: Run, **options: Any) -> Score:
    track = options.pop("track", make_track())
    return score(track, options.pop("study", make_study()), runs, SUBMISSION, **options)


def submit(seconds: tuple[float, ...] = FAST, losses: tuple[float, ...] = GOOD, **changes: Any) -> list[Run]:
    return make_runs("submission", seconds, losses, **changes)


def test_one_run_proves_nothing() -> None:
    one = make_track(rule={"kind": "mean", "blocks": 1})
    runs = [
        *make_runs("baseline", BASELINE[:1], GOOD[:1]), *make_runs("human", HUMAN[:1], GOOD[:1]),
        *submit(FAST[:1], GOOD[:1]),
    ]  # fmt: skip
    found = assess(*runs, study=make_study(blocks=1), track=one)
    assert (found.verdict, found.fsr, found.fsr_ci) == ("unscorable", None, None)
    assert "one block gives no interval" in found.reason
    assert stats.check_mean_at_most([3.2], 3.28).p_value is None


def test_no_spread_is_no_certainty() -> None:
    flat = [make_runs(kind, (seconds,) * 5, GOOD) for kind, seconds in (("baseline", 10.0), ("human", 7.0))]
    found = assess(*flat[0], *flat[1], *submit((8.0,) * 5))
    assert (found.verdict, found.fsr) == ("unscorable", None)
    assert stats.check_mean_at_most([3.2] * 5, 3.28).reason == "no p-value from runs without spread"
    assert stats.paired_fsr([10.0] * 5, [8.0] * 5, [7.0] * 5).interval is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_a_failed_run_or_refused(value: float) -> None:
    assert assess(*make_reference(), *submit(FAST, (*GOOD[:4], value))).verdict == "failed"
    assert assess(*make_reference(), *submit((*FAST[:4], value))).verdict == "failed"
    broken = make_runs("baseline", (*BASELINE[:4], value), GOOD)
    assert assess(*broken, *make_runs("human", HUMAN, GOOD), *submit()).verdict == "unscorable"
    for function in (stats.t_interval, lambda v: stats.check_mean_at_most(v, 1.0), stats.holm):
        with pytest.raises(ValueError):
            function([0.1, value])
    with pytest.raises(ValueError):
        bootstrap.resample([[0.1, value]])


@pytest.mark.parametrize("kind", ["baseline", "human", "submission"])
def test_runs_of_two_hardware_classes_are_not_compared(kind: str) -> None:
    times = {"baseline": BASELINE, "human": HUMAN, "submission": FAST}
    runs = [
        run for arm in times
        for run in make_runs(
            arm, times[arm], GOOD, **({"machine": make_machine("cpu-b")} if arm == kind else {})
        )
    ]  # fmt: skip
    found = assess(*runs)
    assert (found.verdict, found.fsr) == ("unscorable", None)
    assert found.reason == "runs of different hardware: cpu-a, cpu-b"


def test_without_the_human_runs_there_is_no_score_yet() -> None:
    found = assess(*make_runs("baseline", BASELINE, GOOD), *submit())
    assert (found.state, found.verdict, found.fsr) == ("running", None, None)
    assert "human block 1" in found.missing


def test_a_record_without_a_human_patch_has_a_speedup_and_no_fraction() -> None:
    entries = [
        make_entry("ada", "5", 0.5), (make_entry("bob", "5")[0], make_score(None, speedup=1.2, speedup_ci=(1.1, 1.3))),
    ]  # fmt: skip
    board = leaderboard.rank(entries)
    assert all(
        cell.fsr is None or 0 <= cell.score <= 1 for row in board.rows for cell in row.records.values()
    )


def test_a_negative_gap_scores_nobody() -> None:
    runs = [*make_runs("baseline", HUMAN, GOOD), *make_runs("human", BASELINE, GOOD), *submit()]
    found = assess(*runs)
    assert (found.verdict, found.fsr, found.scorable) == ("unscorable", None, False)
    assert "the gap is not positive" in found.reason


def test_agents_with_no_record_in_common_have_no_winner() -> None:
    entries = [make_entry("ada", "2", 0.9), make_entry("ada", "3", 0.8), make_entry("bob", "5", 0.1)]
    found = compare_agents(entries, "ada", "bob")
    assert {match.winner for match in found.records.values()} == {"unknown"}
    assert (found.shared, found.p_a_better) == (0, None)
    matrix = make_matrix(entries)
    assert [(row.rating, sum(row.games)) for row in matrix.rows] == [(None, 0), (None, 0)]
    board = leaderboard.rank(entries)
    assert [row.rating for row in board.rows] == [None, None]


def test_ten_thousand_agents_are_ranked() -> None:
    """Each with one of a few scores, on three records; ratings are left out, and the board says so."""
    shared = [make_score(value) for value in np.linspace(-0.5, 1.5, 21).tolist()]
    entries = [
        (make_entry(f"agent{a:05}", str(n), 0.5)[0], shared[(a * 7 + n * 3) % 21])
        for a in range(10_000) for n in (1, 2, 3)
    ]  # fmt: skip
    start = time.process_time()
    board = leaderboard.rank(entries)
    assert time.process_time() - start < 60, "about 2 s alone"
    assert len(board.rows) == 10_000 and "no ratings: more than" in board.notes[0]
    scores = [row.score for row in board.rows]
    assert scores == sorted(scores, reverse=True) and board.rows[0].rank == 1
    found = compare_agents(entries, "agent00000", "agent00001")
    assert found.shared == 3 and found.p_a_better is not None
