"""Logs taken in: all of an upstream repository's as facts, or a user's own with their text."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from patchrun.adapters.gitrepo import PATCHRUN, GitRepo, RefExists
from patchrun.adapters.store import Arena
from patchrun.core import results
from patchrun.core.errors import UsageError
from patchrun.core.logfacts import (
    Ingest,
    LogFact,
    LogLabeller,
    Unread,
    ran_code,
    state_fact,
)
from patchrun.core.trainlog import MAX_BYTES, LogError, parse_log
from patchrun.services.upstream_clone import open_clone, read_some

INGESTS = "refs/patchrun/ingest/"
SUFFIXES = (".txt", ".log")
BATCH = 64
EPOCH = "2000-01-01T00:00:00+00:00"  # the same logs are the same commit


def ingest_upstream(arena: Arena, upstream: str) -> Ingest:
    """Read every log of the ladder's upstream repository and store path, digest and figures of each.

    Raises:
        UsageError, SetupError: as ``open_clone``.
    """
    ingest = read_upstream(arena, upstream)
    store_ingest(arena, ingest)
    return ingest


def read_upstream(arena: Arena, upstream: str) -> Ingest:
    """The facts of every upstream log; what cannot be read is listed, not skipped in silence."""
    labeller = LogLabeller(arena.ladder, arena.track.hardware)
    facts: list[LogFact] = []
    unread: list[Unread] = []
    absent: list[str] = []
    with open_clone(arena.ladder, upstream) as clone:
        assert arena.ladder.upstream is not None  # open_clone refuses a ladder without
        commit = arena.ladder.upstream.commit
        for path, data in read_logs(clone, commit, arena.ladder.upstream.logs):
            if data is None:
                absent.append(path)
                continue
            try:
                log = parse_log(data, path)
                facts.append(labeller.label(log, path, hashlib.sha256(data).hexdigest()))
            except LogError as error:
                unread.append(Unread(path, error.message))
    return Ingest(
        source="upstream", commit=commit, logs=tuple(facts), unread=tuple(unread), absent=tuple(absent)
    )


def read_logs(clone: GitRepo, commit: str, folder: str) -> Iterator[tuple[str, bytes | None]]:
    """Path and bytes of every log below ``folder``, None for what the clone lacks."""
    entries = clone.files(f"{commit}:{folder}")
    names = sorted(name for name in entries if name.endswith(SUFFIXES))
    for start in range(0, len(names), BATCH):
        batch = names[start : start + BATCH]
        blobs = read_some(clone, [entries[name].oid for name in batch])
        yield from ((f"{folder}/{name}", data) for name, data in zip(batch, blobs, strict=True))


def ingest_logs(arena: Arena, paths: Sequence[Path], number: int, arm: str) -> Ingest:
    """Take a user's own logs in for ``arm`` (human, baseline, or the id of a submission) of record ``number``.

    Raises:
        UsageError: the record or the submission does not exist here, or a log is not there.
        LogError: a log cannot be read (file and line are named); then none is stored.
    """
    code = _code_of(arena, number, arm)
    facts: list[LogFact] = []
    texts: dict[str, bytes] = {}
    for path in paths:
        data = _read_own(path)
        digest = hashlib.sha256(data).hexdigest()
        log = parse_log(data, str(path))
        fact = state_fact(log, path.name, digest, record=number, arm=arm, hardware=arena.track.hardware)
        if not fact.set_aside and not ran_code(log, code):
            fact = msgspec.structs.replace(fact, set_aside="ran other code")
        facts.append(fact)
        texts[f"logs/{digest[:20]}.gz"] = gzip.compress(data, mtime=0)
    ingest = Ingest(source="own", logs=tuple(facts))
    store_ingest(arena, ingest, texts)
    return ingest


def _code_of(arena: Arena, number: int, arm: str) -> dict[str, bytes]:
    """The Python files of an arm."""
    arena.baseline(number)
    if arm == "baseline":
        commit: str | None = arena.baseline(number)
    elif arm == "human":
        commit = arena.human(number)
    else:
        attempt = arena.attempt(arm)
        if attempt.span.first != number:
            raise UsageError(
                f"{attempt.id} was made for record {attempt.record}, not {number}",
                f"say --record {attempt.record}",
            )
        commit = arena.submission(attempt.id)
    if commit is None:
        raise UsageError(
            f"record {number} has no human patch", "`patchrun records` shows which records have one"
        )
    entries = {path: entry for path, entry in arena.repo.files(commit).items() if path.endswith(".py")}
    blobs = arena.repo.read_many(entry.oid for entry in entries.values())
    return {path: data or b"" for path, data in zip(entries, blobs, strict=True)}


def _read_own(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise LogError(str(path), 0, f"{path.stat().st_size / 2**20:.0f} MiB: too large for a log")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "name log files that can be read") from None


def store_ingest(arena: Arena, ingest: Ingest, texts: Mapping[str, bytes] | None = None) -> str:
    """Store an ingest under a ref named by its content, unless it is there already; the ref's name."""
    data = results.encode(ingest)
    name = INGESTS + hashlib.sha256(data).hexdigest()[:20]
    tree = arena.repo.store_files({"ingest.json": data, **(texts or {})})
    words = f"ingest of {len(ingest.logs)} logs ({ingest.source})\n"
    with suppress(RefExists):
        arena.repo.create_refs({name: arena.repo.commit(tree, [], words, PATCHRUN, EPOCH)})
    return name


def read_ingests(arena: Arena) -> list[Ingest]:
    """Every stored ingest."""
    refs = arena.repo.refs(INGESTS)
    blobs = arena.repo.read_many(f"{commit}:ingest.json" for commit in refs.values())
    return [results.decode(data or b"", Ingest, name) for name, data in zip(refs, blobs, strict=True)]


def read_facts(arena: Arena) -> list[LogFact]:
    """The facts of every ingested log; a log that was taken in twice for one arm counts once."""
    unique: dict[tuple[str, str, int | None, str], LogFact] = {}
    for ingest in read_ingests(arena):
        for fact in ingest.logs:
            path = fact.path if ingest.source == "upstream" else ""
            unique.setdefault((fact.digest, path, fact.record, fact.arm), fact)
    return list(unique.values())
