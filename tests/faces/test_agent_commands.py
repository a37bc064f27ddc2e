"""`agent run`, `show` and `list` as a user types them; on the tiny track a command's patch is trained and ranked."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from patchrun.adapters.store import Arena
from patchrun.faces import cli
from patchrun.services import tournament
from tests.boxes import needs_bwrap
from tests.conftest import change
from tests.services.agents.test_search import objects_of
from tests.services.test_tournament import fill
from tests.shell import Shell

KEY = "sk-proj-27182818284590452353602874"
REPLAY = ("agent", "run", "--agent", "replay", "--replay")
EDIT = "sed -i 's/LEARNING_RATE = 5e-4/LEARNING_RATE = 2e-3/; s/^STEPS = 600/STEPS = 300/' train_gpt.py"


@pytest.fixture
def diffs(tmp_path: Path) -> str:
    """Recorded diffs: three for record 1, one of them broken, and one for record 2."""
    folder = tmp_path / "diffs"
    folder.mkdir()
    for name, steps in (("1-a", "80"), ("1-b", "("), ("1-c", "70")):
        (folder / f"{name}.diff").write_bytes(change("STEPS = 100", f"STEPS = {steps}", 2))
    (folder / "2.diff").write_bytes(
        change("STEPS = 100", "STEPS = 60", 2).replace(b" RATE = 1", b" RATE = 2")
    )
    return str(folder)


@needs_bwrap
@pytest.mark.long
def test_a_command_that_edits_a_learning_rate_is_measured_in_the_sandbox(
    tiny: Arena, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", KEY)
    shell = Shell(tiny, capsys)
    words = [
        "agent",
        "run",
        "--agent",
        "command",
        "--name",
        "sedder",
        "--records",
        "1",
        "--budget-wall",
        "60",
    ]
    line = f"{EDIT}; echo key $MY_API_KEY; patchrun validate"
    words += ["--command", line, "--pass-env", "MY_API_KEY"]
    capsys.readouterr()
    cli.run([*shell.where, *words, "--format", "json"])
    said = capsys.readouterr()
    document = json.loads(said.out)
    [one] = document["attempts"]
    assert one["outcome"] == "proposed" and one["accepted"] and one["best"]
    assert one["verdict"] in ("valid", "unscorable"), (
        "two blocks on a busy machine may be too noisy to compare"
    )
    assert (one["tokens"], one["usd"]) == (None, None) and document["spent"]["usd"] is None
    assert "to make" in said.err and "what the command spends is not known" in said.err
    measured = next(scored for scored in tournament.assess(tiny)).score
    assert measured.loss.mean < tiny.track.target.loss
    assert measured.seconds.submission < measured.seconds.baseline, "it trains half as many steps"
    shown = shell("agent", "show", one["submission"])
    assert (
        "key [key removed]" in shown
        and "accepted: 1 files, 2 lines added" in shown
        and "sandbox: bwrap" in shown
    )
    code = 0 if one["verdict"] == "valid" else 1
    assert shell.json("show", one["submission"], code=code)["transcripts"][0]["id"] == one["id"]
    for data in objects_of(tiny).values():
        assert KEY.encode() not in (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    again = shell.json(*words, code=code)
    assert [each["id"] for each in again["attempts"]] == [one["id"]], "nothing is proposed twice"
    assert "0 problems" in shell("verify")


def test_a_replay_is_stored_validated_and_listed(shell: Shell, diffs: str) -> None:
    words = (*REPLAY, diffs, "--no-run", "--attempts", "3")
    text = shell(*words, "--records", "1", "--name", "ada")
    assert "rejected" in text and text.count("proposed") == 3 and "Used: 0 tokens, cost $0.0000" in text
    assert "ada is 1 of 1 on the leaderboard" in text
    document = shell.json(*words, "--records", "1-2", "--name", "ada")
    assert [(row["record"], row["number"], row["accepted"]) for row in document["attempts"]] == [
        ("1", 1, True), ("1", 2, False), ("1", 3, True), ("2", 1, True), ("2", 2, None), ("2", 3, None),
    ]  # fmt: skip
    assert (
        document["attempts"][-1]["outcome"] == "failed"
        and "none is left" in document["attempts"][-1]["reason"]
    )
    listed = shell("agent", "list").splitlines()
    assert len(listed) == 2 + 6 and "ada" in listed[2]
    assert len(shell.json("agent", "list")) == 6
    shown = shell.json("agent", "show", document["attempts"][0]["id"][:10])
    assert shown["turns"][0]["role"] == "replay" and "+STEPS = 80" in shown["diff"]


def test_a_plan_without_a_start(shell: Shell, plain: Arena, diffs: str) -> None:
    words = (*REPLAY, diffs, "--records", "1-2", "--attempts", "2", "--dry-run")
    text = shell(*words, "--scaffold", "tree", "--budget-usd", "3")
    assert "to make" in text and "Expected cost of the proposals: unknown before the first one" in text
    document = shell.json(*words)
    assert [(row["record"], row["todo"], row["studies"]) for row in document["searches"]] == [
        ("1", 2, 1),
        ("2", 2, 1),
    ]
    assert plain.transcripts() == []


def test_wrong_words_store_nothing(shell: Shell, plain: Arena, diffs: str) -> None:
    run = ("agent", "run", "--records", "1")
    for words, said in (
        ((*run, "--agent", "command"), "which command?"),
        ((*run, "--agent", "replay"), "what is to be replayed?"),
        ((*run, "--agent", "replay", "--replay", "nobody"), "no recorded diffs in nobody"),
        (
            (*run, "--agent", "human", "--command", "x", "--network"),
            "--command, --network: not for --agent human",
        ),
        ((*run, "--agent", "human", "--model", "m"), "--model: not for --agent human"),
        ((*run, "--agent", "command", "--command", "true", "--budget-usd", "1"), "what a command spends"),
        ((*run, "--agent", "command", "--command", "true", "--pass-env", "NOT_SET_AT_ALL"), "it is not set"),
        ((*run, "--agent", "human", "--hint-tier", "2"), "no tier 2 hint"),
        ((*run, "--agent", "human", "--record", "1"), "which records?"),
        (("agent", "run", "--agent", "human"), "which records?"),
        (("agent", "run", "--agent", "human", "--records", "9"), "9"),
        ((*run, "--agent", "claude"), "which model?"),
        (("agent", "show", "abcd"), "names no transcript here"),
    ):
        shell(*words, code=2)
        assert said in shell.err, words
    assert plain.transcripts() == [] and plain.attempts() == []


def test_an_interrupt_keeps_what_exists(
    shell: Shell, plain: Arena, diffs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from patchrun.services import tournament

    real, calls = tournament.hand_in, []

    def second_time_interrupted(*words, **more):
        calls.append(words)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*words, **more)

    monkeypatch.setattr(tournament, "hand_in", second_time_interrupted)
    words = (*REPLAY, diffs, "--records", "1", "--no-run", "--attempts", "3")
    shell(*words, code=130)
    assert len(plain.attempts()) == len(plain.transcripts()) == 1
    monkeypatch.setattr(tournament, "hand_in", real)
    shell(*words)
    assert len(plain.attempts()) == len(plain.transcripts()) == 3
    assert sorted(one.number for one in plain.transcripts()) == [1, 2, 3]


@pytest.fixture
def measured(shell: Shell, plain: Arena, diffs: str) -> Shell:
    """Two agents: one that a transcript prices with and without hints, one that is the human's patch by hand."""
    from patchrun.core.selection import Span
    from patchrun.core.usage import Usage
    from patchrun.services import tournament
    from patchrun.services.agents.search import run_order
    from tests.services.agents.test_search import make_order, put

    facts = {"outcome": "proposed", "usage": Usage(900, 100), "usd": 0.5}
    order = make_order(put("STEPS = 100", "STEPS = 80", **facts), name="ada")
    run_order(plain, order)
    tournament.hand_in(plain, change("STEPS = 100", "STEPS = 90", 2), Span(1, 1), "ada", (1,))
    human = plain.repo.diff(plain.baseline(1), plain.human(1))
    tournament.hand_in(plain, human, Span(1, 1), "copycat")
    for study in tournament.plan_waiting(plain):
        times = {arm.name: 8.5 + 0.2 * k for k, arm in enumerate(study.arms)}
        fill(plain, study, {**times, "baseline": 10.0, "human": 7.0, "b1": 10.0, "h1": 7.0})
    return shell


def test_the_board_never_mixes_hint_tiers_silently(measured: Shell) -> None:
    rows = measured.json("leaderboard")["rows"]
    assert {(row["agent"], tuple(row["hint_tiers"]), row["label"]) for row in rows} == {
        ("ada", (), "ada (no hints)"), ("ada", (1,), "ada (hints 1)"), ("copycat", (), "copycat"),
    }  # fmt: skip
    text = measured("leaderboard")
    assert "ada (no hints)" in text and "ada (hints 1)" in text
    mixed = measured.json("leaderboard", "--mix-hint-tiers")["rows"]
    assert {(row["agent"], row["hint_tiers"] and tuple(row["hint_tiers"])) for row in mixed} == {
        ("ada", None),
        ("copycat", None),
    }
    [only] = measured.json("leaderboard", "--hint-tier", "1")["rows"]
    assert (only["agent"], only["label"]) == ("ada", "ada")
    assert measured.json("versus", "ada (hints 1)", "copycat")["records"]["1"]["winner"] in (
        "a",
        "b",
        "tie",
        "unknown",
    )
    measured("versus", "ada", "copycat", code=2)
    assert "agents: ada (hints 1), ada (no hints), copycat" in measured.err


def test_the_board_shows_cost_and_what_is_unknown(measured: Shell) -> None:
    rows = {row["label"]: row for row in measured.json("leaderboard")["rows"]}
    priced = rows["ada (no hints)"]
    assert (priced["proposals"], priced["tokens"], priced["usd"]) == (1, 1000, 0.5)
    assert priced["usd_per_percent"] == pytest.approx(0.5 / (100 * priced["score"]))
    assert rows["copycat"]["usd"] is None and rows["copycat"]["usd_per_percent"] is None
    table = measured("leaderboard").split("\n\n")
    [costs] = [part for part in table if part.startswith("agent") and "USD per %" in part]
    assert "1000" in costs and "$0.50" in costs and "copycat" not in costs
    csv = measured("leaderboard", "--format", "csv").splitlines()
    assert "hint_tiers,tokens,usd,usd_per_percent" in csv[0] and ",1000,0.5," in "".join(csv)


def test_show_says_how_it_was_made_and_how_similar_it_is(measured: Shell) -> None:
    rows = {row["label"]: row for row in measured.json("leaderboard")["rows"]}
    priced, copied = (rows[name]["records"]["1"]["id"] for name in ("ada (no hints)", "copycat"))
    text = measured("show", priced)
    assert "made by" in text and "1000 tokens, $0.50" in text and "similarity" in text
    document = measured.json("show", copied)
    assert document["transcripts"] == [] and set(document["similarity"]) == {"value", "windows", "high"}
    assert json.dumps(document)
