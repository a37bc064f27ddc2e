"""How long the next reply may be."""

from __future__ import annotations

import pytest

from patchrun.core.allowance import LONGEST_REPLY, SHORTEST_REPLY, Allowance, allow_reply, guess_tokens
from patchrun.core.usage import Usage, cost_usd, load_price_table

PRICES = load_price_table("""
version = 1
[[price]]
models = ["m"]
input = 1.0
output = 10.0
cache_read = 0.1
cache_write = 1.25
source = "a page"
date = 2026-11-01
""")


def allow(prompt: int = 1000, usd: float | None = None, tokens: int | None = None) -> Allowance:
    return allow_reply(prompt, usd, tokens, "m", PRICES)


def test_without_limits_a_reply_is_as_long_as_can_be() -> None:
    assert allow() == Allowance(LONGEST_REPLY)
    assert allow(usd=1000.0, tokens=10**9) == Allowance(LONGEST_REPLY)


def test_tokens_pay_for_the_prompt_too() -> None:
    assert allow(tokens=6000) == Allowance(5000, "tokens")
    assert allow(tokens=1000 + SHORTEST_REPLY) == Allowance(SHORTEST_REPLY, "tokens")
    assert allow(tokens=1000 + SHORTEST_REPLY - 1) == Allowance(0, "tokens")
    assert allow(tokens=-5) == Allowance(0, "tokens")


def test_usd_pay_for_the_dearest_prompt_and_the_whole_reply() -> None:
    allowed = allow(prompt=8000, usd=0.11)
    assert allowed == Allowance(10_000, "USD")
    worst = Usage(cache_write=8000, output=allowed.max_tokens)
    assert cost_usd(worst, "m", PRICES) == pytest.approx(0.11)
    assert allow(prompt=8000, usd=0.01) == Allowance(0, "USD")
    assert allow(usd=-1.0) == Allowance(0, "USD")


def test_the_tighter_of_two_limits_is_named() -> None:
    assert allow(prompt=0, usd=0.05, tokens=4000) == Allowance(4000, "tokens")
    assert allow(prompt=0, usd=0.03, tokens=4000) == Allowance(3000, "USD")


def test_usd_without_a_price_cannot_be_kept() -> None:
    with pytest.raises(ValueError, match="other has no price"):
        allow_reply(10, 1.0, None, "other", PRICES)
    assert allow_reply(10, None, 5000, "other", PRICES) == Allowance(4990, "tokens")


def test_tokens_are_rather_guessed_too_many() -> None:
    assert [guess_tokens(count) for count in (0, 1, 2, 1001)] == [0, 1, 1, 501]
