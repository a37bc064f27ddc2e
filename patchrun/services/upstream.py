"""Baselines and human patches out of a clone of the upstream repository, byte for byte, nothing checked out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from patchrun.adapters.gitrepo import PATCHRUN, Author, GitRepo
from patchrun.core.errors import ManifestError, SetupError
from patchrun.core.ladder import Ladder, Place, Record
from patchrun.core.trainlog import LogError, parse_log
from patchrun.services.upstream_clone import open_clone, read_all

BASELINE = "refs/heads/baseline/"
HUMAN = "refs/patchrun/human/"
ALTERED = "the clone was altered or damaged: clone the upstream repository anew"
Files = dict[str, bytes]


@dataclass(frozen=True)
class ImportReport:
    """The refs to create, how many of each kind they are, and why a record has no baseline."""

    refs: dict[str, str]
    baselines: int
    humans: int
    absent: dict[int, str]


@dataclass(frozen=True)
class Code:
    """The files of one record: before it and after it, each None where upstream has none."""

    record: Record
    baseline: Files | None
    solution: Files | None


def import_upstream(repo: GitRepo, ladder: Ladder, upstream: str) -> ImportReport:
    """Store every baseline and human patch of ``ladder`` in ``repo``; the refs are the caller's to create.

    Raises:
        UsageError: ``upstream`` is not there, or not a clone of the ladder's repository.
        SetupError: it cannot be fetched, lacks commits or files, or a file differs from its digest (named).
    """
    codes = read_codes(ladder, upstream)
    executable = ladder.upstream.executable if ladder.upstream else ()
    refs = _Shelf(repo, executable).store(codes)
    humans = sum(name.startswith(HUMAN) for name in refs)
    absent = {
        code.record.number: code.record.baseline.reason if code.record.baseline else "the ladder names none"
        for code in codes
        if code.baseline is None
    }
    return ImportReport(refs, len(refs) - humans, humans, absent)


def read_codes(ladder: Ladder, upstream: str) -> list[Code]:
    """The code of every record, checked against the manifest's digests; raises as ``import_upstream``."""
    with open_clone(ladder, upstream) as clone:
        blobs = read_all(clone, {spec: owner for owner, place in _places(ladder) for spec in _specs(place)})
    codes: list[Code] = []
    for record in ladder.record:
        label = f"record {record.number}"
        baseline = _resolve(record.baseline, f"{label} baseline", blobs, codes)
        codes.append(Code(record, baseline, _resolve(record.solution, f"{label} solution", blobs, codes)))
    return codes


def _places(ladder: Ladder) -> list[tuple[str, Place]]:
    return [
        (f"record {record.number} {side}", place)
        for record in ladder.record
        for side, place in (("baseline", record.baseline), ("solution", record.solution))
        if place
    ]


def _specs(place: Place) -> list[str]:
    """The ``commit:path`` of everything that ``place`` is made from."""
    own = [f"{place.commit}:{place.log}"] if place.kind == "log" else []
    if place.kind == "tree":
        own = [f"{place.commit}:{name}" for name in place.files if name not in place.beside]
    return [*own, *place.beside.values()]


def _resolve(place: Place | None, label: str, blobs: Mapping[str, bytes], done: list[Code]) -> Files | None:
    """The files of a place, None where the manifest says there are none."""
    if place is None or place.kind == "none":
        return None
    if place.record is not None:
        return done[place.record - 1].solution
    files = {name: blobs[spec] for name, spec in place.beside.items()}
    if place.kind == "log":
        files |= _embedded(place, label, blobs)
    else:
        files |= {name: blobs[f"{place.commit}:{name}"] for name in place.files if name not in files}
    _check_digests(place, label, files)
    return files


def _embedded(place: Place, label: str, blobs: Mapping[str, bytes]) -> Files:
    try:
        log = parse_log(blobs[f"{place.commit}:{place.log}"], place.log)
    except LogError as error:
        raise SetupError(f"{label}: {error.message}", ALTERED) from None
    return {place.script: log.script, **log.modules}


def _check_digests(place: Place, label: str, files: Files) -> None:
    if set(files) != set(place.files):
        names = ", ".join(sorted(set(files) ^ set(place.files)))
        raise ManifestError(f"records.toml: {label}: files pins other names than the place gives: {names}")
    for name, data in files.items():
        digest = hashlib.sha256(data).hexdigest()
        if digest != place.files[name]:
            raise SetupError(
                f"{label}: {name} has SHA-256 {digest}, the manifest says {place.files[name]}", ALTERED
            )


@dataclass
class _Shelf:
    """Stores code once: neighbouring records share most blobs and trees."""

    repo: GitRepo
    executable: tuple[str, ...]
    blobs: dict[bytes, str] = field(default_factory=dict)
    trees: dict[tuple[tuple[str, str], ...], str] = field(default_factory=dict)

    def store(self, codes: list[Code]) -> dict[str, str]:
        """Commit every baseline and human patch; the refs to create."""
        refs: dict[str, str] = {}
        for code in codes:
            if code.baseline is None:
                continue
            number, when = code.record.number, f"{code.record.date}T00:00:00+00:00"
            words = f"baseline {number}: the code before record {number}\n"
            parent = self.repo.commit(self.tree(code.baseline), [], words, PATCHRUN, when)
            refs[f"{BASELINE}{number}"] = parent
            if code.solution is not None:
                author = Author(code.record.by, PATCHRUN.email)
                words = f"record {number}: {code.record.summary}\n"
                refs[f"{HUMAN}{number}"] = self.repo.commit(
                    self.tree(code.solution), [parent], words, author, when
                )
        return refs

    def tree(self, files: Files) -> str:
        entries = {name: (self.mode(name), self.blob(data)) for name, data in files.items()}
        key = tuple(sorted((name, oid) for name, (_, oid) in entries.items()))
        if key not in self.trees:
            self.trees[key] = self.repo.write_tree(entries)
        return self.trees[key]

    def blob(self, data: bytes) -> str:
        if data not in self.blobs:
            self.blobs[data] = self.repo.write_blob(data)
        return self.blobs[data]

    def mode(self, name: str) -> str:
        return "100755" if name in self.executable else "100644"
