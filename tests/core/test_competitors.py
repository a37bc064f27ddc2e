"""An agent with different hints is several competitors, each with its own cost."""

from __future__ import annotations

from datetime import date

from builders import make_attempt

from patchrun.core.competitors import describe_competitors, label_keys, relabel, say_tiers
from tests.builders import make_transcript as make


def test_labels() -> None:
    labels = label_keys([("ada", ()), ("ada", (1, 3)), ("bob", (2,)), ("bob", (2,))])
    assert labels == {("ada", ()): "ada (no hints)", ("ada", (1, 3)): "ada (hints 1,3)", ("bob", (2,)): "bob"}
    assert label_keys([]) == {} and say_tiers((2,)) == "hints 2"


def test_an_attempt_under_the_name_of_its_row() -> None:
    attempt = make_attempt(agent="ada", hint_tiers=(1,))
    named = relabel(attempt, {("ada", (1,)): "ada (hints 1)"})
    assert named.agent == "ada (hints 1)" and named.id == attempt.id


def test_costs_go_to_the_row_with_the_hints() -> None:
    labels = label_keys([("ada", ()), ("ada", (1,)), ("eve", ())])
    made = [
        make(usd=1.0), make(usd=2.0, cutoff=date(2026, 5, 31)), make(hint_tiers=(1,), usd=4.0), make(agent="gone"),
        make(record="10", cutoff=date(2025, 1, 1)),
    ]  # fmt: skip
    days = {"2": "2025-06-01", "10": "2025-06-01"}
    found = describe_competitors(labels, made, days, mixed=False)
    assert set(found) == set(labels.values())
    plain, hinted = found["ada (no hints)"], found["ada (hints 1)"]
    assert plain.spent and plain.spent.usd == 3.25 and hinted.spent and hinted.spent.usd == 4.0
    assert (plain.cutoff, plain.may_know) == (date(2026, 5, 31), ("2",)), (
        "record 10 is younger than its attempt's cutoff"
    )
    assert (hinted.cutoff, hinted.may_know) == (None, ())
    assert found["eve"].spent is None


def test_mixed_on_request() -> None:
    labels = {("ada", ()): "ada", ("ada", (1,)): "ada"}
    found = describe_competitors(labels, [make(), make(hint_tiers=(1,))], {}, mixed=True)
    assert found["ada"].tiers is None and found["ada"].spent and found["ada"].spent.proposals == 2
