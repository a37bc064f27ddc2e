"""The pages of the documents hold what the commands print: every figure is computed again here."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from patchrun.core.fsrtable import Gap, Rule, make_table, read_runs, read_times
from patchrun.core.gaps import expect_top, mean_luck, read_figures, tabulate_gaps
from patchrun.faces import cli

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GOLDEN = ROOT / "tests" / "faces" / "golden"
RETIMED, OFFICIAL = DOCS / "data" / "retimed.csv", DOCS / "data" / "official.csv"
PAGE = (DOCS / "fsr-reproduction.md").read_text()


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert cli.run(words) == 0
    return capsys.readouterr().out.rstrip("\n")


def test_the_racing_page_is_what_its_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(capsys, "simulate", "racing", "--format", "markdown") + "\n" == (DOCS / "racing.md").read_text()
    )


def test_a_smaller_race_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """A fifth of the studies: the shares of the page are no accident of its seed."""
    page = read_races((DOCS / "racing.md").read_text().split("\n## ")[1].split("Without stops")[0])
    small = run(capsys, "simulate", "racing", "--studies", "40", "--format", "markdown")
    found = read_races(small.split("\n## ")[1].split("Without stops")[0])
    assert set(found) == set(page)
    for name, shares in page.items():
        assert found[name] == pytest.approx(shares, abs=15)


def read_races(table: str) -> dict[tuple[str, str], list[float]]:
    """(world, population) -> percent saved: looks, racing, most, all runs, one by one; and percent wrong."""
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("|") and "%" in line]
    return {(row[0].strip(), row[1].strip()): [float(v.strip(" %")) for v in row[3:9]] for row in rows}


def test_the_racing_page_keeps_its_promises() -> None:
    found = read_races((DOCS / "racing.md").read_text().split("\n## ")[1].split("Without stops")[0])
    assert set(found) == {(world, p) for world in ("pocket", "nanogpt") for p in ("mixed", "all good")}
    for world in ("pocket", "nanogpt"):
        looks, racing, most, _, alone, wrong = found[world, "mixed"]
        assert alone >= 50 and wrong < 1
        assert racing >= 50 or racing > 0.8 * most, "half, or near the bound that five fixed blocks set"
        looks, racing, _, _, _, wrong = found[world, "all good"]
        assert racing == looks and wrong == 0, "racing stops none of the good"


@pytest.mark.parametrize(
    "words",
    [
        ("--times", str(RETIMED)),
        ("--times", str(RETIMED), "--runs", str(OFFICIAL), "--clip", "none"),
    ],
    ids=["gaps", "official"],
)
def test_the_tables_of_the_reproduction_are_recomputed(words, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "fsr", *words, "--format", "markdown") in PAGE


def rule_means() -> dict[str, dict[str, float]]:
    """Of the published times as an agent: mean FSR by set of records, clipped or not."""
    times, runs = read_times(RETIMED.read_text()), read_runs(OFFICIAL.read_text())
    scorable = {row.record for row in tabulate_gaps(read_figures(RETIMED.read_text())) if row.scorable}
    sets: dict[str, dict[int, Gap]] = {
        "every gap above 0": times,
        "gaps beyond noise": {record: gap for record, gap in times.items() if record in scorable},
    }
    return {
        name: {
            clip: make_table(own, [r for r in runs if r.record in own], Rule(clip=clip), replicates=1)
            .agents[0]
            .mean
            for clip in ("none", "records")
        }
        for name, own in sets.items()
    }


def test_what_the_rule_alone_changes_is_recomputed() -> None:
    for name, means in rule_means().items():
        assert f"| {name} | {means['none']:.3f} | {means['records']:.3f} |" in PAGE


def test_the_figures_in_the_prose_are_recomputed() -> None:
    figures = read_figures(RETIMED.read_text())
    rows = tabulate_gaps(figures)
    out = [row.record for row in rows if not row.scorable]
    assert out == [7, 10, 16, 17] and "Four of the twenty records (7, 10, 16 and 17)" in PAGE
    lucky = mean_luck(rows, False)
    assert f"{lucky['best 3 of 10']:.2f} on average over the 19 records" in PAGE
    assert f"and {lucky['mean of 10, clipped']:.2f} under the mean of all ten" in PAGE
    scorable = mean_luck(rows, True)["best 3 of 10"]
    assert f"Without the four records it is {scorable:.2f}" in PAGE
    assert f"{expect_top(10, 3):.2f} standard deviations" in PAGE
    assert f"{0.456 - 0.270:.3f}" in PAGE
    plain = make_table(read_times(RETIMED.read_text()), read_runs(OFFICIAL.read_text()), Rule(clip="none"))
    ends = min(cell.fsr for cell in plain.cells), max(cell.fsr for cell in plain.cells)
    assert f"between {ends[0]:.2f} and {ends[1]:.2f}" in PAGE


def test_the_figures_are_the_published_ones() -> None:
    """Digits as published: 20 gaps, 3 runs each, times that fall but for record 7."""
    lines = list(csv.DictReader(RETIMED.open()))
    assert [int(line["record"]) for line in lines] == list(range(1, 22))
    assert {line["n"] for line in lines} == {"3"}
    seconds = [float(line["seconds"]) for line in lines]
    assert [k + 2 for k, (a, b) in enumerate(zip(seconds, seconds[1:], strict=False)) if b >= a] == [7]
    assert (seconds[0], seconds[20]) == (2968.348, 184.262)
    assert [int(line["record"]) for line in csv.DictReader(OFFICIAL.open())] == list(range(2, 22))


@pytest.mark.parametrize("name", ["leaderboard.txt", "versus.txt", "matrix.txt", "schedule.txt"])
def test_golden_outputs_are_in_the_page_on_the_tournament(name: str) -> None:
    text = (DOCS / "tournament.md").read_text()
    assert f"```text\n{(GOLDEN / name).read_text()}```" in text


def test_every_command_in_the_page_on_the_tournament_exists(capsys: pytest.CaptureFixture[str]) -> None:
    commands = set(re.findall(r"`patchrun ([a-z]+)", (DOCS / "tournament.md").read_text()))
    assert commands >= {"leaderboard", "versus", "tournament"}
    for command in commands:
        assert run(capsys, command, "--help")
