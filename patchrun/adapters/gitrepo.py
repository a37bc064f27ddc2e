"""The one place that talks to git: a bare repository, read and written without a checkout.

Every call runs with the caller's ``GIT_*`` variables scrubbed, no system or user configuration, no hooks
and no attributes, so that a user's settings cannot change a tree. Lists come NUL-separated.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING

from patchrun.adapters import durable, process
from patchrun.adapters.gitrefs import UNSYNCED as UNSYNCED
from patchrun.adapters.gitrefs import RefExists as RefExists
from patchrun.adapters.gitrefs import Refs
from patchrun.core.errors import ArenaError

if TYPE_CHECKING:
    import git

REFUSAL = re.compile(r"^(?:error|fatal): (?!while searching for:).*", re.MULTILINE)
OFFSET = re.compile(r"Hunk #\d+ succeeded at .*")
MEMORY = Path("/dev/shm")  # what lives for milliseconds no disk need see
ABSENT = (b"missing", b"ambiguous")  # what git says in place of an object
DAMAGED = "the arena is damaged: `patchrun verify` lists what"
SYNCED = "[core]\n\tfsync = objects,derived-metadata,reference\n\tfsyncMethod = fsync\n"
SYNCED += "[receive]\n\tunpackLimit = 20\n"  # objects: more of them stay a pack, which is synced as one
PINNED = (
    "-c", "core.hooksPath=/dev/null", "-c", "core.attributesFile=/dev/null", "-c", "core.autocrlf=false",
    "-c", "core.quotePath=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false",
    "-c", "core.fsync=-loose-object,pack,derived-metadata,reference", "-c", "core.fsyncMethod=fsync",
)  # fmt: skip


@dataclass(frozen=True)
class Author:
    """Who a commit names."""

    name: str
    email: str

    def __post_init__(self) -> None:
        if not self.name.strip() or re.search(r"[<>\x00-\x1f\x7f]", self.name + self.email):
            raise ArenaError(f"not a name git can keep: {self.name!r}", "use letters, digits, spaces, dashes")


PATCHRUN = Author("patchrun", "patchrun@patchrun.invalid")


@dataclass(frozen=True)
class Entry:
    """A file of a tree: its mode (octal text) and blob id."""

    mode: str
    oid: str


@dataclass(frozen=True)
class Change:
    """A file that differs between two trees; ``status`` is A, M, D or T (type changed)."""

    path: str
    status: str
    old_mode: str
    new_mode: str
    old_oid: str
    new_oid: str


@dataclass(frozen=True)
class Applied:
    """What ``git apply`` made of a diff: the new tree, or git's refusal in git's words."""

    tree: str | None
    refusal: str
    offsets: tuple[str, ...] = ()


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The caller's environment without ``GIT_*``, and with git's configuration files off."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    pinned = {
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "LC_ALL": "C.UTF-8",
    }
    return kept | pinned | dict(extra or {})


class GitRepo(Refs):
    """A bare git repository."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path).resolve()
        self.watch = durable.Watch(self.path)
        weakref.finalize(self, self.watch.end)

    @classmethod
    def init(cls, path: Path, object_format: str = "sha1") -> GitRepo:
        """Make a bare repository at ``path``; ArenaError in git's words when it cannot be made."""
        words = (
            "--quiet",
            "--bare",
            "--template=",
            "--initial-branch=main",
            f"--object-format={object_format}",
        )
        done = process.run(("git", "init", *words, path), env=clean_environment())
        if not done.ok:
            raise ArenaError(f"cannot make a repository at {path}: {done.errors}")
        repo = cls(path)
        (repo.path / "info").mkdir(exist_ok=True)
        with (repo.path / "config").open("a") as file:  # for those who push to it: their git runs by itself
            file.write(SYNCED)
        return repo

    @cached_property
    def python(self) -> git.Repo:
        """The repository for GitPython, to navigate commits."""
        import git

        repo = git.Repo(self.path)
        repo.git.update_environment(**clean_environment(), GIT_DIR=str(self.path))
        return repo

    def git(
        self,
        *words: str,
        input: bytes | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        pass_fds: Sequence[int] = (),
    ) -> process.Completed:
        """Run one git command here; ArenaError in git's words when it fails and ``check``."""
        done = process.run(self._argv(words), input=input, env=clean_environment(env), pass_fds=pass_fds)
        if check and not done.ok:
            raise ArenaError(f"git {words[0]} failed in {self.path}: {done.errors}")
        return done

    def start(self, *words: str) -> process.Child:
        """Start a git command that answers while it runs; what it says on standard error is dropped."""
        pipe, nowhere = process.PIPE, process.DEVNULL
        return process.spawn(self._argv(words), env=clean_environment(), stdin=pipe, stderr=nowhere)

    def _argv(self, words: Sequence[str]) -> list[str]:
        return ["git", *PINNED, f"--git-dir={self.path}", *words]

    def _text(self, *words: str, input: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
        return self.git(*words, input=input, env=env).stdout.decode().strip()

    @contextmanager
    def _index(self, tree: str | None = None, keep: bool = True) -> Iterator[dict[str, str]]:
        """The environment of a temporary index that holds ``tree``; without ``keep`` new objects go with it."""
        with tempfile.TemporaryDirectory(prefix="patchrun-index-", dir=_memory()) as folder:
            env = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            if not keep:
                own = str(self.path / "objects")
                env |= {"GIT_OBJECT_DIRECTORY": folder, "GIT_ALTERNATE_OBJECT_DIRECTORIES": own}
            if tree:
                self.git("read-tree", tree, env=env)
            yield env

    def apply(self, tree: str, diff: bytes, keep: bool = True) -> Applied:
        """Apply ``diff`` to ``tree`` as ``git apply`` does, without fuzz and without a checkout.

        Without ``keep`` nothing is written to the repository: the tree's id is all there is of it.
        """
        if keep:
            self.watch.begin()
        with self._index(tree, keep) as env:
            words = ("apply", "--cached", "--verbose", "--whitespace=nowarn", "-")
            done = self.git(*words, input=diff, env=env, check=False)
            said = done.errors
            if not done.ok:
                return Applied(None, "\n".join(REFUSAL.findall(said)) or said)
            return Applied(self._text("write-tree", env=env), "", tuple(OFFSET.findall(said)))

    def changes(self, before: str, after: str) -> tuple[Change, ...]:
        """The files that differ between two trees, renames shown as a removal and an addition."""
        words = ("diff-tree", "-r", "--raw", "-z", "--no-renames", "--full-index", before, after)
        fields = self.git(*words).stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]
        pairs = zip(fields[::2], fields[1::2], strict=True)
        return tuple(_change(meta, path) for meta, path in pairs)

    def changes_of(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[Change, ...]]:
        """The files that differ between the trees of each pair (see ``changes``), by one process."""
        asked = "".join(f"{before} {after}\n" for before, after in pairs).encode()
        words = ("diff-tree", "-r", "--raw", "-z", "--no-renames", "--full-index", "--stdin")
        found: list[list[Change]] = []
        for field, path in _split_changes(self.git(*words, input=asked).stdout if pairs else b""):
            if path is None:
                found.append([])
            else:
                found[-1].append(_change(field, path))
        return [tuple(changes) for changes in found]

    def diff(self, before: str, after: str, *words: str) -> bytes:
        """The unified diff between two trees; it applies to ``before`` and gives ``after``."""
        pinned = ("--full-index", "--binary", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")
        return self.git("diff-tree", "-r", "-p", *pinned, *words, before, after).stdout

    def patch_id(self, diff: bytes) -> str:
        """git's id of a patch (``patch-id --verbatim``); empty when git sees no patch."""
        said = self.git("patch-id", "--verbatim", input=diff, check=False).stdout.split()
        return said[0].decode() if said else ""

    def files(self, tree: str) -> dict[str, Entry]:
        """Every file of a tree by path."""
        listing = self.git("ls-tree", "-r", "-z", "--full-tree", tree).stdout
        lines = listing.decode("utf-8", "surrogateescape").split("\0")[:-1]
        entries = (line.split("\t", 1) for line in lines)
        return {path: Entry(meta.split(" ")[0], meta.split(" ")[2]) for meta, path in entries}

    def resolve(self, spec: str) -> str:
        """The object id that ``spec`` names (``<commit>^{tree}``, a ref); ArenaError when none."""
        done = self.git("rev-parse", "--verify", "--quiet", "--end-of-options", spec, check=False)
        if not done.ok:
            raise ArenaError(f"{self.path} has no {spec}")
        return done.stdout.decode().strip()

    def tree_of(self, commit: str) -> str:
        """The tree id of a commit."""
        return self.resolve(f"{commit}^{{tree}}")

    def trees_of(self, commits: Iterable[str]) -> dict[str, str]:
        """Commit -> its tree id, by one process; ArenaError when one is absent."""
        wanted = list(commits)
        query = "".join(f"{commit}^{{tree}}\n" for commit in wanted).encode()
        said = self.git("cat-file", "--batch-check=%(objectname)", input=query).stdout.decode().splitlines()
        if absent := [line for line in said if line.endswith((" missing", " ambiguous"))]:
            raise ArenaError(f"{self.path} has no {absent[0].rpartition(' ')[0]}")
        return dict(zip(wanted, said, strict=True))

    def read(self, spec: str) -> bytes:
        """The bytes of an object or of ``<commit>:<path>``; ArenaError when it is absent."""
        data = self.read_many([spec])[0]
        if data is None:
            raise ArenaError(f"{self.path} has no {spec}")
        return data

    def read_many(self, specs: Iterable[str]) -> list[bytes | None]:
        """The bytes of each object, None where absent, by one ``cat-file --batch``."""
        wanted = list(specs)
        if not wanted:
            return []
        query = "".join(f"{spec}\n" for spec in wanted).encode("utf-8", "surrogateescape")
        answer = self.git("cat-file", "--batch", input=query).stdout
        return list(_split_batch(answer, len(wanted)))

    def stream(self, specs: Iterable[str]) -> Iterator[bytes | None]:
        """What ``read_many`` gives, one by one as git reads it; ArenaError where git ends before it has read all."""
        with tempfile.TemporaryFile(dir=_memory()) as asked:
            count = sum(bool(asked.write(f"{spec}\n".encode("utf-8", "surrogateescape"))) for spec in specs)
            asked.seek(0)
            words = self._argv(("cat-file", "--batch", "--buffer"))
            child = process.spawn(
                words, env=clean_environment(), stdin=asked.fileno(), stderr=process.DEVNULL
            )
            try:
                assert child.stdout is not None
                for _ in range(count):
                    yield self._next_object(child.stdout)
            finally:
                process.end_group(child)

    def _next_object(self, answer: IO[bytes]) -> bytes | None:
        header = answer.readline().rstrip(b"\n").rsplit(b" ", 2)
        if header[-1] in ABSENT:
            return None
        size = int(header[-1]) if len(header) == 3 else -1
        data = answer.read(size + 1) if size >= 0 else b""
        if len(data) != size + 1:
            raise ArenaError(f"git cannot read all of {self.path}", DAMAGED)
        return data[:-1]

    def write_blob(self, data: bytes) -> str:
        """Store bytes; the blob id."""
        self.watch.begin()
        return self._text("hash-object", "-w", "--stdin", "--no-filters", input=data)

    def write_blobs(self, contents: Sequence[bytes]) -> list[str]:
        """Store several contents by one process; their blob ids."""
        if not contents:
            return []
        self.watch.begin()
        with tempfile.TemporaryDirectory(prefix="patchrun-blobs-", dir=_memory()) as folder:
            paths = [Path(folder, str(index)) for index in range(len(contents))]
            for path, data in zip(paths, contents, strict=True):
                path.write_bytes(data)
            return self._text("hash-object", "-w", "--no-filters", "--", *map(str, paths)).split()

    def write_tree(self, files: Mapping[str, tuple[str, str]]) -> str:
        """Store a tree of ``path -> (mode, blob id)``, folders made as needed; the tree id."""
        self.watch.begin()
        if not any("/" in path for path in files):
            rows = "".join(f"{mode} blob {oid}\t{path}\0" for path, (mode, oid) in files.items())
            return self._text("mktree", "-z", input=rows.encode())
        lines = "".join(f"{mode} {oid}\t{path}\0" for path, (mode, oid) in sorted(files.items()))
        with self._index() as env:
            self.git("update-index", "-z", "--index-info", input=lines.encode(), env=env)
            return self._text("write-tree", env=env)

    def rebuild_tree(self, tree: str) -> str:
        """The id that a tree's entries give: another one than ``tree`` where its object was tampered with."""
        return self.write_tree({path: (entry.mode, entry.oid) for path, entry in self.files(tree).items()})

    def store_files(self, files: Mapping[str, bytes], executable: Sequence[str] = ()) -> str:
        """Store plain files as a tree; the tree id."""
        modes = ("100755" if path in executable else "100644" for path in files)
        blobs = self.write_blobs(list(files.values()))
        return self.write_tree(dict(zip(files, zip(modes, blobs, strict=True), strict=True)))

    def commit(
        self,
        tree: str,
        parents: Sequence[str],
        message: str,
        author: Author,
        when: str,
        signing_key: Path | None = None,
    ) -> str:
        """Store a commit dated ``when`` (ISO 8601) by ``author``; the commit id, the same for the same words.

        With ``signing_key`` (a private ssh key) it carries git's ssh signature.
        """
        self.watch.begin()
        env = {
            "GIT_AUTHOR_NAME": author.name, "GIT_AUTHOR_EMAIL": author.email, "GIT_AUTHOR_DATE": when,
            "GIT_COMMITTER_NAME": PATCHRUN.name, "GIT_COMMITTER_EMAIL": PATCHRUN.email, "GIT_COMMITTER_DATE": when,
        }  # fmt: skip
        words = [word for parent in parents for word in ("-p", parent)]
        if signing_key:
            signed = ("-c", "gpg.format=ssh", "-c", f"user.signingKey={signing_key}", "commit-tree", "-S")
            return self._text(*signed, *words, tree, input=message.encode(), env=env)
        return self._text("commit-tree", *words, tree, input=message.encode(), env=env)

    def export(self, tree: str, folder: Path) -> None:
        """Write the files of a tree below ``folder``, plain: no filters, no links, no submodules.

        Raises:
            ArenaError: a file's content is gone, or is not what its id says (git itself checks that in fsck only).
        """
        entries = {path: entry for path, entry in self.files(tree).items() if entry.mode.startswith("100")}
        blobs = self.read_many(entry.oid for entry in entries.values())
        for (path, entry), data in zip(entries.items(), blobs, strict=True):
            if data is None or hash_blob(data, len(entry.oid)) != entry.oid:
                raise ArenaError(f"{self.path}: {path} is not the content {entry.oid} any more", DAMAGED)
            target = Path(folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            target.chmod(0o755 if entry.mode == "100755" else 0o644)


def _memory() -> Path | None:
    """Where short-lived files need not meet a disk; None where there is no such place."""
    return MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK | os.X_OK) else None


def hash_blob(data: bytes, digits: int) -> str:
    """git's id of a file with this content; 64 ``digits`` are a repository by SHA-256."""
    made = hashlib.sha256 if digits == 64 else hashlib.sha1
    return made(b"blob %d\0" % len(data) + data).hexdigest()


def _change(meta: str, path: str) -> Change:
    old_mode, new_mode, old_oid, new_oid, status = meta.removeprefix(":").split(" ")
    return Change(path, status[0], old_mode, new_mode, old_oid, new_oid)


def _split_changes(answer: bytes) -> Iterator[tuple[str, str | None]]:
    """(fields, path) of each change that ``diff-tree --stdin -z`` tells, and before each pair's (its trees, None)."""
    position = 0
    while position < len(answer):
        end = answer.index(b"\0" if answer[position : position + 1] == b":" else b"\n", position)
        field, position = answer[position:end].decode(), end + 1
        if field.startswith(":"):
            end = answer.index(b"\0", position)
            yield field, answer[position:end].decode("utf-8", "surrogateescape")
            position = end + 1
        else:
            yield field, None


def _split_batch(answer: bytes, count: int) -> Iterator[bytes | None]:
    """Cut the answer of ``cat-file --batch`` into the objects asked for."""
    position = 0
    for _ in range(count):
        end = answer.index(b"\n", position)
        header = answer[position:end].rsplit(b" ", 2)
        position = end + 1
        if header[-1] in ABSENT:
            yield None
            continue
        size = int(header[-1])
        yield answer[position : position + size]
        position += size + 1
