"""Names and other free text at every place where they enter: refused with a message (exit 2), or one competitor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from patchrun.adapters.store import Arena
from patchrun.faces import cli
from patchrun.services import tournament
from tests.conftest import change
from tests.services.test_tournament import FASTER, fill, hand_in

BAD = {
    "ad\udcff": "half a character (a surrogate) (U+DCFF)",
    "a" * 300: "has 300 characters, 100 at most",
    "..": "has no letter, digit or symbol",
    "": "is empty",
    "ada\nAgent: eve": "a control character (U+000A)",
    "a\u202eda": "an invisible character that steers text (U+202E)",
    "\x1b]0;x\x07": "a control character (U+001B)",
}
TIMES = {"baseline": 10.0, "human": 7.0, "submission": 8.0}


def patchrun(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    outcome = cli.run([str(word) for word in words])
    said = capsys.readouterr()
    return outcome, said.out, said.err


@pytest.fixture
def diff(tmp_path: Path) -> Path:
    (tmp_path / "fast.diff").write_bytes(FASTER)
    return tmp_path / "fast.diff"


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_a_name_that_names_nobody_is_refused_everywhere(
    plain: Arena, diff: Path, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = ("-C", plain.repo.path)
    submit = ("submit", diff, "--record", "1", "--no-run")
    ways = [(*at, *submit, "--agent", name), (*at, *submit, "--agent", name, "--dry-run")]
    if name:
        ways.append((*at, "agent", "run", "--agent", "command", "--command", "true", "--name", name, "--record", "1",
                     "--attempts", "1"))  # fmt: skip
    for words in ways:
        outcome, _, said = patchrun(capsys, *words)
        assert outcome == 2 and BAD[name] in said and said.isascii(), words
    if "\udcff" not in name:
        line = json.dumps({"record": 1, "agent": name, "patch": FASTER.decode()})
        (diff.parent / "some.jsonl").write_text(line + "\n")
        outcome, _, said = patchrun(capsys, *at, "submit", diff.parent / "some.jsonl", "--no-run")
        assert outcome == 2 and BAD[name] in said
    if name and "\n" not in name:
        monkeypatch.setattr("getpass.getuser", lambda: name)
        outcome, _, said = patchrun(capsys, *at, *submit)
        assert outcome == 2 and BAD[name] in said
    assert plain.attempts() == [] and plain.transcripts() == []


def test_where_nothing_says_who_one_is(
    plain: Arena, diff: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: {}["uid not found"])
    outcome, _, said = patchrun(capsys, "-C", plain.repo.path, "submit", diff, "--record", "1", "--no-run")
    assert outcome == 2 and "nothing says who you are" in said and "--agent NAME" in said


@pytest.mark.parametrize(
    "reason", ["\x1b[2Jgone", "\udcff", "x" * 3000, "\u202eabc"], ids=lambda one: ascii(one)[:12]
)
def test_reasons_are_plain_text(plain: Arena, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    attempt = hand_in(plain).attempt
    for command in ("withdraw", "disqualify"):
        outcome, _, said = patchrun(capsys, "-C", plain.repo.path, command, attempt.id, "--reason", reason)
        assert outcome == 2 and "the reason h" in said
    assert plain.rulings() == []
    said_by_hand = ("--depth", "Shallow", "--provenance", "Imported", "--reason", reason, "--by", "ada")
    outcome, _, said = patchrun(capsys, "-C", plain.repo.path, "classify", attempt.id, *said_by_hand)
    assert outcome == 2 and "the reason h" in said
    assert (
        patchrun(capsys, "-C", plain.repo.path, "withdraw", attempt.id, "--reason", "déjà vu 李 👩‍💻")[0] == 0
    )


def test_two_spellings_are_one_competitor_under_the_first(
    plain: Arena, capsys: pytest.CaptureFixture[str]
) -> None:
    first = hand_in(plain, agent="Ada").attempt
    assert hand_in(plain, agent=" ａｄａ ").attempt.id == first.id, "the same code of the same agent"
    second = hand_in(plain, change("STEPS = 100", "STEPS = 55", 2), agent="ada\u200d").attempt
    assert (second.agent, second.sequence) == ("Ada", 2)
    fill(plain, tournament.plan_waiting(plain)[0], TIMES)
    board = json.loads(patchrun(capsys, "-C", plain.repo.path, "leaderboard", "--format", "json")[1])
    assert [(row["agent"], row["valid"]) for row in board["rows"]] == [("Ada", 1)]


def test_look_alikes_are_two_with_a_warning(
    plain: Arena, diff: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hand_in(plain, agent="ada")
    submit = ("-C", plain.repo.path, "submit", diff, "--record", "1", "--no-run", "--agent")
    outcome, _, said = patchrun(capsys, *submit, "аdа")
    assert outcome == 0 and "аdа looks like ada, another agent here" in said
    assert "аdа mixes Latin and Cyrillic letters in one word" in said
    outcome, _, said = patchrun(capsys, *submit, "grace")
    assert outcome == 0 and "looks like" not in said
    assert (
        "аdа looks like ada: they are two agents" in patchrun(capsys, "-C", plain.repo.path, "leaderboard")[1]
    )


def test_a_long_name_keeps_a_table_whole(plain: Arena, capsys: pytest.CaptureFixture[str]) -> None:
    hand_in(plain, agent="w" * 100)
    outcome, table, _ = patchrun(capsys, "-C", plain.repo.path, "leaderboard")
    assert outcome == 0 and table.count("w") >= 100 and max(map(len, table.splitlines())) < 130
    assert patchrun(capsys, "-C", plain.repo.path, "versus", "W" * 100, "nobody")[0] == 2
