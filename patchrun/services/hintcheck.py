"""Are the hints of a track whole, in form, silent about results, and in words of their own?"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from patchrun.adapters.gitrepo import GitRepo
from patchrun.adapters.store import Arena
from patchrun.core import copying
from patchrun.core.copying import Source
from patchrun.core.errors import ManifestError
from patchrun.core.hints import (
    Hint,
    Problem,
    check_form,
    check_place,
    check_places,
    check_result,
    expected_files,
    hinted_records,
    read_hint,
)  # fmt: skip
from patchrun.core.ladder import Ladder
from patchrun.services import hints, importer
from patchrun.services.importer import TrackFolder
from patchrun.services.upstream import BASELINE, HUMAN, read_codes
from patchrun.services.upstream_clone import open_clone, read_all

OWN_CODE = "write pseudocode in a notation of your own"
OWN_WORDS = "say it in your own words"
SHOWN = 100  # letters of a passage


@dataclass(frozen=True)
class Texts:
    """What hints may not repeat: each record's change, and the pages of the upstream repository.

    ``code`` says where the changes come from, empty where there are none.
    """

    changes: Mapping[int, Source] = field(default_factory=dict)
    pages: Source = Source()
    code: str = ""
    page_count: int = 0


@dataclass(frozen=True)
class TrackReport:
    """What was checked of one track, and every problem."""

    track: str
    records: int
    hints: int
    code: str
    pages: int
    problems: tuple[Problem, ...]


def check_hints(source: TrackFolder, home: Path, texts: Texts) -> TrackReport:
    """Check every hint of a track in the folder ``home``; an absent folder is one where all hints are absent."""
    found = sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())
    expected = expected_files(source.ladder)
    problems = check_places(found, expected)
    present = [name for name in expected if name in found]
    for name in present:
        problems += check_file(home / name, name, source, texts)
    shown = (Problem(f"{source.track.name}/{one.path}", one.problem, one.hint) for one in problems)
    records = len(hinted_records(source.ladder))
    return TrackReport(source.track.name, records, len(present), texts.code, texts.page_count, tuple(shown))


def check_file(path: Path, name: str, source: TrackFolder, texts: Texts) -> list[Problem]:
    """Every problem of one hint; where its head cannot be read, those of the head alone."""
    try:
        hint = read_hint(hints.read_text(path), name)
    except ManifestError as error:
        lines = (line.partition(": ")[2] for line in error.message.splitlines())  # the path is said already
        return [Problem(name, line, error.hint or "hint_tiers/README.md says how") for line in lines]
    if problems := check_place(hint, name):
        return problems
    return [
        *check_form(hint, name),
        *check_result(hint, name, source.ladder, source.track.target.loss),
        *check_copies(hint, name, texts),
    ]


def check_copies(hint: Hint, name: str, texts: Texts) -> list[Problem]:
    """Runs of code and sentences of the record's change, and sentences of upstream pages, that recur in a hint."""
    change = texts.changes.get(hint.head.record, Source())
    code = copying.find_code(hint.prose, change)
    said = [text for source in (change, texts.pages) for text in copying.find_sentences(hint.prose, source)]
    problems = [Problem(name, f"code of the change: {_cut(text)}", OWN_CODE) for text in code]
    return problems + [Problem(name, f"a sentence of upstream: {_cut(text)}", OWN_WORDS) for text in said]


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def read_texts(source: TrackFolder, arena: Arena | None = None, upstream: str | None = None) -> Texts:
    """The changes of a ladder and the pages of its upstream repository, from whatever is at hand.

    The changes come from an arena of this track, else from the clone, else from the track's own series of patches; the
    pages from the clone.

    Raises:
        UsageError, SetupError: ``upstream`` is not a clone of the ladder's repository, or lacks files.
        ManifestError: a patch of the series does not apply.
    """
    texts = read_pages(source.ladder, upstream) if upstream else []
    pages = copying.read_pages(texts)
    if arena is not None and arena.track.name == source.track.name:
        return Texts(read_arena(arena.repo, arena.code), pages, "the arena", len(texts))
    if source.ladder.upstream is None:
        return Texts(_read_series(source), code="the track's patches")
    if upstream:
        return Texts(_read_clone(source, upstream), pages, "the clone", len(texts))
    return Texts()


def read_arena(repo: GitRepo, refs: Mapping[str, str]) -> dict[int, Source]:
    """Record -> its change, for every human patch among ``refs`` (name -> commit)."""
    changes = {
        int(name.removeprefix(HUMAN)): repo.changes(refs[BASELINE + name.removeprefix(HUMAN)], commit)
        for name, commit in refs.items()
        if name.startswith(HUMAN)
    }
    files = [file for change in changes.values() for file in change]
    oids = list({oid for file in files for oid in (file.old_oid, file.new_oid)})
    blobs = {oid: data or b"" for oid, data in zip(oids, repo.read_many(oids), strict=True)}
    return {
        number: copying.read_change(
            {file.path: blobs[file.old_oid] for file in change},
            {file.path: blobs[file.new_oid] for file in change},
        )
        for number, change in changes.items()
    }


def _read_clone(source: TrackFolder, upstream: str) -> dict[int, Source]:
    return {
        code.record.number: copying.read_change(code.baseline, code.solution)
        for code in read_codes(source.ladder, upstream)
        if code.baseline is not None and code.solution is not None
    }


def _read_series(source: TrackFolder) -> dict[int, Source]:
    with tempfile.TemporaryDirectory(prefix="patchrun-hints-") as folder:
        repo = GitRepo.init(Path(folder) / "series.git")
        return read_arena(repo, importer.import_series(repo, source.folder, source.ladder))


def read_pages(ladder: Ladder, upstream: str) -> list[str]:
    """Every Markdown page of the upstream repository at the commit that the ladder was made from; none without one."""
    if ladder.upstream is None:
        return []
    commit = ladder.upstream.commit
    with open_clone(ladder, upstream) as clone:
        names = [name for name in clone.files(commit) if name.lower().endswith(".md")]
        pages = read_all(clone, {f"{commit}:{name}": "page" for name in names})
    return [data.decode("utf-8", "replace") for data in pages.values()]
