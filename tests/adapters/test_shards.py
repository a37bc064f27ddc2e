"""Token shards: headers and sizes, with the file that is wrong named."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from patchrun.adapters.corpus import write_shard
from patchrun.adapters.shards import HEADER_BYTES, check_shards, count_tokens
from patchrun.core.errors import SetupError

PATTERN = "data/fineweb10B/fineweb_*.bin"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "data" / "fineweb10B"
    home.mkdir(parents=True)
    for name, count in (("train_000001", 100), ("train_000002", 50), ("val_000000", 20)):
        write_shard(home / f"fineweb_{name}.bin", np.arange(count, dtype=np.uint16))
    return tmp_path


def shard(folder: Path, name: str) -> Path:
    return folder / "data" / "fineweb10B" / f"fineweb_{name}.bin"


def refusal(folder: Path, val_tokens: int = 10) -> str:
    with pytest.raises(SetupError) as caught:
        check_shards(folder, PATTERN, val_tokens)
    assert "DATA_PATH" in caught.value.hint
    return caught.value.message


def test_good_shards_are_counted(folder: Path) -> None:
    found = check_shards(folder, PATTERN, 10)
    assert (found.train_files, found.train_tokens, found.val_files, found.val_tokens) == (2, 150, 1, 20)


def test_a_wrong_magic_is_named_with_its_file(folder: Path) -> None:
    path = shard(folder, "train_000002")
    data = bytearray(path.read_bytes())
    data[:4] = struct.pack("<i", 123)
    path.write_bytes(data)
    assert "fineweb_train_000002.bin: magic 123 version 1" in refusal(folder)


def test_a_short_shard_says_how_many_tokens_it_holds(folder: Path) -> None:
    path = shard(folder, "train_000001")
    path.write_bytes(path.read_bytes()[:-10])
    assert "the header says 100 tokens, the file holds 95" in refusal(folder)


def test_a_file_shorter_than_a_header(folder: Path) -> None:
    shard(folder, "val_000000").write_bytes(b"\0" * (HEADER_BYTES - 1))
    assert "too short" in refusal(folder)


def test_missing_kinds_and_too_little_validation(folder: Path) -> None:
    assert "20 validation tokens, more than 20" in refusal(folder, 20)
    shard(folder, "val_000000").unlink()
    assert "no validation shards" in refusal(folder)
    assert "no training shards" in refusal(folder / "nowhere")


def test_an_unreadable_shard(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="x.bin"):
        count_tokens(tmp_path / "x.bin")
