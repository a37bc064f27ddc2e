"""What is fetched for runs without network, by packages of our own in place of those that ask a hub."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from patchrun.adapters.fetched import environment_of, fetch, fetched_home, is_fetched
from patchrun.core.errors import SetupError

VERSIONS = """
def select_revision_or_version(name, *, revision, version):
    return "main" if version is None else f"v{version}"
"""
UTILS = """
import os, pathlib
def install_kernel(name, revision):
    if name == "org/absent":
        raise FileNotFoundError("no build variant for this system")
    place = pathlib.Path(os.environ["HF_HOME"], "hub", name.replace("/", "--"), revision, "build", "torch-x86")
    place.mkdir(parents=True)
    print("downloading")
    return name, place
"""
TIKTOKEN = """
import os, pathlib
def get_encoding(name):
    place = pathlib.Path(os.environ["TIKTOKEN_CACHE_DIR"])
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text("ranks")
"""


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "packages"
    (folder / "kernels").mkdir(parents=True)
    (folder / "kernels" / "__init__.py").write_text("")
    (folder / "kernels" / "_versions.py").write_text(VERSIONS)
    (folder / "kernels" / "utils.py").write_text(UTILS)
    (folder / "tiktoken.py").write_text(TIKTOKEN)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_kernels_and_encodings_are_brought_in_and_named(tmp_path: Path) -> None:
    home = fetch(sys.executable, ["org/attention", "org/other@1"], ["gpt2"], tmp_path / "cache")
    assert is_fetched(home)
    seen = environment_of(home)
    hub = home / "hub" / "hub"
    assert (
        seen["LOCAL_KERNELS"]
        == f"org/attention={hub}/org--attention/main/build:org/other={hub}/org--other/v1/build"
    )
    assert (Path(seen["TIKTOKEN_CACHE_DIR"]) / "gpt2").read_text() == "ranks"
    assert seen["HF_HUB_OFFLINE"] == "1"
    assert all(Path(seen[name]).is_absolute() for name in ("HF_HOME", "TIKTOKEN_CACHE_DIR"))


def test_it_is_brought_in_once(tmp_path: Path) -> None:
    first = fetch(sys.executable, ["org/attention"], [], tmp_path / "cache")
    assert (
        fetch(sys.executable, ["org/attention"], [], tmp_path / "cache") == first
    )  # else its mkdir would fail


def test_another_list_or_interpreter_has_a_place_of_its_own(tmp_path: Path) -> None:
    one = fetched_home(sys.executable, ["a"], [], tmp_path)
    assert one != fetched_home(sys.executable, ["a", "b"], [], tmp_path)
    assert one != fetched_home(sys.executable, [], ["a"], tmp_path)
    assert one != fetched_home("/usr/bin/python3", ["a"], [], tmp_path)


def test_what_cannot_be_had_is_said_in_the_packages_words(tmp_path: Path) -> None:
    with pytest.raises(
        SetupError, match="cannot fetch org/absent: FileNotFoundError: no build variant"
    ) as caught:
        fetch(sys.executable, ["org/absent"], [], tmp_path / "cache")
    assert "network" in caught.value.hint
    assert not is_fetched(fetched_home(sys.executable, ["org/absent"], [], tmp_path / "cache"))
