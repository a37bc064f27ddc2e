"""Tokens, prices and what they come to."""

from __future__ import annotations

import pytest

from patchrun.core.errors import ManifestError
from patchrun.core.usage import Usage, add_costs, affordable_output, cost_usd, load_price_table, say_cost

TABLE = """
version = 1
[[price]]
models = ["small", "small-2026????"]
input = 1.0
output = 5.0
cache_read = 0.1
cache_write = 1.25
source = "a page"
date = 2026-11-01

[[price]]
models = ["banded"]
input = 0.1
output = 0.5
cache_read = 0.01
cache_write = 0.125
long = { above = 1000, input = 0.5, output = 2.5, cache_read = 0.05, cache_write = 0.625 }
source = "a page"
date = 2026-11-01
"""
PRICES = load_price_table(TABLE)


def test_usages_add_up_by_kind() -> None:
    assert Usage(1, 2, 3, 4) + Usage(10, 20, 30, 40) == Usage(11, 22, 33, 44)
    assert Usage(1, 2, 3, 4).prompt == 8 and Usage(1, 2, 3, 4).total == 10


def test_a_cost_counts_every_kind_at_its_own_price() -> None:
    usage = Usage(input=1_000_000, output=2_000_000, cache_read=10_000_000, cache_write=400_000)
    assert cost_usd(usage, "small", PRICES) == pytest.approx(1 + 10 + 1 + 0.5)
    assert cost_usd(usage, "small-20260101", PRICES) == cost_usd(usage, "small", PRICES)


def test_a_long_prompt_changes_the_rate_of_the_whole_request() -> None:
    assert cost_usd(Usage(1000, 100), "banded", PRICES) == pytest.approx((100 + 50) / 1e6)
    assert cost_usd(Usage(900, 100, 100, 1), "banded", PRICES) == pytest.approx((450 + 250 + 5 + 0.625) / 1e6)


@pytest.mark.parametrize("model", ["small-2", "smaller", "", "SMALL", "small-2026010", "other"])
def test_an_unknown_model_has_no_price_and_is_never_free(model: str) -> None:
    assert cost_usd(Usage(), model, PRICES) is None
    assert affordable_output(1.0, 10, model, PRICES) is None
    assert say_cost(None) == "unknown"


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    assert add_costs([0.25, 0.5]) == 0.75 and add_costs([]) == 0.0
    assert add_costs([0.25, None]) is None


def test_costs_for_people() -> None:
    assert [say_cost(usd) for usd in (0.0, 0.00123, 1.234, 12.0)] == ["$0.0000", "$0.0012", "$1.23", "$12.00"]


def test_a_table_of_ones_own_comes_first_and_leaves_the_rest() -> None:
    own = load_price_table(
        TABLE.replace('"small", "small-2026????"', '"banded"').split(
            '[[price]]\nmodels = ["banded"]\ninput = 0.1'
        )[0]
    )
    both = own.over(PRICES)
    assert both.find("banded").input == 1.0 and both.find("small").input == 1.0
    assert PRICES.find("banded").input == 0.1


def test_what_is_left_buys_output_after_the_dearest_prompt() -> None:
    # 1 USD less 100,000 tokens at 1.25 a million leaves 0.875 USD: 175,000 tokens at 5 a million
    assert affordable_output(1.0, 100_000, "small", PRICES) == 175_000
    assert affordable_output(0.1, 100_000, "small", PRICES) == 0
    assert affordable_output(-1.0, 0, "small", PRICES) == 0
    worst = Usage(output=175_000, cache_write=100_000)
    assert cost_usd(worst, "small", PRICES) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("input = 1.0", "input = -1.0"), "price.0.input"),
        (("output = 5.0", 'output = "free"'), "price.0.output"),
        (("cache_read = 0.1", "cached = 0.1"), "did you mean cache_read"),
        (('source = "a page"\n', ""), "source"),
        (("date = 2026-11-01", "date = 7"), "price.0.date"),
        (("above = 1000", "above = 0"), "above"),
        (('models = ["banded"]', "models = []"), "price.1.models"),
        (("version = 1", "version = 2"), "version"),
        (("version = 1", "version 1"), "not TOML"),
    ],
)  # fmt: skip
def test_a_broken_table_is_refused_by_key(change: tuple[str, str], said: str) -> None:
    with pytest.raises(ManifestError, match="mine.toml: .*" + said.replace(".", r"\.")):
        load_price_table(TABLE.replace(*change), "mine.toml")


def test_a_table_without_prices_is_refused() -> None:
    with pytest.raises(ManifestError, match="no price in it"):
        load_price_table("version = 1\nprice = []")
