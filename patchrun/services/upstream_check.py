"""The full check against a real clone: every file, every patch, every log."""

from __future__ import annotations

from dataclasses import dataclass

from patchrun.adapters.store import Arena
from patchrun.services.upstream import BASELINE, HUMAN, Files, read_codes
from patchrun.services.upstream_logs import read_upstream


@dataclass(frozen=True)
class PatchCount:
    """``exact`` of ``pairs`` human patches give their tree when applied; ``empty`` of them change no file."""

    pairs: int
    exact: int
    empty: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class UpstreamReport:
    """What was compared with the clone; ``absent`` logs are those that a partial copy lacks."""

    baselines: int
    humans: int
    files: int
    patches: PatchCount
    logs: int
    unread: int
    absent: int
    problems: tuple[str, ...]


def verify_upstream(arena: Arena, upstream: str) -> UpstreamReport:
    """Compare the arena with the clone byte for byte, apply every human patch, and read every log.

    Raises:
        UsageError, SetupError: the clone is not one, lacks files, or differs from the manifest (the file is named).
    """
    expected: dict[str, Files] = {}
    for code in read_codes(arena.ladder, upstream):
        if code.baseline is not None:
            expected[f"{BASELINE}{code.record.number}"] = code.baseline
            if code.solution is not None:
                expected[f"{HUMAN}{code.record.number}"] = code.solution
    problems = [problem for name, files in expected.items() for problem in _differences(arena, name, files)]
    patches = check_patches(arena)
    logs = read_upstream(arena, upstream)
    problems += [*patches.problems, *(entry.reason for entry in logs.unread)]
    return UpstreamReport(
        baselines=sum(name.startswith(BASELINE) for name in expected),
        humans=sum(name.startswith(HUMAN) for name in expected),
        files=sum(len(files) for files in expected.values()),
        patches=patches,
        logs=len(logs.logs),
        unread=len(logs.unread),
        absent=len(logs.absent),
        problems=tuple(problems),
    )


def _differences(arena: Arena, name: str, files: Files) -> list[str]:
    """How a ref's tree differs from the clone's files."""
    commit = arena.code.get(name)
    if commit is None:
        return [f"{name} is absent"]
    entries = arena.repo.files(commit)
    blobs = arena.repo.read_many(entry.oid for entry in entries.values())
    stored = dict(zip(entries, blobs, strict=True))
    return [
        f"{name}: {path} differs from upstream"
        for path in sorted({*files, *stored})
        if files.get(path) != stored.get(path)
    ]


def check_patches(arena: Arena) -> PatchCount:
    """Apply each stored human patch, as a diff, to its baseline: it must give exactly the stored tree."""
    repo, pairs, exact, empty = arena.repo, 0, 0, 0
    problems = []
    for name, human in arena.code.items():
        if not name.startswith(HUMAN):
            continue
        number = int(name.removeprefix(HUMAN))
        baseline, pairs = repo.tree_of(arena.baseline(number)), pairs + 1
        diff = repo.diff(baseline, human)
        applied = repo.apply(baseline, diff) if diff else None
        tree = applied.tree if applied else baseline
        empty += not diff
        if tree == repo.tree_of(human):
            exact += 1
        else:
            refusal = applied.refusal if applied else ""
            problems.append(f"human patch {number} does not give its tree{': ' if refusal else ''}{refusal}")
    return PatchCount(pairs, exact, empty, tuple(problems))
