"""What tests of the command line share: the command line on a plain arena, and a good diff for its record 1."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchrun.adapters.store import Arena
from tests.conftest import change
from tests.shell import Shell

GOOD = change("STEPS = 100", "STEPS = 60", 2)


@pytest.fixture
def shell(plain: Arena, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(plain, capsys)


@pytest.fixture
def diff(tmp_path: Path) -> str:
    (tmp_path / "good.diff").write_bytes(GOOD)
    return str(tmp_path / "good.diff")
