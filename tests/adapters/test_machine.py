from __future__ import annotations

import os
import platform
import stat
from pathlib import Path

import pytest

from patchrun.adapters import machine


@pytest.fixture(autouse=True)
def fresh():
    machine.list_gpus.cache_clear()
    yield
    machine.list_gpus.cache_clear()


def install_driver_tool(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{text}\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_this_machine():
    seen = machine.describe(torch="2.13.0", python="3.11.7")
    assert (seen.host, seen.cores, seen.kernel) == (platform.node(), os.cpu_count(), platform.release())
    assert (seen.torch, seen.python) == ("2.13.0", "3.11.7")
    assert seen.hardware_class
    assert seen == machine.describe(torch="2.13.0", python="3.11.7")


@pytest.mark.parametrize(
    ("cpu", "gpus", "expected"),
    [
        ("Intel(R) Xeon(R) CPU @ 2.20GHz family 6 model 79", (), "intel-xeon-cpu-2-20ghz-family-6-model-79"),
        ("AMD EPYC", ("NVIDIA H100 80GB HBM3",) * 8, "8x nvidia-h100-80gb-hbm3"),
        ("x", ("NVIDIA A100", "NVIDIA H100", "NVIDIA A100"), "2x nvidia-a100 + 1x nvidia-h100"),
    ],
)
def test_hardware_class(cpu: str, gpus: tuple[str, ...], expected: str):
    assert machine.hardware_class(cpu, gpus) == expected


def test_gpus_are_those_the_driver_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    install_driver_tool(tmp_path, monkeypatch, "echo 'NVIDIA H100 80GB HBM3'; echo 'NVIDIA H100 80GB HBM3'")
    assert machine.list_gpus() == ("NVIDIA H100 80GB HBM3",) * 2
    assert machine.describe("t", "p").hardware_class == "2x nvidia-h100-80gb-hbm3"


def test_a_driver_that_fails_means_no_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    install_driver_tool(tmp_path, monkeypatch, "echo 'NVIDIA-SMI has failed'; exit 9")
    assert machine.list_gpus() == ()


def test_no_driver_means_no_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.list_gpus() == ()
