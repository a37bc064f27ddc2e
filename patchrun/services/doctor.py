"""Is this machine fit for this arena's track, and is the arena's house in order?"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from patchrun.adapters import durable, leavings, process, sandbox, signing
from patchrun.adapters.gitrepo import clean_environment
from patchrun.adapters.keys import load_key
from patchrun.adapters.store import Arena
from patchrun.core.errors import PatchrunError
from patchrun.core.readiness import blocking
from patchrun.core.selection import Span
from patchrun.services import verify
from patchrun.services.readiness import build_for, find_gaps_here, list_gpus
from patchrun.services.study import prepare_data

OLDEST_GIT = (2, 36)
MANY_LOOSE = 5000  # refs: see docs/scale.md
FREE_BYTES = 2 * 1024**3
LEFTOVER_SECONDS = 24 * 3600
LOOKUP_SECONDS = 5.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: ``ok``, ``bad`` (the main job cannot run) or ``note``."""

    name: str
    state: Literal["ok", "bad", "note"]
    seen: str
    hint: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def examine(
    arena: Arena, span: Span | None = None, *, mend: bool = False, build: bool = False
) -> list[Check]:
    """Look at everything the track needs here; a failing look is an answer.

    ``mend``: remove stale locks and leftovers. ``build``: make the environment of the record first.
    """
    looks: dict[str, Callable[[], Check]] = {
        "git": _look_at_git, "torch": _look_at_torch, "cpus": _look_at_cpus, "ruff": _look_at_ruff,
        "sandbox": _look_at_sandbox, "data": lambda: _look_at_data(arena), "key": lambda: _look_at_key(arena),
        "disk": lambda: _look_at_disk(arena), "locks": lambda: _look_at_locks(arena, mend),
        "packing": lambda: _look_at_packing(arena),
        "gpus": lambda: _look_at_gpus(arena), "signing": lambda: _look_at_signing(arena),
    }  # fmt: skip
    if arena.track.launch.kind == "torchrun":
        looks["host name"] = _look_at_host_name
    if span:
        looks[f"record {span}"] = lambda: _look_at_record(arena, span, build)
    return [_guard(name, look) for name, look in looks.items()]


def _guard(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except PatchrunError as error:
        return Check(name, "bad", error.message, error.hint)


def _look_at_git() -> Check:
    said = process.run(["git", "version"], env=clean_environment()).stdout.decode().split()[2]
    version = tuple(int(part) for part in said.split(".")[:2])
    fit = version >= OLDEST_GIT
    return Check("git", "ok" if fit else "bad", said, "" if fit else "install git 2.36 or newer")


def _look_at_torch() -> Check:
    try:
        return Check("torch", "ok", metadata.version("torch"))
    except metadata.PackageNotFoundError:
        return Check("torch", "bad", "not installed", "pip install torch")


def _look_at_ruff() -> Check:
    done = process.run([sys.executable, "-m", "ruff", "--version"])
    return Check("ruff", "ok" if done.ok else "bad", done.stdout.decode().strip() or done.errors,
                 "" if done.ok else "pip install ruff")  # fmt: skip


def _look_at_cpus() -> Check:
    cpus, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    busy = load > cpus
    return Check("cpus", "note" if busy else "ok", f"{cpus} usable, load {load:.1f}",
                 "times are noisier on a busy machine" if busy else "")  # fmt: skip


def _look_at_sandbox() -> Check:
    return Check("sandbox", "ok", sandbox.describe())


def _look_at_data(arena: Arena) -> Check:
    if arena.track.data.source == "shards":
        return Check("data", "note", "token shards that you bring", "see the track's README")
    found = prepare_data(arena)
    assert found
    return Check("data", "ok", f"digests agree ({found.train_dir.parent.name[:12]})")


def _look_at_key(arena: Arena) -> Check:
    load_key(arena.identity)
    return Check("key", "ok", "the owner's key is here")


def _look_at_signing(arena: Arena) -> Check:
    key, names = arena.signing_key, [line.split(" ", 1)[0] for line in signing.listed(arena.identity)]
    if not names:
        return Check(
            "signing",
            "ok",
            f"no list of keys: every result counts, {'signed' if key else 'unsigned'} ones too",
        )
    seen = f"only what {', '.join(names)} signed counts"
    return Check(
        "signing", "ok" if key else "note", seen, "" if key else f"name your key in {signing.KEY_VARIABLE}"
    )


def _look_at_disk(arena: Arena) -> Check:
    free = shutil.disk_usage(arena.folder).free
    fit = free >= FREE_BYTES
    return Check(
        "disk", "ok" if fit else "bad", f"{free / 1e9:.1f} GB free", "" if fit else "make room: 2 GiB"
    )


def _look_at_locks(arena: Arena, mend: bool) -> Check:
    stale, left = verify.stale_locks(arena), list(leftovers(arena))
    if mend:
        verify.remove_stale_locks(arena)
        for path in left:
            leavings.remove(path)
        return Check("locks", "ok", f"removed {len(stale)} stale locks, {len(left)} leftovers")
    if stale:
        return Check("locks", "bad", f"{len(stale)} stale locks", "patchrun doctor --mend removes them")
    hint = "patchrun doctor --mend removes them" if left else ""
    return Check(
        "locks", "note" if left else "ok", f"no stale lock, {len(left)} leftovers of dead runs", hint
    )


def _look_at_packing(arena: Arena) -> Check:
    """A ref that is a file of its own is read by opening it: many are slower than the same in one packed file."""
    loose = sum(len(files) for _, _, files in os.walk(arena.repo.path / "refs"))
    many = loose > MANY_LOOSE
    return Check("packing", "note" if many else "ok", f"{loose:,} refs are files of their own",
                 "patchrun gc packs them" if many else "")  # fmt: skip


def _look_at_gpus(arena: Arena) -> Check:
    needed = arena.track.hardware.gpus
    if not needed:
        return Check("gpus", "ok", "none needed")
    names = list_gpus()
    if not names:
        return Check("gpus", "bad", "none", f"track {arena.track.name} needs {needed}: `patchrun sync REMOTE` brings "
                     "submissions to a machine that has them")  # fmt: skip
    return Check(
        "gpus", "ok" if len(names) >= needed else "note", f"{len(names)}: {', '.join(sorted(set(names)))}"
    )


def _look_at_host_name() -> Check:
    """torchrun looks its own host up before it starts anything, and waits for minutes where no one answers."""
    name = platform.node()
    hint = f"name it in /etc/hosts: 127.0.0.1 localhost {name}"
    try:
        known = process.run(["getent", "hosts", name], timeout=LOOKUP_SECONDS).ok
    except PatchrunError:
        known = False
    return Check("host name", "ok" if known else "note", name, "" if known else hint)


def _look_at_record(arena: Arena, span: Span, build: bool) -> Check:
    human = arena.human(span.last)
    seen = f"baseline {arena.baseline(span.first)[:12]}, human {human[:12] if human else 'none'}"
    if build:
        seen += f", environment {build_for(arena, span) or 'ours'}"
    gaps = find_gaps_here(arena, span)
    state = "bad" if blocking(gaps) else "ok" if human and not gaps else "note"
    lacking = [f"lacks: {gap.what}\n  ({gap.hint})" for gap in gaps]
    return Check(f"record {span}", state, "\n".join([seen, *lacking]))


def leftovers(arena: Arena) -> Iterator[Path]:
    """Scratch folders that dead runs left more than a day ago."""
    limit = time.time() - LEFTOVER_SECONDS
    for path in (arena.folder / "scratch").glob("*"):
        with suppress(FileNotFoundError):  # its run ended since it was listed
            if path.stat().st_mtime < limit:
                yield path


def pack(arena: Arena) -> tuple[int, int]:
    """Pack refs and objects, delete leftovers; bytes before and after."""
    before = _size(arena.repo.path)
    arena.repo.git("pack-refs", "--all", "--no-prune")
    arena.repo.git("repack", "-a", "-l", "--quiet")
    durable.sync_disk(arena.repo.path)  # the packed names and objects, before the loose ones go
    arena.repo.git("gc", "--quiet", "--prune=1.day.ago")
    leavings.remove(arena.folder / "compiled")  # compile caches: made again by the next run
    for path in leftovers(arena):
        leavings.remove(path)
    return before, _size(arena.repo.path)


def _size(folder: Path) -> int:
    """Bytes of the files below a folder; what others do meanwhile comes and goes."""
    return sum(entry.facts.st_size for entry in leavings.walk(folder) if entry.is_file)
