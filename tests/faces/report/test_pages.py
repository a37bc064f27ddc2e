"""Pages from values: what they say, what they leave out and admit, and that no page grows beyond its limit."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from patchrun.adapters.store import Arena
from patchrun.core.findings import Finding
from patchrun.core.results import Run, Study
from patchrun.core.selection import Span
from patchrun.faces.report import names, pages
from patchrun.faces.report.gather import gather
from patchrun.faces.report.pages import render_site
from patchrun.services import importer, tournament
from patchrun.services.assessment import Scored
from tests.conftest import change
from tests.faces.report.sites import EVIL_NAME, GOOD, add_stranger, make_crowd
from tests.services.test_tournament import fill, hand_in

LIMIT = 500_000


def render(arena: Arena, live: bool = False) -> dict[str, str]:
    return dict(render_site(gather(arena), live))


@pytest.fixture
def measured(plain: Arena) -> Arena:
    """Ada's valid submission and Bob's rejected one."""
    hand_in(plain)
    fill(plain, tournament.plan_waiting(plain)[0], {"baseline": 10.0, "human": 7.0, "submission": 8.5})
    hand_in(plain, change("    return 42", "    return 43", 6), agent="bob")
    return plain


@pytest.fixture
def tiny_crowd(plain: Arena) -> Arena:
    """Attempts of two records whose runs printed step lines."""
    make_crowd(plain, 40, 6)
    return plain


def test_an_empty_arena_has_pages_too(plain: Arena) -> None:
    found = render(plain)
    assert "No patch was handed in yet." in found["index.html"]
    names_of_all = {"ladder.html", "matrix.html", "methods.html", "submissions.html"}
    assert names_of_all | {"record/1.html", "record/2.html"} < set(found)
    assert "The human patch" in found["record/1.html"] and "RATE = " in found["record/1.html"]


def test_every_link_leads_to_a_page_or_an_asset(measured: Arena) -> None:
    make_crowd(measured, 12, 3)
    found = render(measured)
    known = set(found) | {"assets/report.css", "assets/report.js", "assets/icon.svg"}
    for name, text in found.items():
        if not name.endswith(".html"):
            continue
        root = "../" if "/" in name else ""
        for link in re.findall(r'(?:href|src)="([^"]*)"', text):
            assert link == "#main" or link.removeprefix(root) in known, (name, link)


def test_every_page_has_the_strict_policy(measured: Arena) -> None:
    for name, text in render(measured).items():
        if name.endswith(".html"):
            assert "default-src &#39;none&#39;; script-src &#39;self&#39;" in text
            assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son[a-z]+=|javascript:", text), name


def test_a_submission_says_its_verdict_numbers_and_reasons(measured: Arena) -> None:
    entries = gather(measured).entries
    found = render(measured)
    good = found[names.submission_page(next(one.attempt.id for one in entries if one.attempt.accepted))]
    assert ">valid</span>" in good and "<dt>FSR</dt><dd><strong>0.5" in good and "15 of 15" in good
    assert "mean loss 2.9" in good and "log" in good
    bad = found[names.submission_page(next(one.attempt.id for one in entries if not one.attempt.accepted))]
    assert ">rejected</span>" in bad and "PR401" in bad and '<tr class="note error">' in bad
    assert "Loss curves" not in bad, "nothing was trained"


def test_the_methods_come_from_the_track(measured: Arena) -> None:
    page = render(measured)["methods.html"]
    track = measured.track
    for words in (track.title, f"A loss of {track.target.loss:g}", "over 5 runs", "train.py:load", track.digest,
                  measured.identity, "CPU seconds", "10 s of wall time"):  # fmt: skip
        assert words in page


def test_the_record_page_ranks_and_shows_the_humans_patch(measured: Arena) -> None:
    page = render(measured)["record/1.html"]
    assert page.index(">valid<") < page.index(">rejected<")
    assert "FSR with 95% intervals" in page and "Ada" in page and "2026-01-02" in page
    assert "AI: Deep Thought" in render(measured)["record/2.html"]


def test_a_span_has_a_page_of_its_own(plain: Arena) -> None:
    tournament.hand_in(plain, GOOD, Span(1, 2), "ada")
    page = render(plain)["record/1-2.html"]
    assert "from baseline 1 to the human code of record 2" in page


def test_boards_of_hint_tiers_are_pages(plain: Arena) -> None:
    tournament.hand_in(plain, GOOD, Span(1, 1), "ada")
    assert "tier-0.html" not in render(plain), "one kind of attempts needs no second board"
    tournament.hand_in(plain, GOOD, Span(1, 1), "bob", (1, 2))
    found = render(plain)
    assert (
        "bob" in found["tier-1-2.html"] and "bob" not in found["tier-0.html"] and "bob" in found["index.html"]
    )


def test_only_live_pages_ask_for_news(plain: Arena) -> None:
    still, live = render(plain)["index.html"], render(plain, live=True)["index.html"]
    assert "live.js" not in still and "connect-src" not in still
    assert "live.js" in live and "connect-src &#39;self&#39;" in live


@pytest.mark.long
def test_pages_of_what_strangers_write_stay_below_the_limit(
    plain: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest of everything, in the characters that take the most room."""
    crowd = make_crowd(plain, 20, 4)
    worst = "\u202e<" * 40_000
    notes = tuple(
        Finding(
            code="PR201", severity="error", message=worst[:3000], path=worst[:500], line=k, hint=worst[:500]
        )
        for k in range(1, 400)
    )
    lines = "".join(f"+{worst[:600]}\n" for _ in range(2000))
    diff = f"--- a/t.py\n+++ b/t.py\n@@ -0,0 +1,2000 @@\n{lines}".encode()
    add_stranger(plain, crowd[0], diff, findings=notes, agent=worst[:5000])
    for k in range(150):
        add_stranger(plain, crowd[0], b"", id=f"{k:020x}", agent=f"{k}{EVIL_NAME * 30}")
    loud = worst.encode()
    monkeypatch.setattr(Arena, "logs", lambda self, runs: [loud for _ in runs])
    site, read = gather(plain), pages.assessment.read_runs
    few = {one.attempt.id for one in [each for each in site.entries if each.study][:3]}

    def shout(arena: Arena, chunk: Sequence[Scored]) -> list[list[Run]]:
        """Of some submissions thirty times the runs, each with too much to say."""
        return [
            [replace(run, reason=worst, sandbox=worst) for run in runs * 30]
            if one.attempt.id in few
            else runs
            for one, runs in zip(chunk, read(arena, chunk), strict=True)
        ]

    monkeypatch.setattr(pages.assessment, "read_runs", shout)
    entries = tuple(dataclasses.replace(one, score=replace(one.score, reason=worst)) for one in site.entries)
    found = render_site(dataclasses.replace(site, entries=entries))
    sizes = {name: len(text.encode()) for name, text in found}
    assert max(sizes.values()) < LIMIT, max(sizes, key=lambda name: sizes[name])
    assert min(sizes[names.submission_page(name)] for name in few) > 100_000, "they were listed"


def test_a_cut_list_says_so(plain: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    make_crowd(plain, 30, 4)
    for name, value in (("LISTED", 3), ("BOARD_ROWS", 2), ("MATRIX_AGENTS", 2), ("RUNS_LISTED", 4)):
        monkeypatch.setattr(pages, name, value)
    found = render(plain)
    assert (
        "the first 3 of " in found["record/1.html"]
        and "the first 3 of " in found[names.agent_page("agent-001")]
    )
    assert "5 agents, the first 2 of them" in found["index.html"]
    assert "the first 2 shown" in found["matrix.html"]
    assert any("runs, the first 4" in text for name, text in found.items() if name.startswith("submission/"))


def test_the_index_names_everything_once_and_ends_no_script(plain: Arena) -> None:
    crowd = make_crowd(plain, 20, 4)
    add_stranger(plain, crowd[0])
    add_stranger(plain, crowd[0], id="../../odd", agent="odd")
    text = render(plain)["data/submissions-1.js"]
    assert not re.search(r"[<>&\u2028]", text)
    import json

    [document] = [
        json.loads(text.removeprefix("(globalThis.PATCHRUN_INDEX??=[]).push(").removesuffix(");\n"))
    ]
    assert len(document["rows"]) == 34 and [a for a, _ in document["agents"] if "pwned" in a] == [EVIL_NAME]
    odd = next(row for row in document["rows"] if row[0] == "../../odd")
    assert re.fullmatch(r"submission/[0-9a-f]{20}\.html", odd[1])


def test_without_human_patches_submissions_are_compared_by_speedup(tmp_path: Path, plain_track: Path) -> None:
    records = (plain_track / "records.toml").read_text().split("[[record]]")
    only = records[1].replace('patch = "patches/1.patch"\n', "")
    (plain_track / "records.toml").write_text(records[0] + "[[record]]" + only)
    (plain_track / "patches" / "2.patch").unlink()
    (plain_track / "patches" / "1.patch").unlink()
    importer.init(tmp_path / "open", str(plain_track))
    arena = Arena.open(tmp_path / "open")
    hand_in(arena)
    fill(arena, tournament.plan_waiting(arena)[0], {"baseline": 10.0, "submission": 5.0})
    found = render(arena)
    assert "Mean speedup, at least 1" in found["index.html"]
    assert "speedup with 95% intervals" in found["record/1.html"] and "1.99" in found["record/1.html"]
    assert ">speedup</th>" in found["submissions.html"] and ">FSR</th>" not in found["submissions.html"]


def test_curves_are_read_page_by_page_and_not_held(
    tiny_crowd: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site whose runs are held without their curves draws them all the same, a study read about once."""
    whole = render(tiny_crowd)
    drawn = [name for name, text in whole.items() if "Loss curves" in text]
    assert len(drawn) > 20
    site = gather(tiny_crowd)
    bare = tuple(
        dataclasses.replace(one, runs=tuple(replace(run, curve=()) for run in one.runs))
        for one in site.entries
    )
    read: list[list[str]] = []
    runs_of = Arena.runs_of

    def count(arena: Arena, studies: Iterable[Study]) -> list[Run]:
        studies = list(studies)
        read.append([study.id for study in studies])
        return runs_of(arena, studies)

    monkeypatch.setattr(Arena, "runs_of", count)
    monkeypatch.setattr(pages, "CHUNK", 10)
    again = dict(render_site(dataclasses.replace(site, entries=bare)))
    assert {name: again[name] for name in drawn} == {name: whole[name] for name in drawn}
    assert len(read) > 3 and max(map(len, read)) <= 4
    assert sum(map(len, read)) < 2 * len(tiny_crowd.studies()) + len(read)
