"""Fixtures that many tests share: a home of their own, small real repositories, small real arenas."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from patchrun.adapters.gitrepo import GitRepo
from patchrun.adapters.store import Arena
from patchrun.services import importer
from tests.messages_api import STUB_KEY, MessagesApi, serve
from tests.upstream_fixture import Upstream, make_upstream

TINY = Path(__file__).parent / "tracks" / "tiny"

TRACK = """\
version = 1
name = "plain"
title = "A track without data, for tests of what surrounds training"

[target]
loss = 3.0

[rule]
kind = "mean"
blocks = 5

[clock]
source = "cpu"

[seeds]
public = [1, 2]
deterministic = true

[limits]
wall_seconds = 10
memory_mb = 1024
file_mb = 10
model_mb = 1

[hardware]
device = "cpu"

[edit]
paths = ["train.py"]
new_paths = ["extra/*.py"]
protected = ["train.py:load"]

[launch]
script = "train.py"

[evidence]
kind = "model"
vocab_size = 16
context = 8

[data]
source = "shards"
"""

RECORDS = """\
version = 1

[base.measured]
n = 5
seconds_mean = 10.0

[[record]]
number = 1
date = "2026-01-02"
by = "Ada"
summary = "faster"
patch = "patches/1.patch"
measured = { n = 5, seconds_mean = 7.0 }

[[record]]
number = 2
date = "2026-01-03"
by = "Grace"
ai_system = "Deep Thought"
summary = "faster still"
patch = "patches/2.patch"
measured = { n = 5, seconds_mean = 5.0 }
"""

SCRIPT = """\
RATE = 1
STEPS = 100


def load():
    return 42


def main():
    print(RATE, STEPS, load())
"""


def change(old: str, new: str, line: int, path: str = "train.py") -> bytes:
    """A diff that replaces one line of the plain script (context on both sides as there is)."""
    lines = SCRIPT.splitlines()
    before, after = lines[max(line - 2, 0) : line - 1], lines[line : line + 3]
    start, count = max(line - 1, 1), len(before) + 1 + len(after)
    body = [f" {text}" for text in before] + [f"-{old}", f"+{new}"] + [f" {text}" for text in after]
    head = (
        f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -{start},{count} +{start},{count} @@\n"
    )
    return (head + "\n".join(body) + "\n").encode()


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The owner's keys go to a folder of the test's own."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    monkeypatch.delenv("PATCHRUN_ARENA", raising=False)
    return folder


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[MessagesApi]:
    """A scripted Messages API on this machine, with its address and a key in the environment."""
    with serve() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", STUB_KEY)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.delenv("ANTHROPIC_CUSTOM_HEADERS", raising=False)
        yield server


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    """An empty bare repository."""
    return GitRepo.init(tmp_path / "bare.git")


def write_track(folder: Path) -> Path:
    """The plain track as a folder."""
    (folder / "base").mkdir(parents=True)
    (folder / "patches").mkdir()
    (folder / "track.toml").write_text(TRACK)
    (folder / "records.toml").write_text(RECORDS)
    (folder / "base" / "train.py").write_text(SCRIPT)
    (folder / "patches" / "1.patch").write_bytes(change("RATE = 1", "RATE = 2", 1))
    second = change("STEPS = 100", "STEPS = 50", 2).replace(b" RATE = 1", b" RATE = 2")
    (folder / "patches" / "2.patch").write_bytes(second)
    return folder


@pytest.fixture
def plain_track(tmp_path: Path) -> Path:
    """A track folder with two records and no data."""
    return write_track(tmp_path / "plain")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, corpora: Path) -> dict[str, Path]:
    """Arenas of the plain and the tiny track with their owners' keys, made once for all tests to copy."""
    folder = tmp_path_factory.mktemp("models")
    tracks = {"plain": write_track(folder / "track"), "tiny": TINY}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATCHRUN_CACHE", str(corpora))
        for name, track in tracks.items():
            patch.setenv("XDG_DATA_HOME", str(folder / name / "data"))
            importer.init(folder / name / "arena", str(track))
    return {name: folder / name for name in tracks}


def copy_arena(model: Path, place: Path, home: Path) -> Arena:
    """An arena that is a copy of ``model``, its key among the keys in ``home``."""
    shutil.copytree(model / "arena", place)
    shutil.copytree(model / "data", home / "data", dirs_exist_ok=True)
    return Arena.open(place)


@pytest.fixture
def plain(tmp_path: Path, home: Path, models: dict[str, Path]) -> Arena:
    """An arena of the plain track."""
    return copy_arena(models["plain"], tmp_path / "arena", home)


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of corpora for the whole test process."""
    return tmp_path_factory.mktemp("corpora")


@pytest.fixture
def tiny(
    tmp_path: Path, home: Path, models: dict[str, Path], corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> Arena:
    """An arena of the tiny track, whose runs take about a second."""
    monkeypatch.setenv("PATCHRUN_CACHE", str(corpora))
    return copy_arena(models["tiny"], tmp_path / "tiny-arena", home)


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    """A small upstream repository of our own; whoever changes it takes a copy."""
    return make_upstream(tmp_path_factory.mktemp("upstream") / "bare.git")
