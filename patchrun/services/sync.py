"""Exchange results with another arena: verify what comes, create what is new, overwrite nothing.

Where both sides hold a name with different contents each keeps its own and takes the other's too, below ``also``:
what counts is then chosen from the contents (``core.versions``), so both sides show one leaderboard.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from patchrun.adapters import durable
from patchrun.adapters.durable import INCOMING
from patchrun.adapters.gitrefs import UNSYNCED, RefExists
from patchrun.adapters.pushing import push_new
from patchrun.adapters.store import ALSO, ATTEMPTS, MAIN, RESULTS, STUDIES, Arena, own_name
from patchrun.core.chunks import batched
from patchrun.core.errors import ArenaError
from patchrun.services import verify

KINDS = (
    "attempts",
    "submissions",
    "studies",
    "runs",
    "extra",
    "stops",
    "verdicts",
    "transcripts",
    "labels",
    "ablations",
    "ingest",
    "jobs",
    "finals",
    "reveals",
    "also",
)
SAME = (ATTEMPTS, STUDIES)  # two of one id have one content and differ in when they were made
TRIES = 8  # rounds, when others write at the same time
BATCH = 10_000  # refs a push: each push has the other side list all it has
WAIT_SECONDS = 0.2
BUSY = (
    "cannot lock ref",
    "failed to lock",
    "Unable to create",
    "failed to update ref",
    "atomic transaction failed",
)


@dataclass(frozen=True)
class Exchange:
    """What a sync did: refs created here and there, and names that both sides hold with different content."""

    received: tuple[str, ...]
    sent: tuple[str, ...]
    conflicts: tuple[str, ...]


def sync(arena: Arena, remote: str, *, send: bool = True) -> Exchange:
    """Fetch results from ``remote``, keep what is new and sound, then offer ours; again while others write.

    Raises:
        ArenaError: the remote cannot be reached (git's words), is another tournament, holds a result that does
            not verify (nothing is created then), does not take results, or others kept writing all the while.
    """
    name = re.sub(r"[^A-Za-z0-9-]+", "-", remote).strip("-") or "remote"
    received: set[str] = set()
    sent: set[str] = set()
    conflicts: set[str] = set()
    unsound = ""
    for attempt in range(TRIES):
        time.sleep(WAIT_SECONDS * attempt)
        theirs = _list(arena, remote)
        ours = arena.repo.refs(*(RESULTS + kind for kind in KINDS))
        fresh = _lacking(theirs, ours)
        ours |= fresh
        try:
            _receive(arena, remote, name, fresh, ours)
        except RefExists:  # another process here was first
            continue
        except verify.Unsound as error:  # or half of what somebody is sending there at this moment
            if str(error) == unsound:
                raise
            unsound = str(error)
            continue
        received |= fresh.keys()
        conflicts |= {
            ref for ref, oid in theirs.items() if ours.get(ref, oid) != oid and not ref.startswith(SAME)
        }
        offered = _lacking(ours, theirs) if send else {}
        refused = _send(arena, remote, offered)
        sent |= offered.keys() - refused
        if not refused:
            return Exchange(*(tuple(sorted(names)) for names in (received, sent, conflicts)))
    raise ArenaError(
        f"{remote}: others kept writing during {TRIES} rounds", "what was exchanged is kept; sync again"
    )


def _list(arena: Arena, remote: str) -> dict[str, str]:
    """Every result of the remote: ref name -> object id. Nothing is fetched for that.

    Raises:
        ArenaError: the remote cannot be reached, or its track or key is another one.
    """
    lines = arena.repo.git("ls-remote", "--quiet", "--refs", remote).stdout.decode().splitlines()
    found = {name: oid for oid, _, name in (line.partition("\t") for line in lines)}
    if found.get(MAIN) != arena.repo.resolve(MAIN):
        raise ArenaError(f"{remote} holds another tournament: its track or key differs",
                         "sync works between copies of one arena")  # fmt: skip
    kinds = tuple(f"{RESULTS}{kind}/" for kind in KINDS)
    return {name: oid for name, oid in found.items() if name.startswith(kinds)}


def _receive(
    arena: Arena, remote: str, name: str, fresh: Mapping[str, str], known: Mapping[str, str]
) -> None:
    """Fetch, check and create what is new here, all or nothing; RefExists when another process was first."""
    if fresh:
        with arena.lock(f"sync-{name}"), _fetched(arena, remote, f"{INCOMING}{name}/", fresh):
            verify.check_refs(arena, fresh, known)
            arena.repo.create_refs(fresh)


def _lacking(giving: Mapping[str, str], taking: Mapping[str, str]) -> dict[str, str]:
    """What ``taking`` lacks: names, and below ``also`` the contents of names that it has with others."""
    versions = {
        f"{ALSO}{ref.removeprefix(RESULTS)}/{oid[:12]}": oid
        for ref, oid in giving.items()
        if taking.get(ref, oid) != oid and not ref.startswith(ALSO)
    }
    return {
        ref: oid for ref, oid in {**giving, **versions}.items()
        if ref not in taking and taking.get(own_name(ref)) != oid
    }  # fmt: skip


@contextmanager
def _fetched(arena: Arena, remote: str, room: str, refs: Mapping[str, str]) -> Iterator[None]:
    """The objects of ``refs`` are here, kept by refs of the waiting room ``room``, which is then emptied."""
    _empty(arena, room)  # of one that was interrupted
    specs = "".join(f"+{oid}:{room}{ref.removeprefix(RESULTS)}\n" for ref, oid in refs.items())
    words = (
        "--quiet",
        "--no-tags",
        "--no-write-fetch-head",
        "--refmap=",
        "--negotiation-tip=refs/heads/*",
        "--stdin",
    )
    fetch = (*UNSYNCED, "-c", "fetch.fsckObjects=true", "fetch", *words, remote)
    with durable.announce(arena.repo.path, {}) as owner:
        arena.repo.git(*fetch, input=specs.encode(), pass_fds=(owner,))
    try:
        yield
    finally:
        _empty(arena, room)


def _empty(arena: Arena, room: str) -> None:
    if left := arena.repo.refs(room):
        script = "".join(f"delete {ref}\0\0" for ref in left)
        arena.repo.git("update-ref", "-z", "--stdin", input=script.encode())


def _send(arena: Arena, remote: str, refs: Mapping[str, str]) -> set[str]:
    """Push refs, each only if it is absent there; those that were refused since others wrote meanwhile."""
    return {ref for batch in batched(refs.items(), BATCH) for ref in _push(arena, remote, dict(batch))}


def _push(arena: Arena, remote: str, refs: Mapping[str, str]) -> set[str]:
    with arena.scratch() as folder:
        done = push_new(arena.repo, folder, remote, refs, RESULTS)
    if done.ok:
        return set()
    refused: set[str] = set()
    for line in done.stdout.decode().splitlines():
        flag, _, rest = line.partition("\t")
        if flag == "!":
            names, _, why = rest.partition("\t")
            if "stale info" not in why and not any(word in why + done.errors for word in BUSY):
                raise ArenaError(f"{remote} does not take results: {why.strip()}\n{done.errors}".strip())
            refused.add(names.partition(":")[2])
    if not refused:
        raise ArenaError(f"{remote} does not take results: {done.errors}")
    return refused
