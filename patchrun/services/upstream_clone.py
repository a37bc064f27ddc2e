"""A clone of the upstream repository: found or fetched, recognised, and read in one batch."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from patchrun.adapters import process
from patchrun.adapters.gitrepo import GitRepo, clean_environment
from patchrun.core.errors import ArenaError, PatchrunError, SetupError, UsageError
from patchrun.core.ladder import Ladder, Upstream

CLONE_SECONDS = 1800
UNSHALLOW = "get the rest with `git fetch --unshallow` there"


@contextmanager
def open_clone(ladder: Ladder, upstream: str) -> Iterator[GitRepo]:
    """The clone at a path, or a bare one made for the moment from an address.

    Raises:
        UsageError: nothing is there, it is no git repository, or not one of the ladder's.
        SetupError: it cannot be fetched, or is shallow or too old.
    """
    facts = ladder.upstream
    if facts is None:
        raise UsageError("this track has no upstream repository", "leave --upstream out")
    with tempfile.TemporaryDirectory(prefix="patchrun-upstream-") as scratch:
        is_address = "://" in upstream or (
            re.match(r"[\w.@-]+:(?!$)", upstream) and not Path(upstream).exists()
        )
        folder = _fetch(upstream, Path(scratch, "clone.git")) if is_address else _git_folder(Path(upstream))
        clone = GitRepo(folder)
        _recognise(clone, facts, upstream)
        yield clone


def _fetch(address: str, target: Path) -> Path:
    argv = ["git", "clone", "--quiet", "--bare", "--template=", "--", address, str(target)]
    done = process.run(argv, env=clean_environment(), timeout=CLONE_SECONDS)
    if not done.ok:
        said = done.errors.splitlines() or ["git clone failed"]
        raise SetupError(
            f"cannot fetch {address}: {said[-1]}",
            "check the address and the network, or clone it elsewhere and give the path: --upstream PATH",
        )
    return target


def _git_folder(path: Path) -> Path:
    """The git directory of a clone, bare or not, or of a linked work tree."""
    if not path.is_dir():
        raise UsageError(f"--upstream {path}: no such folder", "give the path of a clone, or an address")
    marker = path / ".git"
    if marker.is_file():
        named = marker.read_text(encoding="utf-8", errors="replace").removeprefix("gitdir:").strip()
        marker = Path(path, named)
    for folder in (marker, path):
        if (folder / "HEAD").is_file() and (
            (folder / "objects").is_dir() or (folder / "commondir").is_file()
        ):
            return folder
    raise UsageError(f"--upstream {path}: not a git repository", "give the path of a clone, or an address")


def _recognise(clone: GitRepo, facts: Upstream, upstream: str) -> None:
    root, commit = (read_some(clone, [oid])[0] is not None for oid in (facts.root, facts.commit))
    if root and commit:
        return
    if is_shallow(clone):
        raise SetupError(f"{upstream} is a shallow clone: it lacks the older commits", UNSHALLOW)
    if root:
        raise SetupError(
            f"{upstream} is older than the manifest: it lacks commit {facts.commit}", "git fetch there"
        )
    raise UsageError(
        f"{upstream} is not a clone of {facts.name}: it lacks its first commit {facts.root}",
        f"clone {facts.name} and give its path",
    )


def is_shallow(clone: GitRepo) -> bool:
    """The clone was cut at some depth."""
    return clone.git("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"


def read_all(clone: GitRepo, wanted: Mapping[str, str]) -> dict[str, bytes]:
    """The blob of each ``commit:path`` in ``wanted``, by one ``cat-file --batch``.

    ``wanted`` says what each is for; SetupError names that and the path of whatever the clone lacks.
    """
    specs = list(wanted)
    blobs = read_some(clone, specs)
    missing = [
        f"{wanted[spec]}: {_say(spec)}" for spec, data in zip(specs, blobs, strict=True) if data is None
    ]
    if missing:
        more = f"\nand {len(missing) - 5} more" if len(missing) > 5 else ""
        hint = (
            UNSHALLOW
            if is_shallow(clone)
            else "it is a partial copy, or damaged: clone the repository in full"
        )
        raise SetupError("the clone lacks\n" + "\n".join(missing[:5]) + more, hint)
    return {spec: data for spec, data in zip(specs, blobs, strict=True) if data is not None}


def _say(spec: str) -> str:
    commit, path = spec.split(":", 1)
    return f"{path} at commit {commit[:12]}"


def read_some(clone: GitRepo, specs: Sequence[str]) -> list[bytes | None]:
    """The bytes of each object; None where absent, or promised to a partial clone and not given by its remote."""
    try:
        return clone.read_many(specs)
    except ArenaError:
        return [_read_one(clone, spec) for spec in specs]


def _read_one(clone: GitRepo, spec: str) -> bytes | None:
    try:
        return clone.read_many([spec])[0]
    except PatchrunError:
        return None
