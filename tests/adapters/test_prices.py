"""The shipped price table, and a user's own before it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import get_args

import pytest

from patchrun.adapters.prices import read_prices
from patchrun.core.errors import ManifestError, UsageError
from patchrun.core.usage import Usage, cost_usd

OWN = """
version = 1
[[price]]
models = ["claude-*", "mine"]
input = 7.0
output = 7.0
cache_read = 7.0
cache_write = 7.0
source = "my contract"
date = 2026-11-01
"""


def known_models() -> set[str]:
    from anthropic.types import model_param

    literal, _ = get_args(model_param.ModelParam)
    return set(get_args(literal))


def test_every_shipped_price_names_its_source_and_is_of_the_usual_shape() -> None:
    for price in read_prices().price:
        assert len(price.source) > 20 and date(2026, 1, 1) < price.date <= date(2026, 11, 22)
        for rate in (price, price.long):
            if rate:
                assert rate.cache_read < rate.input < rate.output
                assert rate.cache_write == pytest.approx(1.25 * rate.input)


def test_no_model_fits_two_prices_and_every_priced_one_is_known_to_the_sdk() -> None:
    table = read_prices()
    named = [name for price in table.price for name in price.models]
    assert len(named) == len(set(named)) and set(named) <= known_models()
    assert {name for name in known_models() if table.find(name) is None} == {"claude-mythos-preview"}


def test_a_worked_example() -> None:
    usage = Usage(input=20_000, output=3_000, cache_read=500_000, cache_write=40_000)
    assert cost_usd(usage, "claude-opus-4-6", read_prices()) == pytest.approx(0.1 + 0.075 + 0.25 + 0.25)
    assert cost_usd(usage, "claude-no-such", read_prices()) is None


def test_ones_own_prices_come_first(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN)
    table = read_prices(tmp_path / "own.toml")
    assert table.find("claude-opus-4-6").source == table.find("mine").source == "my contract"
    assert table.find("other") is None


def test_a_bad_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none.toml"):
        read_prices(tmp_path / "none.toml")
    (tmp_path / "own.toml").write_text("version = 1\nprices = 1\n")
    with pytest.raises(ManifestError, match=r"own.toml: prices: unknown key; did you mean price\?"):
        read_prices(tmp_path / "own.toml")
    (tmp_path / "own.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="cannot read the prices"):
        read_prices(tmp_path / "own.toml")
