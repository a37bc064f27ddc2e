"""`patchrun classify` and the label's line in `show`, as a person and a script see them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from patchrun.adapters import signing
from patchrun.adapters.store import Arena
from patchrun.services import classify, tournament
from tests.faces.conftest import GOOD
from tests.messages_api import MessagesApi, fail, say
from tests.shell import Shell

HAND = ("--depth", "moderate", "--provenance", "Adapted", "--reason", "a schedule of its own", "--by", "Ada")


def answer(depth: str, quote: str = "STEPS = 60", reason: str = "fewer steps") -> Any:
    body = {"reason": reason, "quotes": [quote], "depth": depth, "provenance": "Imported", "confidence": 0.9}
    return say(json.dumps(body))


@pytest.fixture
def submission(shell: Shell, tmp_path: Path) -> str:
    (tmp_path / "good.diff").write_bytes(GOOD)
    return shell.json("submit", str(tmp_path / "good.diff"), "--record", "1", "--agent", "ada", "--no-run")[
        "id"
    ]


def test_a_label_by_hand_is_shown_as_unsigned(shell: Shell, submission: str) -> None:
    said = shell("classify", submission[:8], *HAND)
    assert "Moderate, Adapted (by Ada, unsigned): a schedule of its own" in said
    assert "label: Moderate, Adapted (by Ada, unsigned)" in shell("show", submission)
    [row] = shell.json("show", submission)["labels"]
    assert (row["depth"], row["signature"], row["counts"], row["agreement"]) == (
        "Moderate",
        "unsigned",
        True,
        None,
    )


def test_a_signed_label_names_its_key(plain: Arena, shell: Shell, submission: str, home: Path) -> None:
    signing.make_key(home / "ada", "ada")
    signing.allow(plain.identity, "ada@example", (home / "ada.pub").read_text())
    said = shell("classify", submission, *HAND, "--sign-key", str(home / "ada"))
    assert "(by Ada, signed by ada@example)" in said
    assert "signed by ada@example" in shell("show", submission)
    shell("verify")


def test_without_labels_there_is_no_line(shell: Shell, submission: str) -> None:
    assert "label:" not in shell("show", submission)
    assert shell.json("show", submission)["labels"] == []


def test_a_model_is_asked_and_agreement_is_said(shell: Shell, submission: str, api: MessagesApi) -> None:
    api.script(answer("Shallow"), answer("Shallow"), answer("Moderate"), answer("Shallow"), answer("Shallow"))
    said = shell("classify", submission, "--model", "claude-opus-4-6")
    assert f"{submission}: Shallow, Imported" in said
    assert "depth 4 of 5 (kappa 0.47), provenance 5 of 5 (kappa 1.00)" in said
    assert "> STEPS = 60" in said and "550 tokens, $0.00" in said
    assert "changes: 1, samples of each: 5, model: claude-opus-4-6" in shell.err
    line = next(line for line in shell("show", submission).splitlines() if line.startswith("label: "))
    assert "Shallow, Imported (by claude-opus-4-6, depth 4 of 5" in line and "unsigned" in line
    assert "(known)" in shell("classify", submission, "--model", "claude-opus-4-6")


def test_all_and_human_patches_as_json(shell: Shell, submission: str, api: MessagesApi) -> None:
    script = {"STEPS = 50": "STEPS = 50", "RATE = 2": "RATE = 2"}

    def by_diff(request: Any) -> Any:
        last = request.body["messages"][-1]["content"]
        text = last if isinstance(last, str) else last[0]["text"]
        quote = next((quote for sign, quote in script.items() if f"+{sign}" in text), "STEPS = 60")
        return answer("Shallow", quote)

    api.script(*[by_diff] * 6)
    document = shell.json("classify", "--all", "--record", "1-2", "--samples", "2")
    assert [row["subject"] for row in document["rows"]] == [submission, "h1", "h2"]
    assert all(row["label"]["agreement"]["depth"]["kappa"] == 1 for row in document["rows"])
    assert document["kappa"] == {"depth": 1.0, "provenance": 1.0}


def test_no_answer_that_counts_is_exit_code_1(shell: Shell, submission: str, api: MessagesApi) -> None:
    api.script(say("junk"), answer("Deep", "nowhere to be found"))
    said = shell("classify", submission, "--samples", "2", code=1)
    assert "no label" in said and "bad-answer" in said and "none of its 1 quotes is in the diff" in said


def test_no_key_is_said_plainly(shell: Shell, submission: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    shell("classify", submission, code=2)
    assert "ANTHROPIC_API_KEY is not set" in shell.err and "or label by hand" in shell.err


def test_a_wrong_key_too(shell: Shell, submission: str, api: MessagesApi) -> None:
    api.script(fail(401, "authentication_error"))
    shell("classify", submission, code=2)
    assert "wrong-key" in shell.err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "nothing to label"),
        (["beef"], "names no submission"),
        (["--record", "7"], "no record 7"),
        (["--record", "1", "--depth", "Deep"], "a label by hand needs --provenance, --reason too"),
        (["--record", "1", "--by", "Ada"], "a label by hand needs --depth, --provenance, --reason too"),
        (["--record", "1-2", *HAND], "a label by hand is for one change"),
        (["--record", "1", *HAND, "--reason", " "], "a label needs a reason"),
        (["--record", "1", *HAND, "--depth", "profound"], "is not one of"),
        (["--record", "1", *HAND, "--sign-key", "/nowhere"], "does not exist"),
        (["--record", "1", "--samples", "0"], "0 is not in the range"),
        (["--record", "1", "--prices", "/nowhere"], "cannot read the prices"),
    ],
)  # fmt: skip
def test_wrong_words(shell: Shell, plain: Arena, words: list[str], problem: str) -> None:
    shell("classify", *words, code=2)
    assert problem in shell.err
    assert plain.labels() == []


def test_strangers_words_cannot_move_the_cursor(plain: Arena, shell: Shell, submission: str) -> None:
    """As an arena of before may hold them; today they are refused."""
    made = classify.label_by_hand(
        plain, classify.of_attempt(plain, plain.attempt(submission)), "Moderate", "Adapted", "fine", "Ada"
    )
    plain.add_label(msgspec.structs.replace(made, by="Ada\x1b[2J", reason="a\x1b]0;x\x07b"))
    assert "\x1b" not in shell("show", submission) and "\x07" not in shell("show", submission)
    assert tournament.assess(plain)[0].score.state == "pending", "a label changes no score"
