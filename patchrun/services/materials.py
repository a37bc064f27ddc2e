"""How much information a patch of a span may bring in, where the reference patches say more than the track."""

from __future__ import annotations

from patchrun.adapters.store import Arena
from patchrun.core import added
from patchrun.core.rules import FileChange
from patchrun.core.selection import Span


def find_limit(arena: Arena, span: Span) -> int:
    """Bytes (see ``core.added``): the track's limit, or ``added.TIMES_HUMAN`` times the span's own human patch if more.

    Where the track has no limit it is that many times the largest human patch of the ladder, and at least
    ``added.LEAST_LIMIT``.
    """
    spans = [span]
    if arena.track.limits.added_bytes is None:
        spans += [Span(record.number, record.number) for record in arena.ladder.record]
    human = max(measure_human(arena, one) for one in spans)
    return max(arena.track.limits.added_bytes or added.LEAST_LIMIT, added.TIMES_HUMAN * human)


def measure_human(arena: Arena, span: Span) -> int:
    """What the human code at the end of ``span`` brings in over its baseline, bytes; 0 where either is absent."""
    baseline, human = arena.code.get(f"refs/heads/baseline/{span.first}"), arena.human(span.last)
    return added.measure(read_changes(arena, baseline, human)) if baseline and human else 0


def read_changes(arena: Arena, before: str, after: str) -> list[FileChange]:
    """The files that differ between two commits or trees, with their contents."""
    changes = arena.repo.changes(before, after)
    blobs = arena.repo.read_many(oid for one in changes for oid in (one.old_oid, one.new_oid))
    pairs = zip(changes, blobs[::2], blobs[1::2], strict=True)
    return [FileChange(one.path, one.old_mode, one.new_mode, old, new) for one, old, new in pairs]
