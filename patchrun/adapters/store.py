"""The arena: one git repository that holds one tournament, every result a ref that is created once.

Refs: ``refs/heads/main`` (the track), ``refs/heads/baseline/N``, ``refs/patchrun/human/N``,
``refs/patchrun/{attempts,submissions,studies}/<id>``, ``refs/patchrun/runs/<arm>/<study>-<slot>``,
``refs/patchrun/extra/...`` (a later run of a taken slot: shown, never counted), ``refs/patchrun/stops/<study>/<arm>``
and ``refs/patchrun/verdicts/...``.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from patchrun.adapters.gitrepo import PATCHRUN, GitRepo, RefExists
from patchrun.core import results
from patchrun.core.errors import ArenaError, UsageError
from patchrun.core.results import Attempt, Ruling, Run, StopRecord, Study

if TYPE_CHECKING:
    from patchrun.core.track import Ladder, Track

T = TypeVar("T", Attempt, Study, Run, Ruling, StopRecord)
MAIN = "refs/heads/main"
MANIFESTS = ("arena.json", "track.toml", "records.toml")
ATTEMPTS = "refs/patchrun/attempts/"
SUBMISSIONS = "refs/patchrun/submissions/"
STUDIES = "refs/patchrun/studies/"
RUNS = "refs/patchrun/runs/"
EXTRA = "refs/patchrun/extra/"
STOPS = "refs/patchrun/stops/"
VERDICTS = "refs/patchrun/verdicts/"
NOT_AN_ARENA = "make one with `patchrun init DIR`, or name one with -C DIR or PATCHRUN_ARENA"


class Arena:
    """An open arena. Reading methods see what other processes have added since."""

    def __init__(self, repo: GitRepo) -> None:
        self.repo = repo

    @classmethod
    def open(cls, path: Path) -> Arena:
        """The arena at ``path`` (its folder or its git directory); ArenaError when it is not one."""
        for candidate in (Path(path) / ".git", Path(path)):
            if (candidate / "HEAD").is_file() and (candidate / "objects").is_dir():
                arena = cls(GitRepo(candidate))
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

    @contextmanager
    def lock(self, name: str, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold the lock ``name`` against other processes of this machine; it ends with its process."""
        folder = self.folder / "locks"
        folder.mkdir(exist_ok=True)
        with (folder / name).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for one run's files, gone afterwards."""
        folder = self.folder / "scratch"
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as name:
            yield Path(name)

    def track_folder(self) -> Path:
        """The files of ``refs/heads/main`` as a folder, for data that a track carries itself."""
        commit = self.repo.resolve(MAIN)
        target = self.folder / "track" / commit
        if not target.is_dir():
            with self.scratch() as building:
                self.repo.export(commit, building / "track")
                target.parent.mkdir(exist_ok=True)
                with suppress(FileExistsError, OSError):
                    (building / "track").rename(target)
        return target

    @cached_property
    def track(self) -> Track:
        from patchrun.core.track import load_track

        return load_track(self._manifest("track.toml"), f"{self.repo.path}: track.toml")

    @cached_property
    def ladder(self) -> Ladder:
        from patchrun.core.track import load_ladder

        return load_ladder(self._manifest("records.toml"), f"{self.repo.path}: records.toml")

    @cached_property
    def identity(self) -> str:
        """The hash by which the owner's secret key was committed to on the first day."""
        return json.loads(self._manifest("arena.json"))["key_commitment"]

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

    def attempts(self) -> list[Attempt]:
        """Every attempt, oldest first."""
        found = self._read_all(ATTEMPTS, "attempt.json", Attempt)
        return sorted(found, key=lambda attempt: (attempt.created, attempt.id))

    def attempt(self, short: str) -> Attempt:
        """The one attempt whose id begins with ``short``; UsageError when none or several do."""
        refs = self.repo.refs(ATTEMPTS)
        ids = [name.removeprefix(ATTEMPTS) for name in refs]
        matches = [name for name in ids if name.startswith(short)] if len(short) >= 4 else []
        if len(matches) != 1:
            problem = "is ambiguous" if matches else "names no submission here"
            raise UsageError(
                f"{short!r} {problem}", "`patchrun status` lists the ids; give at least 4 characters"
            )
        data = self.repo.read(f"{ATTEMPTS}{matches[0]}:attempt.json")
        return results.decode(data, Attempt, matches[0])

    def diff(self, attempt_id: str) -> bytes:
        """The diff of an attempt as handed in, byte for byte."""
        return self.repo.read(f"{ATTEMPTS}{attempt_id}:patch.diff")

    def submission(self, attempt_id: str) -> str:
        """The commit of a submission; ArenaError when the attempt was rejected."""
        return self.repo.resolve(f"{SUBMISSIONS}{attempt_id}")

    def add_attempt(self, attempt: Attempt, diff: bytes, submission: str | None) -> bool:
        """Store an attempt and, if it was accepted, its submission, in one transaction; False if known."""
        tree = self.repo.store_files({"attempt.json": results.encode(attempt), "patch.diff": diff})
        words = f"attempt {attempt.id}: {attempt.agent} on record {attempt.record}\n"
        refs = {ATTEMPTS + attempt.id: self.repo.commit(tree, [], words, PATCHRUN, attempt.created)}
        if submission:
            refs[SUBMISSIONS + attempt.id] = submission
        try:
            self.repo.create_refs(refs)
        except RefExists:
            return False
        return True

    def studies(self) -> list[Study]:
        """Every study, oldest first."""
        return sorted(
            self._read_all(STUDIES, "study.json", Study), key=lambda study: (study.created, study.id)
        )

    def add_study(self, study: Study) -> None:
        """Store a study's plan; a study that is known already stays as it was."""
        tree = self.repo.store_files({"study.json": results.encode(study)})
        commit = self.repo.commit(
            tree, [], f"study {study.id}: record {study.record}\n", PATCHRUN, study.created
        )
        try:
            self.repo.create_refs({STUDIES + study.id: commit})
        except RefExists:
            return

    def runs(self) -> list[Run]:
        """Every run that counts."""
        return self._read_all(RUNS, "run.json", Run)

    def extra_runs(self) -> list[Run]:
        """Runs of slots that were taken already: shown, never counted."""
        return self._read_all(EXTRA, "run.json", Run)

    def slots(self, study: str) -> set[str]:
        """The ``<arm>/<study>-<slot>`` names of a study's stored runs."""
        names = (name.removeprefix(RUNS) for name in self.repo.refs(RUNS))
        return {name for name in names if name.split("/")[1].startswith(f"{study}-")}

    def add_run(self, run: Run, log: bytes) -> bool:
        """Store a run in its slot; False when the slot was taken and it went to ``extra``."""
        packed = gzip.compress(log, mtime=0)
        data = results.encode(run)
        tree = self.repo.store_files({"run.json": data, "log.gz": packed})
        name = run_name(run)
        words = f"run {name}: {run.exit}\n"
        commit = self.repo.commit(tree, [], words, PATCHRUN, run.started)
        try:
            self.repo.create_refs({RUNS + name: commit})
        except RefExists:
            self.repo.create_refs({f"{EXTRA}{name}-{hashlib.sha256(data).hexdigest()[:8]}": commit})
            return False
        return True

    def log(self, run: Run) -> bytes:
        """The raw output of a run."""
        return gzip.decompress(self.repo.read(f"{RUNS}{run_name(run)}:log.gz"))

    def diffs(self, attempt_ids: Iterable[str]) -> list[bytes]:
        """The diffs of several attempts; empty where one is absent."""
        return [
            data or b""
            for data in self.repo.read_many(f"{ATTEMPTS}{name}:patch.diff" for name in attempt_ids)
        ]

    def logs(self, runs: Iterable[Run]) -> list[bytes | None]:
        """The raw outputs of several runs; None where there is none under the run's name, or it is damaged."""
        packed = self.repo.read_many(f"{RUNS}{run_name(run)}:log.gz" for run in runs)
        return [None if data is None else _unpack(data) for data in packed]

    def rulings(self) -> list[Ruling]:
        """Withdrawals and disqualifications, oldest first."""
        return sorted(self._read_all(VERDICTS, "ruling.json", Ruling), key=lambda ruling: ruling.created)

    def add_ruling(self, ruling: Ruling) -> None:
        """Store what a person said of a submission."""
        data = results.encode(ruling)
        tree = self.repo.store_files({"ruling.json": data})
        words = f"{ruling.ruling} {ruling.submission}: {ruling.reason}\n"
        commit = self.repo.commit(tree, [], words, PATCHRUN, ruling.created)
        self.repo.create_refs(
            {f"{VERDICTS}{ruling.submission}/{hashlib.sha256(data).hexdigest()[:12]}": commit}
        )

    def stops(self) -> list[StopRecord]:
        """The arms that racing ended."""
        return self._read_all(STOPS, "stop.json", StopRecord)

    def add_stop(self, stop: StopRecord) -> None:
        """Store that an arm runs no more; the first to say so is kept."""
        tree = self.repo.store_files({"stop.json": results.encode(stop)})
        words = f"stop {stop.arm} of study {stop.study}: {stop.reason}\n"
        commit = self.repo.commit(tree, [], words, PATCHRUN, stop.created)
        with suppress(RefExists):
            self.repo.create_refs({STOPS + stop_name(stop): commit})

    def _read_all(self, prefix: str, file: str, kind: type[T]) -> list[T]:
        refs = self.repo.refs(prefix)
        blobs = self.repo.read_many(f"{commit}:{file}" for commit in refs.values())
        return [self._decode(name, data, kind) for name, data in zip(refs, blobs, strict=True)]

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


def run_name(run: Run) -> str:
    """``<arm>/<study>-<slot>``: two different runs never share it, two runs of one slot do."""
    return f"{run.arm}/{run.study}-{run.slot.name}"


def stop_name(stop: StopRecord) -> str:
    """``<study>/<arm>``: an arm ends once."""
    return f"{stop.study}/{stop.arm}"


def data_home() -> Path:
    """Where the owner's keys lie, outside every arena (``XDG_DATA_HOME``)."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "patchrun"


def cache_home() -> Path:
    """Where corpora and exported tracks are cached (``PATCHRUN_CACHE``, ``XDG_CACHE_HOME``)."""
    if chosen := os.environ.get("PATCHRUN_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "patchrun"


def group_by_study(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Study id -> its runs in slot order."""
    grouped: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.slot):
        grouped.setdefault(run.study, []).append(run)
    return grouped
