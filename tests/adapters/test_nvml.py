"""Energy and use of GPUs, through a library with NVML's own interface, compiled here."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchrun.adapters import nvml
from patchrun.adapters.nvml import Gpus
from tests.adapters.nvml_library import install


def test_all_gpus_are_summed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "nvml", monkeypatch, gpus=3).set("use", 100, 50, 0)
    gpus = Gpus.open()
    assert gpus is not None
    assert gpus.joules() == 6000.0, "the counter is in millijoules"
    assert gpus.use() == 1.5


@pytest.mark.parametrize(
    ("visible", "joules"),
    [
        ("0", 1000.0),
        ("1", 2000.0),
        ("1,2", 5000.0),
        ("GPU-2", 3000.0),
        ("0,7,1", 1000.0),
        (" 0 , 2 ", 4000.0),
    ],
)
def test_only_the_gpus_that_a_run_sees_count(
    visible: str, joules: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "nvml", monkeypatch, gpus=3)
    gpus = Gpus.open(visible)
    assert gpus is not None and gpus.joules() == joules
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    again = Gpus.open()
    assert again is not None and again.joules() == joules


@pytest.mark.parametrize("visible", ["", "9", "x", "-1", "MIG-3"])
def test_no_gpu_that_a_run_sees_is_none(
    visible: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "nvml", monkeypatch)
    assert Gpus.open(visible) is None


def test_a_gpu_without_a_counter_makes_the_sum_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = install(tmp_path / "nvml", monkeypatch)
    (fake.folder / "energy1").unlink()
    gpus = Gpus.open()
    assert gpus is not None
    assert (gpus.joules(), gpus.use()) == (None, 1.0)
    fake.unset("use")
    assert gpus.use() is None


def test_a_driver_that_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = install(tmp_path / "nvml", monkeypatch)
    fake.set("init", 1)
    assert Gpus.open() is None
    fake.unset("init")
    fake.set("count", 0)
    assert Gpus.open() is None


@pytest.mark.parametrize("library", ["libno-such-library.so.1", "libc.so.6"])
def test_no_driver_library(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "LIBRARY", library)
    assert Gpus.open() is None
