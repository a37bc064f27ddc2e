"""`agent run --agent claude` as a user types it, against a server that speaks the Messages API, on the tiny track."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path

import pytest

from patchrun.adapters.store import Arena
from patchrun.faces import cli
from tests.boxes import needs_bwrap
from tests.conftest import change
from tests.messages_api import STUB_KEY, MessagesApi, call, fail, say, thought
from tests.shell import Shell

MODEL = "claude-sonnet-5-5"
RUN = ("agent", "run", "--agent", "claude", "--model", MODEL)
EDIT = call(
    "edit",
    path="train_gpt.py",
    old="STEPS = 600\nLEARNING_RATE = 5e-4",
    new="STEPS = 230\nLEARNING_RATE = 2e-3",
)
USAGE = {
    "input_tokens": 2000,
    "output_tokens": 500,
    "cache_read_input_tokens": 10_000,
    "cache_creation_input_tokens": 800,
}


def all_objects(arena: Arena) -> bytes:
    """Every object of the arena, logs unpacked."""
    git = ["git", "-C", str(arena.repo.path)]
    listing = subprocess.run(
        [*git, "cat-file", "--batch-all-objects", "--batch-check"], capture_output=True, check=True
    )
    blobs = [line.split()[0].decode() for line in listing.stdout.splitlines() if line.split()[1] != b"tree"]
    found = [
        subprocess.run([*git, "cat-file", "-p", name], capture_output=True, check=True).stdout
        for name in blobs
    ]
    return b"\n".join(gzip.decompress(one) if one.startswith(b"\x1f\x8b") else one for one in found)


@pytest.mark.long
@needs_bwrap
def test_a_model_makes_a_valid_submission(
    api: MessagesApi, tiny: Arena, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tools, a wrong call, an overloaded server, a cut stream and a real trial on the way; then a real study."""
    shell = Shell(tiny, capsys)
    api.script(
        say(thought("what is there?"), call("view", path="train_gpt.py"), usage=USAGE),
        fail(529, "overloaded_error", {"retry-after": "0"}),
        say(call("edit", path="train_gpt.py", old="no such text", new=""), usage=USAGE),
        say(EDIT, cut=4),
        say(EDIT, usage=USAGE),
        say(call("validate"), call("try_steps", steps=4), usage=USAGE),
        say("Four times the learning rate needs less than half of the steps.", usage=USAGE),
    )
    capsys.readouterr()
    cli.run(
        [*shell.where, *RUN, "--records", "1", "--attempts", "1", "--budget-usd", "1", "--format", "json"]
    )
    [one] = json.loads(capsys.readouterr().out)["attempts"]
    assert (one["outcome"], one["accepted"]) == ("proposed", True)
    assert one["verdict"] in ("valid", "unscorable"), "two blocks of secret seeds may be too noisy to compare"
    assert one["agent"] == one["model"] == MODEL

    answers = [turn["content"] for turn in api.bodies[-1]["messages"] if turn["role"] == "user"][1:]
    assert "STEPS = 600" in answers[0][0]["content"] and "occurs 0 times" in answers[1][0]["content"]
    validated, tried = (one["content"] for one in answers[3])
    assert validated.startswith("accepted: 1 files, 2 lines added") and tried.startswith(
        "ok: 4 steps on seed"
    )

    five, cut = 5 * (2000 * 2 + 500 * 10 + 10_000 * 0.10 + 800 * 2.5), 100 * 2 + 1 * 10
    [kept] = tiny.transcripts()
    assert kept.usd == pytest.approx((five + cut) / 1e6) and kept.usage.output == 2501
    assert kept.submission == tiny.attempts()[0].id
    assert STUB_KEY.encode() not in all_objects(tiny) + b"".join(request.raw for request in api.requests)

    shown = shell("agent", "show", kept.id)
    assert "what is there?" in shown or "view" in shown
    assert "$0.06" in shell("leaderboard")


def test_a_key_that_is_missing_or_wrong_ends_it_with_what_to_do(
    api: MessagesApi, plain: Arena, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = Shell(plain, capsys)
    words = (*RUN, "--records", "1-2", "--no-run")
    api.script(fail(401, "authentication_error", message="invalid x-api-key"))
    shell(*words, code=2)
    assert "wrong-key: invalid x-api-key" in shell.err
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    shell(*words, code=2)
    assert "ANTHROPIC_API_KEY is not set" in shell.err
    assert plain.transcripts() == [] and plain.attempts() == [] and len(api.requests) == 1


def test_attempts_that_end_badly_are_kept_with_their_cost(
    api: MessagesApi, plain: Arena, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused, cut, and spent in the middle: each is stated; what was edited until a cut is handed in."""
    shell = Shell(plain, capsys)
    edit = call("edit", path="train.py", old="RATE = 1", new="RATE = 3")
    other = call("edit", path="train.py", old="RATE = 1", new="RATE = 4")
    api.script(
        say(edit), say(stop="refusal", details={"type": "refusal", "explanation": "no"}),
        say(edit), say("cut", stop="max_tokens"),
        say(other, usage={"input_tokens": 100, "output_tokens": 200_000}),
    )  # fmt: skip
    words = (*RUN, "--record", "1", "--attempts", "3", "--no-run", "--budget-usd", "2.5")
    shell.json(*words)
    refused, cut, spent = sorted(plain.transcripts(), key=lambda one: one.number)
    assert (refused.outcome, cut.outcome, spent.outcome) == ("refused", "truncated", "budget-spent")
    assert refused.submission == "" and b"+RATE = 3" in plain.transcript_diff(refused.id)
    assert len({cut.submission, spent.submission, ""}) == 3
    assert refused.usage.total == 220 and spent.usd == pytest.approx(2.0, rel=0.01) and api.left == 0


def test_prices_of_ones_own(
    api: MessagesApi, plain: Arena, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "prices.toml"
    own.write_text(
        'version = 1\n[[price]]\nmodels = ["claude-*"]\ninput = 1000\noutput = 0\ncache_read = 0\ncache_write = 0\n'
        'source = "my contract"\ndate = 2026-11-01\n'
    )
    api.script(say(call("edit", path="train.py", old="RATE = 1", new="RATE = 3")), say("done"))
    Shell(plain, capsys)(*RUN, "--record", "1", "--no-run", "--prices", str(own))
    assert plain.transcripts()[0].usd == pytest.approx(0.2)
    assert (
        change("RATE = 1", "RATE = 3", 1).splitlines()[-4:-2]
        == plain.transcript_diff(plain.transcripts()[0].id).splitlines()[-4:-2]
    )
