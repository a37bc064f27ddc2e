"""Whether a patch is the diff that git itself makes, but for words on which ``git apply`` does not act."""

from __future__ import annotations

import re

INDEX = re.compile(rb"index [0-9a-f]{4,64}\.\.[0-9a-f]{4,64}( 100644| 100755)?")
PLACE = re.compile(rb"@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@(?= |$)")
BODY = tuple(b" +-\\@")  # how the lines of hunks begin, and `---`, `+++`, `@@`
HEAD = re.compile(rb"diff --git |index |(?:old|new) mode 100|(?:new|deleted) file mode 100")


def is_same_patch(patch: bytes, made: bytes) -> bool:
    """``git apply`` does with ``patch`` what it does with ``made``, git's own diff of two trees of plain text.

    They are the same line by line, except that ``patch`` may shorten or leave out the ids of blobs and may have other
    words, or none, behind the place of a hunk. False proves nothing: one change can be said in many ways.
    """
    theirs = patch.split(b"\n")
    at = 0
    for own in made.split(b"\n"):
        line = theirs[at] if at < len(theirs) else b""
        if own and own[0] not in BODY and not HEAD.match(own):
            return False  # binary, a link, a submodule
        if own.startswith(b"index ") and not line.startswith(b"index "):
            continue
        if not _says_the_same(line, own):
            return False
        at += 1
    return bool(made) and at == len(theirs)


def _says_the_same(line: bytes, own: bytes) -> bool:
    if own.startswith(b"index "):
        index, own_index = INDEX.fullmatch(line), INDEX.fullmatch(own)
        return bool(index and own_index and index[1] in (None, own_index[1]))
    if own.startswith(b"@@ "):
        place, own_place = PLACE.match(line), PLACE.match(own)
        return bool(place and own_place and place[0] == own_place[0])
    return line == own
