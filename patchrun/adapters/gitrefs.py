"""The refs of a repository: created in one transaction that lasts, and completed where its owner died in the middle."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from patchrun.adapters import durable
from patchrun.adapters.process import Completed
from patchrun.core.errors import ArenaError

ARGUMENTS = 1000  # names on one command line, which holds two million bytes
LOCK_TRIES = 40
LOCK_WAIT_SECONDS = 0.05
UNSYNCED = ("-c", "core.fsync=-loose-object,-reference,pack,pack-metadata")  # `announce` syncs around them


class RefExists(ArenaError):
    """A ref of the transaction exists already; nothing was created."""


class Refs:
    """The part of a repository that reads and creates refs."""

    path: Path
    watch: durable.Watch
    git: Callable[..., Completed]

    def refs(self, *prefixes: str) -> dict[str, str]:
        """Ref name -> object id below the prefixes, or that globs match (all refs where nothing is named)."""
        found: dict[str, str] = {}
        for at in range(0, len(prefixes) or 1, ARGUMENTS):
            some = prefixes[at : at + ARGUMENTS]
            listing = self.git("for-each-ref", "--format=%(objectname) %(refname)", *some).stdout.decode()
            pairs = (line.split(" ", 1) for line in listing.splitlines())
            found |= {name: oid for oid, name in pairs}
        return found

    def sizes_of(self, specs: Iterable[str]) -> list[int | None]:
        """The size in bytes of each object, None where it is absent, by one process that reads none of them."""
        asked = "".join(f"{spec}\n" for spec in specs).encode("utf-8", "surrogateescape")
        answer = (
            self.git("cat-file", "--batch-check=%(objectsize)", input=asked).stdout.splitlines()
            if asked
            else []
        )
        return [int(line) if line.isdigit() else None for line in answer]

    def find_born(self, commits: Iterable[str]) -> set[str]:
        """Those of the commits that have parents; what cannot be read is left out."""
        asked = "".join(f"{commit}\n" for commit in commits).encode()
        words = ("rev-list", "--no-walk=unsorted", "--parents", "--ignore-missing", "--stdin")
        lines = self.git(*words, input=asked, check=False).stdout.decode().splitlines() if asked else []
        return {line.split(" ", 1)[0] for line in lines if " " in line}

    def create_refs(self, refs: Mapping[str, str]) -> None:
        """Create all refs in one transaction, or none; what they name is on disk before, they when this returns.

        Raises:
            RefExists: one of them exists already (also when another process was first).
            ArenaError: a lock stays taken, or git refuses, in git's words.
        """
        with durable.announce(self.path, refs) as owner:
            self._transact(refs, owner)
        self.watch.settle()

    def finish(self) -> list[str]:
        """Complete the transactions that died after their first ref was created; the refs that were lacking."""
        made: list[str] = []
        for refs in durable.find_unfinished(self.path):
            there = self.refs() if refs else {}
            lacking = {name: oid for name, oid in refs.items() if name not in there}
            begun = len(lacking) < len(refs) and all(
                there.get(name, oid) == oid for name, oid in refs.items()
            )
            if begun and lacking:
                self._transact(lacking)
                made += lacking
        return made

    def _transact(self, refs: Mapping[str, str], *inherited: int) -> None:
        lines = "".join(f"create {name}\0{oid}\0" for name, oid in refs.items())
        script = f"start\0{lines}prepare\0commit\0".encode()
        words = (*UNSYNCED, "update-ref", "-z", "--stdin")
        for attempt in range(LOCK_TRIES):
            done = self.git(*words, input=script, check=False, pass_fds=inherited)
            if done.ok:
                return
            if "reference already exists" in done.errors:
                raise RefExists(done.errors)
            if ".lock': File exists" not in done.errors:
                raise ArenaError(f"cannot write refs in {self.path}: {done.errors}")
            time.sleep(LOCK_WAIT_SECONDS * (1 + attempt % 5))
        raise ArenaError(
            f"a lock in {self.path} stays taken: {done.errors.splitlines()[0]}",
            "patchrun doctor finds stale locks",
        )
