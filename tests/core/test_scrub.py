"""Secrets go, everything else stays."""

from __future__ import annotations

import pytest

from patchrun.core.scrub import REMOVED, name_secrets, scrub, scrub_json

HARMLESS = [
    "loss 3.28 after 1750 steps; lr=0.003",
    "the key of the dictionary is b'abc', the token ids are [1, 2, 3]",
    "sk-learn and risk-free, task-based; authorization is needed",
    "def tokens(self, key: str) -> int:  # token: a word",
    "a" * 64,
    "https://example.org/a?b=c",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize(
    "secret",
    [
        "sk-ant-api03-AbCd_0123456789-xyz",
        "sk-proj-0123456789abcdef0123",
        "ghp_0123456789abcdefghij0123456789abcdef",
        "github_pat_0123456789abcdefghij",
        "hf_abcdefghijklmnopqrstuvwx",
        "AKIAIOSFODNN7EXAMPLE",
        "AIzaSyA0123456789abcdefghijklmnopqrstuv",
        "xoxb-0123456789-abcdef",
    ],
)
def test_what_has_the_form_of_a_key_goes(secret: str) -> None:
    for text in (secret, f"key={secret}", f'{{"api_key": "{secret}"}}', f"export KEY='{secret}'\nnext line"):
        cleaned = scrub(text)
        assert secret not in cleaned and REMOVED in cleaned
        assert cleaned.replace(REMOVED, secret) == text


@pytest.mark.parametrize(
    "line",
    ["Authorization: Bearer abcdefgh1234", "x-api-key: abcdefgh1234",
     "'authorization': 'Basic abcdefgh1234'", "Proxy-Authorization=abcdefgh1234"],
)  # fmt: skip
def test_what_stands_in_a_header_goes(line: str) -> None:
    assert "abcdefgh1234" not in scrub(line)
    assert scrub(line).lower().startswith(line.lower()[:8])


def test_a_private_key_goes_even_without_its_end() -> None:
    text = "before\n-----BEGIN OPENSSH PRIVATE KEY-----\nabc\ndef\n"
    assert scrub(text) == f"before\n{REMOVED}"
    assert scrub(text + "-----END OPENSSH PRIVATE KEY-----\nafter") == f"before\n{REMOVED}\nafter"


def test_given_secrets_go_the_longer_first_and_short_ones_are_no_secrets() -> None:
    assert (
        scrub("hunter2hunter2!! and hunter2hunter2", ["hunter2hunter2", "hunter2hunter2!!"])
        == f"{REMOVED} and {REMOVED}"
    )
    assert scrub("a b c", ["a", ""]) == "a b c"


def test_a_document_is_scrubbed_all_through() -> None:
    secret = "sk-ant-api03-0123456789"
    document = {"a": [1, None, True, {"b": f"x {secret}"}], secret: ("t", secret), "n": 1.5}
    assert scrub_json(document) == {
        "a": [1, None, True, {"b": f"x {REMOVED}"}],
        REMOVED: ["t", REMOVED],
        "n": 1.5,
    }
    assert secret in str(document)


def test_a_variables_name_says_whether_it_is_secret() -> None:
    environment = {
        "ANTHROPIC_API_KEY": "value-one", "HF_TOKEN": "value-two", "db_password": "value-three",
        "AWS_SECRET": "value-four", "PATH": "/usr/bin:/bin",
        "KEYBOARD": "german-qwertz", "SHORT_KEY": "abc", "GOOGLE_CREDENTIALS": "value-five",
    }  # fmt: skip
    assert set(name_secrets(environment)) == {
        "value-one",
        "value-two",
        "value-three",
        "value-four",
        "value-five",
    }
