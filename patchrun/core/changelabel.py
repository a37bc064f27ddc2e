"""The label of one change as an arena keeps it: who says so, on what grounds, and how far several samples agree."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import msgspec

from patchrun.core.judging import Exhibit, Quote, find_quote
from patchrun.core.labels import DEPTHS, PROVENANCES, Depth, Provenance
from patchrun.core.oneline import shorten
from patchrun.core.usage import Usage

VERSION = 1
UNSIGNED, UNLISTED, BROKEN = "", "?", "!"  # nobody; a key not on the list; a signature of something else
UNBOUND = "~"  # a listed key, but for no place or for another one
MOST_QUOTES = 5
LONGEST_REASON = 400
LONGEST_QUOTE = 200


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model says of a change, as it says it."""

    reason: str
    quotes: tuple[str, ...]
    depth: Depth
    provenance: Provenance
    confidence: float


class Sample(msgspec.Struct, frozen=True):
    """One answer that counts, with those of its ``quotes`` that are in the diff; ``dropped`` are not."""

    depth: Depth
    provenance: Provenance
    confidence: float
    reason: str
    quotes: tuple[str, ...]
    dropped: int = 0


class ChangeLabel(msgspec.Struct, frozen=True, kw_only=True):
    """The label of ``subject``: an attempt's id, or ``h12`` for the human patch of record 12.

    ``diff_sha256``: of the diff that was labelled. ``by``: a person, or the model. ``rubric``: the digest of its
    wording. ``failures``: samples that gave no answer, and why. ``usage`` and ``usd`` (None: not known) are of all.
    """

    version: int = VERSION
    subject: str
    diff_sha256: str
    source: Literal["human", "model"]
    by: str
    depth: Depth
    provenance: Provenance
    reason: str
    rubric: str
    samples: tuple[Sample, ...] = ()
    failures: tuple[str, ...] = ()
    usage: Usage | None = None
    usd: float | None = None
    created: str


@dataclass(frozen=True)
class Signed:
    """A stored label, and who signed it: a name on the owner's list, or one of the signs above."""

    label: ChangeLabel
    signer: str


@dataclass(frozen=True)
class Agreement:
    """How far n samples agree: the share that chose the most frequent label, and kappa (None below two samples).

    kappa is the free-marginal one of Brennan & Prediger (1981) and Randolph (2005): (P - 1/k) / (1 - 1/k) with P the
    share of equal pairs and k the number of labels. It is defined for a single change, where Fleiss's is not.
    """

    n: int
    share: float
    kappa: float | None


def agree(labels: Sequence[str], choices: int) -> Agreement:
    """The agreement of the samples of one change (not empty) among ``choices`` possible labels."""
    share = max(Counter(labels).values()) / len(labels)
    pairs = list(combinations(labels, 2))
    if not pairs:
        return Agreement(len(labels), share, None)
    equal = sum(one == other for one, other in pairs) / len(pairs)
    return Agreement(len(labels), share, free_marginal(equal, choices))


def free_marginal(equal_pairs: float, choices: int) -> float:
    """Kappa from the share of equal pairs, corrected for the chance of 1 in ``choices``."""
    return (equal_pairs - 1 / choices) / (1 - 1 / choices)


def agree_over(groups: Iterable[Sequence[str]], choices: int) -> float | None:
    """Kappa over several changes: of the mean share of equal pairs, each change counting alike; None without pairs."""
    shares = []
    for labels in groups:
        pairs = list(combinations(labels, 2))
        if pairs:
            shares.append(sum(one == other for one, other in pairs) / len(pairs))
    return free_marginal(math.fsum(shares) / len(shares), choices) if shares else None


def read_sample(answer: Answer, diff: str) -> Sample | str:
    """The answer with the quotes that are really in the diff, or why it is set aside."""
    if not 0 <= answer.confidence <= 1:
        return f"a confidence of {answer.confidence:g} is not between 0 and 1"
    exhibit = Exhibit(diff, {}, {})
    found = [quote for quote in answer.quotes if find_quote(Quote("", quote.lstrip("+-")), exhibit)]
    if not found:
        count = len(answer.quotes)
        return f"none of its {count} quotes is in the diff" if count else "it quotes nothing"
    kept = tuple(shorten(quote, LONGEST_QUOTE) for quote in found[:MOST_QUOTES])
    reason = shorten(answer.reason, LONGEST_REASON) or "no reason given"
    dropped = len(answer.quotes) - len(found)
    return Sample(answer.depth, answer.provenance, answer.confidence, reason, kept, dropped)


def choose(samples: Sequence[Sample]) -> Sample:
    """The sample that speaks for all: of the most frequent labels, the surest one.

    Depth and provenance are voted on apart. Of labels with equal votes the one with more confidence in sum wins, then
    the lesser claim (the shallower, the less invented).
    """
    depth = _vote([(sample.depth, sample.confidence) for sample in samples], DEPTHS)
    provenance = _vote([(sample.provenance, sample.confidence) for sample in samples], PROVENANCES)
    fit = sorted(samples, key=lambda one: (one.depth != depth, one.provenance != provenance, -one.confidence))
    return msgspec.structs.replace(fit[0], depth=depth, provenance=provenance)


def _vote(votes: Sequence[tuple[str, float]], scale: Sequence[str]) -> str:
    def weight(name: str) -> tuple[int, float, int]:
        own = [confidence for label, confidence in votes if label == name]
        return len(own), round(math.fsum(own), 9), scale.index(name)

    return max(scale, key=weight)


def decide(labels: Iterable[Signed]) -> Signed | None:
    """The label that counts: a person's before a model's, a listed key's before others, then the latest.

    One whose signature is broken never counts.
    """
    whole = [one for one in labels if one.signer != BROKEN]
    return max(whole, key=_weigh, default=None)


def _weigh(one: Signed) -> tuple[bool, bool, str]:
    listed = one.signer not in (UNSIGNED, UNLISTED, UNBOUND)
    return one.label.source == "human", listed, one.label.created
