"""The ladder's story: logarithms that add up, on literals and on the ladders that ship."""

from __future__ import annotations

import math

import pytest

from patchrun.core.errors import UsageError
from patchrun.core.history import (
    CLOCK,
    By,
    History,
    cumulate,
    curve_rises,
    log_gains,
    since_first_ai,
    split,
    sum_range,
    tell,
)
from patchrun.core.labels import LabelBook, LadderLabel
from patchrun.core.ladder import Base, Ladder, Measured, Record
from tests.core.test_labels import shipped

BYS: tuple[By, ...] = ("depth", "provenance", "period", "contributor", "ai")


def record(number: int, seconds: float | None, **more: object) -> Record:
    facts = {"date": f"2025-{number:02}-01", "by": "Ada", "summary": "s", "published_seconds": seconds}
    return Record(number=number, **{**facts, **more})  # type: ignore[arg-type]


def label(number: int, depth: str, provenance: str = "Imported", **more: object) -> LadderLabel:
    return LadderLabel(record=number, depth=depth, provenance=provenance, reason="r", **more)  # type: ignore[arg-type]


BOOK = LabelBook(
    version=1, by="Ada", date="2026-01-01",
    label=(label(2, "Deep", "Invented"), label(3, "Shallow", close_depth="Deep"), label(4, "Moderate")),
)  # fmt: skip
LADDER = Ladder(
    version=1,
    record=(
        record(1, 80.0),
        record(2, 40.0, by="Ada, Grace", date="2025-06-30"),
        record(3, 20.0, date="2025-07-01", ai_system="Deep Thought"),
        record(4, 5.0, date="2025-12-31"),
    ),
)


def story(ladder: Ladder = LADDER, until: str = "") -> History:
    return tell("plain", ladder, BOOK, until)


def factors(history: History, by: By) -> dict[str, float]:
    return {group.name: pytest.approx(group.factor) for group in split(history, by)}


def test_factors_by_depth_in_the_order_of_the_scale() -> None:
    groups = split(story(), "depth")
    assert [(group.name, group.records) for group in groups] == [
        ("Deep", 1), ("Moderate", 1), ("Shallow", 1), ("unlabelled", 1)
    ]  # fmt: skip
    assert [group.factor for group in groups] == pytest.approx([2.0, 4.0, 2.0, 1.0])


def test_the_first_time_is_where_it_starts() -> None:
    told = story()
    assert (told.start, told.last, told.speedup) == (80.0, 5.0, 16.0)
    assert [step.timed for step in told.steps] == [False, True, True, True]


def test_a_measured_base_is_where_it_starts() -> None:
    base = Base(measured=Measured(n=5, seconds_mean=160.0))
    told = story(Ladder(version=1, base=base, record=LADDER.record))
    assert told.speedup == 32.0 and told.steps[0].timed
    assert factors(told, "depth")["unlabelled"] == 2.0


def test_a_record_is_split_among_those_it_names() -> None:
    groups = {group.name: group for group in split(story(), "contributor")}
    assert groups["Grace"].factor == pytest.approx(math.sqrt(2))
    assert (groups["Ada"].records, groups["Grace"].records) == (4, 1)
    assert list(groups) == ["Ada", "Grace"]


def test_half_years_and_systems() -> None:
    assert factors(story(), "period") == {"2025 H1": 2.0, "2025 H2": 8.0}
    assert factors(story(), "ai") == {"human": 8.0, "AI: Deep Thought": 2.0}


def test_a_changed_clock_is_nobodys() -> None:
    third = record(3, 20.0, date="2025-07-01", baseline_seconds=50.0)
    told = story(Ladder(version=1, record=(*LADDER.record[:2], third, LADDER.record[3])))
    found = factors(told, "depth")
    assert found[CLOCK] == 40 / 50 and found["Shallow"] == 50 / 20
    assert math.prod(group.factor for group in split(told, "depth")) == pytest.approx(told.speedup)
    assert sum(curve_rises(told)) + (80 / 50 - 80 / 40) == pytest.approx(told.speedup - 1)


def test_a_record_without_a_time_is_part_of_the_next() -> None:
    second = record(2, None, date="2025-06-30")
    told = story(Ladder(version=1, record=(LADDER.record[0], second, *LADDER.record[2:])))
    assert [step.log_gain for step in told.steps] == pytest.approx([0, 0, math.log(4), math.log(4)])
    assert told.speedup == 16


def test_no_times_no_speedup() -> None:
    told = story(Ladder(version=1, record=(record(1, None), record(2, None))))
    assert told.speedup is None and told.log_speedup == 0
    assert [group.factor for group in split(told, "depth")] == [1, 1]


def test_until_a_day() -> None:
    assert story(until="2025-07-01").speedup == 4
    with pytest.raises(UsageError, match="no record up to 2024-12-31"):
        story(until="2024-12-31")


def test_cumulated_factors_multiply_to_what_was_reached() -> None:
    reached = cumulate(story(), "depth")
    assert [(period, math.prod(found.values())) for period, found in reached] == [
        ("2025 H1", pytest.approx(2)), ("2025 H2", pytest.approx(16))
    ]  # fmt: skip


def test_close_labels_give_a_range() -> None:
    told = story()
    assert sum_range(told, log_gains(told), ["Shallow", "Moderate"], "depth") == pytest.approx(
        (math.log(8), math.log(4), math.log(8))
    )
    assert sum_range(told, log_gains(told), ["Deep"], "depth") == pytest.approx(
        (math.log(2), math.log(2), math.log(4))
    )
    assert sum_range(told, log_gains(told), ["Invented"], "provenance") == pytest.approx([math.log(2)] * 3)


def test_rises_weigh_late_records_more() -> None:
    assert curve_rises(story()) == pytest.approx([0, 1, 2, 12])


def test_since_the_first_ai_record() -> None:
    assert since_first_ai(story()) == (
        "2025-07-01",
        2,
        pytest.approx(math.log(8)),
        pytest.approx(math.log(2)),
    )
    assert since_first_ai(story(until="2025-06-30")) is None


@pytest.mark.parametrize("track", ["nanogpt", "pocket"])
@pytest.mark.parametrize("by", BYS)
def test_on_the_ladders_that_ship_all_factors_multiply_to_the_whole(track: str, by: By) -> None:
    told = tell(track, *shipped(track))
    groups = split(told, by)
    assert math.prod(group.factor for group in groups) == pytest.approx(told.speedup, rel=1e-9)
    assert by == "contributor" or sum(group.records for group in groups) == len(told.steps)


def test_the_real_ladder_has_the_published_figures() -> None:
    march, end = tell("nanogpt", *shipped("nanogpt"), "2026-03-06"), tell("nanogpt", *shipped("nanogpt"))
    assert (len(march.steps), f"{march.speedup:.1f}") == (77, "31.4")
    assert (len(end.steps), f"{end.speedup:.1f}") == (89, "36.6")
    assert [step.record for step in end.steps if step.ai_system] == [32, 60, 69, 72, 87]
    assert end.steps[-1].date == "2026-07-17" and march.steps[-1].record == 77


def test_the_real_ladders_clock_change_is_record_21_timed_anew() -> None:
    told = tell("nanogpt", *shipped("nanogpt"))
    changed = {step.record: math.exp(step.clock_gain) for step in told.steps if step.clock_gain}
    assert changed == {22: pytest.approx(175.98 / 180.84)}
    assert all(step.log_gain >= 0 for step in told.steps)
