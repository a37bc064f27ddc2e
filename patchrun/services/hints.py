"""Hints: texts in three tiers that lie in ``hint_tiers/<track>/<N>/``, data like the ladder itself."""

from __future__ import annotations

import sys
from pathlib import Path

from patchrun.core.errors import UsageError
from patchrun.core.selection import Span


def hint_homes() -> list[Path]:
    """Where hints are sought: the source tree, then the installation."""
    return [Path(__file__).parents[2] / "hint_tiers", Path(sys.prefix) / "share/patchrun/hint_tiers"]


def read(track: str, span: Span, tiers: tuple[int, ...]) -> dict[str, str]:
    """File name -> text of the hints of every record of ``span`` in ``tiers``; UsageError when one is absent."""
    texts = {}
    for number in range(span.first, span.last + 1):
        for tier in tiers:
            name = f"{number}-tier-{tier}.md"
            texts[name] = _read_one(track, number, tier)
    return texts


def _read_one(track: str, number: int, tier: int) -> str:
    for home in hint_homes():
        path = home / track / str(number) / f"tier-{tier}.md"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise UsageError(f"track {track} has no tier {tier} hint for record {number}", "0 is no hint")
