"""Computed tables that an arena's own folder remembers: a cache, made again when it is absent or damaged."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from patchrun import __version__
from patchrun.adapters.store import Arena

T = TypeVar("T")
KEPT = 32  # tables


def remember(arena: Arena, kind: type[T], asked: tuple[object, ...], make: Callable[[], T]) -> T:
    """The value that was kept for the question ``asked`` in this state of the arena, else ``make()``, which is kept.

    ``kind`` is what msgspec reads it as. An arena that cannot be written to is no reason to fail.
    """
    words = repr((kind.__name__, __version__, *asked)).encode()
    name = f"{hashlib.sha256(words + _state(arena)).hexdigest()[:32]}.json"
    path = arena.repo.path / "patchrun" / "remembered" / name
    with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode(path.read_bytes(), type=kind)
    value = make()
    with suppress(OSError):
        _keep(path, msgspec.json.encode(value))
    return value


def _state(arena: Arena) -> bytes:
    """Every ref, and whose results count."""
    listing = arena.repo.git("for-each-ref", "--format=%(objectname) %(refname)").stdout
    signers = arena.signatures.signers.read_bytes() if arena.signatures else b""
    return listing + b"\0" + signers


def _keep(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_bytes(data)
    fresh.rename(path)
    for old in sorted(path.parent.glob("*.json"), key=_age, reverse=True)[KEPT:]:
        old.unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another process dropped it
        return 0.0
