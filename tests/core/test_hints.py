"""Hints as values: heads, sections, lengths, and what a text must not give away, with literals."""

from __future__ import annotations

import pytest

from patchrun.core.errors import ManifestError
from patchrun.core.hints import (
    Hint,
    check_form,
    check_place,
    check_places,
    check_result,
    count_words,
    expected_files,
    hinted_records,
    read_hint,
    result_seconds,
    show_hint,
)  # fmt: skip
from patchrun.core.ladder import Ladder, load_ladder

HEAD = """\
+++
record = 2
tier = 1
changes = ["optimizer", "schedule"]
references = ["Somebody 2020, A Paper, arXiv:2001.00001"]
+++
"""
LADDER = load_ladder(
    """\
version = 1

[base.measured]
n = 5
seconds_mean = 61.0

[[record]]
number = 1
date = "2026-01-01"
by = "@ada"
summary = "first"
patch = "1.patch"
published_seconds = 100.0
measured = { n = 5, seconds_mean = 50.0 }

[[record]]
number = 2
date = "2026-01-02"
by = "@grace_h, The Lab"
summary = "second"
patch = "2.patch"
solution = { kind = "log", commit = "c", log = "l", script = "s", files = { s = "DIGEST" } }
published_seconds = 73.8
measured = { n = 5, seconds_mean = 41.5, loss_mean = 3.2764 }

[[record]]
number = 3
date = "2026-01-03"
by = "@ada"
summary = "third, which starts from another time than the second's"
published_seconds = 60.0
baseline_seconds = 72.5
baseline = { kind = "record", record = 2 }
solution = { kind = "log", commit = "c", log = "l", script = "s", files = { s = "DIGEST" } }

[[record]]
number = 4
date = "2026-01-04"
by = "@ada"
summary = "without code"
published_seconds = 59.0
baseline = { kind = "record", record = 3 }
solution = { kind = "none", reason = "lost" }
""".replace("DIGEST", "0" * 64)
)


def hint(body: str, tier: int = 1, record: int = 2) -> Hint:
    text = HEAD.replace("tier = 1", f"tier = {tier}").replace("record = 2", f"record = {record}")
    return read_hint(text + body, "hint")


def given_away(body: str, record: int = 2, ladder: Ladder = LADDER) -> list[str]:
    return [one.problem for one in check_result(hint(body, record=record), "p", ladder, 3.28)]


def test_a_hint_is_a_head_and_a_body() -> None:
    found = read_hint(HEAD + "\n# Title\n\nText.\n\n\n", "2/tier-1.md")
    assert (found.head.record, found.head.tier, found.head.changes) == (2, 1, ("optimizer", "schedule"))
    assert found.head.references == ("Somebody 2020, A Paper, arXiv:2001.00001",)
    assert found.body == "# Title\n\nText.\n"


def test_line_ends_of_windows_are_taken() -> None:
    assert read_hint((HEAD + "Text.\n").replace("\n", "\r\n"), "x").body == "Text.\n"


@pytest.mark.parametrize(
    "text", ["", "Text.\n", "+++\nrecord = 2\n", "\n" + HEAD, HEAD.replace("+++\n", "---\n")]
)
def test_a_text_without_a_head_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match="5/tier-1.md: no head between two lines"):
        read_hint(text, "5/tier-1.md")


@pytest.mark.parametrize(
    ("line", "instead", "problem"),
    [
        ("tier = 1", "tier = 4", "h: tier: Expected 1 or 2 or 3, got 4"),
        ("record = 2", "record = 0", "h: record: Expected `int` >= 1, got 0"),
        ("record = 2", 'record = "two"', "h: record: Expected `int`, got 'two'"),
        ("tier = 1\n", "", "h: tier: missing"),
        ('["optimizer", "schedule"]', "[]", "h: changes: expected one or more"),
        (
            '["optimizer", "schedule"]',
            '["optimiser"]',
            "h: changes.0: Expected .*'optimizer' or .*, got 'optimiser'",
        ),
        ('["optimizer", "schedule"]', '["data", "data"]', "h: changes: expected one or more .* each once"),
        (
            '"Somebody 2020, A Paper, arXiv:2001.00001"',
            '" "',
            "h: references.0: Expected `str` matching regex .*, got ' '",
        ),
        ("references", "reference", "h: reference: unknown key; did you mean references?"),
        ("tier = 1", "tier 1", "h: not TOML"),
    ],
)
def test_a_wrong_head_is_named_by_key(line: str, instead: str, problem: str) -> None:
    with pytest.raises(ManifestError, match=problem.replace("?", r"\?")):
        read_hint(HEAD.replace(line, instead) + "Text.\n", "h")


def test_all_problems_of_a_head_come_at_once() -> None:
    with pytest.raises(ManifestError) as error:
        read_hint(HEAD.replace("tier = 1", "tier = 9").replace("record", "recrod"), "h")
    assert len(error.value.message.splitlines()) == 3, "tier wrong, record missing, recrod unknown"


def test_references_may_be_none() -> None:
    assert (
        read_hint(HEAD.replace('"Somebody 2020, A Paper, arXiv:2001.00001"', ""), "h").head.references == ()
    )


def test_an_agent_sees_a_line_and_the_text() -> None:
    shown = show_hint(hint("# Title\n\nText.\n"))
    assert shown == "Record 2, hint of tier 1 (optimizer, schedule)\n\n# Title\n\nText.\n"


def test_records_with_a_patch_or_with_code_on_both_sides_have_hints() -> None:
    assert hinted_records(LADDER) == [1, 2, 3]
    assert expected_files(LADDER)[:4] == ["1/tier-1.md", "1/tier-2.md", "1/tier-3.md", "2/tier-1.md"]


def test_the_head_agrees_with_the_path() -> None:
    assert check_place(hint("Text."), "2/tier-1.md") == []
    for path in ("2/tier-2.md", "12/tier-1.md", "1/tier-1.md"):
        (problem,) = check_place(hint("Text."), path)
        assert (problem.path, problem.problem) == (path, "its head says 2/tier-1.md")


def test_absent_and_surplus_files_are_named() -> None:
    expected = expected_files(LADDER)
    found = [*expected[1:], "2/tier-4.md", "4/tier-1.md", "notes.txt"]
    said = [(one.path, one.problem) for one in check_places(found, expected)]
    assert said == [("1/tier-1.md", "absent"), ("2/tier-4.md", "surplus"), ("4/tier-1.md", "surplus"),
                    ("notes.txt", "surplus")]  # fmt: skip
    assert check_places(expected, expected) == []


def test_words_hold_a_letter_or_a_digit() -> None:
    assert count_words("a <- b + 0.5 * g  # twice\n\n---\n| x |") == 6


@pytest.mark.parametrize(("tier", "low", "high"), [(1, 40, 500), (2, 60, 450)])
def test_length_bands(tier: int, low: int, high: int) -> None:
    assert check_form(hint("word " * low, tier), "p") == []
    assert check_form(hint("word " * high, tier), "p") == []
    (short,) = check_form(hint("word " * (low - 1), tier), "p")
    (long,) = check_form(hint("word " * (high + 1), tier), "p")
    assert (short.problem, long.problem) == (f"{low - 1} words", f"{high + 1} words")
    assert short.hint == f"tier {tier} takes {low} to {high} words"


def paper(*titles: str, words: int = 250) -> Hint:
    parts = "\n\n".join(f"## {title}\n\n" + "word " * (words // len(titles)) for title in titles)
    return hint("# A title\n\n" + parts, 3)


def test_a_paper_has_five_sections_in_order() -> None:
    whole = ("Idea", "Motivation", "Method", "Expected effect", "References")
    assert check_form(paper(*whole), "p") == []
    assert check_form(paper("Idea", "Motivation", "Method", "Details", *whole[3:]), "p") == [], (
        "one more is fine"
    )
    for titles in (whole[:4], whole[::-1], (*whole, "Idea")):
        (problem,) = check_form(paper(*titles), "p")
        assert problem.problem == "its sections are " + ", ".join(titles)
    (none,) = check_form(hint("word " * 300, 3), "p")
    assert none.problem == "its sections are none"


def test_the_times_that_are_a_result() -> None:
    assert result_seconds(LADDER, LADDER.get(2)) == [73.8, 41.5, pytest.approx(26.2), pytest.approx(8.5)]
    assert result_seconds(LADDER, LADDER.get(1)) == [100.0, 50.0, 11.0], "the base has no published time"
    assert result_seconds(LADDER, LADDER.get(3)) == [60.0, 12.5], (
        "its own baseline's time, not the last record's"
    )


@pytest.mark.parametrize(
    "text",
    ["73.8 s", "73.8 seconds", "74 s", "73.80 sec", "1.23 minutes", "1.2 min", "1.23-minute", "73800 ms", "73800ms",
     "41.5 s", "42 seconds", "26.2 s", "26 s", "8.5 s"],
)  # fmt: skip
def test_a_time_of_the_record_is_a_result(text: str) -> None:
    assert given_away(f"It then takes {text} in all.") == [f"gives away {text!r}"]


@pytest.mark.parametrize(
    "text",
    ["73.9 s", "75 s", "1.3 minutes", "73.8", "73.8 steps", "0.0738 s", "173.8 s", "27 s", "1 minute", "9 seconds",
     "41.5 MB", "74 samples", "74 statistics", "100 s"],
)  # fmt: skip
def test_other_figures_are_none(text: str) -> None:
    assert given_away(f"It then takes {text} in all.") == []


@pytest.mark.parametrize(
    "text", ["val_loss: 3.2764", "validation loss of 3.279", "a final loss of about 3.27", "loss is 3.2764"]
)
def test_a_loss_that_was_reached_is_a_result(text: str) -> None:
    (problem,) = given_away(f"The {text} is what comes out.")
    assert problem.startswith("gives away")


@pytest.mark.parametrize(
    "text",
    ["validation loss of 3.28", "validation loss by 4 points", "loss of 3.2765", "rate of 3.27", "13.2764"],
)
def test_the_target_and_other_numbers_are_not(text: str) -> None:
    assert given_away(f"The {text} is what matters.") == []


def test_contributors_are_not_named_but_in_references() -> None:
    assert given_away("As @grace_h found.") == ["names grace_h"]
    assert given_away("As Grace_H and the lab found.") == ["names grace_h", "names The Lab"]
    assert given_away("As ada found; the labels; xgrace_h.") == []
    assert given_away("Text.\n\n## References\n\n- The Lab 2020, A Paper\n") == []


def test_prose_is_all_but_the_references() -> None:
    found = hint("## Idea\n\nA.\n\n## References:\n\n- B\n\n## After\n\nC.\n")
    assert found.prose == "## Idea\n\nA.\n\n## After\n\nC.\n"
    assert hint("A.\n\n### references\n- B\n").prose == "A.\n\n"
    assert hint("A. References follow.\n").prose == "A. References follow.\n"
