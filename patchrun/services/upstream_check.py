"""The full check against a real clone: every file, every patch, every log."""

from __future__ import annotations

from dataclasses import dataclass

from patchrun.adapters.store import Arena
from patchrun.core.replay import find_refusal
from patchrun.core.trainlog import LogError, TrainLog, parse_log
from patchrun.services.upstream import BASELINE, HUMAN, Files, read_codes
from patchrun.services.upstream_clone import open_clone
from patchrun.services.upstream_logs import read_logs, read_upstream


@dataclass(frozen=True)
class PatchCount:
    """``exact`` of ``pairs`` human patches give their tree when applied; ``empty`` of them change no file."""

    pairs: int
    exact: int
    empty: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class ArrivalCount:
    """``replayed``: finished logs, with arrivals made up from their own times; ``refused``: those not accepted."""

    replayed: int
    refused: tuple[str, ...]


@dataclass(frozen=True)
class UpstreamReport:
    """What was compared with the clone; ``absent`` logs are those that a partial copy lacks."""

    baselines: int
    humans: int
    files: int
    patches: PatchCount
    arrivals: ArrivalCount
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
    arrivals = check_arrivals(arena, upstream)
    problems += [*patches.problems, *(entry.reason for entry in logs.unread), *arrivals.refused]
    return UpstreamReport(
        baselines=sum(name.startswith(BASELINE) for name in expected),
        humans=sum(name.startswith(HUMAN) for name in expected),
        files=sum(len(files) for files in expected.values()),
        patches=patches,
        arrivals=arrivals,
        logs=len(logs.logs),
        unread=len(logs.unread),
        absent=len(logs.absent),
        problems=tuple(problems),
    )


def check_arrivals(arena: Arena, upstream: str) -> ArrivalCount:
    """Put every finished log of the clone through the clock by arrival, as an honest run of it would have arrived."""
    assert arena.ladder.upstream is not None  # open_clone refuses a ladder without
    commit, folder = arena.ladder.upstream.commit, arena.ladder.upstream.logs
    replayed, refused = 0, []
    with open_clone(arena.ladder, upstream) as clone:
        for path, data in read_logs(clone, commit, folder):
            if data is None or (log := _parse_finished(data, path)) is None:
                continue
            replayed += 1
            if refusal := find_refusal(log):
                refused.append(f"{path}: an honest run of it would be refused: {refusal}")
    return ArrivalCount(replayed, tuple(refused))


def _parse_finished(data: bytes, path: str) -> TrainLog | None:
    """The log, None where it cannot be read (which is named elsewhere) or is unfinished."""
    try:
        log = parse_log(data, path)
    except LogError:
        return None
    return log if log.finished else None


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
