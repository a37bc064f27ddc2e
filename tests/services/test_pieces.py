"""Submissions cut into pieces on real git, and joined until each is code by itself."""

from __future__ import annotations

import difflib

import pytest

from patchrun.adapters.store import Arena
from patchrun.core.errors import UsageError
from patchrun.core.pieces import Hunk, Piece
from patchrun.core.selection import Span
from patchrun.services import tournament
from patchrun.services.pieces import Patchwork, read_changes
from tests.conftest import SCRIPT

ONE = Span(1, 1)


def diff_to(new: str, old: str = SCRIPT, path: str = "train.py") -> bytes:
    lines = difflib.unified_diff(old.splitlines(True), new.splitlines(True), f"a/{path}", f"b/{path}")
    return (f"diff --git a/{path} b/{path}\n" + "".join(lines)).encode()


def cut(arena: Arena, diff: bytes) -> Patchwork:
    handed = tournament.hand_in(arena, diff, ONE, "ada")
    assert handed.attempt.accepted, handed.attempt.findings
    return Patchwork(arena, handed.attempt)


def text_of(arena: Arena, patchwork: Patchwork, pieces: set[int], path: str = "train.py") -> str:
    return arena.repo.read(f"{patchwork.variant(pieces).tree}:{path}").decode()


def test_hunks_that_stand_alone_are_pieces_and_every_subset_is_built(plain: Arena) -> None:
    new = SCRIPT.replace("STEPS = 100", "STEPS = 60").replace("print(RATE", "print(2 * RATE")
    patchwork = cut(plain, diff_to(new))
    assert [piece.places for piece in patchwork.pieces] == ["train.py:2", "train.py:10"]
    assert text_of(plain, patchwork, {0, 1}) == new and text_of(plain, patchwork, set()) == SCRIPT
    assert text_of(plain, patchwork, {0}) == SCRIPT.replace("STEPS = 100", "STEPS = 60")
    assert patchwork.variant({0, 1}).tree == patchwork.attempt.patched_tree
    assert patchwork.variant({0, 1}).ast_digest == patchwork.attempt.ast_digest


def test_a_definition_and_its_use_are_one_by_name(plain: Arena) -> None:
    new = SCRIPT.replace("RATE = 1\n", "RATE = 1\nGAIN = 3\n").replace("print(RATE", "print(GAIN")
    [piece] = cut(plain, diff_to(new)).pieces
    assert len(piece.hunks) == 2 and piece.reason == "brings in GAIN"


def test_a_name_that_moved_is_one_by_trying(plain: Arena) -> None:
    """The name was there before and is there after: only the linter, on each part alone, sees that they belong."""
    before = SCRIPT.replace("RATE = 1\n", "")
    new = before.replace("def main():", "RATE = 1\n\n\ndef main():").replace("100", "60")
    patchwork = cut(plain, diff_to(new))
    moved = [piece for piece in patchwork.pieces if len(piece.hunks) == 2]
    assert len(moved) == 1 and "PR303" in moved[0].reason and "RATE" in moved[0].reason
    for piece in patchwork.everything:
        assert not patchwork.variant({piece}).problem
        assert not patchwork.variant(patchwork.everything - {piece}).problem


def test_brackets_that_open_in_one_hunk_and_close_in_another_are_one(plain: Arena) -> None:
    new = SCRIPT.replace("def main():\n", "def main():\n    if True:\n").replace(
        "    print(", "        print("
    )
    new = new.replace("STEPS = 100", "STEPS = 60")
    patchwork = cut(plain, diff_to(new))
    assert all(not patchwork.variant({k}).problem for k in patchwork.everything)
    assert len(patchwork.pieces) == 2


def test_a_new_file_and_its_import_are_one(plain: Arena) -> None:
    new = SCRIPT.replace("    print(", "    from extra import gain\n\n    gain.show()\n    print(")
    more = b"diff --git a/extra/gain.py b/extra/gain.py\nnew file mode 100644\n--- /dev/null\n+++ b/extra/gain.py\n"
    patchwork = cut(plain, diff_to(new) + more + b"@@ -0,0 +1,2 @@\n+def show():\n+    print(1)\n")
    whole = [hunk for piece in patchwork.pieces for hunk in piece.hunks if hunk.whole]
    assert [hunk.path for hunk in whole] == ["extra/gain.py"]
    assert len(patchwork.pieces) == 1 and patchwork.pieces[0].reason == "brings in show"
    assert patchwork.tree([]) == patchwork.baseline_tree


def test_a_comment_is_a_piece_whose_code_is_the_same(plain: Arena) -> None:
    new = SCRIPT.replace("RATE = 1", "RATE = 1  # a word").replace("print(RATE", "print(2 * RATE")
    patchwork = cut(plain, diff_to(new))
    assert patchwork.variant({1}).ast_digest == patchwork.attempt.ast_digest
    assert patchwork.variant({0}).ast_digest == patchwork.baseline_digest


def test_bytes_that_are_no_text_are_kept(plain: Arena) -> None:
    new = SCRIPT.replace("RATE = 1", 'RATE = 1\nNAME = "é\\x00"  # \t').replace(
        "print(RATE", "print(3 * RATE"
    )
    patchwork = cut(plain, diff_to(new))
    assert text_of(plain, patchwork, set(patchwork.everything)) == new


def test_stored_pieces_are_taken_as_they_are(plain: Arena) -> None:
    attempt = cut(plain, diff_to(SCRIPT.replace("RATE = 1", "RATE = 2"))).attempt
    pieces = (Piece((Hunk("train.py", 0, 1, 0, 1),), "because"),)
    assert Patchwork(plain, attempt, pieces).pieces == pieces


def test_a_link_cannot_be_taken_apart(plain: Arena) -> None:
    link = plain.repo.write_tree({"train.py": ("120000", plain.repo.write_blob(b"/etc/passwd"))})
    with pytest.raises(UsageError, match="no plain file"):
        read_changes(plain, plain.repo.tree_of(plain.baseline(1)), link)
