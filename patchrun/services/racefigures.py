"""The measured figures that races are simulated with: ``race.csv`` of each track that ships."""

from __future__ import annotations

from collections.abc import Sequence

from patchrun.adapters.store import Arena
from patchrun.core.errors import UsageError
from patchrun.core.raceworlds import World, make_world, measure_figures
from patchrun.services.importer import find_track, read_track
from patchrun.services.upstream_logs import read_facts

TRACKS = ("pocket", "nanogpt")


def read_worlds(tracks: Sequence[str] = TRACKS) -> tuple[World, ...]:
    """The worlds of ``tracks`` (shipped ones, or folders with a ``race.csv``).

    Raises:
        UsageError: a track has no figures, or they cannot be read.
    """
    return tuple(_read_world(name) for name in tracks)


def measure(arena: Arena) -> str:
    """The figures of an arena's ladder from the logs that were taken in, as ``race.csv`` holds them."""
    return measure_figures(read_facts(arena), [record.number for record in arena.ladder.record])


def _read_world(name: str) -> World:
    path = find_track(name) / "race.csv"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"cannot read {path}: {error}", "a race is simulated from measured figures"
        ) from None
    return make_world(read_track(path.parent).track, text, str(path))
