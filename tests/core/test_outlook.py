"""What is known of a record before any run, on literal ladders."""

from __future__ import annotations

import pytest

from patchrun.core.ladder import Ladder, Logs, Measured, Record
from patchrun.core.ladderstats import Row, Sample, build_rows
from patchrun.core.logfacts import LogFact
from patchrun.core.outlook import find_margin, find_obstacle, is_gap_shown
from patchrun.core.selection import Span


def record(number: int, seconds: float | None, **more: object) -> Record:
    return Record(number=number, date="2026-01-01", by="a", summary="s", published_seconds=seconds, **more)  # type: ignore[arg-type]


LADDER = Ladder(
    version=1,
    noise_seconds=0.7,
    record=(
        record(1, 100.0),
        record(2, 90.0),
        record(3, 89.6),
        record(4, 89.9),
        record(5, 80.0, environment_only=True),
        record(6, 79.0, baseline_seconds=81.0),
        record(7, None),
        record(8, 70.0, logs=Logs(folders=("x",), linked="x/a", based_on=6)),
    ),
)
CODE = [f"refs/patchrun/human/{n}" for n in range(1, 9)]


def fact(number: int, arm: str, seconds: float, loss: float = 3.279) -> LogFact:
    return LogFact(path=f"{arm}{seconds}", digest="", record=number, arm=arm, steps=9, reached=9, seconds=seconds,
                   loss=loss)  # fmt: skip


def rows(facts: list[LogFact] | None = None, code: list[str] = CODE, **more: object) -> list[Row]:
    return build_rows(LADDER, 3.28, code, facts or [], **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (Span(2, 2), ""),
        (Span(3, 3), "not beyond noise: 0.4 s, -0.3 to 1.1 s by the published times, give or take 0.7 s"),
        (Span(4, 4), "not positive: baseline - human = -0.3 s by the published times"),
        (Span(5, 5), "record 5 changed only its environment"),
        (Span(6, 6), ""),
        (Span(7, 7), ""),  # no published time: nothing is known against it
        (Span(3, 4), "not beyond noise"),
        (Span(2, 5), ""),  # in a span, the upgrade is one step of many
    ],
)
def test_by_published_times(span: Span, said: str) -> None:
    found = find_obstacle(LADDER, rows(), span)
    assert (said in found) if said else found == ""


def test_logs_that_ran_beside_each_other_come_before_published_times() -> None:
    beside = [fact(3, "baseline", s) for s in (90.0, 90.1, 89.9)] + [
        fact(3, "human", s) for s in (89.5, 89.6, 89.4)
    ]
    assert find_obstacle(LADDER, rows(beside), Span(3, 3)) == ""
    noisy = [fact(2, "baseline", s) for s in (90.0, 99.1, 89.9)] + [
        fact(2, "human", s) for s in (89.5, 98.6, 89.4)
    ]
    assert "by the logs" in find_obstacle(LADDER, rows(noisy), Span(2, 2))


def test_logs_on_older_code_say_nothing_of_this_step() -> None:
    beside = [fact(8, "baseline", s) for s in (70.4, 70.1, 70.2)] + [
        fact(8, "human", s) for s in (70.5, 70.6, 70.4)
    ]
    assert find_obstacle(LADDER, rows(beside), Span(8, 8)) == ""


def test_without_a_human_patch_there_is_no_gap_to_judge() -> None:
    assert find_obstacle(LADDER, rows(code=[]), Span(4, 4)) == ""


def test_the_margin_is_the_human_codes() -> None:
    facts = [fact(2, "human", 90.0, loss) for loss in (3.277, 3.279)]
    assert find_margin(rows(facts), 3.28, Span(1, 2)) == pytest.approx(0.002)
    assert find_margin(rows(), 3.28, Span(2, 2)) is None
    measured = Ladder(
        version=1, record=(record(1, 9.0, measured=Measured(n=3, seconds_mean=9, loss_mean=3.2)),)
    )
    assert find_margin(build_rows(measured, 3.28, []), 3.28, Span(1, 1)) == pytest.approx(0.08)


@pytest.mark.parametrize(
    ("baseline", "human", "shown"),
    [((90.0, 90.1, 89.9), (89.5, 89.6, 89.4), True), ((90.0, 90.9, 89.0), (89.5, 90.4, 88.6), False)],
)
def test_own_runs_may_show_a_gap_that_published_times_cannot(
    baseline: tuple[float, ...], human: tuple[float, ...], shown: bool
) -> None:
    local = {(3, "baseline"): Sample(baseline, (3.2,)), (3, "human"): Sample(human, (3.2,))}
    assert is_gap_shown(rows(local=local), Span(3, 3)) is shown
    assert not is_gap_shown(rows(local=local), Span(2, 3)), "a span has arms of its own"
    upgrade = {(5, arm): sample for (_, arm), sample in local.items()}
    assert not is_gap_shown(rows(local=upgrade), Span(5, 5)), "an upgrade stays one"
    assert not is_gap_shown(rows(), Span(3, 3))


def test_own_runs_would_come_first_where_they_are_given() -> None:
    local = {(2, "human"): Sample((5.0,), (3.0,)), (2, "baseline"): Sample((6.0,), (3.0,))}
    assert find_margin(rows(local=local), 3.28, Span(2, 2)) == pytest.approx(0.28)
