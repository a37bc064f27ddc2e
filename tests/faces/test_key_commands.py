"""Who signs and whose results count, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from patchrun.adapters.store import Arena
from patchrun.faces import cli
from patchrun.services import tournament
from tests.services.test_tournament import fill, hand_in


def patchrun(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    outcome = cli.run([str(word) for word in words])
    said = capsys.readouterr()
    return outcome, said.out, said.err


def test_make_allow_and_what_then_counts(
    plain: Arena, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hand_in(plain)
    fill(plain, tournament.plan_waiting(plain)[0], {"baseline": 10.0, "human": 7.0, "submission": 8.0})
    at = ("-C", plain.repo.path)
    assert patchrun(capsys, *at, "keys", "list")[1] == "no list: every result counts, signed or not\n"
    outcome, made, words = patchrun(capsys, "keys", "make", tmp_path / "node1", "--name", "node1")
    assert outcome == 0 and made.startswith("ssh-ed25519 ") and "PATCHRUN_SIGNING_KEY=" in words
    outcome, said, _ = patchrun(capsys, *at, "keys", "allow", "node1", tmp_path / "node1.pub")
    assert (outcome, said) == (0, "node1 counts; 15 results that no listed key signed do not count\n")
    listed = json.loads(patchrun(capsys, *at, "keys", "list", "--format", "json")[1])
    assert (listed["names"], listed["left_out"]) == (["node1"], 15)
    assert "15 results that no listed key signed do not count" in patchrun(capsys, *at, "leaderboard")[1]
    rows = json.loads(patchrun(capsys, *at, "leaderboard", "--format", "json")[1])["rows"]
    assert [row["valid"] for row in rows] == [0]


@pytest.mark.parametrize("text", ["", "not a key\n", "-----BEGIN OPENSSH PRIVATE KEY-----\n"])
def test_what_is_not_a_public_key_is_refused(
    plain: Arena, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tmp_path / "bad.pub").write_text(text)
    outcome, _, words = patchrun(capsys, "-C", plain.repo.path, "keys", "allow", "me", tmp_path / "bad.pub")
    assert outcome == 2 and "not an ssh public key" in words


def test_a_file_that_is_not_there(plain: Arena, capsys: pytest.CaptureFixture[str]) -> None:
    assert patchrun(capsys, "-C", plain.repo.path, "keys", "allow", "me", "/nothing.pub")[0] == 2


def test_init_shared_makes_an_arena_that_takes_new_results_only(
    plain_track: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert patchrun(capsys, "init", tmp_path / "a", "--track", plain_track, "--shared", "--no-data")[0] == 0
    hook = tmp_path / "a" / ".git" / "hooks" / "pre-receive"
    assert hook.stat().st_mode & 0o111 and "creates" in CliRunner().invoke(cli.cli, ["init", "--help"]).output


def test_vouch_for_what_was_there_before_keys_were_listed(
    plain: Arena, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = hand_in(plain).attempt
    fill(plain, tournament.plan_waiting(plain)[0], {"baseline": 10.0, "human": 7.0, "submission": 8.0})
    at = ("-C", plain.repo.path)
    patchrun(capsys, "keys", "make", tmp_path / "owner")
    patchrun(capsys, *at, "keys", "allow", "owner", tmp_path / "owner.pub")
    assert "no listed key signed this attempt" in patchrun(capsys, *at, "show", attempt.id)[1]
    outcome, _, said = patchrun(capsys, *at, "keys", "vouch", "--all")
    assert outcome == 2 and "PATCHRUN_SIGNING_KEY" in said
    monkeypatch.setenv("PATCHRUN_SIGNING_KEY", str(tmp_path / "owner"))
    assert patchrun(capsys, *at, "keys", "vouch")[0] == 2
    assert patchrun(capsys, *at, "keys", "vouch", attempt.id)[1] == "1 results count now\n"
    assert patchrun(capsys, *at, "keys", "vouch", "--all")[1] == "15 results count now\n"
    outcome, _, said = patchrun(capsys, *at, "keys", "vouch", "--all")
    assert outcome == 2 and "there is nothing to vouch for" in said
    shown = json.loads(patchrun(capsys, *at, "show", attempt.id, "--format", "json")[1])
    assert (shown["verdict"], shown["signed"], shown["received"], shown["strange_rulings"]) == (
        "valid",
        True,
        None,
        [],
    )
