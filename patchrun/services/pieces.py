"""Cut a submission into pieces: hunks between the stored trees, joined until each subset tried is code by itself."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from patchrun.adapters.store import Arena
from patchrun.core.errors import UsageError
from patchrun.core.links import link_hunks
from patchrun.core.pieces import FileChange, Hunk, Piece, merge, put_on, read_hunks
from patchrun.core.pyfile import PyFile, TreeCode, parse_baseline
from patchrun.core.results import Attempt
from patchrun.services import materials, validator

ABSENT = "000000"


@dataclass(frozen=True)
class Variant:
    """The baseline with some pieces on: its tree, the digest of its code, and why it is none ("" when it is)."""

    pieces: frozenset[int]
    tree: str
    ast_digest: str
    problem: str


class Patchwork:
    """One submission's pieces, and the variants that they make; each is built and validated once."""

    def __init__(self, arena: Arena, attempt: Attempt, pieces: Sequence[Piece] = ()) -> None:
        self.arena, self.attempt = arena, attempt
        self.baseline_tree = arena.repo.tree_of(attempt.baseline_commit)
        self.track = arena.track.at_record(attempt.span.first)
        self.changes = read_changes(arena, self.baseline_tree, attempt.patched_tree)
        self.known: dict[tuple[Hunk, ...], Variant] = {}
        self.pieces = tuple(pieces) or tuple(self._find_pieces())

    @cached_property
    def everything(self) -> frozenset[int]:
        return frozenset(range(len(self.pieces)))

    @cached_property
    def baseline_digest(self) -> str:
        """The digest of the baseline's code, as the validator makes it of patched trees."""
        files = self.arena.repo.files(self.baseline_tree)
        python = [path for path in files if path.endswith(".py") or path == self.track.launch.script]
        blobs = self.arena.repo.read_many(files[path].oid for path in python)
        parsed = {path: parse_baseline(path, data or b"") for path, data in zip(python, blobs, strict=True)}
        kept = {path: file for path, file in parsed.items() if isinstance(file, PyFile)}
        return TreeCode({path: entry.oid for path, entry in files.items()}, kept).digest

    def variant(self, pieces: Collection[int]) -> Variant:
        """The baseline with these pieces, by index."""
        chosen = [self.pieces[k] for k in sorted(pieces)]
        made = self._build(chosen)
        return Variant(frozenset(pieces), made.tree, made.ast_digest, made.problem)

    def tree(self, pieces: Collection[Piece]) -> str:
        """The tree of the baseline with these pieces on; nothing is checked."""
        hunks = {hunk for piece in pieces for hunk in piece.hunks}
        files = {path: (e.mode, e.oid) for path, e in self.arena.repo.files(self.baseline_tree).items()}
        for change in self.changes:
            own = [hunk for hunk in hunks if hunk.path == change.path]
            if own:
                files.pop(change.path, None)
                if (data := put_on(change, own)) is not None:
                    files[change.path] = (change.new_mode, self.arena.repo.write_blob(data))
        return self.arena.repo.write_tree(files)

    def makes(self, pieces: Collection[int], tree: str, ast_digest: str) -> bool:
        """Whether these pieces give this tree, or one whose code has this digest (AST-equal variants share an arm)."""
        chosen = [self.pieces[k] for k in sorted(pieces)]
        if self.tree(chosen) == tree:
            return True
        digest = self._build(chosen).ast_digest
        return digest == ast_digest or (digest == self.baseline_digest and tree == self.baseline_tree)

    def _build(self, pieces: Sequence[Piece]) -> Variant:
        key = tuple(sorted(hunk for piece in pieces for hunk in piece.hunks))
        if key not in self.known:
            tree = self.tree(pieces)
            digest, problem = self._check(tree)
            self.known[key] = Variant(frozenset(), tree, digest, problem)
        return self.known[key]

    def _check(self, tree: str) -> tuple[str, str]:
        """(digest of the code, why the validator rejects it), as if the variant had been handed in."""
        diff = self.arena.repo.diff(self.baseline_tree, tree)
        if not diff:
            return self.baseline_digest, ""
        find_limit = partial(materials.find_limit, self.arena, self.attempt.span)
        found = validator.validate(
            self.arena.repo, self.track, self.attempt.baseline_commit, diff, find_limit
        )
        errors = [one for one in found.findings if one.severity == "error"]
        return found.ast_digest, f"{errors[0].code}: {errors[0].message}" if errors else ""

    def _find_pieces(self) -> list[Piece]:
        """Hunks, joined by the names that they share, then by trying each alone and the rest without it."""
        hunks = [hunk for change in self.changes for hunk in find_hunks(self.arena, change)]
        pieces = merge([Piece((hunk,)) for hunk in hunks], self._link(hunks))
        while pair := self._find_dependent(pieces):
            pieces = merge(pieces, pair)
        return pieces

    def _link(self, hunks: Sequence[Hunk]) -> dict[tuple[int, int], str]:
        before = {
            c.path: tree for c in self.changes if (tree := _parse(c.path, c.before, self.track.launch.script))
        }
        after = {
            c.path: tree for c in self.changes if (tree := _parse(c.path, c.after, self.track.launch.script))
        }
        return link_hunks(before, after, hunks)

    def _find_dependent(self, pieces: Sequence[Piece]) -> dict[tuple[int, int], str]:
        """A pair to join since one of them is no code alone, or the patch is none without it; empty when all are."""
        if len(pieces) < 2:
            return {}
        for index in range(len(pieces)):
            rest = [piece for k, piece in enumerate(pieces) if k != index]
            alone, without = self._build([pieces[index]]).problem, self._build(rest).problem
            if problem := alone or without:
                return {self._find_partner(pieces, index, bool(alone)): problem}
        return {}

    def _find_partner(self, pieces: Sequence[Piece], index: int, alone: bool) -> tuple[int, int]:
        """The nearest piece with which it is code (or without both of which the rest is); else the nearest."""
        others = sorted((k for k in range(len(pieces)) if k != index), key=lambda k: abs(k - index))

        def helps(other: int) -> bool:
            both = {index, other}
            return not self._build([p for k, p in enumerate(pieces) if (k in both) == alone]).problem

        other = next((k for k in others if helps(k)), others[0])
        return min(index, other), max(index, other)


def read_changes(arena: Arena, before: str, after: str) -> list[FileChange]:
    """The files that differ between two trees, with their contents.

    Raises:
        UsageError: something other than plain files differs.
    """
    raw = arena.repo.changes(before, after)
    for one in raw:
        if not {one.old_mode, one.new_mode} <= {"100644", "100755", ABSENT}:
            raise UsageError(f"{one.path} is no plain file", "only changes of plain files can be taken apart")
    blobs = arena.repo.read_many(oid for one in raw for oid in (one.old_oid, one.new_oid))
    pairs = zip(raw, blobs[::2], blobs[1::2], strict=True)
    return [FileChange(one.path, old, new, one.old_mode, one.new_mode) for one, old, new in pairs]


def find_hunks(arena: Arena, change: FileChange) -> list[Hunk]:
    """The hunks of one file, as git cuts them without context."""
    if change.is_whole:
        return read_hunks(change, b"")
    old, new = (arena.repo.write_blob(data or b"") for data in (change.before, change.after))
    return read_hunks(
        change, arena.repo.git("diff", "-U0", "--text", "--no-color", "--no-ext-diff", old, new).stdout
    )


def _parse(path: str, data: bytes | None, script: str) -> ast.Module | None:
    if data is None or not (path.endswith(".py") or path == script):
        return None
    try:
        return ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
