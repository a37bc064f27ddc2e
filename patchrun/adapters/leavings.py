"""What code that nobody trusts left in a folder: the one way in which patchrun reads, copies and removes it.

Nothing is followed: each part of a path is opened below the folder before it, and a link is refused there. Nothing is
waited for: a pipe, a socket or a device is refused unopened. Everything is bounded: bytes (of a sparse file too),
entries, depth. Nothing recurses, and what is removed is moved up first, so that no folder is too deep for that. Whoever
still runs there may change things between two looks: what was opened is what is read.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

DEPTH = 64  # folders inside each other; a compiler's cache has four
PATH_BYTES = 2048  # of a path below a folder that is copied: the system takes 4096 in all
CHUNK = 1 << 20
MIB = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


class Missing(Exception):
    """There is no such file."""


class Refused(Exception):
    """It is not read or copied; the message says what was seen."""


@dataclass(frozen=True)
class Entry:
    """A name below a folder: ``path`` relative to it, ``facts`` of the name itself (of a link, not of its aim)."""

    path: PurePosixPath
    facts: os.stat_result

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.facts.st_mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.facts.st_mode)

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.facts.st_mode)

    @property
    def kind(self) -> str:
        """What it is in words, where it is no plain file."""
        return _KINDS.get(stat.S_IFMT(self.facts.st_mode), "something else")


@dataclass(frozen=True)
class Limits:
    """What a folder may hold: ``most`` bytes on disk, ``entries`` names, folders ``depth`` deep."""

    most: int
    entries: int
    depth: int = DEPTH


def read(folder: Path, name: str | PurePosixPath, most: int, *, cut: bool = False) -> bytes:
    """The bytes of the plain file ``name`` below ``folder``: all of them, or with ``cut`` the first ``most``.

    Raises:
        Missing: there is none.
        Refused: it is no plain file, lies behind a link, cannot be read, or has more than ``most`` bytes.
    """
    descriptor = open_file(folder, name)
    try:
        size = os.fstat(descriptor).st_size
        if size > most and not cut:
            raise _too_large(name, size, most)
        data = _read_up_to(descriptor, most + 1)
    finally:
        os.close(descriptor)
    if len(data) > most and not cut:  # it grew meanwhile
        raise _too_large(name, len(data), most)
    return data[:most]


def open_file(folder: Path, name: str | PurePosixPath) -> int:
    """A descriptor of the plain file ``name`` below ``folder``, for reading; see ``read`` for what is raised."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise Refused(f"{path} leads out of its folder")
    try:
        with _opened(folder, path.parent) as place:
            return _open_plain(path, place)
    except (FileNotFoundError, NotADirectoryError):
        raise Missing from None
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None


def _open_plain(path: PurePosixPath, place: int) -> int:
    facts = os.stat(path.name, dir_fd=place, follow_symlinks=False)
    if not stat.S_ISREG(facts.st_mode):  # seen before it is opened: opening a device can do things
        raise _not_plain(path, facts)
    descriptor = os.open(path.name, _FILE, dir_fd=place)
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise _not_plain(path, facts)
    return descriptor


def read_link(folder: Path, path: PurePosixPath) -> bytes:
    """What the link ``path`` below ``folder`` says, as it says it; OSError where it is none any more."""
    with _opened(folder, path.parent) as place:
        return os.fsencode(os.readlink(path.name, dir_fd=place))


def walk(
    folder: Path, depth: int = DEPTH, wanted: Callable[[PurePosixPath], bool] = lambda path: True
) -> Iterator[Entry]:
    """What lies in ``folder`` and is ``wanted``, parents first, at most ``depth`` folders down; links not followed.

    A folder that is not wanted is not entered. What goes away meanwhile, or cannot be listed, is left out. The caller
    bounds the number of entries.
    """
    waiting = [PurePosixPath()]
    while waiting:
        parent = waiting.pop()
        with suppress(OSError), _opened(folder, parent) as place, os.scandir(place) as names:
            for name in names:
                with suppress(OSError):
                    entry = Entry(parent / name.name, name.stat(follow_symlinks=False))
                    if not wanted(entry.path):
                        continue
                    if entry.is_folder and len(entry.path.parts) < depth:
                        waiting.append(entry.path)
                    yield entry


def find_excess(
    folder: Path, limits: Limits, wanted: Callable[[PurePosixPath], bool] = lambda path: True
) -> str:
    """What of ``limits`` a folder exceeds, in words; "" where nothing does. Disk space counts, not length."""
    size = 0
    for count, entry in enumerate(walk(folder, limits.depth + 1, wanted), 1):
        if not entry.is_folder:
            size += 512 * entry.facts.st_blocks
        elif len(entry.path.parts) > limits.depth:
            return f"too many folders: more than {limits.depth} inside each other"
        if count > limits.entries:
            return f"more than {limits.entries} files"
        if size > limits.most:
            return f"more than {limits.most // MIB} MiB"
    return ""


def copy(
    source: Path, target: Path, limits: Limits, wanted: Callable[[PurePosixPath], bool] = lambda path: True
) -> None:
    """Copy the plain files and folders below ``source`` that are ``wanted`` to ``target``, which must not exist.

    Links, pipes and the like stay behind. Of a file's rights only whether its owner may execute it is kept.

    Raises:
        Refused: they are more than ``limits``; their length counts here. ``target`` holds a part of them then.
    """
    target.mkdir(parents=True)
    size = 0
    for count, entry in enumerate(walk(source, limits.depth + 1, wanted), 1):
        if count > limits.entries:
            raise Refused(f"more than {limits.entries} files")
        if len(entry.path.parts) > limits.depth or len(os.fsencode(entry.path)) > PATH_BYTES:
            raise Refused(f"too many folders: more than {limits.depth} inside each other")
        if entry.is_folder:
            (target / entry.path).mkdir()
        elif entry.is_file:
            size += _copy_file(source, entry, target, limits.most - size)


def _copy_file(source: Path, entry: Entry, target: Path, most: int) -> int:
    """Copy one file, and return its bytes."""
    try:
        data = read(source, entry.path, most)
    except Missing:
        return 0
    path = target / entry.path
    path.write_bytes(data)
    path.chmod(0o755 if entry.facts.st_mode & 0o100 else 0o644)
    return len(data)


@contextmanager
def scratch(prefix: str, place: Path | None = None) -> Iterator[Path]:
    """A fresh folder in ``place`` (default: where temporary folders are), gone afterwards whatever lies in it then."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    try:
        yield folder
    finally:
        remove(folder)


def remove(folder: Path) -> None:
    """Remove ``folder`` and all in it, however deep and whatever its names and rights; a link is removed as a link.

    What cannot be removed stays: a later clean-up tries again.
    """
    with suppress(OSError):
        if not stat.S_ISDIR(folder.lstat().st_mode):
            folder.unlink()
            return
        os.chmod(folder, 0o700)  # noqa: PTH101 - no link: seen just now, in a folder of our own
        place = os.open(folder, _FOLDER)
        try:
            while _empty_once(place):
                pass
        finally:
            os.close(place)
        folder.rmdir()


def _empty_once(place: int) -> bool:
    """Remove the files of an open folder, and lift what its folders hold to its own level; whether that did anything.

    Folders come up instead of paths going down: so one pass works two levels deep, whatever the tree is.
    """
    done = 0
    with os.scandir(place) as names:
        for name in names:
            with suppress(OSError):
                is_folder = name.is_dir(follow_symlinks=False)
                done += _lift(name.name, place) if is_folder else _unlink(name.name, place)
    return done > 0


def _lift(name: str, place: int) -> int:
    """Empty the folder ``name``: files are removed, folders moved up into ``place``; then remove it."""
    done = 0
    inner = _open_for_removal(name, place)
    try:
        with os.scandir(inner) as names:
            for child in names:
                with suppress(OSError):
                    is_folder = child.is_dir(follow_symlinks=False)
                    done += _move_up(child.name, inner, place) if is_folder else _unlink(child.name, inner)
    finally:
        os.close(inner)
    with suppress(OSError):  # it goes in a later round where something was left
        os.rmdir(name, dir_fd=place)
        done += 1
    return done


def _move_up(name: str, inner: int, place: int) -> int:
    """Move a folder up under a name that is free there; its own rights must allow it, since its parent changes."""
    free = os.urandom(8).hex()
    try:
        os.rename(name, free, src_dir_fd=inner, dst_dir_fd=place)
    except PermissionError:
        os.close(_open_for_removal(name, inner))
        os.rename(name, free, src_dir_fd=inner, dst_dir_fd=place)
    return 1


def _unlink(name: str, place: int) -> int:
    os.unlink(name, dir_fd=place)
    return 1


def _open_for_removal(name: str, place: int) -> int:
    """A descriptor of a folder whose owner may do everything from now on."""
    seen = os.open(name, _PLACE, dir_fd=place)
    try:
        os.chmod(f"/proc/self/fd/{seen}", 0o700)  # noqa: PTH101 - the folder that was opened, no link
    finally:
        os.close(seen)
    return os.open(name, _FOLDER, dir_fd=place)


@contextmanager
def _opened(folder: Path, path: PurePosixPath) -> Iterator[int]:
    """The folder ``path`` below ``folder``, opened part by part; ``folder`` itself may not be a link either."""
    place = os.open(folder, _FOLDER)
    try:
        for part in path.parts:
            inner = os.open(part, _FOLDER, dir_fd=place)
            os.close(place)
            place = inner
        yield place
    finally:
        os.close(place)


def _read_up_to(descriptor: int, most: int) -> bytes:
    parts, left = [], most
    while left > 0 and (piece := os.read(descriptor, min(left, CHUNK))):
        parts.append(piece)
        left -= len(piece)
    return b"".join(parts)


def _not_plain(path: PurePosixPath, facts: os.stat_result) -> Refused:
    return Refused(f"{path} is {Entry(path, facts).kind}, not a plain file")


def _too_large(name: str | PurePosixPath, size: int, most: int) -> Refused:
    return Refused(f"{name} has {size / MIB:.2f} MiB, {most / MIB:g} are allowed")
