"""The command line for tests that use it as a user does."""

from __future__ import annotations

import json

import pytest

from patchrun.adapters.store import Arena
from patchrun.faces import cli


class Shell:
    """The command line in this process, on one arena."""

    def __init__(self, arena: Arena | None, capture: pytest.CaptureFixture[str]) -> None:
        self.where = ["-C", str(arena.repo.path.parent)] if arena else []
        self.capture = capture

    def __call__(self, *words: str, code: int = 0) -> str:
        """What the command prints; its exit code must be ``code``."""
        self.capture.readouterr()
        got = cli.run([*self.where, *words])
        captured = self.capture.readouterr()
        assert got == code, captured.out + captured.err
        self.err = captured.err
        return captured.out

    def json(self, *words: str, code: int = 0) -> dict:
        return json.loads(self(*words, "--format", "json", code=code))
