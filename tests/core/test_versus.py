"""Two agents over all records."""

from __future__ import annotations

import pytest
from builders import make_entry

from patchrun.core.errors import UsageError
from patchrun.core.versus import compare_agents

ENTRIES = [
    make_entry("ada", "2", 0.9),
    make_entry("ada", "3", 0.5),
    make_entry("ada", "5"),
    make_entry("ada", "9", 0.7),
    make_entry("grace", "2", 0.4),
    make_entry("grace", "3", 0.55),
    make_entry("grace", "5", 0.6),
    make_entry("grace", "12", 0.6),
    make_entry("hopper", "30", 0.6),
]


def test_each_record_that_either_tried_has_a_winner() -> None:
    found = compare_agents(ENTRIES, "ada", "grace")
    assert list(found.records) == ["2", "3", "5", "9", "12"]
    assert [match.winner for match in found.records.values()] == ["a", "tie", "b", "unknown", "unknown"]
    assert found.wins == {"a": 1, "b": 1, "tie": 1, "unknown": 2}
    assert found.shared == 3


def test_the_other_way_round_is_the_mirror_image() -> None:
    found, other = compare_agents(ENTRIES, "ada", "grace"), compare_agents(ENTRIES, "grace", "ada")
    assert found.p_a_better is not None
    assert other.p_a_better is not None
    assert found.p_a_better + other.p_a_better == pytest.approx(1)
    assert found.records["2"].difference == pytest.approx(-(other.records["2"].difference or 0))


def test_an_agent_that_is_better_everywhere_is_surely_better() -> None:
    entries = [make_entry("a", str(n), 0.9) for n in range(1, 6)] + [
        make_entry("b", str(n), 0.2) for n in range(1, 6)
    ]
    assert compare_agents(entries, "a", "b").p_a_better == 1
    assert compare_agents(entries, "a", "a").p_a_better == 0.5


def test_fewer_than_two_shared_records_have_no_probability() -> None:
    one = compare_agents(ENTRIES, "ada", "grace", records=[2])
    assert (one.p_a_better, one.shared) == (None, 1)
    assert one.notes == ("1 shared record(s): no probability from fewer than two",)
    none = compare_agents(ENTRIES, "ada", "hopper")
    assert (none.p_a_better, none.shared) == (None, 0)
    assert none.wins == {"a": 0, "b": 0, "tie": 0, "unknown": 5}


def test_records_that_cannot_be_scored_are_left_out_and_named() -> None:
    entries = [*ENTRIES, make_entry("ada", "7", verdict="unscorable", scorable=False)]
    found = compare_agents(entries, "ada", "grace")
    assert "7" not in found.records
    assert "left out, cannot be scored here: 7" in found.notes


def test_an_unknown_agent_is_a_usage_error_that_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no attempt by 'nobody'") as caught:
        compare_agents(ENTRIES, "ada", "nobody")
    assert caught.value.hint == "agents here: ada, grace, hopper"
    with pytest.raises(UsageError, match="no attempt by 'hopper'"):
        compare_agents(ENTRIES, "ada", "hopper", records=[2])


def test_the_mean_of_attempts_cannot_play() -> None:
    with pytest.raises(UsageError, match="pick mean"):
        compare_agents(ENTRIES, "ada", "grace", pick="mean")


def test_best_plays_with_its_second_measurement() -> None:
    entries = [
        make_entry("ada", "2", 0.9, 1), make_entry("ada", "2", 0.1, 2), make_entry("ada", "3", 0.5),
        make_entry("grace", "2", 0.5), make_entry("grace", "3", 0.5),
    ]  # fmt: skip
    assert compare_agents(entries, "ada", "grace").wins["b"] == 1
    again = [make_entry("ada", "2", 0.85, 1)]
    found = compare_agents(entries, "ada", "grace", pick="best", remeasured=again)
    assert (found.records["2"].a_fsr, found.wins["a"]) == (0.85, 1)


def test_the_probability_is_over_records_and_reproducible() -> None:
    entries = [make_entry("a", str(n), 0.5 + 0.3 * (-1) ** n) for n in range(1, 8)]
    entries += [make_entry("b", str(n), 0.5) for n in range(1, 8)]
    found = compare_agents(entries, "a", "b")
    assert found.p_a_better is not None
    assert 0.2 < found.p_a_better < 0.5, "three records won, four lost by as much"
    assert compare_agents(entries, "a", "b") == found
    assert compare_agents(entries, "a", "b", seed=1).p_a_better == pytest.approx(found.p_a_better, abs=0.03)


def test_a_set_of_records_limits_the_match() -> None:
    found = compare_agents(ENTRIES, "ada", "grace", records=[2, 3])
    assert list(found.records) == ["2", "3"]
    assert found.wins == {"a": 1, "b": 0, "tie": 1, "unknown": 0}
