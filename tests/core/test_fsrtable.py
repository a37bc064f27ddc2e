"""Outside data under stated rules."""

from __future__ import annotations

import pytest

from patchrun.core import fsrtable
from patchrun.core.errors import UsageError
from patchrun.core.fsrtable import Gap, OutsideRun, Rule

TIMES = "record,seconds,note\n1,100,first\n2,80,\n3,60,\n4,70,slower\n"
RUNS = """\
agent,record,seconds,loss,valid
ada,2,90,3.27,yes
ada,2,85,3.29,yes
ada,2,,,
ada,3,50,3.27,
grace,2,110,3.27,no
grace,3,70,3.27,true
"""


def table(rule: Rule, runs: str = RUNS, times: str = TIMES) -> fsrtable.FsrTable:
    return fsrtable.make_table(fsrtable.read_times(times), fsrtable.read_runs(runs), rule)


def fsr(found: fsrtable.FsrTable, agent: str, record: int) -> float | None:
    return next(cell.fsr for cell in found.cells if (cell.agent, cell.record) == (agent, record))


def test_a_ladder_of_times_gives_each_record_its_baseline() -> None:
    assert fsrtable.read_times(TIMES) == {2: Gap(100, 80), 3: Gap(80, 60), 4: Gap(60, 70)}


def test_times_may_name_both_ends_themselves() -> None:
    text = "record, baseline_seconds, human_seconds\n7, 10, 8.5\n12, 9, 8\n"
    assert fsrtable.read_times(text) == {7: Gap(10, 8.5), 12: Gap(9, 8)}


def test_a_missing_record_breaks_the_ladder_only_there() -> None:
    assert fsrtable.read_times("record,seconds\n1,100\n2,90\n5,60\n6,50\n") == {
        2: Gap(100, 90),
        6: Gap(60, 50),
    }


def test_runs_are_read_in_order_with_what_is_known() -> None:
    runs = fsrtable.read_runs(RUNS)
    assert runs[0] == OutsideRun(2, "ada", 90, 3.27, True)
    assert runs[2] == OutsideRun(2, "ada", None, None, True)
    assert runs[4].valid is False
    assert fsrtable.read_runs("record,seconds\n2,90\n", agent="me") == (OutsideRun(2, "me", 90.0),)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule(), (0.5 + 0.75 + 0) / 3),
        (Rule(failed="drop"), (0.5 + 0.75) / 2),
        (Rule(max_loss=3.28), (0.5 + 0 + 0) / 3),
        (Rule(max_loss=3.28, failed="drop"), 0.5),
        (Rule(pick="best"), 0.75),
        (Rule(pick="top", top=2), (0.5 + 0.75) / 2),
        (Rule(pick="top", top=9), (0.5 + 0.75 + 0) / 3),
    ],
)
def test_the_rule_decides(rule: Rule, expected: float) -> None:
    assert fsr(table(rule), "ada", 2) == pytest.approx(expected)


@pytest.mark.parametrize(("clip", "expected"), [("none", (1.5 - 0.5) / 2), ("runs", 0.5), ("records", 0.5)])
def test_where_it_is_clipped_matters(clip: str, expected: float) -> None:
    runs = "record,seconds\n3,50\n3,90\n"
    assert fsr(table(Rule(clip=clip), runs), "agent", 3) == pytest.approx(expected)  # type: ignore[arg-type]
    above = {"none": 1.5, "runs": 1.0, "records": 1.0}[clip]
    assert fsr(table(Rule(clip=clip), "record,seconds\n3,50\n"), "agent", 3) == above  # type: ignore[arg-type]


def test_a_run_marked_invalid_failed_however_fast() -> None:
    found = table(Rule(failed="drop"))
    cell = next(cell for cell in found.cells if (cell.agent, cell.record) == ("grace", 2))
    assert (cell.runs, cell.failed, cell.used, cell.fsr) == (1, 1, 0, None)


def test_the_mean_is_over_every_scorable_record_and_shows_coverage() -> None:
    found = table(Rule(), RUNS.replace("ada,3,50,3.27,\n", ""))
    ada = next(mean for mean in found.agents if mean.agent == "ada")
    assert (ada.records, ada.tried) == (2, 1)
    assert ada.mean == pytest.approx((0.5 + 0.75 + 0) / 3 / 2)
    assert ada.ci is not None
    assert ada.ci[0] <= ada.mean <= ada.ci[1]


def test_a_gap_that_is_not_positive_is_excluded_with_its_reason() -> None:
    found = table(Rule(), RUNS + "ada,4,65,3.27,yes\nada,9,65,3.27,yes\n")
    assert found.excluded == {4: "the gap is not positive (-10 s)", 9: "no times"}
    assert {cell.record for cell in found.cells} == {2, 3}


def test_nothing_to_score_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no record can carry"):
        table(Rule(), times="record,seconds\n1,60\n2,70\n")


def test_one_record_has_no_interval() -> None:
    assert table(Rule(), times="record,seconds\n1,100\n2,80\n").agents[0].ci is None


def test_rules_side_by_side() -> None:
    times, runs = fsrtable.read_times(TIMES), fsrtable.read_runs(RUNS)
    rules = {"mean": Rule(), "best": Rule(pick="best")}
    found = {name: fsrtable.make_table(times, runs, rule).agents for name, rule in rules.items()}
    means = {name: {agent.agent: agent.mean for agent in agents} for name, agents in found.items()}
    assert means["best"]["ada"] == pytest.approx((0.75 + 1) / 2)
    assert means["mean"]["ada"] == pytest.approx((1.25 / 3 + 1) / 2)
    assert set(means["mean"]) == set(means["best"]) == {"ada", "grace"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column `record`"),
        ("record\n1\n", "no column `seconds`"),
        ("record,seconds\n", "no lines"),
        ("record,seconds\nx,1\n", "line 2: record: expected a number, got 'x'"),
        ("record,seconds\n1,0\n", "line 2: seconds: expected more than 0"),
        ("record,seconds\n1,-5\n", "line 2: seconds: expected more than 0"),
        ("record,seconds\n1,nan\n", "line 2: seconds: expected a finite number, got 'nan'"),
        ("record,seconds\n1,inf\n", "expected a finite number"),
        ("record,seconds\n1,fast\n", "expected a finite number, got 'fast'"),
        ("record,seconds\n1,5\n1,6\n", "more than one line for record 1"),
        ("record,seconds\n1\n", "not as many fields"),
        ("record,seconds\n1,2,3\n", "not as many fields"),
    ],
)
def test_times_that_cannot_be_read_are_named(text: str, words: str) -> None:
    with pytest.raises(UsageError, match="times.csv") as caught:
        fsrtable.read_times(text, "times.csv")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("record,time\n1,2\n", "no column `seconds`"),
        ("record,seconds,valid\n1,2,maybe\n", "line 2: valid: expected yes or no, got 'maybe'"),
        ("record,seconds,loss\n1,2,nan\n", "line 2: loss: expected a finite number"),
    ],
)
def test_runs_that_cannot_be_read_are_named(text: str, words: str) -> None:
    with pytest.raises(UsageError, match="runs.csv") as caught:
        fsrtable.read_runs(text, "runs.csv")
    assert words in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_the_first_column() -> None:
    assert fsrtable.read_times("\ufeffrecord,seconds\n1,2\n2,1\n") == {2: Gap(2, 1)}


# Seconds of records 1 to 21 as one peer re-measured them on its own cluster (mean of three runs each).
RETIMED = {
    1: 2968.348, 2: 2209.926, 3: 1386.147, 4: 1301.740, 5: 949.528, 6: 766.259, 7: 773.072, 8: 662.205, 9: 505.531,
    10: 477.150, 11: 442.985, 12: 317.839, 13: 289.805, 14: 273.107, 15: 241.463, 16: 232.971, 17: 220.374,
    18: 211.840, 19: 199.442, 20: 188.680, 21: 184.262,
}  # fmt: skip
RETIMED_TEXT = "record,seconds\n" + "".join(f"{n},{seconds}\n" for n, seconds in RETIMED.items())


def test_a_published_ladder_with_a_negative_gap() -> None:
    gaps = fsrtable.read_times(RETIMED_TEXT)
    assert sorted(gaps) == list(range(2, 22))
    perfect = [OutsideRun(n, "human", gap.human) for n, gap in gaps.items()]
    found = fsrtable.make_table(gaps, perfect, Rule())
    assert found.excluded == {7: "the gap is not positive (-6.81 s)"}
    (human,) = found.agents
    assert (human.mean, human.records, human.tried) == (1.0, 19, 19)
    assert human.ci == (1.0, 1.0)


def test_the_baseline_itself_recovers_nothing_on_a_published_ladder() -> None:
    gaps = fsrtable.read_times(RETIMED_TEXT)
    nothing = [OutsideRun(n, "neutral", gap.baseline) for n, gap in gaps.items()]
    assert fsrtable.make_table(gaps, nothing, Rule()).agents[0].mean == 0


def test_picking_the_best_of_noisy_neutral_runs_makes_a_score_out_of_nothing() -> None:
    import numpy as np

    random = np.random.default_rng(1)
    gaps = fsrtable.read_times(RETIMED_TEXT)
    runs = [
        OutsideRun(n, "neutral", gap.baseline * float(random.normal(1, 0.01)))
        for n, gap in gaps.items() for _ in range(20)
    ]  # fmt: skip
    rules = {"mean": Rule(), "best": Rule(pick="best"), "top3": Rule(pick="top", top=3)}
    found = {name: fsrtable.make_table(gaps, runs, rule).agents[0].mean for name, rule in rules.items()}
    assert found["mean"] < 0.05
    assert found["best"] > found["top3"] > 0.15
