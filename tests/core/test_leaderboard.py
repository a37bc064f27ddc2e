"""Ranks, intervals, coverage, what is left out."""

from __future__ import annotations

import time

import numpy as np
import pytest
from builders import make_attempt, make_entry, make_plain, make_score

from patchrun.core import leaderboard
from patchrun.core.leaderboard import Leaderboard, Row
from patchrun.core.picks import Entry


def make_entries() -> list[Entry]:
    """Ada is strong, Grace is half as strong and breaks once, Hopper tried one record."""
    entries = [make_entry("ada", str(n), 0.8 + 0.05 * (n % 3)) for n in (2, 3, 5, 9)]
    entries += [make_entry("grace", str(n), 0.4 + 0.05 * (n % 2)) for n in (2, 3, 5)]
    return [*entries, make_entry("grace", "9"), make_entry("hopper", "2", 1.6)]


def row(board: Leaderboard, agent: str) -> Row:
    return next(row for row in board.rows if row.agent == agent)


def test_ranks_by_the_mean_over_the_same_records() -> None:
    board = leaderboard.rank(make_entries())
    assert board.records == ("2", "3", "5", "9")
    assert [(r.rank, r.agent) for r in board.rows] == [(1, "ada"), (2, "grace"), (3, "hopper")]
    assert row(board, "ada").score == pytest.approx((0.9 + 0.8 + 0.9 + 0.8) / 4)
    assert row(board, "grace").score == pytest.approx((0.4 + 0.45 + 0.45 + 0) / 4)
    assert row(board, "hopper").score == pytest.approx(0.25), "clipped at 1, missing records count 0"


def test_coverage_is_shown() -> None:
    board = leaderboard.rank(make_entries())
    assert [(r.valid, r.attempted) for r in board.rows] == [(4, 4), (3, 4), (1, 1)]
    assert set(row(board, "hopper").records) == {"2"}


def test_a_cell_shows_the_unclipped_fsr_or_the_verdict() -> None:
    board = leaderboard.rank(make_entries())
    cell = row(board, "hopper").records["2"]
    assert (cell.fsr, cell.ci, cell.score) == (1.6, (1.5, 1.7000000000000002), 1.0)
    missed = row(board, "grace").records["9"]
    assert (missed.verdict, missed.fsr, missed.ci, missed.score) == ("missed-target", None, None, 0)


def test_the_log_speedup_is_pooled_and_unclipped() -> None:
    board = leaderboard.rank(make_entries())
    # every gap is ln 0.2 wide, and ln(t_b / t_s) is 0.2 FSR
    assert row(board, "hopper").log_speedup_fraction == pytest.approx(1.6 / 4)
    assert row(board, "grace").log_speedup_fraction == pytest.approx((0.4 + 0.45 + 0.45) / 4)


def test_the_gap_of_an_unmeasured_record_is_the_others_mean() -> None:
    entries = [
        make_entry("ada", "2", 1.0, gap_log=0.1, speedup=np.exp(0.1)),
        make_entry("grace", "2", 0.0, gap_log=0.3, speedup=1.0),
    ]
    board = leaderboard.rank(
        [*entries, make_entry("hopper", "2", verdict="rejected", gap_log=None, scorable=None)]
    )
    assert row(board, "ada").log_speedup_fraction == pytest.approx(1)
    assert row(board, "hopper").log_speedup_fraction == 0
    nothing = leaderboard.rank([make_entry("hopper", "2", verdict="rejected", gap_log=None, scorable=None)])
    assert nothing.rows[0].log_speedup_fraction is None


def test_equal_scores_share_a_rank() -> None:
    board = leaderboard.rank(
        [make_entry(name, "2", 0.5) for name in ("b", "a")] + [make_entry("c", "2", 0.1)]
    )
    assert [(r.rank, r.agent) for r in board.rows] == [(1, "a"), (1, "b"), (3, "c")]


def test_the_interval_is_over_records_and_reproducible() -> None:
    board = leaderboard.rank(make_entries())
    assert board == leaderboard.rank(make_entries()[::-1])
    for one in board.rows:
        assert one.ci is not None
        assert one.ci[0] <= one.score <= one.ci[1]
    assert leaderboard.rank(make_entries(), replicates=0).rows[0].ci is None


def test_one_record_has_no_interval_and_the_board_says_so() -> None:
    board = leaderboard.rank(make_entries(), records=[2])
    assert board.records == ("2",)
    assert [r.ci for r in board.rows] == [None] * 3
    assert "one record: no interval over records" in board.notes


def test_a_set_counts_what_nobody_tried() -> None:
    board = leaderboard.rank(make_entries(), records=[2, 3, 40])
    assert board.records == ("2", "3", "40")
    assert row(board, "ada").score == pytest.approx((0.9 + 0.8) / 3)
    assert row(board, "ada").attempted == 2
    assert leaderboard.rank(make_entries(), records=[3]).rows[-1].agent == "grace", (
        "hopper tried none of these"
    )


def test_a_record_that_could_not_be_scored_counts_for_nobody() -> None:
    noise = [make_entry("ada", "7", verdict="unscorable", scorable=False)]
    noise += [make_entry("grace", "7", verdict="rejected", scorable=None)]
    board = leaderboard.rank([*make_entries(), *noise])
    assert (board.records, board.unscorable) == (("2", "3", "5", "9"), ("7",))
    assert row(board, "ada").score == pytest.approx(0.85)
    assert row(board, "ada").records["7"].verdict == "unscorable"
    assert row(board, "ada").attempted == 4
    assert "left out, cannot be scored here: 7" in board.notes


def test_a_record_that_another_study_could_score_counts_for_all() -> None:
    board = leaderboard.rank(
        [
            *make_entries(),
            make_entry("ada", "7", verdict="unscorable", scorable=False),
            make_entry("grace", "7", 0.5),
        ]
    )
    assert "7" in board.records
    assert row(board, "ada").score == pytest.approx(0.85 * 4 / 5)


def test_rejected_attempts_alone_keep_their_record_on_the_board() -> None:
    board = leaderboard.rank([make_entry("ada", "2", verdict="rejected", scorable=None)])
    assert (board.records, board.rows[0].score, board.rows[0].attempted) == (("2",), 0, 1)


def test_pending_and_stale_cells_are_shown_and_count_zero() -> None:
    entries = [
        make_entry("ada", "2", state="pending", verdict=None, scorable=None),
        make_entry("ada", "3", state="stale", verdict=None, scorable=None),
    ]
    board = leaderboard.rank([*entries, make_entry("grace", "2", 0.5)])
    assert [(c.state, c.verdict) for c in row(board, "ada").records.values()] == [
        ("pending", None),
        ("stale", None),
    ]
    assert row(board, "ada").score == 0


def test_ratings_follow_the_matches() -> None:
    board = leaderboard.rank(make_entries())
    ratings = [r.rating for r in board.rows]
    assert all(value is not None for value in ratings)
    assert ratings[0] > ratings[1]  # type: ignore[operator]


def test_groups_that_never_met_are_noted() -> None:
    entries = [make_entry(name, "2", 0.5) for name in "ab"] + [make_entry(name, "3", 0.5) for name in "cd"]
    board = leaderboard.rank([*entries, make_entry("e", "4", 0.5)])
    assert "2 groups of agents never met: compare ratings inside a group only" in board.notes
    assert row(board, "e").rating is None


def test_pick_mean_has_no_ratings() -> None:
    board = leaderboard.rank(make_entries(), pick="mean")
    assert {r.rating for r in board.rows} == {None}
    assert "no ratings" in board.notes[0]


def test_a_best_that_was_not_measured_again_is_noted() -> None:
    entries = [make_entry("ada", "2", 0.9, 1), make_entry("ada", "2", 0.4, 2), make_entry("ada", "3", 0.4)]
    board = leaderboard.rank(entries, pick="best")
    assert board.rows[0].records["2"].fsr == 0.4
    assert any("patchrun rerun ada-2-1" in note for note in board.notes)
    again = leaderboard.rank(entries, pick="best", remeasured=[make_entry("ada", "2", 0.8, 1)])
    assert again.rows[0].records["2"].fsr == 0.8


def test_a_track_without_human_patches_ranks_by_speedup() -> None:
    entries = [(make_attempt("ada", "1"), make_plain(1.5)), (make_attempt("grace", "1"), make_plain(0.8))]
    board = leaderboard.rank([*entries, make_entry("hopper", "1", gap_log=None)])
    assert (board.metric, board.records) == ("speedup", ("1",))
    assert [(r.agent, r.score) for r in board.rows] == [("ada", 1.5), ("grace", 1.0), ("hopper", 1.0)]
    assert board.rows[0].log_speedup_fraction is None


def test_no_entries_is_an_empty_board() -> None:
    board = leaderboard.rank([])
    assert (board.rows, board.records) == ((), ())
    assert leaderboard.rank([], records=[3]).records == ("3",)


def make_crowd(agents: int, records: int) -> list[Entry]:
    random = np.random.default_rng(1)
    scores = [make_score(float(x)) for x in random.normal(0.5, 0.4, 50)] + [make_score(None)]
    return [
        (make_entry(f"agent{a}", str(n), 0.5)[0], scores[int(random.integers(51))])
        for a in range(agents) for n in range(1, records + 1)
    ]  # fmt: skip


def test_a_crowd_is_ranked_in_linear_time() -> None:
    start = time.process_time()
    board = leaderboard.rank(make_crowd(leaderboard.RATED_AGENTS + 1, 88))
    assert time.process_time() - start < 30, "about 2 s alone; the bound only catches a change of order"
    assert len(board.rows) == leaderboard.RATED_AGENTS + 1
    assert board.notes == (f"no ratings: more than {leaderboard.RATED_AGENTS} agents",)
