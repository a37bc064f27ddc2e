"""Is the arena whole? Objects, names against contents, ids against what they are made of, stale locks."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from patchrun.adapters.store import Arena
from patchrun.core.errors import ArenaError
from patchrun.services import recheck
from patchrun.services.refchecks import problems_of

STALE_LOCK_SECONDS = 600
UNSOUND = "not taken over, since it does not verify:\n"


class Unsound(ArenaError):
    """Results of another arena that do not verify: damaged, forged, or seen while they were arriving there."""


@dataclass(frozen=True)
class Report:
    """How many refs were looked at, every problem in words, and differences that are settled: what counts is ours."""

    refs: int
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()


def verify(arena: Arena) -> Report:
    """Check every object and every result; damage is an answer, not an exception."""
    problems = [f"git fsck: {line}" for line in find_broken_objects(arena)]
    refs = arena.repo.refs("refs/patchrun/")
    problems += problems_of(arena, refs, refs)
    again, notes = _validate_again(arena, refs, problems)
    problems += again
    problems += [f"stale lock: {path}" for path in stale_locks(arena)]
    return Report(len(arena.repo.refs()), tuple(problems), notes)


def _validate_again(
    arena: Arena, refs: Mapping[str, str], problems: Sequence[str]
) -> tuple[list[str], tuple[str, ...]]:
    """Problems and notes on what attempts say of themselves; those that have another problem are left out.

    What only its maker accepts is a problem once: the answer is kept then, and what is kept counts.
    """
    named = {problem.partition(": ")[0] for problem in problems}
    kept = set(arena.answers)
    done = recheck.recheck(
        arena, recheck.read_attempts(arena, {n: c for n, c in refs.items() if n not in named})
    )
    with suppress(ArenaError, OSError):  # an arena that cannot be written to is reported on each time
        arena.add_answers(done.refs)
    fresh = [words for words in done.overruled if refs[words.partition(": ")[0]] not in kept]
    old = [words for words in done.overruled if words not in fresh]
    return [*done.false, *fresh], (*old, *done.others)


def find_broken_objects(arena: Arena) -> list[str]:
    """What git says of objects that are damaged or absent, a line each."""
    done = arena.repo.git("fsck", "--full", "--strict", "--no-dangling", "--no-progress", check=False)
    return (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()


def find_locks(arena: Arena) -> list[Path]:
    """Every file whose presence keeps git from writing; `pack-refs` takes two, one of which is no `.lock`."""
    top = arena.repo.path
    patterns = (
        "*.lock",
        "packed-refs.new",
        "refs/**/*.lock",
        "objects/info/**/*.lock",
        "objects/pack/*.lock",
    )
    return sorted(path for pattern in patterns for path in top.glob(pattern))


def stale_locks(arena: Arena) -> list[Path]:
    """Locks older than ten minutes: no git command holds one that long."""
    limit = time.time() - STALE_LOCK_SECONDS
    return [path for path in find_locks(arena) if _touched(path) < limit]


def _touched(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # its owner has just ended
        return time.time()


def remove_stale_locks(arena: Arena) -> list[Path]:
    """Delete the locks that dead owners left; the list of those deleted."""
    found = stale_locks(arena)
    for path in found:
        path.unlink(missing_ok=True)
    return found


def check_refs(arena: Arena, refs: Mapping[str, str], known: Mapping[str, str]) -> None:
    """Unsound, naming what does not verify among ``refs`` (name -> commit)."""
    problems = problems_of(arena, refs, known)
    if problems:
        raise Unsound(UNSOUND + "\n".join(problems))


def check_claims(arena: Arena, refs: Mapping[str, str], known: Mapping[str, str]) -> recheck.Rechecked:
    """What our validator says of the attempts among ``refs``; Unsound where one claims of its diff what is not so."""
    done = recheck.recheck(arena, recheck.read_attempts(arena, refs), known)
    if done.false:
        raise Unsound(UNSOUND + "\n".join(done.false))
    return done
