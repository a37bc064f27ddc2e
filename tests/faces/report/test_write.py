"""The folder of a site: put there whole, never over anything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from patchrun.adapters.store import Arena
from patchrun.core.errors import UsageError
from patchrun.core.selection import Span
from patchrun.faces.report import write
from patchrun.faces.report.gather import gather
from patchrun.faces.report.write import MARKER, OURS, check_target, write_site
from patchrun.services import tournament
from tests.conftest import change


def test_a_site_is_a_folder_of_its_own_files(plain: Arena, tmp_path: Path) -> None:
    written = write_site(gather(plain), tmp_path / "site")
    names = {entry.name for entry in (tmp_path / "site").iterdir()}
    assert names <= OURS and {"index.html", ".nojekyll", MARKER} <= names
    pages = [path for path in (tmp_path / "site").rglob("*") if path.suffix in (".html", ".js")]
    assert written.pages == len(pages) - 1, "report.js is an asset"
    assert written.largest == max(path.stat().st_size for path in pages if path.name != "report.js")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert json.loads((tmp_path / "site" / MARKER).read_text())["refs"] == gather(plain).refs


def test_a_site_replaces_a_former_one(plain: Arena, tmp_path: Path) -> None:
    write_site(gather(plain), tmp_path / "site")
    tournament.hand_in(plain, change("STEPS = 100", "STEPS = 60", 2), Span(1, 1), "ada")
    write_site(gather(plain), tmp_path / "site")
    assert "ada" in (tmp_path / "site" / "index.html").read_text()
    assert len(list((tmp_path / "site" / "submission").iterdir())) == 1


def test_the_same_arena_makes_the_same_site(plain: Arena, tmp_path: Path) -> None:
    tournament.hand_in(plain, change("STEPS = 100", "STEPS = 60", 2), Span(1, 1), "ada")
    site = gather(plain)
    for name in ("one", "two"):
        write_site(site, tmp_path / name)
    both = [sorted((path.relative_to(tmp_path / name), path.read_bytes())
                   for path in (tmp_path / name).rglob("*") if path.is_file()) for name in ("one", "two")]  # fmt: skip
    assert both[0] == both[1] and len(both[0]) > 8


@pytest.mark.parametrize("kept", ["notes.txt", ".git", "CNAME", "tier-x.html"])
def test_what_is_not_of_a_report_is_left_alone(plain: Arena, tmp_path: Path, kept: str) -> None:
    target = tmp_path / "site"
    target.mkdir()
    (target / kept).write_text("mine")
    with pytest.raises(UsageError, match="is not a report"):
        write_site(gather(plain), target)
    (target / MARKER).write_text("{}")
    with pytest.raises(UsageError, match=f"holds what is not of a report: {kept}"):
        write_site(gather(plain), target)
    assert (target / kept).read_text() == "mine" and len(list(target.iterdir())) == 2


def test_an_empty_folder_will_do_and_a_file_will_not(plain: Arena, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_site(gather(plain), tmp_path / "empty")
    assert (tmp_path / "empty" / "index.html").is_file()
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is not a folder"):
        check_target(tmp_path / "file")
    with pytest.raises(UsageError, match="nowhere is not a folder"):
        check_target(tmp_path / "nowhere" / "site")


def test_an_arena_is_never_replaced(plain: Arena) -> None:
    with pytest.raises(UsageError, match="is not a report"):
        check_target(plain.repo.path.parent)


def test_a_link_is_followed_and_kept(plain: Arena, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    write_site(gather(plain), tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "there" / "index.html").is_file()


def test_a_failure_leaves_the_former_site(
    plain: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "site"
    write_site(gather(plain), target)
    before = (target / "index.html").read_bytes()

    def half(site, live):
        yield "index.html", "half"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write, "render_site", half)
    with pytest.raises(UsageError, match="No space left"):
        write_site(gather(plain), target)
    assert (target / "index.html").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_a_failed_exchange_puts_the_former_site_back(
    plain: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "site"
    write_site(gather(plain), target)
    rename = Path.rename

    def refuse(self: Path, other: Path) -> Path:
        if self.name == "new":
            raise OSError(1, "Operation not permitted")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(UsageError, match="not permitted"):
        write_site(gather(plain), target)
    assert (target / "index.html").is_file()
