"""Hints: texts in three tiers that lie in ``hint_tiers/<track>/<N>/``, data like the ladder itself."""

from __future__ import annotations

import sys
from pathlib import Path

from patchrun.core.errors import ManifestError, UsageError
from patchrun.core.hints import MARK, read_hint, show_hint
from patchrun.core.selection import Span


def hint_homes() -> list[Path]:
    """Where hints are sought: the source tree, then the installation."""
    return [Path(__file__).parents[2] / "hint_tiers", Path(sys.prefix) / "share/patchrun/hint_tiers"]


def read(track: str, span: Span, tiers: tuple[int, ...]) -> dict[str, str]:
    """File name -> what an agent sees, for the hints of every record of ``span`` in ``tiers``.

    Raises:
        UsageError: one of them is absent.
        ManifestError: the head of one breaks its schema.
    """
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
            text = read_text(path)
            return show_hint(read_hint(text, str(path))) if text.startswith(MARK.strip()) else text
    raise UsageError(
        f"track {track} has no tier {tier} hint for record {number}", "tiers are 1, 2 and 3; 0 is no hint"
    )


def read_text(path: Path) -> str:
    """A hint file's text; ManifestError where it is not UTF-8 or cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read: {error}") from None


def find_home(track: str) -> Path:
    """The folder that holds the hints of ``track``, there or not yet: the first that is, else the first."""
    folders = [home / track for home in hint_homes()]
    return next((folder for folder in folders if folder.is_dir()), folders[0])
