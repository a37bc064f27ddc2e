"""What a disk may hold after a power cut: a program's file operations, recorded, and kept as far as it synced them.

The disk promises what POSIX does and no more. Data that was not synced is there, absent, cut short or zeros, file by
file; of the names that were made, moved or removed in a folder since that was synced any may have lasted and any not.
File systems with a journal keep more than that.
"""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from patchrun.adapters import process

REPORTED = (
    "/patchrun-reported/"  # a program that looks whether this file is there says that something is stored
)
CALLS = (
    "open,openat,creat,write,writev,pwrite64,lseek,ftruncate,sendfile,copy_file_range,rename,renameat,renameat2,"
    "link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat,fsync,fdatasync,sync,syncfs,"
    "access,faccessat,faccessat2"
)
LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+|\?)(.*)$")
CUT = re.compile(r"^(\d+) +(.*) <unfinished \.\.\.>$")
RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$")
STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
HANDLE = re.compile(r"(-?\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)>")


@dataclass(frozen=True)
class Call:
    """A system call that came back without an error: which it was, its words, its answer, and where it was made."""

    name: str
    words: str
    result: int
    here: str

    @property
    def strings(self) -> list[bytes]:
        return [_decode(text) for text in STRING.findall(self.words)]

    @property
    def handles(self) -> list[tuple[str, str]]:
        """Number and path of each open file that the call names."""
        return [(number, os.fsdecode(_decode(path))) for number, path in HANDLE.findall(self.words)]

    @property
    def paths(self) -> list[str]:
        """The paths it names, each below the folder handle before it where there is one, else below ``here``."""
        folders = [path for _, path in self.handles] if self.name.endswith(("at", "at2")) else []
        names = [os.fsdecode(text) for text in self.strings]
        folders += [folders[0] if folders else self.here] * len(names)
        return [os.path.normpath(Path(*pair)) for pair in zip(folders, names, strict=False)]

    def concerns(self, root: Path) -> bool:
        """Whether it may change something below ``root``, or says something to the test."""
        if self.name.startswith("open") and not re.search("O_(WRONLY|RDWR|CREAT)", self.words):
            return False
        places = [*self.paths, *(path for _, path in self.handles)]
        return self.name == "sync" or any(place.startswith((str(root), REPORTED)) for place in places)


def _decode(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def record(argv: Sequence[str], trace: Path, env: dict[str, str]) -> list[Call]:
    """Run ``argv`` to its end under strace; the calls of it and its children, in the order in which they came back."""
    words = ("strace", "-f", "-qq", "--seccomp-bpf", "-xx", "-y", "-s", "1000000", "-e", "signal=none")
    done = process.run((*words, "-e", f"trace={CALLS}", "-o", str(trace), *argv), env=env, timeout=120)
    assert done.ok, done.errors
    return list(_parse(trace.read_text().splitlines()))


def _parse(lines: Sequence[str]) -> Iterator[Call]:
    begun: dict[str, str] = {}
    folders: dict[str, str] = {}
    for line in lines:
        if found := CUT.match(line):
            begun[found[1]] = found[2]
            continue
        if found := RESUMED.match(line):
            line = f"{found[1]} {begun.pop(found[1])}{found[2]}"
        if (found := LINE.match(line)) and found[4] != "?":
            for number, path in HANDLE.findall(found[3]):
                if number == "AT_FDCWD":
                    folders[found[1]] = os.fsdecode(_decode(path))
            kept = REPORTED.encode().hex(":").replace(":", "\\x") in found[3]
            if int(found[4]) >= 0 or kept:
                yield Call(found[2], found[3], int(found[4]), folders.get(found[1], "/"))


@dataclass
class Node:
    """A file or folder: what it holds now, and what of that is on the disk for sure."""

    folder: bool
    data: bytes = b""
    synced: bytes = b""
    names: dict[str, Node] = field(default_factory=dict)
    lasting: dict[str, Node] = field(default_factory=dict)


@dataclass(frozen=True)
class Naming:
    """A change of names that lasts as a whole or not at all: (folder, name, what it names or None)."""

    changes: tuple[tuple[Node, str, Node | None], ...]


class Disk:
    """The files below ``root`` as a program sees them, with what of that is synced."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.top = _read_node(root)
        self.pending: list[Naming] = []
        self.places: dict[tuple[str, str], int] = {}
        self.reported: list[str] = []

    def find(self, path: str) -> Node | None:
        """What is at an absolute path; None where nothing is, or it is not below the root."""
        if path != self.root and not path.startswith(self.root + "/"):
            return None
        node: Node | None = self.top
        for name in path[len(self.root) :].strip("/").split("/"):
            node = node.names.get(name) if node and name else node
        return node

    def do(self, call: Call) -> bool:
        """Take over one call; whether it changed anything."""
        return getattr(self, f"_do_{_KINDS.get(call.name, 'report')}")(call)

    def _do_report(self, call: Call) -> bool:
        for name in call.strings:
            if name.startswith(REPORTED.encode()):
                self.reported.append(name.decode().removeprefix(REPORTED))
        return False

    def _do_open(self, call: Call) -> bool:
        [path, *_] = call.paths
        node, changed = self.find(path), False
        if node is None and "O_CREAT" in call.words:
            changed = self._name((path, Node(folder=False)))
        elif node and "O_TRUNC" in call.words:
            node.data, changed = b"", True
        place = len(node.data) if node and "O_APPEND" in call.words else 0
        self.places[path, str(call.result)] = place
        return changed

    def _do_write(self, call: Call) -> bool:
        (handle, path), *_ = call.handles or [("", "")]
        node = self.find(path)
        if node is None:
            return False
        data = b"".join(call.strings)[: call.result]
        if call.name == "pwrite64":
            place = int(call.words.rpartition(", ")[2])
        else:
            place = self.places.get((path, handle), len(node.data))
            self.places[path, handle] = place + len(data)
        node.data = node.data[:place].ljust(place, b"\0") + data + node.data[place + len(data) :]
        return True

    def _do_copy(self, call: Call) -> bool:
        given, taken = (call.handles[0], call.handles[1])[:: -1 if call.name == "sendfile" else 1]
        source, target = self.find(given[1]), self.find(taken[1])
        if target is None:
            return False
        whole = source.data if source else Path(given[1]).read_bytes()
        target.data += whole[len(target.data) :][: call.result]
        return True

    def _do_seek(self, call: Call) -> bool:
        [(handle, path), *_] = call.handles or [("", "")]
        self.places[path, handle] = call.result
        return False

    def _do_cut(self, call: Call) -> bool:
        node = self.find(call.handles[0][1])
        if node:
            size = int(call.words.rpartition(", ")[2])
            node.data = node.data[:size].ljust(size, b"\0")
        return node is not None

    def _do_rename(self, call: Call) -> bool:
        old, new = call.paths
        return self._name((old, None), (new, self.find(old)))

    def _do_link(self, call: Call) -> bool:
        old, new = call.paths
        return self._name((new, self.find(old)))

    def _do_remove(self, call: Call) -> bool:
        return self._name((call.paths[0], None))

    def _do_folder(self, call: Call) -> bool:
        return self._name((call.paths[0], Node(folder=True)))

    def _do_sync(self, call: Call) -> bool:
        """All that was done before the call began; a folder's or a file's own where it is about one."""
        if call.name in ("sync", "syncfs"):
            if call.name == "sync" or self.find(call.handles[0][1]):
                self._sync_all()
        elif node := self.find(call.handles[0][1]):
            node.synced = node.data
            done = [one for one in self.pending if any(folder is node for folder, _, _ in one.changes)]
            self._settle(done)
        return False

    def _name(self, *changes: tuple[str, Node | None]) -> bool:
        made = []
        for path, node in changes:
            folder = self.find(str(Path(path).parent))
            if folder is not None and path != self.root:
                made.append((folder, Path(path).name, node))
        naming = Naming(tuple(made))
        _apply(naming, _seen)
        if made:
            self.pending.append(naming)
        return bool(made)

    def _sync_all(self) -> None:
        self._settle(list(self.pending))
        for node in _walk(self.top):
            node.synced = node.data

    def _settle(self, done: Sequence[Naming]) -> None:
        for naming in done:
            _apply(naming, _lasting)
        kept = {id(one) for one in done}
        self.pending = [one for one in self.pending if id(one) not in kept]

    def cut(self, draw: random.Random, target: Path) -> None:
        """Write what the disk may hold, if the power goes now, below ``target``."""
        left: dict[int, dict[str, Node]] = {}

        def names(folder: Node) -> dict[str, Node]:
            return left.setdefault(id(folder), dict(folder.lasting))

        share = draw.choice((0.0, 0.2, 0.5, 0.8, 1.0))
        for naming in self.pending:
            if draw.random() < share:
                _apply(naming, names)
        _write(self.top, target, names, lambda node: _left_of(node, draw))

    def write(self, target: Path) -> None:
        """Write what the program sees below ``target``."""
        _write(self.top, target, _seen, lambda node: node.data)


_KINDS = {
    "open": "open", "openat": "open", "creat": "open", "write": "write", "writev": "write", "pwrite64": "write",
    "sendfile": "copy", "copy_file_range": "copy", "lseek": "seek", "ftruncate": "cut", "rename": "rename",
    "renameat": "rename", "renameat2": "rename", "link": "link", "linkat": "link", "unlink": "remove",
    "unlinkat": "remove", "rmdir": "remove", "mkdir": "folder", "mkdirat": "folder", "fsync": "sync",
    "fdatasync": "sync", "sync": "sync", "syncfs": "sync",
}  # fmt: skip


def _seen(folder: Node) -> dict[str, Node]:
    return folder.names


def _lasting(folder: Node) -> dict[str, Node]:
    return folder.lasting


def _apply(naming: Naming, names: Callable[[Node], dict[str, Node]]) -> None:
    for folder, name, node in naming.changes:
        if node is None:
            names(folder).pop(name, None)
        else:
            names(folder)[name] = node


def _read_node(path: Path) -> Node:
    if path.is_dir():
        names = {one.name: _read_node(one) for one in path.iterdir()}
        return Node(True, names=names, lasting=dict(names))
    data = path.read_bytes()
    return Node(False, data, data)


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for below in node.names.values():
        yield from _walk(below)


def _left_of(node: Node, draw: random.Random) -> bytes:
    if node.data == node.synced:
        return node.data
    short = node.data[: draw.randrange(len(node.data) + 1)]
    return draw.choice((node.synced, node.data, short, bytes(len(node.data))))


def _write(
    node: Node, path: Path, names: Callable[[Node], dict[str, Node]], data: Callable[[Node], bytes]
) -> None:
    if not node.folder:
        path.write_bytes(data(node))
        return
    path.mkdir()
    for name, below in names(node).items():
        _write(below, path / name, names, data)


def read_files(root: Path) -> dict[str, bytes]:
    """Every file below a folder by its path."""
    return {str(one.relative_to(root)): one.read_bytes() for one in sorted(root.rglob("*")) if one.is_file()}


def is_installed() -> bool:
    """Whether strace is there, and may be used."""
    return shutil.which("strace") is not None and process.run(("strace", "-o", os.devnull, "true")).ok
