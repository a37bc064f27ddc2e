"""What commits hold, decoded once: a cache in an arena's own folder, so that reading does not cost git each time.

A commit never changes, so an entry never goes stale. A damaged file is dropped and made again: it is not worth a wait
for the disk, so each value has a checksum instead. Whoever has no right to write there reads from git alone.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")  # what msgspec can write
WAIT_SECONDS = 2.0


class ValueIndex:
    """A table for each kind of value: the id of a commit -> what it holds. Safe for many processes at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, kind: type[T], commits: Collection[str]) -> dict[str, T]:
        """Commit -> value, of those that are known."""
        if not commits or not self.path.is_file():
            return {}
        query = f"SELECT id, sum, value FROM {_table(kind)} WHERE id IN (SELECT value FROM json_each(?))"
        decode = msgspec.msgpack.Decoder(kind).decode
        try:
            with self._open(kind) as database:
                rows = database.execute(query, (json.dumps(list(commits)),))
                return {commit: decode(_check(data, checksum)) for commit, checksum, data in rows}
        except sqlite3.OperationalError:  # locked, or not ours to write: as if nothing were known
            return {}
        except (sqlite3.DatabaseError, msgspec.DecodeError):
            self.drop()
            return {}

    def put(self, kind: type[T], values: Mapping[str, T]) -> None:
        """Keep values; where that cannot be done (no room, no right) nothing is kept."""
        encode = msgspec.msgpack.Encoder().encode
        packed = ((commit, encode(value)) for commit, value in values.items())
        rows = sorted((commit, zlib.crc32(data), data) for commit, data in packed)
        try:
            self.path.parent.mkdir(exist_ok=True)
            with self._open(kind) as database, database:
                database.executemany(f"INSERT OR IGNORE INTO {_table(kind)} VALUES (?, ?, ?)", rows)
        except (OSError, sqlite3.OperationalError):
            return
        except sqlite3.DatabaseError:
            self.drop()

    def drop(self) -> None:
        """Forget everything."""
        for path in (self.path, self.path.with_name(f"{self.path.name}-journal")):
            path.unlink(missing_ok=True)

    @contextmanager
    def _open(self, kind: type) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=WAIT_SECONDS)) as database:
            database.execute("PRAGMA synchronous = OFF")
            database.execute(
                f"CREATE TABLE IF NOT EXISTS {_table(kind)} "
                "(id TEXT PRIMARY KEY, sum INTEGER NOT NULL, value BLOB NOT NULL)"
            )
            yield database


def _check(data: bytes, checksum: int) -> bytes:
    if zlib.crc32(data) != checksum:
        raise msgspec.DecodeError("not what was written")
    return data


@cache
def _table(kind: type) -> str:
    """A name that changes with the fields of ``kind``."""
    schema = json.dumps(msgspec.json.schema(kind), sort_keys=True)
    return f"{kind.__name__.lower()}_{hashlib.sha256(schema.encode()).hexdigest()[:12]}"
