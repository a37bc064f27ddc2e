from __future__ import annotations

import hashlib
import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save, save_file

from patchrun.adapters.modelfile import BadModel, NoModel, read_model
from patchrun.core.graph.values import Spec


def write_raw(path: Path, dtype: str, shape: list[int], data: bytes) -> Path:
    """A safetensors file of one tensor ``w``, spelled out, for types that numpy does not have."""
    header = json.dumps({"w": {"dtype": dtype, "shape": shape, "data_offsets": [0, len(data)]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def test_a_model_is_counted_and_hashed(path: Path):
    save_file(
        {"a": np.ones((3, 4), np.float32), "b": np.zeros(5, np.int64), "c": np.array(1, np.float16)}, path
    )
    model = read_model(path, model_mb=1, parameters=53)
    assert model.parameters == 12 + 5 * 8 + 1, "integers count by their bytes"
    assert model.specs["b"] == Spec((5,), "int64") and not model.specs["c"].shape
    assert model.data == path.read_bytes()
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_no_file(path: Path):
    with pytest.raises(NoModel):
        read_model(path, 1, None)


def test_one_number_too_many_buffers_included(path: Path):
    save_file({"weights": np.ones(15, np.float32), "table": np.ones(4, np.int32)}, path)
    with pytest.raises(BadModel, match="holds 31 numbers, 30 are allowed"):
        read_model(path, 1, parameters=30)
    assert read_model(path, 1, None).parameters == 31


def test_text_in_integers_of_any_width_counts_as_much_as_it_holds(path: Path):
    """A million tokens of nine bits, seven to an int64, in bytes, bools or wide floats."""
    for array in (
        np.zeros(140_000, np.int64), np.zeros(600_000, np.int16), np.zeros(1_125_000, np.uint8),
        np.zeros(1_125_000, bool), np.zeros(210_000, np.float64),
    ):  # fmt: skip
        save_file({"text": array}, path)
        with pytest.raises(BadModel, match="400,000 are allowed"):
            read_model(path, 4, parameters=400_000)


def test_one_byte_too_many(path: Path):
    save_file({"a": np.zeros(1 << 18, np.float32)}, path)
    with pytest.raises(BadModel, match=r"has 1\.00 MiB, 1 are allowed"):
        read_model(path, 1, None)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_numbers_that_are_not_finite(path: Path, value: float, kind: type):
    weights = np.ones(7, kind)
    weights[3] = value
    save_file({"fine": np.ones(2, kind), "blocks.0.w": weights}, path)
    with pytest.raises(BadModel, match=r"blocks\.0\.w holds NaN or infinity"):
        read_model(path, 1, None)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_the_largest_numbers_are_finite(path: Path, kind: type):
    save_file({"w": np.array([np.finfo(kind).max, np.finfo(kind).min, np.finfo(kind).tiny, 0], kind)}, path)
    assert read_model(path, 1, None).parameters == (8 if kind is np.float64 else 4)


def test_bfloat16(path: Path):
    assert read_model(write_raw(path, "BF16", [2], b"\x80\x3f\x7f\x7f"), 1, None).parameters == 2
    with pytest.raises(BadModel, match="holds NaN or infinity"):
        read_model(write_raw(path, "BF16", [2], b"\x80\x3f\x80\x7f"), 1, None)


def test_a_type_that_is_not_read(path: Path):
    with pytest.raises(BadModel, match="type F8_E4M3"):
        read_model(write_raw(path, "F8_E4M3", [2], b"\0\0"), 1, None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04K\x01.",  # a pickle
        b"PK\x03\x04" + bytes(100),  # what torch.save writes
        struct.pack("<Q", 1 << 60) + b"{}",
        save({"a": np.ones(4, np.float32)})[:-1],
        save({"a": np.ones(4, np.float32)}) + b"more",
        struct.pack("<Q", 2) + b"[]",
    ],
)
def test_files_that_are_something_else(path: Path, data: bytes):
    path.write_bytes(data)
    with pytest.raises(BadModel, match="not a safetensors file"):
        read_model(path, 1, None)


def test_a_shape_that_lies(path: Path):
    with pytest.raises(BadModel, match="not a safetensors file"):
        read_model(write_raw(path, "F32", [1 << 40], b"\0" * 16), 1, None)


def test_links_pipes_and_folders_are_not_opened(path: Path, tmp_path: Path):
    save_file({"a": np.ones(1, np.float32)}, tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadModel, match="is a link, not a plain file"):
        read_model(path, 1, None)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BadModel, match="not a plain file"):
        read_model(path, 1, None)
    path.unlink()
    path.mkdir()
    with pytest.raises(BadModel, match="not a plain file"):
        read_model(path, 1, None)


def test_a_hostile_tensor_name_cannot_write_on_a_terminal(path: Path):
    save_file({"\x1b[2J" + "n" * 500: np.array([np.nan], np.float32)}, path)
    with pytest.raises(BadModel) as caught:
        read_model(path, 1, None)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 200
