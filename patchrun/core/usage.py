"""What a language model's work costs: tokens by kind, prices as data, USD where a price is known."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from fnmatch import fnmatchcase
from typing import Annotated

import msgspec
from msgspec import Meta

from patchrun.core.errors import ManifestError
from patchrun.core.manifest import Count, Strict, Unsigned, load_manifest

MILLION = 1_000_000


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one reply, or of many: ``input`` counts only what no cache gave or took."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
        )

    @property
    def prompt(self) -> int:
        """Tokens that were sent: fresh, read from the cache and written to it."""
        return self.input + self.cache_read + self.cache_write

    @property
    def total(self) -> int:
        return self.prompt + self.output


class Rate(Strict):
    """USD per million tokens of each kind; a cache is written to live for five minutes."""

    input: Unsigned
    output: Unsigned
    cache_read: Unsigned
    cache_write: Unsigned


class LongRate(Rate):
    """What every token of a request costs whose prompt is longer than ``above`` tokens."""

    above: Count


class Price(Rate, kw_only=True):
    """The price of some models: ids or glob patterns, where the figures are from, and of which day they are."""

    models: Annotated[tuple[str, ...], Meta(min_length=1)]
    source: str
    date: date
    long: LongRate | None = None

    def rate(self, prompt: int) -> Rate:
        """The rate of a request whose prompt has ``prompt`` tokens."""
        return self.long if self.long and prompt > self.long.above else self


class PriceTable(Strict):
    """``prices.toml``; ``find`` takes the first price whose pattern fits."""

    version: Annotated[int, Meta(ge=1, le=1)]
    price: tuple[Price, ...]

    def find(self, model: str) -> Price | None:
        """The price of a model, None where the table has none."""
        fitting = (price for price in self.price if any(fnmatchcase(model, name) for name in price.models))
        return next(fitting, None)

    def over(self, other: PriceTable) -> PriceTable:
        """This table, and for models that it does not name the ``other``."""
        return PriceTable(self.version, self.price + other.price)


def load_price_table(text: str, name: str = "prices.toml") -> PriceTable:
    """Read and check a price table; ManifestError names every problem."""
    table = load_manifest(PriceTable, text, name)
    if not table.price:
        raise ManifestError(f"{name}: price: no price in it", "add a [[price]] table")
    return table


def cost_usd(usage: Usage, model: str, prices: PriceTable) -> float | None:
    """USD of ONE request (its prompt's length may set the rate); None where the model has no price, never 0."""
    price = prices.find(model)
    if price is None:
        return None
    rate = price.rate(usage.prompt)
    parts = (
        usage.input * rate.input,
        usage.output * rate.output,
        usage.cache_read * rate.cache_read,
        usage.cache_write * rate.cache_write,
    )
    return sum(parts) / MILLION


def add_costs(costs: Iterable[float | None]) -> float | None:
    """The sum; None as soon as one of them is unknown: a sum without it would be too small."""
    known = list(costs)
    return None if None in known else float(sum(cost for cost in known if cost is not None))


def say_cost(usd: float | None) -> str:
    """A cost for people."""
    return "unknown" if usd is None else f"${usd:.2f}" if usd >= 1 else f"${usd:.4f}"


def affordable_output(usd: float, prompt: int, model: str, prices: PriceTable) -> int | None:
    """How many output tokens ``usd`` buys after a prompt of ``prompt`` tokens; None where no price is known.

    The prompt is taken at the dearest of its kinds, so what is left for the reply is never overstated.
    """
    price = prices.find(model)
    if price is None:
        return None
    rate = price.rate(prompt)
    left = usd - prompt * max(rate.input, rate.cache_write, rate.cache_read) / MILLION
    return max(0, int(left * MILLION / rate.output)) if rate.output else MILLION
