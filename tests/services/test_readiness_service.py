"""What this very machine lacks for a record: asked of the real interpreter, data folder and driver."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from patchrun.adapters.corpus import write_shard
from patchrun.adapters.store import Arena
from patchrun.core.errors import SetupError
from patchrun.core.selection import Span
from patchrun.services import importer
from patchrun.services.readiness import find_gaps_here, list_gpus, prepare_site
from tests.upstream_fixture import Upstream, make_track
from tests.whole import make_whole


@pytest.fixture
def arena(tmp_path: Path, upstream: Upstream) -> Arena:
    importer.init(tmp_path / "arena", str(make_track(tmp_path / "track", upstream)), str(upstream.repo.path))
    return Arena.open(tmp_path / "arena")


def test_what_is_missing_here_is_named(arena: Arena, tmp_path: Path) -> None:
    gaps = [gap.what for gap in find_gaps_here(arena, Span(7, 7), tmp_path)]
    assert any(what.startswith("torch ") and "the record needs 2.10.0" in what for what in gaps)
    assert "module attention_by_hand cannot be imported" in gaps
    assert any("no training shards" in what for what in gaps)
    if not list_gpus():
        assert "0 GPUs, the code trains on 8" in gaps  # its baseline is the older code


def test_data_and_modules_that_are_there_are_no_gap(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = tmp_path / "data" / "fineweb10B"
    shards.mkdir(parents=True)
    for name in ("train_000001", "val_000000"):
        write_shard(shards / f"fineweb_{name}.bin", np.arange(20, dtype=np.uint16))
    (tmp_path / "attention_by_hand.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("DATA_PATH", str(tmp_path))
    gaps = [gap.what for gap in find_gaps_here(arena, Span(7, 7))]
    assert not any("shards" in what or "attention_by_hand" in what for what in gaps)


def test_a_track_that_states_no_needs_lacks_nothing(plain: Arena) -> None:
    assert find_gaps_here(plain, Span(1, 1)) == []


def test_an_interpreter_that_does_not_run(arena: Arena, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(SetupError, match="does not run: broken"):
        find_gaps_here(arena, Span(7, 7), tmp_path, str(broken))
    assert find_gaps_here(arena, Span(7, 7), tmp_path, sys.executable)


def test_what_scripts_fetch_is_brought_in_before_the_first_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make_whole(tmp_path, monkeypatch)
    era = whole.ladder.era[0]
    whole.__dict__["ladder"] = replace(whole.ladder, era=(replace(era, encodings=("gpt2",)),))
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "tiktoken.py").write_text(
        "import os, pathlib\ndef get_encoding(name):\n"
        "    pathlib.Path(os.environ['TIKTOKEN_CACHE_DIR']).mkdir()\n"
    )
    assert [gap.what for gap in find_gaps_here(whole, Span(1, 1))] == ["not fetched yet: gpt2"]
    with pytest.raises(SetupError, match="cannot fetch gpt2"):
        prepare_site(whole, Span(1, 1))
    monkeypatch.setenv("PYTHONPATH", str(packages))
    site = prepare_site(whole, Span(1, 1))
    assert site.fetched is not None and (site.fetched / "encodings").is_dir()
    assert find_gaps_here(whole, Span(1, 1)) == []
