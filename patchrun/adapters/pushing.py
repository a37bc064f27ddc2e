"""Creating refs in another repository, at a cost that does not grow with what this one holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from patchrun.adapters import process
from patchrun.adapters.gitrepo import GitRepo

OFFERED = "refs/offered/"


def push_new(
    repo: GitRepo, place: Path, remote: str, refs: Mapping[str, str], prefix: str, *, atomic: bool = False
) -> process.Completed:
    """Create ``refs`` (name below ``prefix`` -> object id) at ``remote``, each only if it is absent there.

    ``atomic``: all of them or none.

    git looks for every ref that it is told to push among all refs of both sides, and for every lease too: seconds at
    ten thousand refs. So it pushes from a repository of its own in the empty folder ``place``, which holds these refs
    and borrows their objects, by one pattern and one lease: where no tracking ref says otherwise, absence is expected.
    The configuration is that of ``repo``. What git says of each ref is on standard output (``--porcelain``).
    """
    long = any(len(oid) == 64 for oid in refs.values())
    here = GitRepo.init(place / "push.git", "sha256" if long else "sha1")
    borrowed = here.path / "objects" / "info" / "alternates"
    borrowed.parent.mkdir(exist_ok=True)
    borrowed.write_text(f"{repo.path / 'objects'}\n")
    here.create_refs({OFFERED + name.removeprefix(prefix): oid for name, oid in refs.items()})
    words = ("--quiet", "--porcelain", "--force-with-lease", *(["--atomic"] if atomic else []))
    pushed = (remote, f"{OFFERED}*:{prefix}*")
    return here.git(
        "push", *words, *pushed, env={"GIT_CONFIG_GLOBAL": str(repo.path / "config")}, check=False
    )
