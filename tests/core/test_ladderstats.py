"""The rows of `patchrun records`, on literals; the test's figures against scipy."""

from __future__ import annotations

import pytest
from scipy import stats as scipy_stats

from patchrun.core.ladder import Base, Ladder, Logs, Measured, Record
from patchrun.core.ladderstats import (
    MISSED,
    NOT_POSITIVE,
    WITHIN_NOISE,
    Row,
    Sample,
    all_totals,
    build_rows,
    document_row,
    document_totals,
)
from patchrun.core.logfacts import LogFact

LOSSES = (3.2770, 3.2778, 3.2786, 3.2774)
TIMES = (4.00, 4.01, 3.99, 4.02)
BEFORE = (4.90, 4.91, 4.89)


def record(number: int, seconds: float, **more: object) -> Record:
    facts = {"date": f"2026-0{number}-01", "by": "Ada", "summary": "s", "published_seconds": seconds}
    return Record(number=number, **{**facts, **more})  # type: ignore[arg-type]


def fact(number: int, arm: str, loss: float | None, seconds: float | None, why: str = "") -> LogFact:
    return LogFact(
        path=f"{number}/{arm}/{seconds}/{why}", digest="d", record=number, arm=arm, set_aside=why, gpus=8, gpu="H100",
        torch="2.6", steps=3, reached=3, seconds=seconds, loss=loss,
    )  # fmt: skip


def runs(number: int = 2) -> list[LogFact]:
    human = [fact(number, "human", loss, seconds) for loss, seconds in zip(LOSSES, TIMES, strict=True)]
    return [*human, *(fact(number, "baseline", 3.278, seconds) for seconds in BEFORE)]


def rows(second: Record, facts: list[LogFact], **more: object) -> list[Row]:
    ladder = Ladder(version=1, noise_seconds=0.7, record=(record(1, 10.0), second), hazard={"no-log": "x"})
    return build_rows(ladder, 3.28, ["refs/heads/baseline/2"], facts, **more)  # type: ignore[arg-type]


def test_measured_beside_published_with_the_official_test() -> None:
    row = rows(record(2, 5.0, ai_system="Deep Thought"), runs())[1]
    said = document_row(row)
    assert said["seconds"] == {
        "published": 5.0,
        "measured": 4.005,
        "sd": pytest.approx(0.0129099, rel=1e-5),
        "n": 4,
        "source": "logs",
    }
    expected = scipy_stats.ttest_1samp(LOSSES, 3.28, alternative="less").pvalue
    assert said["p_value"] == pytest.approx(expected, rel=1e-6)
    assert said["loss"]["mean"] == pytest.approx(3.2777)
    assert (said["gain_seconds"], said["ai_system"]) == (5.0, "Deep Thought")
    assert (said["has_baseline"], said["has_human"]) == (True, False)
    assert said["gpu"] == "8xH100"


def test_the_gain_comes_from_runs_beside_each_other_with_welchs_interval() -> None:
    gain = rows(record(2, 5.0), runs())[1].gain
    welch = scipy_stats.ttest_ind(BEFORE, TIMES, equal_var=False).confidence_interval(0.95)
    assert gain.seconds == pytest.approx(0.895)
    assert gain.interval == pytest.approx((welch.low, welch.high))
    assert (gain.source, gain.n_baseline, gain.over_record) == ("logs", 3, 1)


def test_a_gain_over_older_code_says_so() -> None:
    logs = Logs(folders=("f",), linked="l", based_on=1)
    ladder = Ladder(version=1, record=(record(1, 10.0), record(2, 9.0), record(3, 8.0, logs=logs)))
    row = build_rows(ladder, 3.28, [], runs(3))[2]
    assert row.gain.over_record == 1


def test_logs_that_do_not_count_are_counted_by_reason() -> None:
    aside = [
        fact(2, "human", 3.1, 1.0, "ran on 1 GPU, not 8"),
        fact(2, "human", 3.1, 1.0, "a copy of x"),
        fact(2, "human", 3.1, 1.0, "a copy of y"),
        fact(2, "human", None, None, "unfinished: no validation at step 3, the last step is 2"),
    ]
    row = rows(record(2, 5.0), runs() + aside)[1]
    assert row.set_aside == {"ran on 1 GPU, not 8": 1, "a copy": 2, "unfinished": 1}
    assert len(row.measured.losses) == 4


def test_one_run_has_no_p_value_and_the_reason_says_so() -> None:
    said = document_row(rows(record(2, 5.0), [fact(2, "human", 3.27, 4.0)])[1])
    assert said["p_value"] is None
    assert said["p_reason"] == "no p-value from one run"
    assert said["seconds"]["sd"] is None


def test_without_logs_there_are_published_figures_only() -> None:
    said = document_row(rows(record(2, 5.0), [])[1])
    assert said["seconds"] == {"published": 5.0, "measured": None, "sd": None, "n": 0, "source": "published"}
    assert said["gain"] == {
        "seconds": 5.0,
        "ci": None,
        "source": "published",
        "n_baseline": 0,
        "over_record": 1,
    }
    assert (said["p_value"], said["p_reason"]) == (None, "no runs")


def test_losses_without_times_still_count() -> None:
    said = document_row(
        rows(record(2, 5.0), [fact(2, "human", 3.27, None), fact(2, "human", 3.272, None)])[1]
    )
    assert (said["seconds"]["measured"], said["seconds"]["n"]) == (None, 2)
    assert said["p_value"] is not None


@pytest.mark.parametrize(
    ("seconds", "before", "hazards"),
    [
        (9.5, None, (WITHIN_NOISE,)),
        (9.2, None, ()),
        (10.0, None, (NOT_POSITIVE,)),
        (11.0, None, (NOT_POSITIVE,)),
        (11.0, 12.0, ()),
    ],
)
def test_published_gains_within_machine_noise_are_hazards(
    seconds: float, before: float | None, hazards: tuple[str, ...]
) -> None:
    assert rows(record(2, seconds, baseline_seconds=before), [])[1].hazards == hazards


def test_an_interval_that_holds_zero_is_within_noise_however_large_the_published_gain() -> None:
    noisy = [fact(2, "human", 3.27, t) for t in (4.0, 6.0)] + [
        fact(2, "baseline", 3.27, t) for t in (4.5, 6.5)
    ]
    assert rows(record(2, 5.0, hazards=("no-log",)), noisy)[1].hazards == ("no-log", WITHIN_NOISE)


def test_a_mean_above_the_target_is_a_hazard() -> None:
    assert (
        MISSED
        in rows(record(2, 5.0), [fact(2, "human", 3.281, 4.0), fact(2, "human", 3.282, 4.1)])[1].hazards
    )


def test_the_arenas_own_runs_come_before_logs() -> None:
    local = {(2, "human"): Sample((2.0, 2.1), (3.2, 3.21)), (2, "baseline"): Sample((3.0, 3.1), (3.2, 3.21))}
    row = rows(record(2, 5.0), runs(), local=local)[1]
    assert (row.source, row.gain.source) == ("local", "local")
    assert row.gain.seconds == pytest.approx(1.0)


def test_a_ladder_with_measured_figures_in_its_manifest() -> None:
    base = Base(measured=Measured(n=5, seconds_mean=12.0))
    one = record(1, 0, published_seconds=None, measured=Measured(n=5, seconds_mean=6.0))
    ladder = Ladder(version=1, base=base, record=(one,))
    row = build_rows(ladder, 3.28, [])[0]
    assert (row.published, row.before, row.gain_seconds) == (6.0, 12.0, 6.0)
    assert all_totals(ladder)[0].speedup == 2.0


def test_totals_at_milestones_and_at_the_end() -> None:
    ladder = Ladder(
        version=1,
        milestones=("2026-02-15",),
        record=(record(1, 30.0), record(2, 10.0, ai_system="A"), record(3, 5.0, ai_system="B")),
    )
    first, last = (document_totals(entry) for entry in all_totals(ladder))
    assert (first["records"], first["speedup"], first["ai_credited"]) == (2, 3.0, 1)
    assert (last["records"], last["speedup"], last["ai_records"]) == (3, 6.0, [2, 3])
    assert (first["until"], last["until"]) == ("2026-02-15", "2026-03-01")


def test_a_ladder_without_times_has_no_speedup() -> None:
    ladder = Ladder(version=1, record=(record(1, 0, published_seconds=None),))
    assert document_totals(all_totals(ladder)[0])["speedup"] is None
    assert document_row(build_rows(ladder, 3.28, [])[0])["gain_seconds"] is None


def test_a_tiny_p_value_never_becomes_zero() -> None:
    facts = [fact(2, "human", 3.0 + i * 1e-5, 4.0) for i in range(40)]
    assert 0 < document_row(rows(record(2, 5.0), facts)[1])["p_value"] < 1e-20
