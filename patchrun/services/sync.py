"""Exchange results with another arena: verify what comes, create what is new, overwrite nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from patchrun.adapters.store import ATTEMPTS, MAIN, Arena
from patchrun.core.errors import ArenaError
from patchrun.services import verify

RESULTS = "refs/patchrun/"
INCOMING = "refs/patchrun-incoming/"
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
    "ingest",
    "jobs",
)


@dataclass(frozen=True)
class Exchange:
    """What a sync did: refs created here and there, and names that both sides hold with different content."""

    received: tuple[str, ...]
    sent: tuple[str, ...]
    conflicts: tuple[str, ...]


def sync(arena: Arena, remote: str, *, send: bool = True) -> Exchange:
    """Fetch results from ``remote``, keep what is new and sound, then offer ours.

    Raises:
        ArenaError: the remote cannot be reached (git's words), is another tournament, or holds a result that
            does not verify; nothing is created then.
    """
    name = re.sub(r"[^A-Za-z0-9-]+", "-", remote).strip("-") or "remote"
    theirs = _fetch(arena, remote, name)
    ours = arena.repo.refs(*(RESULTS + kind for kind in KINDS))
    fresh = {ref: oid for ref, oid in theirs.items() if ref not in ours}
    conflicts = sorted(ref for ref, oid in theirs.items() if ours.get(ref, oid) != oid and not _is_one(ref))
    verify.check_refs(arena, fresh, known={**ours, **fresh})
    if fresh:
        arena.repo.create_refs(fresh)
    sent = _send(arena, remote, {ref: oid for ref, oid in ours.items() if ref not in theirs}) if send else ()
    return Exchange(tuple(sorted(fresh)), sent, tuple(conflicts))


def _is_one(ref: str) -> bool:
    """Two attempts of one id have one content and differ in when they were handed in: one submission."""
    return ref.startswith(ATTEMPTS)


def _fetch(arena: Arena, remote: str, name: str) -> dict[str, str]:
    """Bring the remote's results to the waiting room of ``remote``; ref name (as it would be here) -> object id."""
    room = f"{INCOMING}{name}/"
    specs = [f"+{RESULTS}{kind}/*:{room}{kind}/*" for kind in KINDS]
    words = ("fetch", "--quiet", "--no-tags", "--prune", "--no-write-fetch-head", "--refmap=", remote)
    arena.repo.git("-c", "fetch.fsckObjects=true", *words, f"+{MAIN}:{room}main", *specs)
    found = arena.repo.refs(room)
    if found.pop(f"{room}main") != arena.repo.resolve(MAIN):
        raise ArenaError(f"{remote} holds another tournament: its track or key differs",
                         "sync works between copies of one arena")  # fmt: skip
    return {RESULTS + ref.removeprefix(room): oid for ref, oid in found.items()}


def _send(arena: Arena, remote: str, refs: dict[str, str]) -> tuple[str, ...]:
    """Push refs that the remote lacks; each only if it is still absent there."""
    if not refs:
        return ()
    leases = [f"--force-with-lease={ref}:" for ref in refs]
    specs = [f"{oid}:{ref}" for ref, oid in refs.items()]
    done = arena.repo.git("push", "--quiet", "--porcelain", *leases, remote, *specs, check=False)
    refused = {
        line.split("\t")[1].split(":")[1] for line in done.stdout.decode().splitlines() if line[:1] == "!"
    }
    if not done.ok and not refused:
        raise ArenaError(f"{remote} does not take results: {done.errors}")
    return tuple(sorted(set(refs) - refused))
