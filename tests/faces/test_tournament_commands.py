"""The tournament on the command line: boards under conditions, the win matrix, the plan, a race for real."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from patchrun.adapters.store import Arena
from patchrun.services import tournament
from tests.conftest import TINY, change
from tests.services.test_tournament import ONE, fill, hand_in
from tests.shell import Shell


@pytest.fixture
def two(plain: Arena) -> tuple[str, str]:
    """Ada well ahead of Bob on record 1; Bob had a hint."""
    ada = hand_in(plain, change("STEPS = 100", "STEPS = 71", 2)).attempt.id
    bob = tournament.hand_in(plain, change("STEPS = 100", "STEPS = 95", 2), ONE, "bob", (1,)).attempt.id
    [study] = tournament.plan_waiting(plain)
    fill(plain, study, {"baseline": 10.0, "human": 7.0, ada: 7.1, bob: 9.5})
    return ada, bob


def names(document: dict) -> list[str]:
    return [row["agent"] for row in document["rows"]]


def test_a_board_under_conditions(shell: Shell, two) -> None:
    assert names(shell.json("leaderboard")) == ["ada", "bob"]
    hinted = shell.json("leaderboard", "--hint-tier", "1")
    assert names(hinted) == ["bob"] and hinted["filters"] == ["hint tiers 1"]
    assert names(shell.json("leaderboard", "--hint-tier", "0")) == ["ada"]
    assert names(shell.json("leaderboard", "--cutoff", "1")) == []
    assert names(shell.json("leaderboard", "--cutoff", "2026-01-01")) == ["ada", "bob"]
    assert names(shell.json("leaderboard", "--cutoff", "2026-01-02")) == []
    assert names(shell.json("leaderboard", "--until", "2020-01-01")) == []
    assert "Only: hint tiers 1; hardware x." in shell("leaderboard", "--hint-tier", "1", "--hardware", "x")


def test_what_measuring_took_is_on_the_board(shell: Shell, two) -> None:
    document = shell.json("leaderboard")
    assert document["machine"] == "CPU"
    assert document["rows"][0]["machine_seconds"] == pytest.approx(5 * 7.12, abs=0.2)
    assert "CPU s" in shell("leaderboard")


def test_the_win_matrix(shell: Shell, two) -> None:
    document = shell.json("versus", "--all")
    assert document["rows"][0]["against"] == {"bob": {"wins": 1.0, "matches": 1}}
    assert document["groups"] == [["ada", "bob"]]
    assert "1/1" in shell("versus", "--all") and "|" in shell("versus", "--all", "--format", "markdown")
    assert "no agent 'bob' here" in (shell("versus", "ada", "bob", "--hint-tier", "0", code=2) + shell.err)


def test_a_plan_is_shown_and_nothing_stored(shell: Shell, plain: Arena, two) -> None:
    hand_in(plain, change("STEPS = 100", "STEPS = 50", 2), agent="eve")
    refs = plain.repo.refs()
    text = shell("tournament", "--dry-run")
    assert "not measured yet" in text and "eve" in text and "CPU-hours" in text
    document = shell.json("tournament", "--dry-run", "--budget", "1")
    assert document["studies"] == [] and [one["agents"] for one in document["left_out"]] == [["eve"]]
    assert plain.repo.refs() == refs


def test_nothing_to_plan(shell: Shell) -> None:
    assert "Nothing waits" in shell("tournament")
    assert shell.json("tournament")["studies"] == []


@pytest.mark.long
def test_a_race_and_a_tournament_for_real(tiny: Arena, tmp_path: Path, capsys) -> None:
    base = (TINY / "base" / "train_gpt.py").read_text().splitlines(keepends=True)
    line = base.index("def main():\n") + 1
    broken = [*base[:line], "    raise RuntimeError('no')\n", *base[line:]]
    diff = tmp_path / "crash.diff"
    diff.write_text("".join(difflib.unified_diff(base, broken, "a/train_gpt.py", "b/train_gpt.py")))
    shell = Shell(tiny, capsys)
    shell("submit", str(diff), "--record", "1", "--agent", "ada", "--no-run")
    document = shell.json("tournament", "--race")
    assert [study["why"] for study in document["studies"]] == ["pending"]
    assert document["leaderboard"]["rows"][0]["records"]["1"]["verdict"] == "failed"
    assert "runs no more" in shell.err and len(tiny.runs()) == 3
    assert shell.json("verify")["problems"] == []
