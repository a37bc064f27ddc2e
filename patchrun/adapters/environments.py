"""Python environments for old records, built with uv from a pinned list and cached by it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from patchrun.adapters import process
from patchrun.core.errors import SetupError

PYTHON = "3.12"  # what the published logs ran on
BUILD_SECONDS = 3600


def environment_home(packages: Sequence[str], cache: Path, python: str = PYTHON) -> Path:
    """Where the environment of a pinned list lies."""
    words = "\n".join([python, *sorted(packages)])
    return cache / "environments" / hashlib.sha256(words.encode()).hexdigest()[:16]


def build_environment(packages: Sequence[str], cache: Path, python: str = PYTHON) -> Path:
    """The interpreter of an environment with just ``packages`` (``name==version``), built unless it is cached.

    Raises:
        SetupError: uv is not installed, or an install fails (in its words); then nothing is left behind.
    """
    home = environment_home(packages, cache, python)
    if (home / "packages.txt").is_file():
        return home / "bin" / "python"
    uv = shutil.which("uv")
    if not uv:
        raise SetupError("environments of old records are built with uv, which is not here", "pip install uv")
    home.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{home.name}-", dir=home.parent))
    try:
        _run([uv, "venv", "--quiet", "--relocatable", "--python", python, str(building / "env")])
        target = str(building / "env" / "bin" / "python")
        _run([uv, "pip", "install", "--quiet", "--python", target, *packages])
        (building / "env" / "packages.txt").write_text("\n".join(packages) + "\n")
        (building / "env").rename(home)
    except OSError:
        if not (home / "packages.txt").is_file():  # else another process has finished it first
            raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return home / "bin" / "python"


def _run(argv: Sequence[str]) -> None:
    done = process.run(argv, timeout=BUILD_SECONDS)
    if not done.ok:
        raise SetupError(
            f"{' '.join(argv[1:3])} failed: {done.errors[-600:]}", "see that the registry answers"
        )
