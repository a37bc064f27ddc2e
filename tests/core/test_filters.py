"""Which attempts count under which condition, as literals."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest
from builders import make_attempt, make_machine, make_run

from patchrun.core.errors import UsageError
from patchrun.core.filters import EVERYTHING, Filter, check_known, find_cutoff, run_seconds, spent_seconds

ATTEMPT = make_attempt(record="5", hint_tiers=(1, 3), created="2026-03-04T23:59:59.123456+00:00")
HERE = [make_run("submission", 0, 8.0, 3.7), make_run("baseline", 0, 10.0, 3.7)]


@pytest.mark.parametrize(
    ("only", "admitted"),
    [
        (EVERYTHING, True),
        (Filter(tiers=(1, 3)), True),
        (Filter(tiers=(1,)), False),
        (Filter(tiers=()), False),
        (Filter(since=date(2026, 3, 4)), True),
        (Filter(since=date(2026, 3, 5)), False),
        (Filter(until=date(2026, 3, 4)), True),
        (Filter(until=date(2026, 3, 3)), False),
        (Filter(cutoff=4), True),
        (Filter(cutoff=5), False),
        (Filter(hardware="cpu-a"), True),
        (Filter(hardware="cpu-b"), False),
        (Filter(sandbox="bubblewrap"), True),
        (Filter(sandbox="none"), False),
        (Filter(sandbox="bubblewrap", cutoff=5), False),
    ],
)
def test_each_condition(only: Filter, admitted: bool) -> None:
    assert only.admits(ATTEMPT, HERE) is admitted


def test_one_run_elsewhere_is_enough_to_leave_out() -> None:
    mixed = [*HERE, make_run("human", 0, 8.0, 3.7, machine=make_machine("cpu-b"), sandbox="none")]
    assert not Filter(hardware="cpu-a").admits(ATTEMPT, mixed)
    assert not Filter(sandbox="bubblewrap").admits(ATTEMPT, mixed)


def test_a_day_that_is_none_breaks_no_table() -> None:
    odd = make_attempt(created="yesterday")
    assert EVERYTHING.admits(odd, HERE)
    assert not Filter(until=date(2026, 3, 4)).admits(odd, HERE)


def test_failures_that_ran_nowhere_stay() -> None:
    rejected = make_attempt(accepted=False)
    assert Filter(hardware="cpu-b", sandbox="none").admits(rejected, [])


def test_a_span_counts_when_all_of_it_lies_after_the_cutoff() -> None:
    span = make_attempt(record="5..9")
    assert Filter(cutoff=4).admits(span, []) and not Filter(cutoff=7).admits(span, [])


def test_conditions_in_words() -> None:
    assert EVERYTHING.describe() == ()
    said = Filter(tiers=(), since=date(2026, 1, 2), hardware="H100", cutoff=21).describe()
    assert said == ("hint tiers none", "handed in since 2026-01-02", "hardware H100", "records after 21")
    assert Filter(tiers=(1, 3)).describe() == ("hint tiers 1, 3",)


DATES = ("2024-06-01", "2024-10-10", "2024-10-10", "2025-01-05")


@pytest.mark.parametrize(
    ("text", "last"),
    [("0", 0), ("3", 3), ("2024-05-31", 0), ("2024-06-01", 1), ("2024-10-10", 3), ("2026-01-01", 4)],
)
def test_a_cutoff_is_a_record_or_a_day(text: str, last: int) -> None:
    assert find_cutoff(text, DATES) == last


def test_a_ladder_out_of_order_is_cut_at_the_last_known_record() -> None:
    assert find_cutoff("2024-12-31", ("2024-06-01", "2025-02-01", "2024-11-01")) == 3


@pytest.mark.parametrize("text", ["5", "-1", "yesterday", "2024-13-01", ""])
def test_what_is_no_cutoff(text: str) -> None:
    with pytest.raises(UsageError, match=r"not a cutoff.*\n.*0\.\.4 or a day"):
        find_cutoff(text, DATES)


def test_an_unknown_class_is_refused_with_the_known_ones() -> None:
    check_known(None, [], "hardware class")
    check_known("a", ["b", "a", "a"], "hardware class")
    with pytest.raises(UsageError, match="no run with hardware class 'H100'\n.*there are: a, b"):
        check_known("H100", ["b", "a", "a"], "hardware class")
    with pytest.raises(UsageError, match="no runs yet"):
        check_known("H100", [], "hardware class")


def test_what_a_run_took() -> None:
    assert run_seconds(make_run("submission", 0, 8.0, 3.7, wall_seconds=9.0)) == 9
    assert run_seconds(make_run("submission", 0, 8.0, 3.7, wall_seconds=9.0, repeats=(8.0, 8.1))) == 18
    gpus = make_machine()
    eight = make_run("submission", 0, 8.0, 3.7, wall_seconds=9.0)
    eight = msgspec.structs.replace(eight, machine=msgspec.structs.replace(gpus, gpus=("H100",) * 8))
    assert run_seconds(eight) == 72
    assert run_seconds(make_run("submission", 0, 8.0, 3.7, wall_seconds=None)) == 8
    assert run_seconds(make_run("submission", 0, None, None)) == 0


def test_spent_seconds_are_the_submissions_own_and_shared_runs_count_once() -> None:
    runs = [
        make_run(kind, k, 10.0, 3.7, wall_seconds=11.0)
        for kind in ("baseline", "submission")
        for k in range(2)
    ]
    measured = [
        (make_attempt("ada"), runs), (make_attempt("ada", sequence=2), runs), (make_attempt("bob"), runs),
        (make_attempt("eve", accepted=False), []),
    ]  # fmt: skip
    assert spent_seconds(measured) == {"ada": 22.0, "bob": 22.0, "eve": 0}
