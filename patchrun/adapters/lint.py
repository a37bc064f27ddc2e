"""The linter: ruff, with a fixed set of rules that neither the user's settings nor the file can change."""

from __future__ import annotations

import os
from functools import cache

import msgspec

from patchrun.adapters import process
from patchrun.core.errors import SetupError
from patchrun.core.lintrules import SELECTED, Problem

TIMEOUT_SECONDS = 60
# The newest grammar: whether a file is Python is for the parser to say, which knows the Python at hand.
TARGET = "py314"


class _Place(msgspec.Struct):
    row: int
    column: int


class _Row(msgspec.Struct):
    message: str
    location: _Place
    code: str | None = None


def lint(name: str, source: bytes) -> tuple[Problem, ...]:
    """What ruff says of a Python file, in its order; ``name`` is shown to ruff, no file of that name is read.

    Raises:
        SetupError: ruff is not installed, or could not do its work; the message has its words.
    """
    argv = [
        find_ruff(), "check", "--isolated", "--no-cache", "--quiet", "--ignore-noqa", "--no-preview",
        "--select", ",".join(SELECTED), "--target-version", TARGET, "--output-format", "json",
        f"--stdin-filename={name}", "-",
    ]  # fmt: skip
    done = process.run(argv, input=source, env=_environment(), timeout=TIMEOUT_SECONDS)
    if done.returncode not in (0, 1):
        raise SetupError(f"ruff could not check {name}: {done.errors or f'it ended with {done.returncode}'}")
    try:
        rows = msgspec.json.decode(done.stdout, type=list[_Row])
    except msgspec.DecodeError as error:
        raise SetupError(
            f"ruff's answer on {name} cannot be read: {error}", "install the pinned ruff"
        ) from None
    return tuple(
        Problem(row.code or "invalid-syntax", row.message, row.location.row, row.location.column)
        for row in rows
    )


@cache
def find_ruff() -> str:
    """The path of the ruff that is installed beside patchrun; SetupError when there is none."""
    try:
        from ruff import find_ruff_bin

        return find_ruff_bin()
    except (ImportError, FileNotFoundError):
        raise SetupError(
            "ruff is not installed", "install patchrun with its dependencies: pip install patchrun"
        ) from None


def _environment() -> dict[str, str]:
    """The caller's environment without ruff's own variables."""
    return {key: value for key, value in os.environ.items() if not key.startswith("RUFF_")}
