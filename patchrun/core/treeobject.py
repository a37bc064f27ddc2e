"""git's tree objects, read strictly: only what git itself would write again, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Mapping

FOLDER = b"40000"
MODES = (b"100644", b"100755", b"120000", b"160000", FOLDER)
PLAIN_MODES = (b"100644", b"100755", FOLDER)
PLAIN_NAME = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9_.+-]*")  # of no meaning to git on any file system
Entries = Mapping[bytes, tuple[bytes, str]]


def read_entries(data: bytes, digits: int) -> Entries | None:
    """Name -> (mode, object id of ``digits``); None where git would write the tree in other words, or not at all.

    Those are modes that it does not use, names out of order or twice, and a tree without entries.
    """
    found: dict[bytes, tuple[bytes, str]] = {}
    at, last = 0, b""
    while at < len(data):
        head, zero, _ = data[at : at + 5000].partition(b"\0")
        mode, _, name = head.partition(b" ")
        at += len(head) + 1
        oid = data[at : at + digits // 2].hex()
        at += digits // 2
        place = name + b"/" if mode == FOLDER else name
        if (
            not zero
            or mode not in MODES
            or len(oid) != digits
            or name in found
            or place <= last
            or b"/" in name
        ):
            return None
        found[name], last = (mode, oid), place
    return found or None


def list_changes(before: Entries, after: Entries) -> list[tuple[str | None, str | None]] | None:
    """The folders that differ, as (old, new) tree ids, None where there is none.

    None where something else than plain files and folders under plain names differs, or a file became a folder.
    """
    folders: list[tuple[str | None, str | None]] = []
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        modes = {entry[0] for entry in (old, new) if entry}
        if not modes <= set(PLAIN_MODES) or not PLAIN_NAME.fullmatch(name):
            return None
        if FOLDER in modes:
            if len(modes) > 1:
                return None
            folders.append((old and old[1], new and new[1]))
    return folders
