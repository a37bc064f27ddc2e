"""How long the next reply of a model may be, so that a budget is not overshot by more than that reply."""

from __future__ import annotations

from dataclasses import dataclass

from patchrun.core.usage import PriceTable, affordable_output

LONGEST_REPLY = 32_000
SHORTEST_REPLY = 500  # tokens; with fewer nothing could be said and done, so they are not worth a request
CHARACTERS_PER_TOKEN = 2  # code has three and more: a prompt is rather taken for too long


@dataclass(frozen=True)
class Allowance:
    """``max_tokens`` of the next reply, 0 where it is not to be asked for; ``limit`` names the budget that says so."""

    max_tokens: int
    limit: str = ""


def guess_tokens(characters: int) -> int:
    """An upper guess of the tokens of a text."""
    return -(-characters // CHARACTERS_PER_TOKEN)


def allow_reply(
    prompt: int, usd: float | None, tokens: int | None, model: str, prices: PriceTable
) -> Allowance:
    """What ``usd`` and ``tokens`` (left; None is no limit) leave for the reply to a prompt of ``prompt`` tokens.

    ValueError where USD are limited and the model has no price.
    """
    allowed = Allowance(LONGEST_REPLY)
    if tokens is not None and tokens - prompt < allowed.max_tokens:
        allowed = Allowance(tokens - prompt, "tokens")
    if usd is not None:
        buys = affordable_output(usd, prompt, model, prices)
        if buys is None:
            raise ValueError(f"{model} has no price")
        if buys < allowed.max_tokens:
            allowed = Allowance(buys, "USD")
    return allowed if allowed.max_tokens >= SHORTEST_REPLY else Allowance(0, allowed.limit)
