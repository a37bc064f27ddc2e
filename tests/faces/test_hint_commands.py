"""`patchrun hints check`: its words, its document and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from patchrun.adapters.store import Arena
from patchrun.faces import cli
from patchrun.services import hints
from tests.conftest import TINY
from tests.services.test_hintcheck import FILLER, write, write_all


@pytest.fixture
def hint_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hints of the tiny track, all in order."""
    monkeypatch.setattr(hints, "hint_homes", lambda: [tmp_path / "hints"])
    return write_all(tmp_path / "hints" / "tiny", (1, 2, 3))


def run(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    capsys.readouterr()
    got = cli.run(words)
    captured = capsys.readouterr()
    assert got == code, captured.out + captured.err
    return captured.out + captured.err


def test_hints_in_order(hint_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, "hints", "check", "--track", str(TINY))
    assert said == "tiny: 9 hints for 3 records, 0 findings; code: the track's patches\n"


def test_findings_are_a_table_and_exit_1(hint_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(hint_folder, 1, 1, "too short")
    (hint_folder / "2" / "tier-2.md").unlink()
    lines = run(capsys, "hints", "check", "--track", str(TINY), code=1).splitlines()
    assert [line.split() for line in lines[:4]] == [
        ["file", "problem", "hint"],
        ["-" * 16, "-" * 9, "-" * 30],
        ["tiny/2/tier-2.md", "absent", "write", "it:", "three", "tiers", "a", "record"],
        ["tiny/1/tier-1.md", "2", "words", "tier", "1", "takes", "40", "to", "500", "words"],
    ]
    assert lines[-1].startswith("tiny: 8 hints for 3 records, 2 findings")


def test_the_document(hint_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(hint_folder, 3, 2, FILLER[2] + "x = x + self.previous(F.pad(x, (0, 0, 1, -1)))")
    said = run(capsys, "hints", "check", "--track", str(TINY), "--format", "json", code=1)
    document = json.loads(said)
    assert document["tracks"] == [
        {"track": "tiny", "records": 3, "hints": 9, "code": "the track's patches", "pages": 0}
    ]
    (finding,) = document["findings"]
    assert set(finding) == {"path", "problem", "hint"} and finding["path"] == "tiny/3/tier-2.md"


def test_an_arena_that_is_named_gives_the_code(
    hint_folder: Path, tiny: Arena, capsys: pytest.CaptureFixture[str]
) -> None:
    where = str(tiny.repo.path.parent)
    assert run(capsys, "-C", where, "hints", "check", "--track", str(TINY)).endswith("code: the arena\n")


def test_both_tracks_that_ship_are_checked_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert cli.run(["hints", "check", "--format", "json"]) in (0, 1)
    document = json.loads(capsys.readouterr().out)
    assert [(row["track"], row["code"]) for row in document["tracks"]] == [
        ("pocket", "the track's patches"),
        ("nanogpt", None),
    ]


def test_what_was_not_compared_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    cli.run(["hints", "check", "--track", "nanogpt"])
    assert capsys.readouterr().out.endswith("code: not compared (give -C or --upstream)\n")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--track", "nowhere"], "no track at nowhere"),
        (["--track", "nanogpt", "--upstream", "/nowhere"], "no such folder"),
        (["--format", "xml"], "xml"),
    ],
)
def test_wrong_words_exit_2(words: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert problem in run(capsys, "hints", "check", *words, code=2)


def test_hints_alone_shows_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert "check" in run(capsys, "hints", "--help")
