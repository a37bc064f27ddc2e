"""Head to head on one record."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from builders import (
    BASELINE,
    GOOD,
    make_attempt,
    make_plain,
    make_reference,
    make_runs,
    make_score,
    make_study,
    make_track,
)
from numpy.testing import assert_allclose

from patchrun.core import matches
from patchrun.core.picks import Picked, pick_all
from patchrun.core.scoring import Score, score
from patchrun.core.stats import combine_difference, paired_ratio


def picked(given: Score) -> Picked:
    return pick_all([(make_attempt(), given)])["ada"]["5"]


def shared(a: list[float], b: list[float]) -> tuple[Score, Score]:
    """Two submissions timed in the same five blocks."""
    study = make_study(("a", "b"))
    runs = (
        make_reference()
        + make_runs("submission", a, GOOD, arm="a")
        + make_runs("submission", b, GOOD, arm="b")
    )
    return score(make_track(), study, runs, "a"), score(make_track(), study, runs, "b")


A_TIMES = [s - 1.2 for s in BASELINE]
B_TIMES = [s - 1.15 + wobble for s, wobble in zip(BASELINE, (0.02, -0.02, 0.01, -0.01, 0.03), strict=True)]


def test_shared_blocks_use_the_paired_difference() -> None:
    a, b = shared(A_TIMES, B_TIMES)
    match = matches.compare(picked(a), picked(b))
    gap = [block.baseline - (block.human or 0) for block in a.blocks]
    expected = paired_ratio(np.array(B_TIMES) - np.array(A_TIMES), gap)
    assert match.method == "shared blocks"
    assert match.difference == pytest.approx(expected.value)
    assert_allclose(match.ci, expected.interval)
    assert (match.winner, match.a_fsr, match.b_fsr) == ("a", a.fsr, b.fsr)


def test_pairing_separates_what_two_intervals_cannot() -> None:
    a, b = shared(A_TIMES, B_TIMES)
    assert a.fsr_ci is not None
    assert b.fsr_ci is not None
    assert a.fsr_ci[0] < b.fsr_ci[1], "the intervals overlap"
    assert matches.compare(picked(a), picked(b)).winner == "a"
    assert matches.compare(picked(b), picked(a)).winner == "b"


def test_the_same_code_is_a_tie_with_itself() -> None:
    a, b = shared(A_TIMES, A_TIMES)
    match = matches.compare(picked(a), picked(b))
    assert (match.winner, match.difference) == ("tie", 0)


def test_equal_study_names_with_other_reference_runs_are_not_paired() -> None:
    a, b = shared(A_TIMES, B_TIMES)
    times = tuple(
        block.__class__(block.block, block.baseline + 0.01, block.submission, block.human)
        for block in b.blocks
    )
    match = matches.compare(picked(a), picked(msgspec.structs.replace(b, blocks=times)))
    assert match.method == "separate blocks"


def test_separate_studies_combine_their_intervals() -> None:
    a, b = make_score(0.8, (0.7, 0.95)), make_score(0.5, (0.35, 0.6))
    match = matches.compare(picked(a), picked(b))
    assert match.method == "separate blocks"
    assert_allclose(match.ci, combine_difference(0.8, (0.7, 0.95), 0.5, (0.35, 0.6)))
    assert match.winner == "a"


@pytest.mark.parametrize(
    ("a", "b", "winner"),
    [
        (make_score(0.8), make_score(None), "a"),
        (make_score(None), make_score(0.8), "b"),
        (make_score(0.05), make_score(None), "tie"),
        (make_score(-0.5), make_score(None), "tie"),
        (make_score(None), make_score(None, verdict="rejected"), "tie"),
        (make_score(-0.2), make_score(-0.9), "a"),
        (make_score(0.5), make_score(0.55), "tie"),
    ],
)
def test_who_wins(a: Score, b: Score, winner: str) -> None:
    assert matches.compare(picked(a), picked(b)).winner == winner


def test_a_slower_patch_against_a_broken_one_is_clipped_at_zero() -> None:
    match = matches.compare(picked(make_score(-0.5)), picked(make_score(None)))
    assert (match.difference, match.ci) == (0, (0, 0))
    assert match.method == "score 0"


@pytest.mark.parametrize(
    "other", [None, make_score(None, state="running", verdict=None), make_score(None, verdict="unscorable")]
)
def test_unknown_is_not_a_tie(other: Score | None) -> None:
    match = matches.compare(picked(make_score(0.8)), None if other is None else picked(other))
    assert (match.winner, match.difference, match.ci) == ("unknown", None, None)
    assert match.a_verdict == "valid"


def test_a_valid_score_without_interval_is_unknown() -> None:
    assert matches.compare(picked(make_score(0.8, fsr_ci=None)), picked(make_score(0.5))).winner == "unknown"


def test_without_a_human_patch_speedups_are_compared() -> None:
    fast = make_plain(1.5, (1.4, 1.6))
    slow = make_plain(1.1, (1.05, 1.15))
    match = matches.compare(picked(fast), picked(slow))
    assert (match.winner, match.difference) == ("a", pytest.approx(0.4))
    broken = matches.compare(picked(slow), picked(make_score(None)))
    assert (broken.winner, broken.difference) == ("a", pytest.approx(0.1))


def test_the_win_matrix_agrees_with_single_matches() -> None:
    a, b = shared(A_TIMES, B_TIMES)
    scores = [a, b, make_score(0.9), make_score(None), make_score(-0.4), make_score(0.58)]
    agents: list[Picked | None] = [picked(one) for one in scores]
    agents += [None, picked(make_score(None, verdict="unscorable"))]
    wins = matches.win_matrix(agents)
    points = {"a": 1.0, "b": 0.0, "tie": 0.5, "unknown": 0.0}
    for i, one in enumerate(agents):
        for j, other in enumerate(agents):
            assert wins[i, j] == (0 if i == j else points[matches.compare(one, other).winner]), (i, j)


def test_false_wins_between_equal_agents_are_at_most_alpha() -> None:
    random = np.random.default_rng(2)
    study, track = make_study(("a", "b")), make_track()
    won = 0
    for _ in range(400):
        b, h, one, two = (m + random.normal(0, 0.15, 5) for m in (10.0, 8.0, 9.0, 9.0))
        runs = [
            *make_runs("baseline", b, GOOD), *make_runs("human", h, GOOD),
            *make_runs("submission", one, GOOD, arm="a"), *make_runs("submission", two, GOOD, arm="b"),
        ]  # fmt: skip
        pair = [picked(score(track, study, runs, arm)) for arm in ("a", "b")]
        won += matches.compare(*pair).winner in "ab"
    assert won / 400 < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 400)
    assert won > 0, "at 5% some are false"


def test_mover_between_studies_covers() -> None:
    random = np.random.default_rng(3)
    track, study, hits = make_track(), make_study(("a",)), 0
    for _ in range(300):
        pair = []
        for mean in (9.0, 8.6):
            b, h, s = (m + random.normal(0, 0.15, 5) for m in (10.0, 8.0, mean))
            runs = [*make_runs("baseline", b, GOOD), *make_runs("human", h, GOOD)]
            pair.append(picked(score(track, study, runs + make_runs("submission", s, GOOD, arm="a"), "a")))
        match = matches.compare(*pair)
        assert match.ci is not None
        hits += match.ci[0] <= -0.2 <= match.ci[1]
    assert 0.92 <= hits / 300 <= 0.995
