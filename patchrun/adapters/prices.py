"""The price table that the package ships, with a user's own table before it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from patchrun.core.errors import UsageError
from patchrun.core.usage import PriceTable, load_price_table


def read_prices(override: Path | None = None) -> PriceTable:
    """The shipped prices; those of ``override`` come first.

    Raises:
        UsageError: the file cannot be read.
        ManifestError: it is no price table.
    """
    shipped = load_price_table(files("patchrun").joinpath("prices.toml").read_text(encoding="utf-8"))
    if override is None:
        return shipped
    try:
        text = override.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"cannot read the prices in {override}: {error}", "name a TOML file of prices"
        ) from None
    return load_price_table(text, str(override)).over(shipped)
