"""The check of hints on real folders, real patches and a real upstream repository; and of all hints that ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchrun.adapters.gitrepo import PATCHRUN
from patchrun.adapters.store import Arena
from patchrun.core.errors import UsageError
from patchrun.services import hintcheck, hints, importer
from patchrun.services.hintcheck import Texts, TrackReport
from patchrun.services.importer import TrackFolder
from tests import upstream_fixture
from tests.conftest import TINY

HEAD = '+++\nrecord = {record}\ntier = {tier}\nchanges = ["architecture"]\nreferences = []\n+++\n\n'
SECTIONS = ("Idea", "Motivation", "Method", "Expected effect", "References")
FILLER = {
    1: "step " * 50,
    2: "thought " * 70,
    3: "".join(f"## {title}\n\n" + "reason " * 50 + "\n\n" for title in SECTIONS),
}


def write(hint_folder: Path, record: int, tier: int, body: str | None = None) -> Path:
    path = hint_folder / str(record) / f"tier-{tier}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD.format(record=record, tier=tier) + (FILLER[tier] if body is None else body))
    return path


def write_all(hint_folder: Path, records: tuple[int, ...]) -> Path:
    for record in records:
        for tier in (1, 2, 3):
            write(hint_folder, record, tier)
    return hint_folder


@pytest.fixture(scope="module")
def source() -> TrackFolder:
    return importer.read_track(TINY)


@pytest.fixture(scope="module")
def texts(source: TrackFolder) -> Texts:
    return hintcheck.read_texts(source)


@pytest.fixture
def hint_folder(tmp_path: Path) -> Path:
    return write_all(tmp_path / "tiny", (1, 2, 3))


def said(report: TrackReport) -> list[tuple[str, str]]:
    return [(problem.path, problem.problem) for problem in report.problems]


def test_hints_in_order_have_no_findings(source: TrackFolder, hint_folder: Path, texts: Texts) -> None:
    report = hintcheck.check_hints(source, hint_folder, texts)
    assert said(report) == []
    assert (report.track, report.records, report.hints, report.code) == (
        source.track.name, 3, 9, "the track's patches")  # fmt: skip


def test_a_folder_that_is_not_there_lacks_everything(source: TrackFolder, tmp_path: Path) -> None:
    report = hintcheck.check_hints(source, tmp_path / "none", Texts())
    assert {problem for _, problem in said(report)} == {"absent"}
    assert (len(report.problems), report.hints) == (9, 0)


def test_absent_and_surplus_files(source: TrackFolder, hint_folder: Path, texts: Texts) -> None:
    (hint_folder / "2" / "tier-3.md").unlink()
    write(hint_folder, 4, 1)
    (hint_folder / "1" / "tier-1.md~").write_text("left by an editor")
    assert said(hintcheck.check_hints(source, hint_folder, texts)) == [
        ("tiny/2/tier-3.md", "absent"),
        ("tiny/1/tier-1.md~", "surplus"),
        ("tiny/4/tier-1.md", "surplus"),
    ]


def test_a_head_that_is_wrong_is_all_that_is_said_of_a_file(
    source: TrackFolder, hint_folder: Path, texts: Texts
) -> None:
    path = write(hint_folder, 1, 1, "short")
    path.write_text(path.read_text().replace('"architecture"', '"magic"').replace("references", "refs"))
    (hint_folder / "1" / "tier-2.md").write_text("No head at all.\n")
    (hint_folder / "1" / "tier-3.md").write_bytes(b"\xff\xfe")
    (hint_folder / "2" / "tier-2.md").write_text((hint_folder / "2" / "tier-1.md").read_text())
    found = said(hintcheck.check_hints(source, hint_folder, texts))
    assert [path.removeprefix("tiny/") for path, _ in found] == [
        *["1/tier-1.md"] * 3, "1/tier-2.md", "1/tier-3.md", "2/tier-2.md"]  # fmt: skip
    words = [problem for _, problem in found]
    assert any(text.startswith("changes.0: Expected 'architecture' or ") for text in words)
    assert "references: missing" in words and any(text.startswith("refs: unknown key") for text in words)
    assert "no head between two lines +++" in words
    assert any(text.startswith("cannot be read") for text in words)
    assert "its head says 2/tier-1.md" in words


def test_length_and_sections(source: TrackFolder, hint_folder: Path, texts: Texts) -> None:
    write(hint_folder, 1, 1, "step " * 39)
    write(hint_folder, 1, 2, "thought " * 451)
    write(hint_folder, 1, 3, FILLER[3].replace("## Method", "## How"))
    assert said(hintcheck.check_hints(source, hint_folder, texts)) == [
        ("tiny/1/tier-1.md", "39 words"),
        ("tiny/1/tier-2.md", "451 words"),
        ("tiny/1/tier-3.md", "its sections are Idea, Motivation, Expected effect, References"),
    ]


def test_a_result_in_the_text(plain_track: Path, tmp_path: Path) -> None:
    source = importer.read_track(plain_track)
    hint_folder = write_all(tmp_path / "hints", (1, 2))
    write(
        hint_folder,
        1,
        1,
        FILLER[1] + "The run then takes 7.0 seconds, at a validation loss of 2.9; Ada did it.",
    )
    report = hintcheck.check_hints(source, hint_folder, hintcheck.read_texts(source))
    assert said(report) == [
        ("plain/1/tier-1.md", "gives away '7.0 seconds'"),
        ("plain/1/tier-1.md", "gives away '2.9'"),
        ("plain/1/tier-1.md", "names Ada"),
    ]


def test_code_of_the_records_own_change_is_a_copy(
    source: TrackFolder, hint_folder: Path, texts: Texts
) -> None:
    line = "x = x + self.previous(F.pad(x, (0, 0, 1, -1)))"
    write(hint_folder, 3, 1, FILLER[1] + f"\n\n- `{line}`\n")
    write(hint_folder, 2, 1, FILLER[1] + f"\n\n- `{line}`\n")
    ((path, problem),) = said(hintcheck.check_hints(source, hint_folder, texts))
    assert path == "tiny/3/tier-1.md"
    assert problem == "code of the change: x = x + self . previous ( F . pad ( x , ( 0 , 0 , 1 , - 1 ) ) )"


def test_a_title_among_the_references_is_no_copy(
    source: TrackFolder, hint_folder: Path, texts: Texts
) -> None:
    line = "x = x + self.previous(F.pad(x, (0, 0, 1, -1)))"
    write(hint_folder, 3, 3, FILLER[3] + f"- A paper called {line}\n")
    assert said(hintcheck.check_hints(source, hint_folder, texts)) == []
    write(hint_folder, 3, 3, FILLER[3].replace("## References", f"{line}\n\n## References"))
    assert len(said(hintcheck.check_hints(source, hint_folder, texts))) == 1


def test_an_arena_gives_the_same_changes_as_the_series(
    source: TrackFolder, texts: Texts, tmp_path: Path
) -> None:
    importer.init(tmp_path / "arena", str(TINY))
    found = hintcheck.read_texts(source, Arena.open(tmp_path / "arena"))
    assert found.code == "the arena"
    assert found.changes == texts.changes and set(found.changes) == {1, 2, 3}
    assert found.changes[3].code


def test_an_arena_of_another_track_does_not_serve(source: TrackFolder, plain: Arena) -> None:
    assert hintcheck.read_texts(source, plain).code == "the track's patches"


PAGE = b"# Notes\n\nThe kernel was made faster by doubling all that it touches, as [they](x) say.\n"


@pytest.fixture
def upstream(tmp_path: Path) -> tuple[TrackFolder, str]:
    """A track whose ladder names an upstream repository of our own, with a page in its last commit."""
    made = upstream_fixture.make_upstream(tmp_path / "upstream.git")
    last = made.commits[-1]
    files = {path: (entry.mode, entry.oid) for path, entry in made.repo.files(last).items()}
    tree = made.repo.write_tree(files | {"docs/ReadMe.MD": ("100644", made.repo.write_blob(PAGE))})
    commit = made.repo.commit(tree, [last], "a page\n", PATCHRUN, "2026-02-01T00:00:00+00:00")
    folder = upstream_fixture.make_track(tmp_path / "track", made)
    records = folder / "records.toml"
    text = records.read_text()
    head = f'commit = "{last}"\nlogs = '
    assert head in text
    records.write_text(text.replace(head, f'commit = "{commit}"\nlogs = '))
    return importer.read_track(folder), str(made.repo.path)


def test_a_clone_gives_code_and_pages(upstream: tuple[TrackFolder, str], tmp_path: Path) -> None:
    source, clone = upstream
    hint_folder = write_all(tmp_path / "hints", (3, 4, 5, 6, 7))
    write(hint_folder, 7, 1, FILLER[1] + "It is def double(x): return 2 * x, no more.")
    write(
        hint_folder,
        6,
        2,
        FILLER[2] + "The kernel was made FASTER\nby doubling all that it touches, as they say.",
    )
    report = hintcheck.check_hints(source, hint_folder, hintcheck.read_texts(source, upstream=clone))
    assert said(report) == [
        ("made-up/6/tier-2.md",
         "a sentence of upstream: the kernel was made faster by doubling all that it touches as they say"),
        ("made-up/7/tier-1.md", "code of the change: def double ( x ) : return 2 * x"),
    ]  # fmt: skip
    assert (report.records, report.hints, report.code, report.pages) == (5, 15, "the clone", 1)


def test_an_arena_and_a_clone_together(upstream: tuple[TrackFolder, str], tmp_path: Path) -> None:
    source, clone = upstream
    importer.init(tmp_path / "arena", str(source.folder), clone)
    arena = Arena.open(tmp_path / "arena")
    both, alone = hintcheck.read_texts(source, arena, clone), hintcheck.read_texts(source, upstream=clone)
    assert (both.code, both.page_count) == ("the arena", 1)
    assert both.changes == alone.changes and both.pages == alone.pages
    assert hintcheck.read_texts(source, arena).page_count == 0


def test_without_arena_and_clone_an_upstream_ladder_is_not_compared(
    upstream: tuple[TrackFolder, str],
) -> None:
    assert hintcheck.read_texts(upstream[0]) == Texts()


def test_a_folder_that_is_no_clone_is_refused(upstream: tuple[TrackFolder, str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a git repository"):
        hintcheck.read_texts(upstream[0], upstream=str(tmp_path))


@pytest.mark.parametrize("track", importer.SHIPPED)
def test_every_hint_that_ships_is_in_order(track: str) -> None:
    shipped = importer.read_track(importer.find_track(track))
    report = hintcheck.check_hints(shipped, hints.find_home(track), hintcheck.read_texts(shipped))
    assert said(report) == []
    assert (report.records, report.hints) == {"pocket": (9, 27), "nanogpt": (87, 261)}[track]
