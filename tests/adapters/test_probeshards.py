"""Shards in place of the real ones: names, sizes, headers, content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from patchrun.adapters.corpus import write_shard
from patchrun.adapters.probeshards import write_known, write_relabelled
from patchrun.adapters.shards import HEADER_BYTES, check_shards
from patchrun.core.knownsource import draw_validation, make_source, permute_ids
from tests.probing import SECRET, TRACK
from tests.whole import whole_track

SPEC = TRACK.probe
assert SPEC
DATA = whole_track(data={"val_tokens": 1000}).data


def read(path: Path) -> np.ndarray:
    return np.fromfile(path, np.uint16, offset=HEADER_BYTES)


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """Training shards of 900, 900 and 400 tokens; validation shards of 700 and 2,000: the stretch needs both."""
    home, draws = tmp_path / "real" / "data" / "fineweb10B", np.random.default_rng(0)
    sizes = {
        "train_000001": 900,
        "train_000002": 900,
        "train_000003": 400,
        "val_000000": 700,
        "val_000001": 2000,
    }
    for name, size in sizes.items():
        write_shard(home / f"fineweb_{name}.bin", draws.integers(0, 16, size).astype(np.uint16))
    return tmp_path / "real"


def test_known_tokens_have_the_form_of_the_real_ones(real: Path, tmp_path: Path) -> None:
    made = write_known(SPEC, DATA, SECRET, real, tmp_path / "made")
    assert check_shards(made.home, DATA.pattern, 1000) == check_shards(real, DATA.pattern, 1000)
    assert set(made.instead) == set(real.rglob("*.bin"))
    for path, other in made.instead.items():
        assert path.relative_to(real) == other.relative_to(made.home)
        assert path.stat().st_size == other.stat().st_size and other.stat().st_mode & 0o444 == 0o444


def test_the_validation_shards_hold_the_stretch_and_go_on(real: Path, tmp_path: Path) -> None:
    made = write_known(SPEC, DATA, SECRET, real, tmp_path / "made")
    tokens = np.concatenate([read(path) for path in sorted(made.home.rglob("*_val_*.bin"))])
    stretch = draw_validation(make_source(SPEC, SECRET), SECRET, 1000).tokens
    assert (tokens[:1001] == stretch).all() and len(tokens) == 2700 and tokens.max() < 16


@pytest.mark.parametrize(("most", "distinct"), [(10_000, 3), (1800, 2), (1, 1)])
def test_training_tokens_repeat_after_so_many(real: Path, tmp_path: Path, most: int, distinct: int) -> None:
    from msgspec.structs import replace

    made = write_known(replace(SPEC, train_tokens=most), DATA, SECRET, real, tmp_path / "made")
    starts = {read(path)[:300].tobytes() for path in made.home.rglob("*_train_*.bin")}
    assert len(starts) == distinct


def test_permuted_ids_are_the_same_text_in_other_words(real: Path, tmp_path: Path) -> None:
    made = write_relabelled(SPEC, DATA, SECRET, real, tmp_path / "made")
    table = permute_ids(SPEC, SECRET)
    for path, other in made.instead.items():
        assert (read(other) == table[read(path)]).all()


def test_held_out_tokens_are_permuted_too_and_stand_for_all_validation_shards(
    real: Path, tmp_path: Path
) -> None:
    held_out = tmp_path / "held_out.bin"
    write_shard(held_out, np.arange(1200, dtype=np.uint16) % 16)
    made = write_relabelled(SPEC, DATA, SECRET, real, tmp_path / "made", held_out)
    for path, other in made.instead.items():
        shown = held_out if "_val_" in path.name else path
        assert (read(other) == permute_ids(SPEC, SECRET)[read(shown)]).all()
