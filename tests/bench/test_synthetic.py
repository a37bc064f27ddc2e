"""A synthetic arena is a real one: everything verifies, and ranks."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchrun.services import standings, verify
from tests.bench import synthetic


def test_every_object_name_and_id_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    arena = synthetic.make(tmp_path, 40)
    assert verify.verify(arena).problems == ()
    assert len(arena.runs()) >= 40 and len(arena.attempts()) == synthetic.SHARING * len(arena.studies())
    board = standings.board(arena)
    assert sum(row.valid for row in board.rows) == len(arena.attempts())
