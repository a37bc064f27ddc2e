"""The frontier as a pure series: improvements, sums of cost, and what is not known."""

from __future__ import annotations

from patchrun.core.frontier import EVERYBODY, Step, draw_line, trace_frontier


def step(name: str, day: int, speedup: float | None, **changes: object) -> Step:
    values: dict = {
        "id": name, "agent": "ada", "first": 3, "record": "3", "created": f"2026-01-{day:02}T00:00:00+00:00",
        "seconds": 10.0, "usd": 1.0, "speedup": speedup,
    }  # fmt: skip
    return Step(**(values | changes))


def test_a_point_for_each_improvement_and_one_for_the_end() -> None:
    steps = [step("a", 1, None), step("b", 2, 1.2), step("c", 3, 1.1), step("d", 4, 1.5), step("e", 5, None)]
    points = trace_frontier(reversed(steps))
    assert [(p.id, p.attempts, p.speedup, p.improved) for p in points] == [
        ("b", 2, 1.2, True), ("d", 4, 1.5, True), ("d", 5, 1.5, False),
    ]  # fmt: skip
    assert [p.seconds for p in points] == [20, 40, 50], "failures cost too"
    assert [p.usd for p in points] == [2, 4, 5]


def test_a_cost_that_nobody_knows_makes_the_sum_unknown_from_there_on() -> None:
    points = trace_frontier([step("a", 1, 1.1), step("b", 2, 1.2, usd=None), step("c", 3, 1.3)])
    assert [p.usd for p in points] == [1.0, None, None]
    assert [p.seconds for p in points] == [10, 20, 30]


def test_nothing_valid_is_no_point_and_nothing_is_nothing() -> None:
    assert trace_frontier([]) == []
    assert trace_frontier([step("a", 1, None)]) == []


def test_series_are_kept_apart_by_agent_and_by_baseline_and_joined_over_agents() -> None:
    steps = [step("a", 1, 1.1), step("b", 2, 1.4, agent="bob"), step("c", 3, 1.2), step("d", 4, 2.0, first=5)]
    points = trace_frontier(steps)
    found: dict = {}
    for p in points:
        found.setdefault((p.agent, p.first), []).append((p.id, p.improved))
    assert found == {
        (EVERYBODY, 3): [("a", True), ("b", True), ("b", False)],
        ("ada", 3): [("a", True), ("c", True)],
        ("ada", 5): [("d", True)],
        ("bob", 3): [("b", True)],
    }


def test_an_equal_speedup_is_no_improvement() -> None:
    assert [p.id for p in trace_frontier([step("a", 1, 1.1), step("b", 2, 1.1)])] == ["a", "a"]


def test_the_staircase_rises_where_the_series_does() -> None:
    line = draw_line([0, 5, 10], [1.0, 1.5, 2.0], width=11)
    assert line[:5] == "▁" * 5 and line[-1] == "█" and len(line) == 11
    assert sorted(line) == list(line)
    assert draw_line([], []) == ""
    assert set(draw_line([3], [1.2], width=4)) == {"▁"}
