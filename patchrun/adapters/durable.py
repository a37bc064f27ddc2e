"""What must outlast a power cut, on disk before anything rests on it; and transactions that one cut in the middle.

git creates the refs of one transaction one after the other, so a process or a machine that dies in between leaves
some of them. Before a transaction its refs are therefore written down in a file of ``patchrun-unfinished/``, which
goes when they are on disk. Nor does a cut leave every new object whole, and git never writes an object again whose
name is there: so whoever writes objects first leaves a file there too. A file that is found there, and that no living
process holds, tells what to complete and what to look at.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from patchrun.core.errors import ArenaError, PatchrunError

UNFINISHED = "patchrun-unfinished"
INCOMING = (
    "refs/patchrun-incoming/"  # what `sync` fetched and has not verified: of no worth when it is damaged
)
FORGOTTEN_SECONDS = 600
SLACK_SECONDS = 5  # clocks of machines that share a file system
WHOLE = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?\n")


def sync_disk(path: Path) -> None:
    """Bring all that was written so far on the file system of ``path`` to its disk: data, names and folders.

    One flush, by syncfs(2), where syncing files and folders one by one takes a flush for each of them.

    Raises:
        OSError: the disk did not take something.
    """
    import ctypes

    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        if syncfs(handle) != 0:
            problem = ctypes.get_errno()
            raise OSError(problem, os.strerror(problem), str(path))
    finally:
        os.close(handle)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file that lasts: after a power cut it holds what it held before or ``data``, whole."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_bytes(data)
    sync_disk(fresh)
    fresh.rename(path)
    sync_disk(path)


class Watch:
    """Says from the first object that a process writes to the last that they may not be on disk yet."""

    def __init__(self, git_dir: Path) -> None:
        self.git_dir = git_dir
        self.owner = os.getpid()
        self.file: tuple[int, Path] | None = None
        self.unsynced = False
        self.lock = threading.Lock()

    def begin(self) -> None:
        """Before an object is written: on disk is that there may be damaged ones. ArenaError where it cannot be."""
        with self.lock:
            self.unsynced = True
            if self.file is None:
                try:
                    self.file = _write_down(self.git_dir / UNFINISHED, {})
                    sync_disk(self.git_dir)
                except OSError as error:
                    raise ArenaError(f"cannot write in {self.git_dir}: {error.strerror}") from None

    def settle(self) -> None:
        """All objects so far are on disk: only later ones need be looked at."""
        self.unsynced = False
        if self.file:
            os.utime(self.file[0])

    def end(self) -> None:
        """Before the process ends; a fork of it leaves the file alone."""
        if self.file and self.owner == os.getpid():
            handle, path = self.file
            self.file = None
            with suppress(OSError):
                if self.unsynced and self.git_dir.exists():
                    sync_disk(self.git_dir)
                path.unlink(missing_ok=True)
            os.close(handle)


@contextmanager
def announce(git_dir: Path, refs: Mapping[str, str]) -> Iterator[int]:
    """Write down that ``refs`` (name -> object id) are about to be created, and sync the disk before and after.

    So the objects that the refs name are on disk first, and the refs themselves when this ends. Gives the handle
    that says the owner lives: a child that inherits it keeps it alive. Whoever dies inside leaves the file behind.

    Raises:
        ArenaError: the file cannot be written, or the disk did not take what was written.
    """
    try:
        handle, path = _write_down(git_dir / UNFINISHED, refs)
        sync_disk(git_dir)
    except OSError as error:
        raise ArenaError(f"cannot write in {git_dir}: {error.strerror}") from None
    try:
        yield handle
    except PatchrunError:
        _strike_out(git_dir, path)
        raise
    else:
        _strike_out(git_dir, path)
    finally:
        os.close(handle)


def _write_down(folder: Path, refs: Mapping[str, str]) -> tuple[int, Path]:
    """The file, locked before it has the name under which others look for it."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{os.getpid()}-{secrets.token_hex(4)}.json"
    handle = os.open(path.with_suffix(".new"), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with open(handle, "wb", closefd=False) as file:
            file.write(json.dumps(dict(refs)).encode())
        path.with_suffix(".new").rename(path)
    except BaseException:
        os.close(handle)
        path.with_suffix(".new").unlink(missing_ok=True)
        raise
    return handle, path


def _strike_out(git_dir: Path, path: Path) -> None:
    try:
        sync_disk(git_dir)
        path.unlink()
    except OSError as error:
        raise ArenaError(f"cannot write in {git_dir}: {error.strerror}") from None


def find_unfinished(git_dir: Path) -> Iterator[dict[str, str]]:
    """The refs of each transaction whose owner died, cleared of damaged ones and of its locks.

    What the caller does with them is on disk when it asks for the next; where it raises, the file stays.
    """
    with suppress(FileNotFoundError):
        for path in sorted((git_dir / UNFINISHED).iterdir()):
            with suppress(BlockingIOError, FileNotFoundError), path.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.suffix == ".json":
                    refs = _read(file.read())
                    _clear(git_dir, refs)
                    _drop_damaged(git_dir / "objects", path.stat().st_mtime - SLACK_SECONDS)
                    yield refs
                    sync_disk(git_dir)
                    path.unlink(missing_ok=True)
                elif path.stat().st_mtime < time.time() - FORGOTTEN_SECONDS:
                    path.unlink(missing_ok=True)


def _read(data: bytes) -> dict[str, str]:
    """What was written down; nothing where the file is cut short, since then nothing was created yet."""
    try:
        return json.loads(data)
    except ValueError:
        return {}


def _clear(git_dir: Path, refs: Mapping[str, str]) -> None:
    """Remove refs without a value, which are none, and the locks of the dead owner."""
    waiting = (path for path in (git_dir / INCOMING).rglob("*") if path.is_file())
    for path in (*(git_dir / name for name in refs), *waiting):
        with suppress(OSError):
            if path.suffix != ".lock" and not WHOLE.fullmatch(path.read_bytes()):
                path.unlink()
    for name, oid in refs.items():
        lock = git_dir / f"{name}.lock"
        with suppress(OSError):
            if lock.read_bytes() in (b"", oid.encode(), f"{oid}\n".encode()):
                lock.unlink()


def _drop_damaged(objects: Path, since: float) -> None:
    """Remove objects of ``since`` (seconds, as files count them) and later that are not what their name says."""
    for path in objects.glob("[0-9a-f][0-9a-f]/*"):
        with suppress(OSError):
            if path.stat().st_mtime >= since and not path.name.startswith("tmp") and not _is_object(path):
                path.unlink()


def _is_object(path: Path) -> bool:
    name = path.parent.name + path.name
    try:
        data = zlib.decompress(path.read_bytes())
    except zlib.error:
        return False
    return (hashlib.sha256 if len(name) == 64 else hashlib.sha1)(data).hexdigest() == name
