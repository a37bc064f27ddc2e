"""The final round on the command line: names, keys, exit codes, and tables that a person can read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from patchrun.adapters.store import Arena
from patchrun.core.results import Study
from patchrun.services import finals
from patchrun.services.finals import Choice
from tests.services.test_finals import fill_final, measure, write_tokens
from tests.shell import Shell

WIDTH = 100


@pytest.fixture
def promised(shell: Shell, tmp_path: Path) -> dict:
    return shell.json("final", "commit", "--tokens", str(write_tokens(tmp_path)), "--by", "grace")


def plan_one(arena: Arena) -> Study:
    [one] = finals.plan_round(arena, finals.find(arena), Choice()).studies
    return one


@pytest.fixture
def over(plain: Arena, promised: dict) -> tuple[str, str]:
    """Ada and Bob in a round; Bob's losses rise on tokens that he had not seen."""
    ada, bob = measure(plain, ("bob", 70))
    fill_final(plain, plan_one(plain), {bob: 0.6})
    return ada, bob


def test_a_promise_says_what_to_keep(shell: Shell, promised: dict, tmp_path: Path) -> None:
    assert {"id", "track", "key_commitment", "tokens_digest", "tokens", "source", "by", "created"} <= set(
        promised
    )
    assert (promised["tokens"], promised["source"], promised["by"]) == (100, "given", "grace")
    assert promised["key"] is None and promised["revealed"] is None
    assert all(Path(name).is_file() for name in promised["files"])
    said = shell("final", "commit", "--tokens", str(write_tokens(tmp_path)))
    assert "100 held-back tokens, given by the owner" in said and "secrets not revealed yet" in said
    key = Path(promised["files"][0]).read_text().strip()
    assert key not in said and key not in json.dumps(promised)


def test_alone_it_shows_the_latest_round(shell: Shell, over) -> None:
    alone = shell("final")
    assert alone == shell("final", "show")
    assert max(map(len, alone.splitlines())) <= WIDTH
    ranks, scores, losses = alone.split("\n\n")[1:4]
    assert [line.split()[:2] for line in ranks.splitlines()[-2:]] == [["1", "ada"], ["2", "bob"]]
    assert "missed-target" in scores and "ordinary FSR" in scores
    assert [line.split()[-1] for line in losses.splitlines()[-2:]] == ["no", "yes"]
    assert "bob, record 1: losses rise more than the baseline's and the human's" in alone
    assert "could have read the held-back tokens" in alone, "these runs say that their sandbox was seccomp"


def test_the_document_has_its_keys(shell: Shell, over) -> None:
    found = shell.json("final")
    assert found == shell.json("final", "show")
    assert set(found) >= {"track", "final", "records", "rows", "submissions", "notes", "sandboxes"}
    assert [(row["agent"], row["rank"], row["ordinary_score"] > 0.6) for row in found["rows"]] == [
        ("ada", 1, True),
        ("bob", 2, True),
    ]
    ada, bob = found["submissions"]
    assert (ada["verdict"], ada["overfit"], bob["verdict"], bob["overfit"]) == (
        "valid",
        False,
        "missed-target",
        True,
    )
    assert (ada["id"], ada["ordinary"]["verdict"], ada["n_blocks"]) == (over[0], "valid", 5)
    assert bob["fsr"] is None and bob["loss"]["held_out"] > bob["loss"]["target"] > bob["loss"]["validation"]
    assert bob["loss"]["offset"] == pytest.approx(0.2)
    assert bob["excess"]["value"] == pytest.approx(0.4, abs=0.01) and bob["excess"]["ci"][0] > 0.3


def test_a_dry_run_says_what_would_run(shell: Shell, plain: Arena, promised: dict) -> None:
    measure(plain, ("bob", 70))
    assert shell.json("final", "run", "--dry-run") == {
        "studies": [{"record": "1", "submissions": 2, "blocks": 5, "runs": 20}],
        "left_out": [],
    }
    assert "Nothing was stored or run." in shell("final", "run", "--agents", "bob", "--dry-run")
    assert [one for one in plain.studies() if one.final] == []


def test_what_is_complete_is_not_run_again(shell: Shell, over) -> None:
    assert shell("final", "run") == shell("final")
    shell("final", "run", over[0][:8], "--format", "json")
    assert "nothing is missing" in shell.err


def test_at_the_end_the_key_is_for_all(shell: Shell, over, promised: dict) -> None:
    said = shell.json("final", "reveal", "--by", "grace")
    assert said["key"] == Path(promised["files"][0]).read_text().strip() and said["revealed"]
    assert "revealed 20" in shell("final")
    assert shell.json("verify")["problems"] == []
    shell("final", "reveal", code=2)
    assert "known already" in shell.err
    shell("final", "run", code=2)
    assert "commit to a new one" in shell.err


def test_tokens_of_the_owners_own_cannot_be_drawn_again(shell: Shell, over) -> None:
    shell("final", "check", code=2)
    assert "not revealed yet" in shell.err
    shell("final", "reveal")
    assert shell.json("final", "check")["drawn"] is None
    assert "given by the owner" in shell("final", "check")


def test_before_anything_was_run(shell: Shell, promised: dict) -> None:
    assert "Nothing was run under it yet" in shell("final")
    assert shell.json("final")["submissions"] == []
    shell("final", "reveal", code=2)
    assert "nothing was run" in shell.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("final",), "no final round was committed to"),
        (("final", "run"), "no final round was committed to"),
        (("final", "commit"), "--tokens FILE"),
        (("final", "commit", "--tokens", "nowhere"), "does not exist"),
        (("final", "shuffle"), "No such command"),
        (("final", "run", "--pick", "mean"), "is not one of"),
    ],
)
def test_what_cannot_be_done_is_said(shell: Shell, words: tuple[str, ...], said: str) -> None:
    shell(*words, code=2)
    assert said in shell.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--round", "beef"), "names no final round"),
        (("--agents", "mallory"), "no agent 'mallory'"),
        (("beefbeef",), "names no submission"),
        (("beefbeef", "--agents", "ada"), "leave --agents"),
        (("--records", "9"), "no record 9"),
    ],
)
def test_who_is_not_there_cannot_enter(shell: Shell, over, words: tuple[str, ...], said: str) -> None:
    shell("final", "run", *words, code=2)
    assert said in shell.err


def test_the_secrets_are_needed_to_run(shell: Shell, plain: Arena, promised: dict) -> None:
    measure(plain)
    Path(promised["files"][1]).unlink()
    shell("final", "run", code=2)
    assert "held-back tokens" in shell.err and "copy them there" in shell.err
    assert "Nothing was run under it yet" in shell("final"), "who only looks needs no secrets"


def test_every_command_in_the_page_exists(shell: Shell) -> None:
    page = (Path(__file__).parents[2] / "docs" / "final.md").read_text()
    named = set(re.findall(r"patchrun final ([a-z]+)", page))
    assert named == {"commit", "run", "reveal", "check"}
    for name in named:
        assert "Usage" in shell("final", name, "--help")
    said = shell("final", "run", "--help")
    assert all(
        option in said
        for option in re.findall(r"`(--[a-z-]+)", page)
        if option not in ("--round", "--tokens")
    )
