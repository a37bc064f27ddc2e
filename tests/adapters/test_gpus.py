"""What the driver's tool says of GPUs: read from a tool of our own, since its answers are all that is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchrun.adapters import gpus
from patchrun.core.results import GpuState


def install_tool(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{text}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_states_are_read_field_by_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "1980, 2619, 54, 0x0000000000000004\n345, 2619, 31, 0x0000000000000001"
    install_tool(tmp_path, monkeypatch, f"echo '{lines}'")
    assert gpus.read_states() == (
        GpuState(1980.0, 2619.0, 54.0, ("power cap",)),
        GpuState(345.0, 2619.0, 31.0, ("idle",)),
    )


def test_what_a_gpu_does_not_tell_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_tool(tmp_path, monkeypatch, "echo '[N/A], 2619, [Not Supported], [N/A]'")
    assert gpus.read_states() == (GpuState(None, 2619.0, None, ()),)


def test_the_query_asks_for_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_tool(tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/words')
    assert gpus.read_states() == ()
    said = (tmp_path / "words").read_text()
    assert said == f"--query-gpu={gpus.STATE} --format=csv,noheader,nounits\n"


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (0x0, ""),
        (0x1 | 0x2 | 0x4, ""),
        (0x40, "throttled (GPU 1: hardware thermal slowdown)"),
        (0x88, "throttled (GPU 1: hardware slowdown, power brake)"),
    ],
)
def test_idle_and_power_cap_are_no_throttling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mask: int, said: str
) -> None:
    install_tool(
        tmp_path, monkeypatch, f"echo '1980, 2619, 50, 0x{0:016x}'; echo '900, 2619, 90, 0x{mask:016x}'"
    )
    assert gpus.say_throttled(gpus.read_states()) == said


def test_driver_and_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_tool(tmp_path, monkeypatch, "echo 550.90.07; echo 550.90.07")
    assert gpus.driver_version() == "550.90.07"
    names = ("NVIDIA H100 80GB HBM3",) * 8
    assert gpus.gpu_class(names, "2.10.0", "550.90.07") == (
        "8x nvidia-h100-80gb-hbm3, torch 2.10.0, driver 550.90.07"
    )
    assert gpus.gpu_class(names, "2.10.0", "550.90.07") != gpus.gpu_class(names, "2.9.0", "550.90.07")


@pytest.mark.parametrize("text", ["exit 9", "echo 'NVIDIA-SMI has failed' >&2; exit 1"])
def test_a_driver_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    install_tool(tmp_path, monkeypatch, text)
    assert (gpus.read_states(), gpus.driver_version()) == ((), "")


def test_no_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (gpus.read_states(), gpus.driver_version(), gpus.say_throttled(())) == ((), "", "")
