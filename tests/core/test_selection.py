"""Sets, spans and tiers, as literals."""

from __future__ import annotations

import pytest

from patchrun.core.errors import UsageError
from patchrun.core.selection import Span, parse_set, parse_span, parse_tiers


@pytest.mark.parametrize(
    ("text", "span", "shown", "json"),
    [
        ("12", Span(12, 12), "12", 12),
        ("30..62", Span(30, 62), "30..62", "30..62"),
        (" 7 ", Span(7, 7), "7", 7),
    ],
)
def test_spans(text: str, span: Span, shown: str, json: int | str) -> None:
    assert parse_span(text) == span
    assert (str(span), span.to_json()) == (shown, json)


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "a", "3..2", "1..", "..4", "1...4", "1.5", "9999999999", "١"]
)
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(UsageError):
        parse_span(text)


@pytest.mark.parametrize(
    ("text", "numbers"), [("5", (5,)), ("2-6,9", (2, 3, 4, 5, 6, 9)), ("9,2-3,3", (2, 3, 9)), ("1-1", (1,))]
)
def test_sets(text: str, numbers: tuple[int, ...]) -> None:
    assert parse_set(text) == numbers


@pytest.mark.parametrize("text", ["", ",", "2-", "6-2", "0", "1,,2", "a-b", "2..6"])
def test_what_is_no_set(text: str) -> None:
    with pytest.raises(UsageError, match="2-6,9|set of records"):
        parse_set(text)


@pytest.mark.parametrize(("text", "tiers"), [("0", ()), ("1,3", (1, 3)), ("3, 1", (1, 3)), ("2,2", (2,))])
def test_tiers(text: str, tiers: tuple[int, ...]) -> None:
    assert parse_tiers(text) == tiers


@pytest.mark.parametrize("text", ["", "4", "0,1", "1-3", "one"])
def test_what_are_no_tiers(text: str) -> None:
    with pytest.raises(UsageError, match="hint tiers"):
        parse_tiers(text)
