"""How similar a submission is to the human patch of its record; computed once, cached where it may be deleted."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from patchrun.adapters.store import Arena
from patchrun.core.results import Attempt
from patchrun.core.similarity import WINDOW, Files, Similarity, compare


def compare_with_human(arena: Arena, attempt: Attempt) -> Similarity | None:
    """The similarity of an accepted attempt to the human patch; None where it is rejected or there is none."""
    human = arena.human(attempt.span.last)
    if not attempt.accepted or human is None:
        return None
    trees = (arena.repo.tree_of(attempt.baseline_commit), attempt.patched_tree, arena.repo.tree_of(human))
    place = arena.folder / "similarity" / f"{WINDOW}-{trees[0]}-{trees[1]}-{trees[2]}.json"
    try:
        return msgspec.json.decode(place.read_bytes(), type=Similarity)
    except (OSError, msgspec.MsgspecError):
        pass
    found = _compare_trees(arena, *trees)
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(msgspec.json.encode(found))
    return found


def _compare_trees(arena: Arena, baseline: str, one: str, other: str) -> Similarity:
    repo = arena.repo
    paths = {change.path for tree in (one, other) for change in repo.changes(baseline, tree)}
    return compare(*(_read(arena, tree, paths) for tree in (baseline, one, other)))


def _read(arena: Arena, tree: str, paths: Iterable[str]) -> Files:
    """Path -> bytes of those of ``paths`` that a tree has."""
    files = arena.repo.files(tree)
    known = sorted(path for path in paths if path in files)
    blobs = arena.repo.read_many(files[path].oid for path in known)
    return {path: data or b"" for path, data in zip(known, blobs, strict=True)}
