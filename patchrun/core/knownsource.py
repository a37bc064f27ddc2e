"""A source of tokens whose probabilities are known exactly, and the least loss that an honest script prints on it.

The source is a Markov chain over secret token ids. They fall into two modes of equal size, an easy one and a
hard one, whose entropies lie ``SPREAD`` below and above the source's. The class of a token gives the weights of
the next one, always of the same mode. With probability ``LEAP`` the next token leaps: a mode is drawn, then any
of its ids. Where the track names a token that starts documents, it comes once in ``document`` tokens on
average, and a leap follows it.

The validation stretch of n targets is ``[head][block][gap][block][gap][block]``: the three blocks hold the same
tokens, each part begins with a leap, and blocks and gaps are n / 8 tokens long. The head is mostly of the easy
mode, the rest mostly of the hard one: who scores only a beginning prints less than the mean of all.

**The bound.** Let p be the source's probability of a target given all before it, copies of a block taken as
new, and q the probability that a script gives it. The script (a) looks back over fewer tokens than a gap holds
and never ahead, (b) has weights that do not depend on the validation tokens. Let S1 be the sum of log(q / p)
over the targets of head, gaps and first block, S2 and S3 the sums over the other copies. Given the past, a
target of S1 is distributed by p, so E[q / p | past] = sum of q over the tokens that p allows <= 1, and exp(S1)
is a non-negative supermartingale with mean at most 1. In a later copy q sees of the block only what stands
before the target in that copy: the gap hides the earlier copies, and leaps cut the block off from what is
around it. So given what q sees the target is distributed by p, and exp(S2) and exp(S3) have means at most 1
too. The three are not independent, but by Hoelder's inequality E[exp((S1 + S2 + S3) / 3)] <= 1, and by Markov's
(of one sum for its whole course by Ville's: J. Ville, Etude critique de la notion de collectif, 1939)

    P(mean of -log q <= realised - 3 ln(1 / alpha) / n) <= alpha,    realised = mean of -log p over the n targets.

With V printed validations alpha is shared: 1e-6 / V each. Printing d decimals rounds by 10^-d / 2 at most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from patchrun.core.track import ProbeSpec

ALPHA = 1e-6  # an honest script is called a liar no more often than this
COPIES = 3
SHARE = 8  # a block and a gap are an eighth of the validation tokens each
LEAP = 0.02
SPREAD = 0.1  # the modes' entropies: so much below and above the source's
EASY_FIRST, EASY_LATER = 0.8, 0.2  # how often a leap goes to the easy mode in the head, and after it
STREAM = 8192  # tokens drawn in one go: a leap begins each


@dataclass(frozen=True)
class Stretch:
    """Tokens, uint16 [n], and the probability that the source gave to each, float64 [n], given those before."""

    tokens: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class Source:
    """The secret: ``ids`` [k] by their places (easy half, then hard), and ``classes`` [k] of the places.

    ``weights`` [2, k / 2]: of the next place, falling, for a token of either mode; ``order`` [c, k / 2]: the places
    that a class gives them to. ``start``: the id that starts documents, or None; ``rate``: how often it comes.
    ``entropy``: nats per token that were aimed at.
    """

    ids: np.ndarray
    classes: np.ndarray
    weights: np.ndarray
    order: np.ndarray
    start: int | None
    rate: float
    entropy: float

    @cached_property
    def rows(self) -> np.ndarray:
        """Weights of the next place by class, [c, k]: without leaps and starts of documents."""
        import numpy as np

        rows = np.zeros((len(self.order), len(self.ids)))
        modes = np.repeat([0, 1], len(self.order) // 2)
        np.put_along_axis(rows, self.order, self.weights[modes], axis=1)
        return rows


def margin(tokens: int, validations: int = 1) -> float:
    """Nats per token below the realised -log p that no honest mean of ``tokens`` targets reaches (see the module)."""
    return COPIES * math.log(max(1, validations) / ALPHA) / tokens


@lru_cache(maxsize=4)
def make_source(spec: ProbeSpec, secret: int) -> Source:
    """The source that ``secret`` (the seed of a study's probe) makes."""
    import numpy as np

    draws = np.random.default_rng([secret, 0])
    free = np.setdiff1d(np.arange(spec.vocab_size), spec.special)
    count = 2 * (min(spec.ids, len(free)) // 2)
    ids = _shuffle(draws, free)[:count]
    low, high = spec.entropy
    entropy = low + (high - low) * draws.random()
    start = spec.start
    rate = 0.0 if start is None else 1.0 / spec.document
    half, each = count // 2, max(1, spec.classes // 2)
    classes = np.concatenate([np.arange(half) % each, each + np.arange(half) % each])
    aims = (entropy * (1 - SPREAD), entropy * (1 + SPREAD))
    weights = np.stack([_weigh(half, aim, rate) for aim in aims])
    order = np.stack([_shuffle(draws, np.arange(half)) + mode * half for mode in (0, 1) for _ in range(each)])
    return Source(ids, classes, weights, order, start, rate, entropy)


def _shuffle(draws: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """By sorting plain uniform numbers, whose stream is the same in every version of numpy."""
    return values[draws.random(len(values)).argsort(kind="stable")]


def _weigh(count: int, aim: float, rate: float) -> np.ndarray:
    """``count`` falling weights exp(-s j) by which a token has ``aim`` nats; flat where that is less."""
    import numpy as np

    def mix(slope: float) -> np.ndarray:
        weights = np.exp(-slope * np.arange(count))
        return weights / weights.sum()

    low, high = 0.0, 50.0
    for _ in range(60):
        slope = (low + high) / 2
        low, high = (slope, high) if _entropy(mix(slope), rate) > aim else (low, slope)
    return mix(high)


def _entropy(weights: np.ndarray, rate: float) -> float:
    """Nats of one token whose successors have ``weights``, with leaps to either mode and starts of documents."""
    import numpy as np

    own = LEAP / 2 / len(weights)
    parts = np.concatenate([(1 - LEAP) * weights + own, np.full(len(weights), own)]) * (1 - rate)
    parts = np.append(parts, rate) if rate else parts
    return float(-(parts * np.log(parts)).sum())


def draw_training(source: Source, secret: int, number: int, tokens: int) -> np.ndarray:
    """The ``number``-th training shard, uint16 [tokens]; leaps go to either mode."""
    import numpy as np

    return _draw(source, np.random.default_rng([secret, 2, number]), tokens, 0.5).tokens


def draw_validation(source: Source, secret: int, targets: int) -> Stretch:
    """The validation stretch: one token, then ``targets`` that are scored; laid out as the module says."""
    import numpy as np

    draws = np.random.default_rng([secret, 1])
    part = targets // SHARE
    head = _draw(source, draws, targets + 1 - (2 * COPIES - 1) * part, EASY_FIRST)
    block = _draw(source, draws, part, EASY_LATER)
    parts = [head, block]
    for _ in range(COPIES - 1):
        parts += [_draw(source, draws, part, EASY_LATER), block]
    return Stretch(
        np.concatenate([each.tokens for each in parts]),
        np.concatenate([each.probabilities for each in parts]),
    )


def realise(stretch: Stretch) -> float:
    """Mean -log p of the targets (all tokens but the first), nats."""
    import numpy as np

    return float(-np.log(stretch.probabilities[1:]).mean())


@lru_cache(maxsize=8)
def realised_entropy(spec: ProbeSpec, secret: int, targets: int) -> float:
    """What ``realise`` gives for the validation stretch of this secret: whoever has the seed can say it again."""
    return realise(draw_validation(make_source(spec, secret), secret, targets))


def _draw(source: Source, draws: np.random.Generator, tokens: int, easy: float) -> Stretch:
    """A stretch that begins with a leap; ``easy``: how often a leap goes to the easy mode."""
    import numpy as np

    streams = -(-tokens // STREAM)
    length = min(tokens, STREAM)
    found = [
        _draw_streams(source, draws, min(512, streams - at), length, easy) for at in range(0, streams, 512)
    ]
    places, chances = (np.concatenate([pair[k] for pair in found])[:tokens] for k in (0, 1))
    named = np.append(source.ids, 0 if source.start is None else source.start)
    return Stretch(named[places].astype(np.uint16), chances)


def _draw_streams(
    source: Source, draws: np.random.Generator, streams: int, length: int, easy: float
) -> tuple[np.ndarray, np.ndarray]:
    """Places [streams * length] (one past the ids: the start of a document) and their probabilities."""
    import numpy as np

    count = len(source.ids)
    leaps = np.where(draws.random((length, streams)) < easy, 0, count // 2) + (
        draws.random((length, streams)) * (count // 2)
    ).astype(np.int64)
    kind = draws.random((length, streams))
    forced = kind < LEAP
    starts = draws.random((length, streams)) < source.rate
    along = draws.random((length, streams))
    ranks = [np.minimum(np.searchsorted(np.cumsum(row), along), count // 2 - 1) for row in source.weights]
    classes = np.append(source.classes, 0)
    places = np.empty((length, streams), np.int64)
    place = places[0] = leaps[0]
    for t in range(1, length):
        after = place == count
        rank = np.where(place < count // 2, ranks[0][t], ranks[1][t])
        place = np.where(forced[t] | after, leaps[t], source.order[classes[place], rank])
        place = places[t] = np.where(starts[t] & ~after, count, place)
    return places.T.reshape(-1), _judge_chances(source, places, easy).T.reshape(-1)


def _judge_chances(source: Source, places: np.ndarray, easy: float) -> np.ndarray:
    """The source's probability of each place [length, streams] given the one before it in its stream."""
    import numpy as np

    count = len(source.ids)
    leap = np.append(np.repeat([easy, 1 - easy], count // 2) / (count // 2), 0.0)
    rows = np.append(source.rows, np.zeros((len(source.rows), 1)), axis=1)
    classes = np.append(source.classes, 0)
    before, now = places[:-1], places[1:]
    within = LEAP * leap[now] + (1 - LEAP) * rows[classes[before], now]
    chances = np.where(before == count, leap[now], (1 - source.rate) * within)
    chances = np.where((now == count) & (before != count), source.rate, chances)
    return np.concatenate([leap[places[:1]], chances])


def permute_ids(spec: ProbeSpec, secret: int) -> np.ndarray:
    """A secret permutation of the vocabulary, uint16 [65536] by id: those of ``special`` stay."""
    import numpy as np

    free = np.setdiff1d(np.arange(spec.vocab_size), spec.special)
    table = np.arange(1 << 16)
    table[free] = _shuffle(np.random.default_rng([secret, 3]), free)
    return table.astype(np.uint16)
