"""Chains as values: spans, refusals, rulings that reach up a chain, links that do not fit."""

from __future__ import annotations

import msgspec
import pytest

from patchrun.core import chains
from patchrun.core.errors import UsageError
from patchrun.core.results import Attempt, Ruling, content_id
from patchrun.core.scoring import Score
from patchrun.core.selection import Span, parse_span

VALID = Score(state="done", verdict="valid")


def attempt(name: str, onto: str = "", record: str = "3", **changes: object) -> Attempt:
    one = Attempt(
        id=name, track="t", track_digest="d", record=record, agent="ada", accepted=True, baseline_commit="c",
        patched_tree="p", created="2026-01-01", sequence=1, onto=onto,
    )  # fmt: skip
    return msgspec.structs.replace(one, **changes)


@pytest.mark.parametrize(
    ("named", "base", "span"),
    [
        ("3", "3", "3"),
        ("5", "3", "3..5"),
        ("3..5", "3", "3..5"),
        ("5", "3..4", "3..5"),
        ("4", "3..4", "3..4"),
    ],
)
def test_the_span_runs_from_the_first_baseline_to_the_record_named(named: str, base: str, span: str) -> None:
    assert str(chains.extend_span(parse_span(named), parse_span(base))) == span


@pytest.mark.parametrize(("named", "base"), [("2", "3"), ("3", "3..4"), ("4..5", "3"), ("2..5", "3")])
def test_a_link_cannot_go_back_or_start_elsewhere(named: str, base: str) -> None:
    with pytest.raises(UsageError):
        chains.extend_span(parse_span(named), parse_span(base))


@pytest.mark.parametrize(
    ("agent", "digest", "score", "said"),
    [
        ("bob", "d", VALID, "is ada's: bob builds on"),
        ("ada", "other", VALID, "another state of the track"),
        ("ada", "d", Score(state="pending"), "is pending, and only a valid"),
        ("ada", "d", Score(state="running"), "is running"),
        (
            "ada",
            "d",
            Score(state="done", verdict="missed-target", reason="3.1 > 3"),
            "missed-target.*3.1 > 3",
        ),
        ("ada", "d", Score(state="stale", verdict="valid"), "only a valid"),
    ],
)
def test_what_cannot_be_built_on(agent: str, digest: str, score: Score, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        chains.check_base(attempt("x"), score, agent, digest)


def test_a_valid_one_of_ones_own_can_be_built_on() -> None:
    chains.check_base(attempt("x"), VALID, "ada", "d")
    chains.check_base(attempt("x"), VALID, None, "d")


def test_hints_stay_with_the_code() -> None:
    assert chains.join_tiers((), (1,)) == (1,)
    assert chains.join_tiers((3,), (1, 3)) == (1, 3)


def test_without_a_base_the_id_is_the_one_it_always_was() -> None:
    parts = ("digest", Span(3, 3), (1,), "tree", "content", "ada")
    assert chains.attempt_id(*parts) == content_id(*parts)
    assert chains.attempt_id(*parts, "base") not in {content_id(*parts), chains.attempt_id(*parts, "other")}


def test_a_chain_is_traced_from_its_first_link() -> None:
    links = [attempt("a"), attempt("b", "a"), attempt("c", "b"), attempt("z")]
    known = {link.id: link for link in links}
    assert [link.id for link in chains.trace_chain(known["c"], known)] == ["a", "b", "c"]
    assert [link.id for link in chains.trace_chain(known["z"], known)] == ["z"]
    del known["a"]
    assert [link.id for link in chains.trace_chain(known["c"], known)] == ["b", "c"]


def test_a_disqualification_reaches_all_that_was_built_on_it_and_a_withdrawal_does_not() -> None:
    links = [attempt("a"), attempt("b", "a"), attempt("c", "b"), attempt("z")]
    ruling = Ruling(
        submission="a", ruling="disqualified", reason="it read the answer", by="o", created="2026"
    )
    found = chains.rule_chains(links, {"a": ruling})
    assert set(found) == {"a", "b", "c"} and found["c"].submission == "c"
    assert found["c"].reason == "built on a: it read the answer"
    withdrawn = msgspec.structs.replace(ruling, ruling="withdrawn")
    assert chains.rule_chains(links, {"a": withdrawn}) == {"a": withdrawn}
    own = msgspec.structs.replace(withdrawn, submission="b")
    assert chains.rule_chains(links, {"a": ruling, "b": own})["b"] == own


@pytest.mark.parametrize(
    "changes",
    [
        {"agent": "bob"}, {"track_digest": "e"}, {"baseline_commit": "other"}, {"record": "4"}, {"hint_tiers": ()},
    ],
)  # fmt: skip
def test_a_stored_link_that_does_not_fit_is_named(changes: dict[str, object]) -> None:
    base = attempt("a", hint_tiers=(2,))
    link = attempt("b", "a", "3..4", hint_tiers=(2,))
    assert chains.check_link(link, base) == ""
    assert chains.check_link(msgspec.structs.replace(link, **changes), base)
