"""The speedrun's token shards: headers and sizes checked without reading the tokens."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from patchrun.core.errors import SetupError

MAGIC = 20240520
VERSION = 1
HEADER_BYTES = 256 * 4
TOKEN_BYTES = 2
PIECE = 1 << 22  # tokens that are made up at once
VALIDATION = "_val_"  # marks a shard's name
HINT = "fetch them with the upstream repository's own data script, and name the folder above `data/` in DATA_PATH"


@dataclass(frozen=True)
class Shards:
    """What was found: files and tokens for training and for validation."""

    train_files: int
    train_tokens: int
    val_files: int
    val_tokens: int


def check_shards(folder: Path, pattern: str, val_tokens: int) -> Shards:
    """Check every shard below ``folder`` that matches ``pattern``; ``_val_`` in a name marks validation.

    Raises:
        SetupError: there are none of a kind, one has a wrong header or size (named), or validation is too short.
    """
    found = {path: count_tokens(path) for path in sorted(folder.glob(pattern))}
    val = [count for path, count in found.items() if VALIDATION in path.name]
    train = [count for path, count in found.items() if VALIDATION not in path.name]
    for name, counts in (("training", train), ("validation", val)):
        if not counts:
            raise SetupError(f"{folder}: no {name} shards ({pattern})", HINT)
    if sum(val) <= val_tokens:
        raise SetupError(f"{folder}: {sum(val)} validation tokens, more than {val_tokens} are needed", HINT)
    return Shards(len(train), sum(train), len(val), sum(val))


def validation_shards(folder: Path, pattern: str) -> list[Path]:
    """The validation shards below ``folder``, sorted by name."""
    return sorted(path for path in folder.glob(pattern) if VALIDATION in path.name)


def training_shards(folder: Path, pattern: str) -> list[Path]:
    """The training shards below ``folder``, sorted by name."""
    return sorted(path for path in folder.glob(pattern) if VALIDATION not in path.name)


def make_up_shard(like: Path, target: Path, seed: int) -> None:
    """A shard of the form of ``like`` that says nothing of it: as many tokens, all but the document marks drawn anew.

    The first token marks a document where it comes again, as in the speedrun's shards; these marks keep their places,
    since loaders look for them. All others are uniform below the largest id of ``like``.
    """
    import numpy as np

    draws = np.random.default_rng(seed)
    tokens = np.memmap(like, dtype="<u2", mode="r", offset=HEADER_BYTES)
    with like.open("rb") as header, target.open("wb") as file:
        file.write(header.read(HEADER_BYTES))
        for start in range(0, len(tokens), PIECE):
            piece = tokens[start : start + PIECE]
            others = draws.integers(int(tokens[:PIECE].max()) + 1, size=len(piece), dtype=np.uint16)
            file.write(np.where(piece == tokens[0], piece, others).astype("<u2").tobytes())


def count_tokens(path: Path) -> int:
    """The token count of a shard: 256 int32 (magic, version, count), then uint16 tokens.

    Raises:
        SetupError: the header is another one, or the file is longer or shorter than it says.
    """
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
        size = path.stat().st_size
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}", HINT) from None
    if len(header) < HEADER_BYTES:
        raise SetupError(f"{path}: {size} bytes, too short for a shard's header", HINT)
    magic, version, count = struct.unpack("<3i", header[:12])
    if (magic, version) != (MAGIC, VERSION):
        raise SetupError(f"{path}: magic {magic} version {version}, not {MAGIC} version {VERSION}", HINT)
    if size != HEADER_BYTES + count * TOKEN_BYTES:
        held = (size - HEADER_BYTES) // TOKEN_BYTES
        raise SetupError(f"{path}: the header says {count} tokens, the file holds {held}", HINT)
    return count
