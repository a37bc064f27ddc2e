"""The compile cache of a tree: filled once, by a run on made-up tokens, and only copied from then on.

A cache that runs write to carries weights from one to the next. So the code is run once beforehand, in the sandbox, on
shards of the real ones' form whose tokens are random: what it leaves in the cache can say nothing of the data. That run
starts from the cache of the record's baseline, may take at most twice as long as the reference arms' runs, and nothing
else of it is kept. Each run of the tree then gets a copy of its own, which goes with the run.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import msgspec

from patchrun.adapters import leavings, sandbox
from patchrun.adapters.shards import make_up_shard, training_shards, validation_shards
from patchrun.core.results import Run, Slot
from patchrun.core.runlog import printable
from patchrun.core.track import Track
from patchrun.services.logslot import CACHE_LIMITS, LogRequest, cache_of, train_log_slot

FILES, DIGEST = "files", "digest"
MOST_TIMES = 2.0  # the reference arms' wall time


@dataclass(frozen=True)
class Compiled:
    """``folder``: the kept cache, None where there is none; ``note``: what went wrong with it, in words."""

    folder: Path | None = None
    note: str = ""


def prepare_cache(
    home: Path,
    request: LogRequest,
    baseline: str,
    references: Sequence[Run],
    stop: Callable[[], bool] = lambda: False,
) -> Compiled:
    """The compile cache of the request's tree, kept below ``home``; made now where there is no sound one.

    ``baseline``: the tree whose cache it starts from; ``references``: runs whose wall time bounds it. Where tokens
    cannot be hidden from a run (no bubblewrap), or it trains some steps only, nothing is made.
    """
    place = home / request.slot.arm.tree
    note = ""
    if place.exists():
        if is_sound(place):
            return Compiled(place / FILES)
        leavings.remove(place)
        note = "its compile cache was damaged and is made anew"
    if request.steps is not None or sandbox.resolve(request.slot.sandbox) != "bwrap":
        return Compiled(None, note)
    start = home / baseline
    trouble = _fill(place, request, start / FILES if is_sound(start) else None, references, stop)
    words = "; ".join(filter(None, [note, trouble]))
    return Compiled(place / FILES if place.exists() else None, words)


def is_sound(place: Path) -> bool:
    """Whether a kept cache is what it was when it was made."""
    try:
        digest = leavings.read(place, DIGEST, 100).decode("ascii", "replace")
        return digest == digest_of(place / FILES)
    except (leavings.Missing, leavings.Refused):
        return False


def digest_of(folder: Path) -> str:
    """SHA-256 over names and contents of the files of a kept cache.

    Raises:
        leavings.Refused: it holds what is never kept.
    """
    whole = hashlib.sha256()
    for entry in sorted(leavings.walk(folder), key=lambda entry: entry.path):
        if not entry.is_folder:
            content = leavings.read(folder, entry.path, CACHE_LIMITS.most)
            whole.update(str(entry.path).encode("utf-8", "surrogateescape") + b"\0")
            whole.update(hashlib.sha256(content).digest())
    return whole.hexdigest()


def _fill(
    place: Path,
    request: LogRequest,
    start: Path | None,
    references: Sequence[Run],
    stop: Callable[[], bool],
) -> str:
    """Run the code on made-up tokens and keep the cache that it leaves; what went wrong, in words."""
    with leavings.scratch("compile-", request.slot.scratch) as scratch:
        shutil.copytree(request.slot.code_dir, scratch / "code", symlinks=True)
        slot = replace(
            request.slot, slot=Slot(0, 0, 0), code_dir=scratch / "code", scratch=scratch, held_out=None,
            track=_bound(request, references),
        )  # fmt: skip
        (scratch / "tokens").mkdir()
        (scratch / "tokens").chmod(0o755)  # whatever the umask: a run of another uid reads there
        made_up = _make_up_shards(request, scratch / "tokens")
        run, _ = train_log_slot(
            replace(request, slot=slot, compiled=start, instead=made_up, known=None), stop=stop
        )
        if run.exit == "interrupted":
            return ""
        try:
            _keep(cache_of(slot), place)
        except leavings.Refused as refused:
            return f"its compile cache is not kept: {refused}"
    if run.exit in ("ok", "disqualified"):
        return ""
    return f"its compile run ended early: {printable(run.reason, 200)}"


def _bound(request: LogRequest, references: Sequence[Run]) -> Track:
    """The track with the wall time that a compile run may take."""
    track = request.slot.track
    walls = [run.wall_seconds for run in references if run.kind != "submission" and run.exit == "ok"]
    most = MOST_TIMES * mean(walls) if walls else track.limits.wall_seconds
    limits = msgspec.structs.replace(track.limits, wall_seconds=min(most, track.limits.wall_seconds))
    return msgspec.structs.replace(track, limits=limits)


def _make_up_shards(request: LogRequest, folder: Path) -> dict[Path, Path]:
    """Every shard -> a made-up one of its length; shards of one length share it."""
    spec, data = request.slot.track.data, request.site.data
    shards = [*training_shards(data, spec.pattern), *validation_shards(data, spec.pattern)]
    made: dict[int, Path] = {}
    for shard in shards:
        size = shard.stat().st_size
        if size not in made:
            made[size] = folder / f"{size}.bin"
            make_up_shard(shard, made[size], seed=size)
            made[size].chmod(0o644)
    return {shard: made[shard.stat().st_size] for shard in shards}


def _keep(cache: Path, place: Path) -> None:
    """Copy what a compile run left to where it stays; whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with leavings.scratch(".new-", place.parent) as building:
        leavings.copy(cache, building / "tree" / FILES, CACHE_LIMITS)
        (building / "tree" / DIGEST).write_text(digest_of(building / "tree" / FILES))
        (building / "tree").rename(place)
