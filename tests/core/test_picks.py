"""Which attempt counts."""

from __future__ import annotations

import pytest
from builders import make_attempt, make_entry, make_score

from patchrun.core import picks

TRIES = [make_entry("ada", "5", 0.3, 1), make_entry("ada", "5", 0.9, 2), make_entry("ada", "5", 0.5, 3)]


def pick(entries: list[picks.Entry], rule: picks.Pick, **options: object) -> picks.Picked:
    return picks.pick_all(entries, rule, **options)["ada"]["5"]  # type: ignore[arg-type]


@pytest.mark.parametrize(("rule", "sequence", "value"), [("last", 3, 0.5), ("first", 1, 0.3)])
@pytest.mark.parametrize("order", [1, -1])
def test_last_and_first_are_by_order_of_handing_in(
    rule: picks.Pick, sequence: int, value: float, order: int
) -> None:
    found = pick(TRIES[::order], rule)
    assert (found.attempt.sequence, found.value, found.tried) == (sequence, value, 3)


def test_the_last_may_be_worse_or_not_valid_at_all() -> None:
    found = pick([*TRIES, make_entry("ada", "5", None, 4, verdict="failed")], "last")
    assert (found.value, found.fsr, found.ci, found.score.verdict, found.decided) == (
        0,
        None,
        None,
        "failed",
        True,
    )


@pytest.mark.parametrize(
    "changes",
    [{"state": "running", "verdict": None}, {"state": "stale", "verdict": None}, {"verdict": "unscorable"}],
)
def test_what_is_not_decided_does_not_displace_what_is(changes: dict[str, object]) -> None:
    assert pick([*TRIES, make_entry("ada", "5", None, 4, **changes)], "last").attempt.sequence == 3
    alone = pick([make_entry("ada", "5", None, 4, **changes)], "last")
    assert (alone.decided, alone.value) == (False, 0)


def test_best_without_a_second_measurement_falls_back_and_says_so() -> None:
    found = pick(TRIES, "best")
    assert (found.attempt.sequence, found.value) == (3, 0.5)
    assert found.note == "best of 3 not re-measured, the last is shown: patchrun rerun ada-5-2"


def test_best_is_worth_what_it_measured_the_second_time() -> None:
    again = [(make_attempt("ada", "5", 2), make_score(0.4)), (make_attempt("ada", "5", 1), make_score(0.95))]
    found = pick(TRIES, "best", remeasured=again)
    assert (found.attempt.sequence, found.value, found.note) == (2, 0.4, "")


def test_best_whose_second_measurement_is_pending_falls_back() -> None:
    again = [(make_attempt("ada", "5", 2), make_score(None, state="pending", verdict=None))]
    assert pick(TRIES, "best", remeasured=again).attempt.sequence == 3


def test_best_of_one_needs_no_second_measurement() -> None:
    assert pick(TRIES[:1], "best").value == 0.3


def test_choosing_by_one_measurement_and_valuing_by_another_gains_nothing() -> None:
    """DESIGN.md: 20 tries of a neutral patch at 4% noise otherwise gain an FSR of about 0.19 (0.1 sd here)."""
    import numpy as np

    random = np.random.default_rng(1)
    naive, fair = [], []
    for _ in range(300):
        first, second = random.normal(0.3, 0.1, 20), random.normal(0.3, 0.1, 20)
        entries = [make_entry("ada", "5", float(x), k) for k, x in enumerate(first)]
        again = [(make_attempt("ada", "5", k), make_score(float(x))) for k, x in enumerate(second)]
        fair.append(pick(entries, "best", remeasured=again).value)
        naive.append(max(first))
    assert np.mean(naive) > 0.45
    assert np.mean(fair) == pytest.approx(0.3, abs=0.02)


def test_mean_counts_every_decided_attempt() -> None:
    found = pick([*TRIES, make_entry("ada", "5", None, 4)], "mean")
    assert found.value == pytest.approx((0.3 + 0.9 + 0.5) / 4)
    assert (found.fsr, found.ci) == (None, None)
    assert pick(TRIES, "mean").fsr == pytest.approx(17 / 30)


@pytest.mark.parametrize(("fsr", "value"), [(-0.5, 0.0), (0.0, 0.0), (0.4, 0.4), (1.0, 1.0), (3.0, 1.0)])
def test_worth_is_clipped(fsr: float, value: float) -> None:
    assert picks.worth(make_score(fsr)) == value


def test_worth_by_speedup_has_a_floor_of_one() -> None:
    assert picks.worth(make_score(None), "speedup") == 1
    assert picks.worth(make_score(0.5, speedup=0.8), "speedup") == 1
    assert picks.worth(make_score(0.5, speedup=1.7), "speedup") == 1.7


def test_a_score_that_went_stale_is_worth_nothing() -> None:
    assert picks.worth(make_score(0.9, state="stale")) == 0


def test_withdrawn_before_it_was_measured_is_gone_and_after_it_stays() -> None:
    gone = make_entry("ada", "5", None, 4, verdict=None, withdrawn=True)
    kept = make_entry("ada", "5", None, 5, verdict="disqualified", withdrawn=True)
    assert pick([*TRIES, gone], "last").attempt.sequence == 3
    assert pick([*TRIES, gone, kept], "last").score.verdict == "disqualified"
    assert picks.pick_all([gone]) == {}


def test_records_sort_by_number_then_span() -> None:
    assert sorted(["12", "9", "2..5", "2", "12..14"], key=picks.record_key) == [
        "2",
        "2..5",
        "9",
        "12",
        "12..14",
    ]


def test_attempts_are_counted_whatever_became_of_them() -> None:
    attempts = [make_attempt("ada", "5", k) for k in (1, 2)] + [
        make_attempt("ada", "6"),
        make_attempt("bob", "5"),
    ]
    assert picks.count_attempts(attempts) == {("ada", "5"): 2, ("ada", "6"): 1, ("bob", "5"): 1}
