"""Samples, votes, agreement and precedence of labels, on literals."""

from __future__ import annotations

import math

import pytest

from patchrun.core.changelabel import (
    BROKEN,
    LONGEST_QUOTE,
    LONGEST_REASON,
    MOST_QUOTES,
    UNLISTED,
    UNSIGNED,
    Answer,
    ChangeLabel,
    Sample,
    Signed,
    agree,
    agree_over,
    choose,
    decide,
    free_marginal,
    read_sample,
)
from patchrun.core.errors import ArenaError
from patchrun.core.results import decode, encode
from patchrun.core.usage import Usage

DIFF = """\
diff --git a/train.py b/train.py
--- a/train.py
+++ b/train.py
@@ -1,3 +1,3 @@
-RATE = 1
+RATE   =  2  # twice
 STEPS = 100
"""


def answer(*quotes: str, **more: object) -> Answer:
    facts = {"reason": "a constant", "depth": "Shallow", "provenance": "Imported", "confidence": 0.8}
    return Answer(quotes=quotes, **{**facts, **more})  # type: ignore[arg-type]


def sample(depth: str, provenance: str = "Imported", confidence: float = 0.5, reason: str = "r") -> Sample:
    return Sample(depth, provenance, confidence, reason, ("q",))  # type: ignore[arg-type]


def label(source: str = "human", created: str = "2026-11-22T10:00:00", **more: object) -> ChangeLabel:
    facts = {"subject": "h1", "diff_sha256": "0" * 64, "by": "ada", "depth": "Deep", "provenance": "Adapted",
             "reason": "r", "rubric": "0" * 12}  # fmt: skip
    return ChangeLabel(source=source, created=created, **{**facts, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "quote", ["RATE = 2  # twice", "+RATE = 2 # twice", "-RATE = 1", "  STEPS = 100", "STEPS"]
)
def test_a_quote_counts_if_the_diff_has_it_spaces_aside(quote: str) -> None:
    found = read_sample(answer(quote), DIFF)
    assert isinstance(found, Sample) and (found.dropped, len(found.quotes)) == (0, 1)


def test_quotes_that_are_not_there_are_dropped_and_counted() -> None:
    found = read_sample(answer("RATE = 3", "STEPS = 100", "def train():"), DIFF)
    assert isinstance(found, Sample)
    assert (found.quotes, found.dropped) == (("STEPS = 100",), 2)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (answer("RATE = 3", "lr = 2"), "none of its 2 quotes is in the diff"),
        (answer(), "it quotes nothing"),
        (answer("+"), "none of its 1 quotes is in the diff"),
        (answer("STEPS = 100", confidence=1.5), "a confidence of 1.5 is not between 0 and 1"),
        (answer("STEPS = 100", confidence=-0.1), "a confidence of -0.1"),
        (answer("STEPS = 100", confidence=math.nan), "a confidence of nan"),
    ],
)
def test_an_answer_without_grounds_is_set_aside(said: Answer, problem: str) -> None:
    assert problem in read_sample(said, DIFF)  # type: ignore[operator]


def test_what_is_kept_is_short_and_plain() -> None:
    long = "STEPS = 100" + " " * 400
    found = read_sample(answer(*[long] * 9, reason="a\x1b[31m\nword " * 200), DIFF)
    assert isinstance(found, Sample)
    assert len(found.quotes) == MOST_QUOTES and all(len(quote) <= LONGEST_QUOTE for quote in found.quotes)
    assert len(found.reason) <= LONGEST_REASON and found.reason.isprintable()
    assert read_sample(answer("STEPS = 100", reason=" \n "), DIFF).reason == "no reason given"  # type: ignore[union-attr]


def test_the_most_frequent_label_wins_each_question_apart() -> None:
    chosen = choose(
        [
            sample("Deep", "Adapted", 0.9),
            sample("Moderate", "Adapted", 0.2),
            sample("Moderate", "Invented", 0.3),
        ]
    )
    assert (chosen.depth, chosen.provenance) == ("Moderate", "Adapted")


def test_the_surest_sample_of_the_chosen_labels_speaks() -> None:
    chosen = choose(
        [sample("Deep", reason="x"), sample("Deep", confidence=0.9, reason="y"), sample("Shallow")]
    )
    assert chosen.reason == "y"


def test_equal_votes_go_to_the_more_confident_then_to_the_lesser_claim() -> None:
    assert choose([sample("Deep", confidence=0.9), sample("Shallow", confidence=0.4)]).depth == "Deep"
    assert choose([sample("Deep"), sample("Shallow")]).depth == "Shallow"
    assert choose([sample("Deep", "Invented"), sample("Deep", "Adapted")]).provenance == "Adapted"


def test_agreement_of_one_change() -> None:
    found = agree(["a", "a", "a", "a", "b"], 4)
    assert (found.n, found.share) == (5, 0.8)
    assert found.kappa == pytest.approx((6 / 10 - 1 / 4) / (3 / 4))
    assert agree(["a"] * 3, 4).kappa == 1
    assert agree(["a"], 4).kappa is None
    assert agree(["a", "b", "c"], 3).kappa == pytest.approx(-0.5)


def test_kappa_on_fleisss_example() -> None:
    """Fleiss (1971), ten subjects and fourteen raters: P = 0.378, so (0.378 - 0.2) / 0.8 with five labels."""
    counts = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    raters = [[str(k) for k, count in enumerate(row) for _ in range(count)] for row in counts]
    assert free_marginal(0.378, 5) == pytest.approx(0.2225)
    assert agree_over(raters, 5) == pytest.approx(0.2225, abs=3e-4)
    assert agree_over([["a"], ["b"]], 5) is None


def test_a_persons_word_goes_before_a_models_then_the_latest() -> None:
    old, new = Signed(label(created="2026-11-22"), ""), Signed(label(created="2026-11-23"), "")
    model = Signed(label("model", created="2026-11-30"), "owner")
    assert decide([old, new, model]) is new
    assert decide([model]) is model
    assert decide([]) is None


def test_a_listed_key_goes_before_others_and_a_broken_signature_never_counts() -> None:
    listed = Signed(label(created="2026-11-01"), "owner")
    later = [Signed(label(created="2026-11-02"), sign) for sign in (UNSIGNED, UNLISTED, BROKEN)]
    assert decide([*later, listed]) is listed
    assert decide(later[2:]) is None


def test_a_label_is_kept_whole() -> None:
    made = label("model", samples=(sample("Deep"),), failures=("timeout: late",), usage=Usage(1, 2), usd=0.1)
    assert decode(encode(made), ChangeLabel) == made
    with pytest.raises(ArenaError, match="not a changelabel"):
        decode(encode(made).replace(b'"Deep"', b'"Profound"'), ChangeLabel)
