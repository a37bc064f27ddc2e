"""Make an arena: a track's folder, or its upstream repository, becomes baselines and human patches."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from patchrun.adapters import durable, hooks
from patchrun.adapters.gitrepo import PATCHRUN, Author, GitRepo
from patchrun.adapters.keys import create_key
from patchrun.adapters.store import MAIN, Arena
from patchrun.core.errors import ManifestError, UsageError
from patchrun.core.labels import NO_LABELS, LabelBook, load_labels
from patchrun.core.track import Ladder, Record, Track, load_ladder, load_track

LABELS = "labels.toml"
SHIPPED = ("pocket", "nanogpt")


@dataclass(frozen=True)
class TrackFolder:
    """A track as a folder: its manifest and ladder, read and checked."""

    folder: Path
    track: Track
    ladder: Ladder


@dataclass(frozen=True)
class Imported:
    """What `init` made: where, and how many baselines and human patches; ``absent``: record -> reason."""

    path: Path
    track: str
    baselines: int
    humans: int
    absent: dict[int, str]


def find_track(name_or_path: str) -> Path:
    """The folder of a shipped track, or the one named; UsageError when there is none."""
    if name_or_path in SHIPPED:
        homes = (Path(__file__).parents[2] / "baselines", Path(sys.prefix) / "share/patchrun/baselines")
        candidates = [home / name_or_path for home in homes]
    else:
        candidates = [Path(name_or_path)]
    for folder in candidates:
        if (folder / "track.toml").is_file():
            return folder.resolve()
    raise UsageError(
        f"no track at {name_or_path}: {candidates[0] / 'track.toml'} is not there",
        f"name one of {', '.join(SHIPPED)}, or a folder with track.toml and records.toml",
    )


def read_track(folder: Path) -> TrackFolder:
    """Read and check ``track.toml`` and ``records.toml`` of a folder."""
    texts = {}
    for name in ("track.toml", "records.toml"):
        try:
            texts[name] = (folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ManifestError(f"{folder / name}: cannot be read: {error}") from None
    track = load_track(texts["track.toml"], str(folder / "track.toml"))
    return TrackFolder(folder, track, load_ladder(texts["records.toml"], str(folder / "records.toml")))


def read_labels(source: TrackFolder) -> LabelBook:
    """The labels of a track's folder, none where it has no ``labels.toml``; ManifestError where that is broken."""
    path = source.folder / LABELS
    if not path.exists():
        return NO_LABELS
    try:
        return load_labels(path.read_text(encoding="utf-8"), source.ladder, str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read: {error}") from None


def init(target: Path, track: str = "pocket", upstream: str | None = None, shared: bool = False) -> Imported:
    """Make an arena at ``target``; all of it or nothing. A ``shared`` one takes pushes that only create.

    Raises:
        UsageError: the target exists and is not empty, or the track needs ``upstream``.
        ManifestError: the track's files break their schema, or a patch of the series does not apply.
    """
    source = read_track(find_track(track))
    read_labels(source)
    with _fresh(target) as folder:
        repo = GitRepo.init(folder / ".git")
        code = _import_code(repo, source, upstream)
        repo.create_refs({MAIN: _main_commit(repo, source)} | code)
        repo.git("symbolic-ref", "HEAD", MAIN)
        if shared:
            hooks.guard(repo)
        Arena(repo).folder  # noqa: B018 - makes the arena's own folder
        repo.watch.end()  # before the folder gets another name
    return _report(target, source, code)


@contextmanager
def _fresh(target: Path) -> Iterator[Path]:
    """A folder beside ``target`` that takes its name when all went well.

    An empty folder that is there stays, since it may be somebody's working directory: what was made moves into it.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} exists and is not empty", "name a new folder")
    target = target.absolute()
    building = (target if target.exists() else target.parent) / f".patchrun-{os.getpid()}-{target.name}"
    try:
        building.mkdir(parents=True)
    except OSError as error:
        raise UsageError(
            f"cannot make {target}: {error.strerror}", "name a folder that you may write"
        ) from None
    try:
        yield building
        durable.sync_disk(building)
        if target.exists():
            (building / ".git").rename(target / ".git")
        else:
            building.rename(target)
        durable.sync_disk(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _import_code(repo: GitRepo, source: TrackFolder, upstream: str | None) -> dict[str, str]:
    if not source.ladder.upstream:
        return import_series(repo, source.folder, source.ladder)
    if not upstream:
        raise UsageError(
            f"track {source.track.name} takes its code from a clone of {source.ladder.upstream}",
            "say where it is: --upstream PATH_OR_URL",
        )
    from patchrun.services.upstream import import_upstream

    return import_upstream(repo, source.ladder, upstream).refs


def import_series(repo: GitRepo, folder: Path, ladder: Ladder) -> dict[str, str]:
    """Store a base folder and its series of patches; the refs to create.

    Raises:
        ManifestError: a patch is missing or does not apply (git's words), or a record inside the ladder has none.
    """
    base = folder / ladder.base.folder
    files = {path.relative_to(base).as_posix(): path.read_bytes() for path in _plain_files(base)}
    if not files:
        raise ManifestError(
            f"{base}: the base has no files", "it holds the script that the first record improves"
        )
    tree = repo.store_files(files)
    refs: dict[str, str] = {}
    for record in ladder.record:
        when = f"{record.date}T00:00:00+00:00"
        words = f"baseline {record.number}: the code before record {record.number}\n"
        baseline = repo.commit(tree, [], words, PATCHRUN, when)
        refs[f"refs/heads/baseline/{record.number}"] = baseline
        if not record.patch:
            _require_last(ladder, record)
            break
        tree = _apply_record(repo, folder, record, tree)
        words = f"record {record.number}: {record.summary}\n"
        author = Author(record.by, "patchrun@patchrun.invalid")
        refs[f"refs/patchrun/human/{record.number}"] = repo.commit(tree, [baseline], words, author, when)
    return refs


def _plain_files(folder: Path) -> list[Path]:
    skipped = {"__pycache__", ".git"}
    return sorted(
        path for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and not skipped & set(path.relative_to(folder).parts)
    )  # fmt: skip


def _require_last(ladder: Ladder, record: Record) -> None:
    if record.number != len(ladder.record):
        raise ManifestError(
            f"records.toml: record.{record.number - 1}.patch: missing, and record {record.number + 1} builds on it",
            "only the last record may be without a patch",
        )


def _apply_record(repo: GitRepo, folder: Path, record: Record, tree: str) -> str:
    path = folder / record.patch
    try:
        diff = path.read_bytes()
    except OSError as error:
        raise ManifestError(f"record {record.number}: {path}: {error.strerror}") from None
    applied = repo.apply(tree, diff)
    if applied.tree is None:
        raise ManifestError(
            f"record {record.number}: {path} does not apply: {applied.refusal}",
            "make it against the code before",
        )
    return applied.tree


def _main_commit(repo: GitRepo, source: TrackFolder) -> str:
    """The commit of ``refs/heads/main``: the track, a page for those who clone, and the key's commitment."""
    identity = {"version": 1, "key_commitment": create_key()}
    names = ["track.toml", "records.toml"]
    names += [LABELS] if (source.folder / LABELS).exists() else []
    if source.track.data.source == "folder":
        data = source.folder / source.track.data.folder
        names += [path.relative_to(source.folder).as_posix() for path in _plain_files(data)]
    files = {name: (source.folder / name).read_bytes() for name in names}
    files["arena.json"] = json.dumps(identity, indent=1, sort_keys=True).encode() + b"\n"
    files["README.md"] = _readme(source).encode()
    when = f"{source.ladder.record[-1].date}T00:00:00+00:00"
    return repo.commit(repo.store_files(files), [], f"track {source.track.name}\n", PATCHRUN, when)


def _readme(source: TrackFolder) -> str:
    return (
        f"# {source.track.title}\n\n{source.track.about}\n\n"
        f"This repository is a patchrun arena: the tournament on track `{source.track.name}`, "
        f"{len(source.ladder.record)} records. `track.toml` states the rules, `records.toml` the ladder; "
        "`baseline/N` is the code before record N. Results lie in `refs/patchrun/*`, which a plain clone does "
        "not fetch: use `git clone --mirror`, and `patchrun -C CLONE leaderboard` to read them.\n"
    )


def _report(target: Path, source: TrackFolder, code: dict[str, str]) -> Imported:
    humans = sum(name.startswith("refs/patchrun/human/") for name in code)
    absent = {}
    for record in source.ladder.record:
        if f"refs/heads/baseline/{record.number}" not in code:
            absent[record.number] = record.baseline.reason if record.baseline else "no code"
    return Imported(target, source.track.name, len(code) - humans, humans, absent)
