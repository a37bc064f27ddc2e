"""The control group: human patches through the validator."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from patchrun.adapters.store import Arena
from patchrun.services import importer
from patchrun.services.control import run_control
from tests.upstream_fixture import Upstream, make_track


@pytest.fixture
def arena(tmp_path: Path, upstream: Upstream) -> Arena:
    importer.init(tmp_path / "arena", str(make_track(tmp_path / "track", upstream)), str(upstream.repo.path))
    return Arena.open(tmp_path / "arena")


def test_every_pair_is_validated_and_gives_its_tree(arena: Arena) -> None:
    rows = {row.record: row for row in run_control(arena)}
    assert set(rows) == {3, 4, 5, 6, 7}
    assert all(row.exact for row in rows.values())
    assert (rows[6].files, rows[6].accepted, rows[6].findings) == (0, True, ())
    assert (rows[7].files, rows[5].files) == (3, 1)
    assert (rows[5].added, rows[5].removed) == (1, 1)


def test_a_rejected_human_patch_says_why(arena: Arena) -> None:
    track = arena.track
    edit = replace(track.edit, new_paths=())
    arena.__dict__["track"] = replace(track, edit=edit)
    row = next(row for row in run_control(arena) if row.record == 7)
    assert not row.accepted
    assert row.codes["error PR202"] == 1
