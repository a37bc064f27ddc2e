"""Where labels lie: in the track's folder, and in the arena that was made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchrun.adapters.store import Arena
from patchrun.core.errors import ManifestError, UsageError
from patchrun.services import importer, labelbook

LABELS = """\
version = 1
by = "Ada"
date = "2026-11-22"

[[label]]
record = 1
depth = "Shallow"
provenance = "Imported"
reason = "a higher rate"
"""


@pytest.fixture
def labelled(plain_track: Path) -> Path:
    (plain_track / "labels.toml").write_text(LABELS)
    return plain_track


def test_the_rubric_ships_with_the_package() -> None:
    assert len(labelbook.read_rubric().depth) == 4


def test_labels_go_with_the_track_into_the_arena(labelled: Path, tmp_path: Path) -> None:
    importer.init(tmp_path / "labelled", str(labelled))
    found = labelbook.of_arena(Arena.open(tmp_path / "labelled"))
    assert found.book == labelbook.of_track(str(labelled)).book
    assert (found.book.of(1).depth, found.track) == ("Shallow", "plain")
    assert found.tell().speedup == 2.0


def test_a_track_without_labels_has_none(plain: Arena, plain_track: Path) -> None:
    for found in (labelbook.of_arena(plain), labelbook.of_track(str(plain_track))):
        assert [step.label.depth for step in found.tell().steps] == [None, None]


def test_broken_labels_name_the_file(labelled: Path) -> None:
    (labelled / "labels.toml").write_text(LABELS.replace("Shallow", "Flat"))
    with pytest.raises(ManifestError, match="labels.toml: label.0.depth"):
        labelbook.of_track(str(labelled))
    (labelled / "labels.toml").write_bytes(b"\xff")
    with pytest.raises(ManifestError, match="cannot be read"):
        labelbook.of_track(str(labelled))


def test_broken_labels_make_no_arena(labelled: Path, tmp_path: Path) -> None:
    (labelled / "labels.toml").write_text(LABELS.replace("record = 1", "record = 3"))
    with pytest.raises(ManifestError, match="no record 3 in the ladder"):
        importer.init(tmp_path / "labelled", str(labelled))
    assert not (tmp_path / "labelled").exists()


def test_a_track_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="no track at"):
        labelbook.of_track("/nowhere/at/all")
