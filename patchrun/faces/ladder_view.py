"""The ladder as a table: published and measured times side by side, gains, losses, hazards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tabulate import tabulate

if TYPE_CHECKING:
    from patchrun.services.ladderbook import Book

HEADERS = (
    "record",
    "date",
    "published s",
    "measured s",
    "sd",
    "n",
    "from",
    "gain s",
    "95%",
    "loss",
    "p",
    "code",
    "hazards",
)


def records_document(book: Book) -> dict[str, Any]:
    """The JSON document of ``patchrun records``."""
    return book.document()


def records_text(book: Book) -> str:
    """The ladder with what its figures rest on, what hazards mean, and the totals."""
    document = book.document()
    table = tabulate([_cells(row) for row in document["rows"]], HEADERS, disable_numparse=True,
                     colalign=("right", "left", *["right"] * 4, "left", *["right"] * 4, "left", "left"))  # fmt: skip
    summaries = [(row["record"], _who(row), row["summary"]) for row in document["rows"]]
    names = tabulate(summaries, ("record", "by", "summary"), maxcolwidths=[None, 32, 80])
    used = {hazard for row in document["rows"] for hazard in row["hazards"]}
    meanings = [f"  {hazard}: {text}" for hazard, text in book.hazards.items() if hazard in used]
    parts = [f"track {book.track}", table, *(["hazards", *meanings] if meanings else []), "", names, ""]
    return "\n".join([*parts, *(_total(entry) for entry in document["totals"])])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    seconds, gain = row["seconds"], row["gain"]
    code = {(True, True): "both", (True, False): "baseline", (False, True): "human", (False, False): "none"}
    return (
        str(row["record"]), row["date"], _number(seconds["published"]), _number(seconds["measured"]),
        _number(seconds["sd"], ".3f"), str(seconds["n"] or ""), seconds["source"] if seconds["n"] else "",
        _number(gain["seconds"] if gain["seconds"] is not None else row["gain_seconds"]),
        " to ".join(_number(end) for end in gain["ci"]) if gain["ci"] else "",
        _number(row["loss"]["mean"], ".4f"), _number(row["p_value"], ".2g"),
        code[row["has_baseline"], row["has_human"]], ", ".join(row["hazards"]),
    )  # fmt: skip


def _who(row: dict[str, Any]) -> str:
    return f"{row['by']} (AI: {row['ai_system']})" if row["ai_system"] else row["by"]


def _number(value: float | None, form: str = ".2f") -> str:
    return "" if value is None else format(value, form)


def _total(entry: dict[str, Any]) -> str:
    first, last = entry["seconds"]
    if entry["speedup"] is None:
        return f"{entry['records']} records to {entry['until']}"
    return (
        f"{entry['records']} records to {entry['until']}: {first:.4g} s -> {last:.4g} s, {entry['speedup']:.1f}x; "
        f"{entry['ai_credited']} credit an AI system"
    )
