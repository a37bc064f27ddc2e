"""Exchange results with another arena: verify what comes, create what is new, overwrite nothing.

Where both sides hold a name with different contents each keeps its own and takes the other's too, below ``also``:
what counts is then chosen from the contents (``core.versions``), so both sides show one leaderboard.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from patchrun.adapters import durable
from patchrun.adapters.durable import INCOMING
from patchrun.adapters.gitrefs import UNSYNCED, RefExists
from patchrun.adapters.pushing import push_new
from patchrun.adapters.signed import ALSO, EXTRA, RESULTS, RUNS, own_name, place_of
from patchrun.adapters.store import ATTEMPTS, MAIN, STUDIES, Arena, extra_name
from patchrun.core import results
from patchrun.core.chunks import batched
from patchrun.core.errors import ArenaError
from patchrun.core.portions import Portion, add_bases, choose_portion
from patchrun.core.results import Run
from patchrun.services import recheck, verify

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
    "vouches",
    "also",
)
SAME = (ATTEMPTS, STUDIES)  # two of one id have one content and differ in when they were made
TRIES = 8  # rounds, when others write at the same time
MOST_ATTEMPTS = 500  # that one round takes: each is validated, which takes 30 to 100 ms of CPU
MOST_RESULTS = 200_000  # that one round takes; a study's runs are not torn apart
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
    """What a sync did: refs created here and there, and names that both sides hold with different content.

    ``notes``: attempts that count otherwise here than they say themselves, runs that no listed key signed.
    ``waiting``: how many results were left for the next sync.
    """

    received: tuple[str, ...]
    sent: tuple[str, ...]
    conflicts: tuple[str, ...]
    notes: tuple[str, ...] = ()
    waiting: int = 0


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
    notes: dict[str, None] = {}
    unsound = ""
    for attempt in range(TRIES):
        time.sleep(WAIT_SECONDS * attempt)
        theirs = _list(arena, remote)
        ours = arena.repo.refs(*(RESULTS + kind for kind in KINDS))
        offered = _lacking(theirs, ours)
        try:
            taken = _receive(arena, remote, name, offered, ours)
        except RefExists:  # another process here was first
            continue
        except verify.Unsound as error:  # or half of what somebody is sending there at this moment
            if str(error) == unsound:
                raise
            unsound = str(error)
            continue
        ours |= taken.refs
        received |= taken.refs.keys()
        notes |= dict.fromkeys(taken.notes)
        conflicts |= {
            ref for ref, oid in theirs.items() if ours.get(ref, oid) != oid and not ref.startswith(SAME)
        }
        offered = _lacking(ours, theirs) if send else {}
        refused = _send(arena, remote, offered)
        sent |= offered.keys() - refused
        if not refused:
            done = (tuple(sorted(names)) for names in (received, sent, conflicts))
            return Exchange(*done, tuple(notes), taken.waiting)
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


@dataclass(frozen=True)
class _Taken:
    """Refs that were created (name -> commit), what is to be said of them, and how many offered ones are left."""

    refs: Mapping[str, str]
    notes: tuple[str, ...] = ()
    waiting: int = 0


def _receive(
    arena: Arena, remote: str, name: str, offered: Mapping[str, str], ours: Mapping[str, str]
) -> _Taken:
    """Fetch, check and create a portion of what is offered, all of it or nothing; RefExists when another process was
    first."""
    portion, room = _choose(remote, offered), f"{INCOMING}{name}/"
    if not portion.refs:
        return _Taken({})
    with arena.lock(f"sync-{name}"), _waiting_room(arena, room):
        _fetch(arena, remote, room, portion.refs)
        if portion.waiting:
            portion = add_bases(portion, offered, partial(_read_bases, arena, remote, room, offered))
        known = {**ours, **portion.refs}
        verify.check_refs(arena, portion.refs, known)
        claims = verify.check_claims(arena, portion.refs, known)
        refs, aside = _put_aside(arena, portion.refs)
        arena.repo.create_refs({**refs, **claims.refs})
        arena.forget_answers()
        arena.forget_list()
        arena.promote_runs()
    return _Taken(refs, claims.overruled + claims.others + aside, portion.waiting)


def _choose(remote: str, offered: Mapping[str, str]) -> Portion:
    portion = choose_portion(offered, MOST_ATTEMPTS, MOST_RESULTS)
    if len(portion.refs) > 2 * MOST_RESULTS + 2 * MOST_ATTEMPTS:
        raise ArenaError(
            f"{remote} offers {len(offered)} results that belong together: more than are taken at once",
            "ask its owner what they are; an arena of this size is copied with `git clone --mirror`",
        )
    return portion


def _read_bases(
    arena: Arena, remote: str, room: str, offered: Mapping[str, str], ids: Iterable[str]
) -> list[str]:
    """The ids of the attempts that these attempts build on; what is offered of both is fetched first."""
    own = {f"{RESULTS}{kind}/{name}" for name in ids for kind in ("attempts", "submissions")}
    _fetch(arena, remote, room, {name: offered[name] for name in own if name in offered})
    found = recheck.read_attempts(arena, {name: offered[name] for name in own if name in offered})
    return [one.value.onto for one in found if one.value.onto]


def _put_aside(arena: Arena, refs: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Where keys are listed, runs that no listed key signed go to ``extra``: a slot stays free for one that counts."""
    runs = {name: oid for name, oid in refs.items() if name.startswith(RUNS)}
    strange = {name: oid for name, oid in runs.items() if name not in arena.keep_signed(runs)}
    if not strange:
        return dict(refs), ()
    blobs = arena.repo.read_many(f"{oid}:run.json" for oid in strange.values())
    pairs = zip(strange.items(), blobs, strict=True)
    moved = {extra_name(results.decode(data or b"", Run, name)): oid for (name, oid), data in pairs}
    kept = {name: oid for name, oid in refs.items() if name not in strange}
    return {**kept, **moved}, (
        f"{len(strange)} runs that no listed key signed were kept aside; they do not count",
    )


def _lacking(giving: Mapping[str, str], taking: Mapping[str, str]) -> dict[str, str]:
    """What ``taking`` lacks: names, and below ``also`` the contents of names that it has with others."""
    versions = {
        f"{ALSO}{ref.removeprefix(RESULTS)}/{oid[:12]}": oid
        for ref, oid in giving.items()
        if taking.get(ref, oid) != oid and not ref.startswith(ALSO)
    }
    runs = {(place_of(ref), oid) for ref, oid in taking.items() if ref.startswith((RUNS, EXTRA))}
    return {
        ref: oid for ref, oid in {**giving, **versions}.items()
        if ref not in taking and taking.get(own_name(ref)) != oid
        and not (ref.startswith((RUNS, EXTRA)) and (place_of(ref), oid) in runs)
    }  # fmt: skip


@contextmanager
def _waiting_room(arena: Arena, room: str) -> Iterator[None]:
    """Refs below ``room`` keep what is fetched while it is checked; before and afterwards there are none."""
    _empty(arena, room)  # of one that was interrupted
    try:
        yield
    finally:
        _empty(arena, room)


def _fetch(arena: Arena, remote: str, room: str, refs: Mapping[str, str]) -> None:
    """The objects of ``refs`` come here, kept by refs of the waiting room ``room``."""
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
