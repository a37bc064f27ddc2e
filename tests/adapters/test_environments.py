"""Environments of old records: named by their pins, built whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from patchrun.adapters import process
from patchrun.adapters.environments import build_environment, environment_home
from patchrun.core.errors import SetupError


def test_the_place_follows_from_the_pins_alone(tmp_path: Path) -> None:
    one = environment_home(["a==1", "b==2"], tmp_path)
    assert one == environment_home(["b==2", "a==1"], tmp_path)
    assert one != environment_home(["a==1", "b==3"], tmp_path)
    assert one != environment_home(["a==1", "b==2"], tmp_path, python="3.11")


def test_without_uv_the_message_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="uv") as caught:
        build_environment(["a==1"], tmp_path / "cache")
    assert "pip install uv" in caught.value.hint
    assert not (tmp_path / "cache").exists()


def test_a_built_environment_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = environment_home(["a==1"], tmp_path)
    home.mkdir(parents=True)
    (home / "packages.txt").write_text("a==1\n")
    monkeypatch.setenv("PATH", "")
    assert build_environment(["a==1"], tmp_path) == home / "bin" / "python"


@pytest.mark.network
@pytest.mark.skipif(not shutil.which("uv"), reason="uv is not installed")
def test_a_small_environment_is_built_and_a_failed_one_leaves_nothing(tmp_path: Path) -> None:
    version = f"{os.sys.version_info.major}.{os.sys.version_info.minor}"
    python = build_environment(["typing-extensions==4.15.0"], tmp_path, python=version)
    said = process.run(
        [python, "-c", "from importlib import metadata; print(metadata.version('typing-extensions'))"]
    )
    assert said.stdout.strip() == b"4.15.0"
    with pytest.raises(SetupError, match="pip install failed"):
        build_environment(["typing-extensions==0.0.0"], tmp_path, python=version)
    assert [path.name for path in (tmp_path / "environments").iterdir()] == [python.parents[1].name]
