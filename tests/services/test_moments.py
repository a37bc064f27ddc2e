"""What trainings left of their early moments: read, compared, refused."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny import tiny_track

from patchrun.adapters.modelfile import BadModel
from patchrun.services.moments import read_moments, require_calls
from patchrun.services.training import Trained


def trained(folder: Path, values: dict[int, float], numbers: tuple[int, ...] = (1, 2, 9, 20)) -> Trained:
    """A training that was to leave ``numbers`` and left those of ``values``, each filled with its value."""
    folder.mkdir()
    paths = {number: folder / f"{number}.safetensors" for number in numbers}
    for number, value in values.items():
        save_file({"w": np.full(3, value, np.float32)}, paths[number])
    return Trained("ok", "", 1.0, 1.0, None, (), b"", folder / "model.safetensors", paths)


def test_all_trainings_of_a_seed_give_one_table(tmp_path: Path):
    one = trained(tmp_path / "one", {1: 0.0, 2: 0.5, 9: 1.0})
    other = trained(tmp_path / "other", {1: 0.0, 2: 0.5, 7: 0.8, 9: 1.0, 30: 2.0}, (1, 2, 7, 9, 30, 60))
    found = read_moments(tiny_track(), [one, other])
    assert list(found) == [1, 2, 7, 9, 30]
    assert {model.parameters for model in found.values()} == {3}


def test_without_the_first_there_is_no_run(tmp_path: Path):
    with pytest.raises(BadModel, match=r"of no module that the script called: .* as model\(inputs\)"):
        read_moments(tiny_track(), [trained(tmp_path / "one", {2: 0.0})])


def test_trainings_that_should_agree_and_do_not(tmp_path: Path):
    both = [trained(tmp_path / "one", {1: 0.0, 9: 1.0}), trained(tmp_path / "other", {1: 0.0, 9: 1.5})]
    with pytest.raises(BadModel, match="two trainings with one seed differ after at most 8 updates"):
        read_moments(tiny_track(), both)
    assert list(read_moments(tiny_track(seeds={"deterministic": False}), both)) == [1, 9]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "text", "nan", "large"])
def test_files_that_are_no_copies_are_refused_and_named(tmp_path: Path, kind: str):
    left = trained(tmp_path / "one", {1: 0.0})
    place = left.snapshots[2]
    if kind == "link":
        place.symlink_to("/etc/hostname")
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    elif kind == "text":
        place.write_text("weights")
    else:
        save_file({"w": np.full(3 if kind == "nan" else 60_000, np.nan, np.float32)}, place)
    with pytest.raises(BadModel, match="the model after at most 1 update: "):
        read_moments(tiny_track(), [left])


def test_a_model_that_was_hardly_called_cannot_know_much():
    track = tiny_track(evidence={"min_loss_steps": (5.5, 5.0, 4.6)})
    require_calls(track, [1, 2, 3, 9], 1.0)
    require_calls(track, [1, 2], 4.7)
    with pytest.raises(BadModel, match=r"its loss is 1\.000 after fewer than 3 calls of the model"):
        require_calls(track, [1, 2], 1.0)
    require_calls(tiny_track(evidence={"min_loss_steps": ()}), [1], 1.0)
