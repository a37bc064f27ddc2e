"""Exchange results with another arena: verify what comes, create what is new, overwrite nothing.

Where both sides hold a name with different contents each keeps its own and takes the other's too, below ``also``:
what counts is then chosen from the contents (``core.versions``), so both sides show one leaderboard.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from patchrun.adapters import durable
from patchrun.adapters.durable import INCOMING
from patchrun.adapters.gitrepo import UNSYNCED, RefExists
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
BASES = (("attempts", "submissions"), ("finals",), ("studies",))  # what other kinds rest on, in this order
SAME = (ATTEMPTS, STUDIES)  # two of one id have one content and differ in when they were made
TRIES = 8  # rounds, when others write at the same time
BATCH = 1000  # refs a push: each push has the other side list all it has
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
        theirs = _fetch(arena, remote, name)
        try:
            received |= set(_receive(arena, theirs))
        except RefExists:  # another process here was first
            continue
        except verify.Unsound as error:  # or half of what somebody is sending there at this moment
            if str(error) == unsound:
                raise
            unsound = str(error)
            continue
        ours = _own(arena)
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


def _own(arena: Arena) -> dict[str, str]:
    return arena.repo.refs(*(RESULTS + kind for kind in KINDS))


def _receive(arena: Arena, theirs: Mapping[str, str]) -> list[str]:
    """Create what is new here, all or nothing; RefExists when another process was first."""
    ours = _own(arena)
    fresh = _lacking(theirs, ours)
    verify.check_refs(arena, fresh, known={**ours, **fresh})
    if fresh:
        arena.repo.create_refs(fresh)
    return list(fresh)


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


def _fetch(arena: Arena, remote: str, name: str) -> dict[str, str]:
    """Bring the remote's results to the waiting room of ``remote``; ref name (as it would be here) -> object id."""
    room = f"{INCOMING}{name}/"
    specs = [f"+{RESULTS}{kind}/*:{room}{kind}/*" for kind in KINDS]
    words = ("fetch", "--quiet", "--no-tags", "--prune", "--no-write-fetch-head", "--refmap=", remote)
    with arena.lock(f"sync-{name}"), durable.announce(arena.repo.path, {}) as owner:
        fetch = (*UNSYNCED, "-c", "fetch.fsckObjects=true", *words, f"+{MAIN}:{room}main", *specs)
        arena.repo.git(*fetch, pass_fds=(owner,))
        found = arena.repo.refs(room)
    if found.pop(f"{room}main") != arena.repo.resolve(MAIN):
        raise ArenaError(f"{remote} holds another tournament: its track or key differs",
                         "sync works between copies of one arena")  # fmt: skip
    return {RESULTS + ref.removeprefix(room): oid for ref, oid in found.items()}


def _send(arena: Arena, remote: str, refs: Mapping[str, str]) -> set[str]:
    """Push refs, each only if it is absent there; those that were refused since others wrote meanwhile."""
    ordered = sorted(refs.items(), key=lambda pair: _arrival(pair[0]))
    return {ref for batch in batched(ordered, BATCH) for ref in _push(arena, remote, dict(batch))}


def _arrival(ref: str) -> tuple[int, str, str]:
    """Where a ref comes in a push, which creates them one by one: after what it rests on, pairs together."""
    kind, _, name = ref.removeprefix(RESULTS).partition("/")
    rank = next((rank for rank, kinds in enumerate(BASES) if kind in kinds), len(BASES))
    return rank, name, kind


def _push(arena: Arena, remote: str, refs: Mapping[str, str]) -> set[str]:
    leases = [f"--force-with-lease={ref}:" for ref in refs]
    specs = [f"{oid}:{ref}" for ref, oid in refs.items()]
    done = arena.repo.git("push", "--quiet", "--porcelain", *leases, remote, *specs, check=False)
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
