"""Names: honest ones of all scripts pass, what names nobody is refused, and look-alikes are seen."""

from __future__ import annotations

import pytest

from patchrun.core import agentnames
from patchrun.core.errors import UsageError

HONEST = (
    "ada",
    "Ada Lovelace",
    "李雷",
    "モデル-7b",
    "محمد",
    "נועם",
    "José Ünïcode",
    "e\u0301ric",
    "🤖",
    "👩‍💻 coder",
    "org/model-1.5",
    "gpt+tools",
    "qwen:7b-instruct",
    "claude 4.5 (max)",
    "naïve_agent",
    "c++",
    "a",
    "7",
    "O'Neil",
    "x@y.z",
    "Дмитрий",
    "Σωκράτης",
    "नमस्ते",
    "نازنین‌زهرا",
    "①agent",
    "run #3",
    "50%",
    "C:\\agent",
    "model..v2",
    ".hidden",
    "-dash-",
    "x" * 100,
    "µTransfer",
    "Ωmega",
    "ﬁne-tuned",
)
NOBODY = {
    "": "is empty",
    "  \t ": "is empty",
    ".": "no letter",
    "..": "no letter",
    "…": "no letter",
    "---": "no letter",
    "a\x00b": "control character (U+0000)",
    "a\nAgent: b": "control character (U+000A)",
    "a\x1b[2J": "U+001B",
    "a\x7fb": "U+007F",
    "a\x85b": "U+0085",
    "a\tb": "U+0009",
    "a\u202eb": "U+202E",
    "a\u2066b": "U+2066",
    "a\u200fb": "U+200F",
    "a\u200bb": "U+200B",
    "\ufeffada": "U+FEFF",
    "a\u00adb": "U+00AD",
    "a\u2028b": "line separator",
    "a\u2029b": "paragraph separator",
    "\udcff": "surrogate",
    "ada\ud800": "surrogate",
    "\ue000": "private use",
    "a\ufffeb": "no character",
    "a\ufdd0": "no character",
    "\U000e0041": "U+E0041",
    "x" * 101: "101 characters",
    "ada <a@b>": "< or >",
    "\u3164": "no letter",
    "\u200d\u200d": "no letter",
    "\ufe0f": "no letter",
}


@pytest.mark.parametrize("name", HONEST, ids=ascii)
def test_honest_names_pass_as_they_are(name: str) -> None:
    assert agentnames.check_name(name) == name and agentnames.find_problem(name) == ""
    assert agentnames.mixed_scripts(name) == () or name == "µTransfer"
    name.encode()


@pytest.mark.parametrize(("name", "words"), NOBODY.items(), ids=lambda one: ascii(one)[:30])
def test_what_names_nobody_is_refused_with_the_reason(name: str, words: str) -> None:
    with pytest.raises(UsageError, match="the agent's name") as refused:
        agentnames.check_name(name)
    assert words in refused.value.message and refused.value.hint
    assert refused.value.message.isascii() and refused.value.message.isprintable(), (
        "it can be printed anywhere"
    )


def test_spaces_at_the_ends_are_not_the_names() -> None:
    assert agentnames.check_name("  ada \n") == "ada"


SAME = (
    ("ada", "Ada"),
    ("ada", " ADA "),
    ("ada", "ａｄａ"),
    ("ada", "𝒶𝒹𝒶"),
    ("ada", "ada\u200d"),
    ("éric", "e\u0301ric"),
    ("straße", "STRASSE"),
    ("my agent", "my\u00a0 agent"),
    ("ﬁne", "fine"),
    ("①", "1"),
    ("a\ufe0f", "a"),
    ("ΣΑΣ", "σας"),
)
OTHER = (
    ("ada", "adá"),
    ("ada", "ada2"),
    ("ada", "аda"),
    ("model-1", "model-2"),
    ("李", "张"),
    ("a b", "ab"),
    ("gpt-4", "gpt4"),
    ("org/a", "org-a"),
    ("e", "é"),
    ("a.b", "a,b"),
    ("x", "х"),
)


@pytest.mark.parametrize(("one", "other"), SAME, ids=ascii)
def test_two_spellings_of_one_name(one: str, other: str) -> None:
    assert agentnames.is_same(one, other) and agentnames.find_lookalikes([one, other]) == []
    assert agentnames.settle_name(other, ["eve", one]) == one
    assert agentnames.first_spellings([one, "eve", other]) == ({other: one} if other != one else {})


@pytest.mark.parametrize(("one", "other"), OTHER, ids=ascii)
def test_two_names(one: str, other: str) -> None:
    assert not agentnames.is_same(one, other) and agentnames.settle_name(other, [one]) == other


ALIKE = (
    ("ada", "аdа"),
    ("paypal", "раураl"),
    ("model-1", "model-l"),
    ("go", "g0"),
    ("modern", "modem"),
    ("Kim", "Κim"),
    ("nova", "ոօva"),
    ("agent-a", "agent–a"),
    ("bob", "ЬоЬ"),
    ("x", "х"),
    ("opus", "ορus"),
)


@pytest.mark.parametrize(("one", "other"), ALIKE, ids=ascii)
def test_names_that_look_alike_are_flagged(one: str, other: str) -> None:
    assert agentnames.find_lookalikes(["eve", one, other]) == [(one, other)]
    assert (
        agentnames.describe_doubts(other, [one, "eve"])[0] == f"{other} looks like {one}, another agent here"
    )


def test_names_that_do_not_look_alike_are_not_flagged() -> None:
    names = [
        "ada",
        "ava",
        "adam",
        "Дмитрий",
        "дмитрии",
        "gpt-4",
        "gpt-5",
        "李雷",
        "李磊",
        "claude",
        "Claude 2",
        "é",
        "e",
    ]
    assert agentnames.find_lookalikes(names) == []
    assert [words for name in names for words in agentnames.describe_doubts(name, names)] == []


def test_mixed_letters_in_one_word_are_flagged_and_words_of_two_scripts_are_not() -> None:
    assert agentnames.mixed_scripts("аda") == ("LATIN", "CYRILLIC")
    assert agentnames.mixed_scripts("Дмитрий Smith") == () == agentnames.mixed_scripts("GPT-Дельта")
    assert agentnames.describe_doubts("аda", []) == ["аda mixes Latin and Cyrillic letters in one word"]


@pytest.mark.parametrize(
    "text", ["fine", "two\nlines\tof it", "李", "👩‍💻", "x" * 2000, "", "a < b > c", "100 %", "…", "«ok»"]
)
def test_free_text_passes(text: str) -> None:
    assert agentnames.check_words(text, "the reason") == text


@pytest.mark.parametrize("text", ["\x1b[2J", "a\x00", "\udcff", "\u202e", "x" * 2001, "\ue000"], ids=ascii)
def test_free_text_that_steers_or_floods_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="the reason (holds|has)"):
        agentnames.check_words(text, "the reason")
