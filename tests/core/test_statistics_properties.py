"""What must hold for any input: properties of intervals, scores, ranks and matches."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
from builders import SUBMISSION, make_entry, make_machine, make_run, make_study, make_track
from hypothesis import example, given, settings
from hypothesis import strategies as st

from patchrun.core import bootstrap, evidence, leaderboard, picks, stats, versus
from patchrun.core.results import Exit, Run, VerdictName
from patchrun.core.scoring import score

SETTINGS = settings(max_examples=60, deadline=None)
seconds = st.floats(0.5, 1000)
blocks = st.integers(2, 8).flatmap(lambda n: st.tuples(*[st.lists(seconds, min_size=n, max_size=n)] * 3))
numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12)
exits = st.sampled_from(get_args(Exit))
odd = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.floats(0.1, 20))


@SETTINGS
@given(blocks)
def test_an_interval_holds_its_point(times: tuple[list[float], ...]) -> None:
    for function in (stats.paired_fsr, stats.unpaired_fsr):
        found = function(*times)
        if found.interval is not None:
            assert found.value is not None
            slack = 1e-6 * max(1.0, abs(found.value))
            assert found.interval[0] - slack <= found.value <= found.interval[1] + slack


@SETTINGS
@given(blocks, st.floats(0.01, 100))
def test_fsr_does_not_depend_on_the_unit_of_time(times: tuple[list[float], ...], unit: float) -> None:
    found = stats.paired_fsr(*times)
    scaled = stats.paired_fsr(*([unit * value for value in arm] for arm in times))
    if found.interval is not None and found.interval[1] - found.interval[0] < 100:
        assert scaled.value == pytest.approx(found.value, rel=1e-6, abs=1e-6)
        assert scaled.interval == pytest.approx(found.interval, rel=1e-4, abs=1e-4)


@SETTINGS
@given(blocks)
def test_swapping_human_and_submission_inverts_the_fsr(times: tuple[list[float], ...]) -> None:
    b, s, h = times
    one, other = stats.paired_fsr(b, s, h), stats.paired_fsr(b, h, s)
    if one.interval is not None and other.interval is not None and one.interval[0] > 1e-3:
        assert other.interval == pytest.approx((1 / one.interval[1], 1 / one.interval[0]), rel=1e-3)


@SETTINGS
@given(numbers, st.floats(-1e6, 1e6))
def test_a_p_value_is_a_probability_or_absent(values: list[float], bound: float) -> None:
    found = stats.check_mean_at_most(values, bound)
    assert found.p_value is None or 0 <= found.p_value <= 1
    assert (found.p_value is None) == bool(found.reason)


@SETTINGS
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(values: list[float]) -> None:
    adjusted = stats.holm(values)
    assert all(a >= p and a <= 1 for a, p in zip(adjusted, values, strict=True))
    pairs = sorted(zip(values, adjusted, strict=True))
    assert [a for _, a in pairs] == sorted(a for _, a in pairs)


@SETTINGS
@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_the_bootstrap_stays_inside_the_scores(scores: list[float]) -> None:
    ((low, high),) = bootstrap.percentile_intervals(bootstrap.resample(scores, replicates=50))
    assert min(scores) - 1e-9 <= low <= high <= max(scores) + 1e-9


@st.composite
def random_runs(draw: Any) -> list[Run]:
    """Any subset of slots, with any exits, times and losses, on one machine or two."""
    runs = []
    for kind in ("baseline", "human", "submission"):
        for block in range(5):
            if draw(st.integers(0, 9)):
                given_exit = draw(exits) if draw(st.integers(0, 9)) == 0 else "ok"
                broken = draw(st.integers(0, 19)) == 0
                time = draw(odd) if broken else draw(st.floats(5, 15))
                loss = draw(odd) if broken else draw(st.floats(3.6, 3.8))
                machine = make_machine("cpu-b" if draw(st.integers(0, 49)) == 0 else "cpu-a")
                runs.append(make_run(kind, block, time, loss, exit=given_exit, machine=machine))
    return runs


@settings(max_examples=200, deadline=None)
@example([make_run("submission", 0, 1.0, 1e70)], "t-test", False)
@given(random_runs(), st.sampled_from(["mean", "t-test"]), st.booleans())
def test_any_runs_have_one_state_and_a_number_only_if_valid(runs: list[Run], kind: str, paired: bool) -> None:
    rule = {"kind": kind, "blocks": 5} | ({"alpha": 0.01, "looks": (3, 5)} if kind == "t-test" else {})
    track = make_track(rule=rule, clock={"source": "cpu", "paired": paired})
    found = score(track, make_study(), runs, SUBMISSION)
    assert found.verdict is None or found.verdict in get_args(VerdictName)
    assert (found.state == "done") == (found.verdict is not None)
    assert (found.state == "pending") == (not any(run.exit != "interrupted" for run in runs))
    assert (found.fsr is not None) == (found.verdict == "valid") == (found.fsr_ci is not None)
    assert found.fsr is None or math.isfinite(found.fsr)
    if found.verdict == "valid":
        assert found.scorable is True
        kept = found.n_blocks if found.loss.p_value is not None else 5
        submitted = [run for run in runs if run.kind == "submission" and run.block < kept]
        assert all(evidence.is_usable(run) for run in submitted)
        assert found.loss.mean is not None
        assert found.loss.mean <= 3.75
    if found.verdict == "unscorable":
        assert found.scorable is False
        assert found.reason


cells = st.tuples(
    st.sampled_from("abcd"),
    st.sampled_from(["2", "5", "12"]),
    st.one_of(st.none(), st.floats(-2, 3)),
    st.integers(1, 3),
)
boards = st.lists(cells, max_size=25, unique_by=lambda cell: (cell[0], cell[1], cell[3]))


def build(given_cells: list[tuple[str, str, float | None, int]]) -> list[picks.Entry]:
    return [make_entry(*cell) for cell in given_cells]


@SETTINGS
@given(boards, st.sampled_from(["last", "first", "best", "mean"]), st.randoms())
def test_a_board_is_sound_whatever_it_holds(given_cells: list[Any], pick: picks.Pick, random: Any) -> None:
    entries = build(given_cells)
    board = leaderboard.rank(entries, pick=pick, replicates=50)
    scores = [row.score for row in board.rows]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert [row.rank for row in board.rows] == [
        1 + sum(other > row.score for other in scores) for row in board.rows
    ]
    assert all(row.valid <= row.attempted <= len(board.records) for row in board.rows)
    random.shuffle(entries)
    assert leaderboard.rank(entries, pick=pick, replicates=50) == board


@SETTINGS
@given(boards)
def test_a_weak_agent_more_does_not_change_the_others_scores(given_cells: list[Any]) -> None:
    entries = build(given_cells)
    records = ["2", "5", "12"]
    before = {row.agent: row.score for row in leaderboard.rank(entries, records=records, replicates=0).rows}
    more = [*entries, make_entry("weak", "2", None)]
    after = {row.agent: row.score for row in leaderboard.rank(more, records=records, replicates=0).rows}
    assert after.pop("weak") == 0
    assert after == before


@SETTINGS
@given(boards)
def test_a_head_to_head_is_antisymmetric(given_cells: list[Any]) -> None:
    entries = build(given_cells) + [make_entry("a", "30", 0.5), make_entry("b", "30", 0.4)]
    one, other = (
        versus.compare_agents(entries, "a", "b", replicates=50),
        versus.compare_agents(entries, "b", "a", replicates=50),
    )
    flipped = {"a": "b", "b": "a", "tie": "tie", "unknown": "unknown"}
    assert {n: flipped[m.winner] for n, m in one.records.items()} == {
        n: m.winner for n, m in other.records.items()
    }
    assert sum(one.wins.values()) == len(one.records)
    if one.p_a_better is not None:
        assert one.p_a_better + (other.p_a_better or 0) == pytest.approx(1)
