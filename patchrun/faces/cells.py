"""What the tables of all views are made of: cells that were formatted already, and one way to set them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from patchrun.faces.plain_text import markdown_cell

NOTHING = "-"
Ends = tuple[float, float] | None


def number(value: float | None, form: str = ".3f", nothing: str = NOTHING) -> str:
    """A number in ``form``; one that does not exist is ``nothing``."""
    return nothing if value is None else format(value, form)


def percent(share: float | None) -> str:
    """A share as per cent, to one place."""
    return NOTHING if share is None else f"{100 * share:.1f}%"


def interval(ends: Ends, form: str = ".3f", between: str = " to ") -> str:
    """Both ends of an interval in ``form``."""
    return NOTHING if ends is None else f"{ends[0]:{form}}{between}{ends[1]:{form}}"


def pair(ends: Ends) -> list[float] | None:
    """An interval as JSON has it."""
    return None if ends is None else list(ends)


def table(
    rows: Sequence[Sequence[Any]],
    headers: Sequence[str] = (),
    style: str = "simple",
    align: str = "",
    widths: Sequence[int | None] | None = None,
) -> str:
    """Rows under ``headers``, each cell as it was formatted.

    ``style`` is one of tabulate's, "github" for Markdown. ``align`` has an l or r for each column (else all left),
    ``widths`` the most characters of each before it is broken into lines; a row of Markdown is one line.
    """
    from tabulate import tabulate

    if style == "github":
        headers = [markdown_cell(head) for head in headers]
        rows = [[markdown_cell(cell) for cell in row] for row in rows]
    sides = [{"l": "left", "r": "right"}[letter] for letter in align]
    limits = list(widths) if widths and rows and style != "github" else None
    return tabulate(
        rows, headers, tablefmt=style, disable_numparse=True, colalign=sides if sides and rows else None,
        maxcolwidths=limits, maxheadercolwidths=limits,
    )  # fmt: skip
