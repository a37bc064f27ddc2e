"""`patchrun history` as a person and a script see it."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import pytest

from patchrun.adapters.store import Arena
from tests.shell import Shell

ROOT = Path(__file__).parents[2]
REMAKE = "patchrun history --track nanogpt --format markdown > docs/history.md"


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(None, capsys)


def test_the_page_is_what_its_command_prints(shell: Shell) -> None:
    said = shell("history", "--track", "nanogpt", "--format", "markdown")
    assert said == (ROOT / "docs" / "history.md").read_text(), REMAKE


def test_the_json_document_has_the_published_figures(shell: Shell) -> None:
    document = shell.json("history", "--track", "nanogpt")
    assert (document["records"], round(document["speedup"], 1)) == (89, 36.6)
    assert document["ai_records"] == [32, 60, 69, 72, 87]
    assert set(document["groups"]) == {"depth", "provenance", "period", "contributor", "ai"}
    for groups in document["groups"].values():
        assert math.prod(group["factor"] for group in groups) == pytest.approx(document["speedup"])
        assert sum(group["log_share"] for group in groups) == pytest.approx(1)
    assert [row["record"] for row in document["rows"]] == list(range(1, 90))
    assert document["rows"][2]["depth"] == "Breakthrough" and document["rows"][0]["factor"] is None
    assert {one["verdict"] for one in document["comparison"]} == {"agrees", "differs"}


def test_until_march_2026(shell: Shell) -> None:
    document = shell.json("history", "--track", "nanogpt", "--until", "2026-03-06", "--by", "ai")
    assert (document["records"], round(document["speedup"], 1)) == (77, 31.4)
    assert document["ai_records"] == [32, 60, 69, 72]
    assert list(document["groups"]) == ["ai"] and document["comparison"] == []


@pytest.mark.parametrize(
    ("by", "words"),
    [
        ("depth", ["Breakthrough", "Moderate", "Factor reached by the end of each half-year"]),
        ("provenance", ["Invented", "Imported", "2024 H2"]),
        ("period", ["2024 H1", "2026 H2"]),
        ("contributor", ["@kellerjordan0", " more "]),
        ("ai", ["AI: Hiverge", "Records 32, 60, 69, 72, 87 credit an AI system"]),
    ],
)
def test_one_grouping_as_text_with_bars(shell: Shell, by: str, words: list[str]) -> None:
    said = shell("history", "--track", "nanogpt", "--by", by)
    for word in [*words, "█", "36.6x", "on a logarithmic axis", "together"]:
        assert word in said
    assert "published analysis" not in said
    assert max(map(len, said.splitlines())) <= 120


def test_bars_begin_where_the_last_one_ended(shell: Shell) -> None:
    said = shell("history", "--track", "nanogpt", "--by", "period")
    bars = [line for line in said.splitlines() if "█" in line]
    ends = [len(line) for line in bars]
    starts = [next(k for k, sign in enumerate(line) if sign in "█▐▕▌▍") for line in bars]
    assert ends == sorted(ends)
    assert all(abs(start - end) <= 1 for start, end in zip(starts[1:], ends, strict=False))


def test_the_comparison_is_the_last_table(shell: Shell) -> None:
    said = shell("history", "--track", "nanogpt")
    assert said.index("By contributor") < said.index("Beside a published analysis")
    tail = said[said.index("Beside a published analysis") :]
    assert "METR" in tail and "differs" in tail and "31.4x" in tail
    only = shell("history", "--track", "nanogpt", "--compare")
    assert "By depth" not in only and tail.strip() in only


def test_every_record_with_its_reason(shell: Shell) -> None:
    said = shell("history", "--track", "nanogpt", "--by", "depth", "--records")
    assert "unlabelled: the run that the ladder" in said and "2024-05-28  start" in said
    assert "Labelled by patchrun maintainers, 2026-11-22" in said


def test_csv_has_a_line_a_record(shell: Shell) -> None:
    rows = list(csv.DictReader(io.StringIO(shell("history", "--track", "nanogpt", "--format", "csv"))))
    assert len(rows) == 89 and rows[2]["depth"] == "Breakthrough"
    assert math.exp(sum(float(row["log_speedup"] or 0) for row in rows)) == pytest.approx(
        36.585 / (175.98 / 180.84), 1e-3
    )


def test_an_arena_tells_its_own_ladder(plain: Arena, capsys: pytest.CaptureFixture[str]) -> None:
    said = Shell(plain, capsys)("history")
    assert "plain: 2 records from 2026-01-02 to 2026-01-03, 10 s to 5 s: 2.0x; 1 credit an AI system" in said
    assert "unlabelled" in said and "published analysis" not in said


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--track", "nowhere"], "no track at nowhere"),
        (["--track", "pocket", "--compare"], "nothing is published to compare pocket with"),
        (["--track", "nanogpt", "--until", "2020-01-01"], "no record up to 2020-01-01"),
        (["--track", "nanogpt", "--until", "tomorrow"], "does not match the format"),
        (["--track", "nanogpt", "--by", "colour"], "is not one of"),
    ],
)
def test_wrong_words(shell: Shell, words: list[str], problem: str) -> None:
    shell("history", *words, code=2)
    assert problem in shell.err


def test_no_arena_and_no_track(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shell("history", code=2)
    assert "no arena" in shell.err
