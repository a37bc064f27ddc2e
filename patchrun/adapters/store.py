"""The arena: one git repository that holds one tournament, every result a ref that is created once.

Refs: ``refs/heads/main`` (the track), ``refs/heads/baseline/N``, ``refs/patchrun/human/N``,
``refs/patchrun/{attempts,submissions,studies}/<id>``, ``refs/patchrun/runs/<arm>/<study>-<slot>``,
``refs/patchrun/extra/...`` (a later run of a taken slot: shown, never counted), ``refs/patchrun/stops/<study>/<arm>``,
``refs/patchrun/jobs/<study>/<job>``, ``refs/patchrun/verdicts/...``, ``refs/patchrun/transcripts/<id>``,
``refs/patchrun/labels/<subject>/<hash>`` and ``refs/patchrun/also/...`` (what a synced arena holds under a name taken
here). Of final rounds ``refs/patchrun/{finals,reveals}/<id>``.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from patchrun.adapters import leavings, locks
from patchrun.adapters.attempts import ATTEMPTS as ATTEMPTS
from patchrun.adapters.attempts import SUBMISSIONS as SUBMISSIONS
from patchrun.adapters.attempts import AttemptFiles
from patchrun.adapters.finalrounds import FinalFiles
from patchrun.adapters.gitrepo import PATCHRUN, GitRepo, RefExists
from patchrun.adapters.labels import LabelFiles
from patchrun.adapters.signed import (
    ALSO,
    EXTRA,
    RESULTS,
    RUNS,
    SIGNED,
    STOPS,
    VERDICTS,
    SignedFiles,
    add_beside,
    own_name,
)
from patchrun.adapters.studies import STUDIES as STUDIES
from patchrun.adapters.studies import StudyFiles
from patchrun.adapters.transcripts import TranscriptFiles
from patchrun.adapters.valueindex import ValueIndex
from patchrun.core import results, versions
from patchrun.core.chunks import batched, map_ahead
from patchrun.core.errors import ArenaError, UsageError
from patchrun.core.results import Ruling, Run, StopRecord, Study
from patchrun.core.versions import Version

if TYPE_CHECKING:
    from patchrun.core.track import Ladder, Track

T = TypeVar("T", bound=msgspec.Struct)
MAIN = "refs/heads/main"
MANIFESTS = ("arena.json", "track.toml", "records.toml")
CHUNK = 4000  # values that are read from git at once: memory stays bounded
NOT_AN_ARENA = "make one with `patchrun init DIR`, or name one with -C DIR or PATCHRUN_ARENA"


class Arena(AttemptFiles, StudyFiles, SignedFiles, TranscriptFiles, LabelFiles, FinalFiles):
    """An open arena. Reading methods see what other processes have added since."""

    def __init__(self, repo: GitRepo) -> None:
        self.repo = repo

    @classmethod
    def open(cls, path: Path) -> Arena:
        """The arena at ``path`` (its folder or its git directory); ArenaError when it is not one."""
        for candidate in (Path(path) / ".git", Path(path)):
            if (candidate / "HEAD").is_file() and (candidate / "objects").is_dir():
                arena = cls(GitRepo(candidate))
                with suppress(ArenaError, OSError):  # an arena that cannot be written to can be read
                    arena.repo.finish()
                if arena._manifests["arena.json"] is not None:
                    return arena
        raise ArenaError(f"{path} is not an arena", NOT_AN_ARENA)

    @classmethod
    def find(cls, start: Path) -> Arena:
        """The arena at ``start`` or above it, sought as git seeks a repository."""
        for folder in (start.resolve(), *start.resolve().parents):
            try:
                return cls.open(folder)
            except ArenaError:
                continue
        raise ArenaError(f"no arena at {start} or above it", NOT_AN_ARENA)

    @property
    def folder(self) -> Path:
        """The arena's own folder for caches, locks and scratch: all of it may be deleted."""
        path = self.repo.path / "patchrun"
        try:
            path.mkdir(exist_ok=True)
        except OSError as error:
            raise ArenaError(f"cannot write in the arena: {error}") from None
        return path

    def lock(self, name: str, on_wait: Callable[[], None] = lambda: None) -> AbstractContextManager[None]:
        """Hold the lock ``name`` against other processes of this machine; it ends with its process."""
        return locks.hold(self.folder / "locks" / name, on_wait)

    def holder(self, name: str) -> tuple[int, str] | None:
        """Process id and host of whoever holds the lock ``name``; None when nobody does."""
        return locks.find_holder(self.folder / "locks" / name)

    @contextmanager
    def scratch(self, place: Path | None = None) -> Iterator[Path]:
        """A folder for one run's files, gone afterwards: in ``place``, else beside the arena's other caches."""
        folder = place or self.folder / "scratch"
        folder.mkdir(exist_ok=True)
        with leavings.scratch("run-", folder) as name:
            yield name

    def track_folder(self) -> Path:
        """The files of ``refs/heads/main`` as a folder, for data that a track carries itself."""
        commit = self.repo.resolve(MAIN)
        target = self.folder / "track" / commit
        if not target.is_dir():
            with self.scratch() as building:
                self.repo.export(commit, building / "track")
                target.parent.mkdir(exist_ok=True)
                try:
                    (building / "track").rename(target)
                except OSError as error:
                    if not target.is_dir():  # else another process was first
                        raise ArenaError(f"cannot write in the arena: {error}") from None
        return target

    @cached_property
    def track(self) -> Track:
        from patchrun.core.track import load_track

        return load_track(self._manifest("track.toml"), f"{self.repo.path}: track.toml", stored=True)

    @cached_property
    def ladder(self) -> Ladder:
        from patchrun.core.track import load_ladder

        return load_ladder(self._manifest("records.toml"), f"{self.repo.path}: records.toml")

    @cached_property
    def identity(self) -> str:
        """The hash by which the owner's secret key was committed to on the first day."""
        try:
            return json.loads(self._manifest("arena.json"))["key_commitment"]
        except (ValueError, KeyError, TypeError):
            raise ArenaError(
                f"{self.repo.path}: {MAIN}:arena.json names no key", "restore the track's branch from a copy"
            ) from None

    @cached_property
    def _manifests(self) -> dict[str, bytes | None]:
        """What the track's branch says of the arena, read at once."""
        return dict(zip(MANIFESTS, self.repo.read_many(f"{MAIN}:{name}" for name in MANIFESTS), strict=True))

    def _manifest(self, name: str) -> str:
        data = self._manifests[name]
        if data is None:
            raise ArenaError(f"{self.repo.path} has no {MAIN}:{name}", NOT_AN_ARENA)
        return data.decode()

    @cached_property
    def code(self) -> Mapping[str, str]:
        """Ref name -> commit of every baseline and human patch."""
        return self.repo.refs("refs/heads/baseline/", "refs/patchrun/human/")

    def baseline(self, number: int) -> str:
        """The commit of baseline ``number``; UsageError that says why when there is none."""
        record = self.ladder.get(number)
        commit = self.code.get(f"refs/heads/baseline/{number}")
        if commit is None:
            reason = record.baseline.reason if record.baseline else ""
            raise UsageError(f"record {number} has no baseline" + (f": {reason}" if reason else ""),
                             "`patchrun records` shows which records have one")  # fmt: skip
        return commit

    def human(self, number: int) -> str | None:
        """The commit of human patch ``number``, None where the record has none."""
        return self.code.get(f"refs/patchrun/human/{number}")

    def runs(self) -> list[Run]:
        """Every run that counts, without its curve: that is most of a run, and no table needs it."""
        return _settle_runs(self._read_all(RUNS, "run.json", Run, results.drop_curve))

    def runs_of(self, studies: Iterable[Study]) -> list[Run]:
        """The runs that count of some studies, whole: what it costs does not grow with the arena."""
        patterns = [pattern for study in studies for pattern in _run_patterns(study)]
        return _settle_runs(self._read(patterns, "run.json", Run)) if patterns else []

    def extra_runs(self) -> list[Run]:
        """Runs of slots that were taken already, without their curves: shown, never counted."""
        return [version.value for version in self._read_all(EXTRA, "run.json", Run, results.drop_curve)]

    def slots(self, study: Study) -> set[str]:
        """The ``<arm>/<study>-<slot>`` names of a study's stored runs that count."""
        refs = self.keep_signed(self.repo.refs(*_run_patterns(study)))
        return {own_name(name).removeprefix(RUNS) for name in refs}

    def add_run(self, run: Run, log: bytes) -> bool:
        """Store a run in its slot; False when the slot was taken and it went to ``extra``."""
        return self.add_runs([(run, log)])

    def add_runs(self, made: Sequence[tuple[Run, bytes]]) -> bool:
        """Store the runs of a block at once; where one slot was taken all go to ``extra`` and the answer is False.

        A slot is not taken by a run that does not count, since no listed key signed it: ours is stored beside it.
        """
        refs = {RUNS + run_name(run): self._commit_run(run, log) for run, log in made}
        try:
            self.repo.create_refs(refs)
        except RefExists:
            there = self.repo.refs(*refs)
            if self.keep_signed(there) or not self.keep_signed(refs):
                self.add_extra_runs(made)
                return False
            self.repo.create_refs({name: commit for name, commit in refs.items() if name not in there})
            add_beside(self.repo, {name: commit for name, commit in refs.items() if name in there})
        return True

    def add_extra_runs(self, made: Sequence[tuple[Run, bytes]]) -> dict[str, str]:
        """Store runs of slots that are taken; the refs. Those that are there already stay as they are."""
        refs = {(name := extra_name(run)): self._commit_run(run, log, name) for run, log in made}
        with suppress(RefExists):
            self.repo.create_refs(refs)
        return refs

    def _commit_run(self, run: Run, log: bytes, ref: str = "") -> str:
        tree = self.repo.store_files({"run.json": results.encode(run), "log.gz": gzip.compress(log, mtime=0)})
        words = f"run {run_name(run)}: {run.exit}\n"
        words = self.sign_refs(words, ref or RUNS + run_name(run), run.track_digest, run.study)
        return self.repo.commit(tree, [], words, PATCHRUN, run.started, self.signing_key)

    def log(self, run: Run) -> bytes:
        """The raw output of a run; ArenaError when no arena gave it."""
        for version in self._read([RUNS + run_name(run), f"{ALSO}runs/{run_name(run)}"], "run.json", Run):
            if results.drop_curve(version.value) == results.drop_curve(run):
                return gzip.decompress(self.repo.read(f"{version.commit}:log.gz"))
        raise ArenaError(f"there is no run {run_name(run)} here")

    def logs(self, runs: Iterable[Run]) -> list[bytes | None]:
        """The raw outputs of several runs; None where there is none under the run's name, or it is damaged."""
        packed = self.repo.read_many(f"{RUNS}{run_name(run)}:log.gz" for run in runs)
        return [None if data is None else _unpack(data) for data in packed]

    def rulings(self) -> list[Ruling]:
        """Withdrawals and disqualifications that count, oldest first."""
        return _sort_rulings(self._read_all(VERDICTS, "ruling.json", Ruling))

    def strange_rulings(self) -> list[Ruling]:
        """Those that do not count, since no listed key signed them, oldest first: shown, never applied."""
        patterns = [VERDICTS, ALSO + VERDICTS.removeprefix(RESULTS)]
        every = self._read(patterns, "ruling.json", Ruling, signed=False) if self.signatures else []
        counting = self.keep_signed({one.name: one.commit for one in every})
        return _sort_rulings([one for one in every if one.name not in counting])

    def add_ruling(self, ruling: Ruling) -> None:
        """Store what a person said of a submission."""
        data = results.encode(ruling)
        ref = f"{VERDICTS}{ruling.submission}/{hashlib.sha256(data).hexdigest()[:12]}"
        words = self.sign_refs(f"{ruling.ruling} {ruling.submission}: {ruling.reason}\n", ref)
        tree = self.repo.store_files({"ruling.json": data})
        commit = self.repo.commit(tree, [], words, PATCHRUN, ruling.created, self.signing_key)
        self.repo.create_refs({ref: commit})

    def stops(self) -> list[StopRecord]:
        """The arms that racing ended."""
        return versions.settle(self._read_all(STOPS, "stop.json", StopRecord))

    def add_stop(self, stop: StopRecord) -> None:
        """Store that an arm runs no more; the first to say so is kept."""
        ref = STOPS + stop_name(stop)
        tree = self.repo.store_files({"stop.json": results.encode(stop)})
        words = f"stop {stop.arm} of study {stop.study}: {stop.reason}\n"
        words = self.sign_refs(words, ref, stop.track_digest, stop.study)
        commit = self.repo.commit(tree, [], words, PATCHRUN, stop.created, self.signing_key)
        with suppress(RefExists):
            self.repo.create_refs({ref: commit})

    def _read_all(
        self, prefix: str, file: str, kind: type[T], keep: Callable[[T], T] = lambda value: value
    ) -> list[Version[T]]:
        """All values below ``prefix``, with those that other arenas hold under the same names.

        What ``keep`` leaves of each is remembered in the arena's own folder.
        """
        return self._read([prefix, ALSO + prefix.removeprefix(RESULTS)], file, kind, keep)

    def _read(
        self,
        patterns: Sequence[str],
        file: str,
        kind: type[T],
        keep: Callable[[T], T] | None = None,
        signed: bool = True,
    ) -> list[Version[T]]:
        """The values of the refs that match; without ``keep`` from git itself, unless ``signed`` also those that do
        not count for lack of a signature."""
        refs = self.repo.refs(*patterns)
        if signed and patterns[0].startswith(SIGNED):
            refs = self.keep_signed(refs)
        known = self._index.get(kind, refs.values()) if keep else {}
        unknown = [(name, commit) for name, commit in refs.items() if commit not in known]
        read = self.repo.stream(f"{commit}:{file}" for _, commit in unknown)
        ahead = map_ahead(lambda some: list(islice(read, len(some))), batched(unknown, CHUNK))
        with closing(read), closing(ahead):
            for chunk, blobs in ahead:
                named = zip(chunk, blobs, strict=True)
                fresh = {commit: self._decode(name, data, kind) for (name, commit), data in named}
                if keep:
                    fresh = {commit: keep(value) for commit, value in fresh.items()}
                    self._index.put(kind, fresh)
                known |= fresh
        names = (own_name(name) if name.startswith(ALSO) else name for name in refs)
        return [
            Version(name, commit, known[commit]) for name, commit in zip(names, refs.values(), strict=True)
        ]

    @cached_property
    def _index(self) -> ValueIndex:
        return ValueIndex(self.repo.path / "patchrun" / "values.sqlite")

    @staticmethod
    def _decode(name: str, data: bytes | None, kind: type[T]) -> T:
        if data is None:
            raise ArenaError(f"{name} holds no {kind.__name__.lower()}", "`patchrun verify` lists all damage")
        return results.decode(data, kind, name)


def _unpack(data: bytes) -> bytes | None:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return None


def _settle_runs(found: Sequence[Version[Run]]) -> list[Run]:
    """One run a slot (see ``versions.settle_runs``), of those that lie under their own names."""
    return versions.settle_runs([one for one in found if one.name == RUNS + run_name(one.value)])


def _sort_rulings(found: Sequence[Version[Ruling]]) -> list[Ruling]:
    return sorted((version.value for version in found), key=lambda ruling: ruling.created)


def run_name(run: Run) -> str:
    """``<arm>/<study>-<slot>``: two different runs never share it, two runs of one slot do."""
    return f"{run.arm}/{run.study}-{run.slot.name}"


def extra_name(run: Run) -> str:
    """The ref of a run whose slot was taken: told apart by its content."""
    return f"{EXTRA}{run_name(run)}-{hashlib.sha256(results.encode(run)).hexdigest()[:8]}"


def stop_name(stop: StopRecord) -> str:
    """``<study>/<arm>``: an arm ends once."""
    return f"{stop.study}/{stop.arm}"


def _run_patterns(study: Study) -> Iterator[str]:
    """What the refs of a study's runs look like; git seeks each by what stands before its star."""
    for arm in study.arms:
        name = f"runs/{arm.name}/{study.id}-*"
        yield RESULTS + name
        yield f"{ALSO}{name}/*"


def group_by_study(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Study id -> its runs in slot order."""
    grouped: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.slot):
        grouped.setdefault(run.study, []).append(run)
    return grouped
