"""Two patches to one baseline side by side: what both change, what each changes its own way, what only one does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from patchrun.core.twopatches import Change, Comparison
from patchrun.faces.ablation_view import hunk_document
from patchrun.faces.plain_text import decode_spelled, spell

if TYPE_CHECKING:
    from rich.text import Text


def against_document(found: Comparison, name: str) -> dict[str, Any]:
    """The comparison as JSON; ``name`` is what the submission is compared with."""
    return {
        "name": name,
        "both": _documents(found.both),
        "differ": [{"a": _documents(one), "b": _documents(other)} for one, other in found.differ],
        "only_a": _documents(found.only_a),
        "only_b": _documents(found.only_b),
    }


def _documents(changes: Sequence[Change]) -> list[dict[str, Any]]:
    def read(lines: Sequence[bytes]) -> list[str]:
        return [line.rstrip(b"\n").decode("utf-8", "replace") for line in lines]

    return [hunk_document(one.hunk) | {"removed": read(one.old), "added": read(one.new)} for one in changes]


def against_lines(found: Comparison, a: str, b: str) -> Iterator[Text]:
    """The groups under their headings, line by line, safe for a terminal."""
    from rich.text import Text

    a, b = spell(a), spell(b)
    yield Text(f"{a} (A) against {b} (B): {_count(found)}")
    for heading, changes in (
        ("Both, the same", found.both),
        (f"Only {a} (A)", found.only_a),
        (f"Only {b} (B)", found.only_b),
    ):
        if changes:
            yield Text(f"\n== {heading} ==", "bold")
            for change in changes:
                yield from _change_lines(change)
    if found.differ:
        yield Text("\n== The same lines, each its own way ==", "bold")
    for one, other in found.differ:
        yield from (line for change in one for line in _change_lines(change, "A "))
        yield from (line for change in other for line in _change_lines(change, "B "))


def _count(found: Comparison) -> str:
    counts = ((len(found.both), "the same"), (len(found.differ), "at one place, each its own way"),
              (len(found.only_a), "only in A"), (len(found.only_b), "only in B"))  # fmt: skip
    return ", ".join(f"{number} {words}" for number, words in counts)


def _change_lines(change: Change, side: str = "") -> Iterator[Text]:
    from rich.text import Text

    hunk = change.hunk
    where = f"-{hunk.old_first + (hunk.removed > 0)},{hunk.removed} +{hunk.new_first + (hunk.added > 0)},{hunk.added}"
    yield Text(f"{side}@@ {where} @@ {spell(hunk.path)}", "cyan")
    for sign, lines, style in (("-", change.old, "red"), ("+", change.new, "green")):
        for line in lines:
            yield Text(sign + decode_spelled(line.rstrip(b"\n")).expandtabs(4), style)
