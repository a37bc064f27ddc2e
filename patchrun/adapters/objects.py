"""Many small questions to git, answered by processes that stay: none is started for one answer, and one is held.

A process starts with the first question, and anew after a question that ended it (a damaged object does).
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from patchrun.adapters import process
from patchrun.adapters.gitrepo import ABSENT, DAMAGED
from patchrun.core.errors import ArenaError

if TYPE_CHECKING:
    from types import TracebackType

    from patchrun.adapters.gitrepo import GitRepo

LARGEST = 64 << 20  # bytes of one object: the longest logs and transcripts have a tenth
OBJECT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
OBJECTS = ("cat-file", "--batch")
DIFFS = (
    "diff-tree", "--stdin", "-r", "-p", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color",
    "--ignore-submodules=none",
)  # fmt: skip
END = b"END\n"  # git repeats a line that names no trees; none of a diff's own lines is this one


class Questions:
    """Objects and diffs of one repository, for one thread; its processes end with its ``with``."""

    def __init__(self, repo: GitRepo) -> None:
        self.repo = repo
        self._running: dict[tuple[str, ...], process.Child] = {}

    def __enter__(self) -> Questions:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for words in tuple(self._running):
            self._end(words)

    def find(self, spec: str) -> bytes | None:
        """The bytes of an object or of ``<commit>:<path>``, None where it is absent; ArenaError where it is damaged."""
        answer = self._ask_object(spec)
        return answer and answer[1]

    def read(self, spec: str) -> bytes:
        """The bytes of an object or of ``<commit>:<path>``; ArenaError where it is absent or damaged."""
        return self._require(spec)[1]

    def tree_of(self, commit: str) -> str:
        """The tree id of a commit; ArenaError where there is none."""
        return self._require(f"{commit}^{{tree}}")[0]

    def diff(self, before: str, after: str) -> bytes:
        """git's diff between two trees, named by their whole ids; empty where git can make none."""
        if not OBJECT_ID.fullmatch(before) or not OBJECT_ID.fullmatch(after):
            return b""
        output = self._tell(DIFFS, f"{before} {after}\n".encode() + END).stdout
        assert output is not None
        lines = []
        while (line := output.readline()) != END:
            if not line:  # it died
                self._end(DIFFS)
                return b""
            lines.append(line)
        return b"".join(lines[1:])  # the first repeats the question

    def _require(self, spec: str) -> tuple[str, bytes]:
        answer = self._ask_object(spec)
        if answer is None:
            raise ArenaError(f"{self.repo.path} has no {spec}")
        return answer

    def _ask_object(self, spec: str) -> tuple[str, bytes] | None:
        """Id and bytes of an object."""
        if "\n" in spec:
            return None
        output = self._tell(OBJECTS, f"{spec}\n".encode("utf-8", "surrogateescape")).stdout
        assert output is not None
        head = output.readline().split()
        if head and head[-1] in ABSENT:
            return None
        size = int(head[2]) if len(head) == 3 else -1
        if size > LARGEST:  # a few bytes on the wire may be as many in memory
            self._end(OBJECTS)
            raise ArenaError(f"{spec} has {size >> 20} MB: no result is so large")
        data = output.read(size + 1) if size >= 0 else b""
        if len(data) != size + 1:
            self._end(OBJECTS)
            raise ArenaError(f"{self.repo.path}: {spec} cannot be read", DAMAGED)
        return head[0].decode(), data[:-1]

    def _tell(self, words: tuple[str, ...], question: bytes) -> process.Child:
        if words not in self._running:
            self._running[words] = self.repo.start(*words)
        child = self._running[words]
        assert child.stdin is not None
        with suppress(BrokenPipeError):  # it died: there will be no answer
            os.write(child.stdin.fileno(), question)
        return child

    def _end(self, words: tuple[str, ...]) -> None:
        process.end_group(self._running.pop(words))
