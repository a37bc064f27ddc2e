"""Slurm's absence, refusals, and the settings' file; a real cluster is in tests/services/test_slurm.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchrun.adapters import slurm
from patchrun.core.errors import ManifestError, SetupError
from patchrun.core.slurmconfig import Settings


@pytest.fixture
def settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "patchrun").mkdir()
    return tmp_path / "patchrun" / "slurm.toml"


def test_settings_come_from_the_configuration_folder(settings_file: Path) -> None:
    assert slurm.config_file() == settings_file
    assert slurm.read_settings("pocket") == Settings()
    settings_file.write_text('partition = "cpu"\n')
    assert slurm.read_settings("pocket").partition == "cpu"


def test_the_folder_is_in_home_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert slurm.config_file() == Path.home() / ".config" / "patchrun" / "slurm.toml"


def test_settings_that_are_wrong_or_cannot_be_read(settings_file: Path) -> None:
    settings_file.write_text("partition = 3\n")
    with pytest.raises(ManifestError, match=f"{settings_file}: partition"):
        slurm.read_settings("pocket")
    settings_file.write_bytes(b"\xff\xfe")
    with pytest.raises(SetupError, match="cannot read"):
        slurm.read_settings("pocket")
    settings_file.unlink()
    settings_file.mkdir()
    with pytest.raises(SetupError, match="cannot read"):
        slurm.read_settings("pocket")


def test_a_machine_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="no Slurm on this machine: sbatch, squeue, scancel not found"):
        slurm.check()
    with pytest.raises(SetupError, match="cannot start sbatch"):
        slurm.submit("#!/bin/bash\n")
    assert slurm.read_ended("12", "study") == [], "no accounting is no history"
