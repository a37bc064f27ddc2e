"""The known source: its probabilities are those by which it draws, its layout hides copies, its bound holds."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from msgspec.structs import replace

from patchrun.core import knownsource
from patchrun.core.knownsource import (
    COPIES,
    SHARE,
    draw_training,
    draw_validation,
    make_source,
    margin,
    permute_ids,
    realise,
    realised_entropy,
)
from patchrun.core.track import ProbeSpec

SPEC = ProbeSpec(
    steps=1, vocab_size=300, special=(7, 299), start=299, document=100, entropy=(2.5, 2.6), ids=64, classes=8
)
SECRET = 0x1234567890ABCDEF1234567890ABCDEF


def test_the_same_secret_draws_the_same_tokens_and_another_one_others() -> None:
    first, again = (draw_validation(make_source(SPEC, SECRET), SECRET, 4096) for _ in range(2))
    other = draw_validation(make_source(SPEC, SECRET + 1), SECRET + 1, 4096)
    assert (first.tokens == again.tokens).all() and (first.probabilities == again.probabilities).all()
    assert (first.tokens != other.tokens).mean() > 0.5
    shards = [draw_training(make_source(SPEC, SECRET), SECRET, number, 500) for number in (0, 0, 1)]
    assert (shards[0] == shards[1]).all() and (shards[0] != shards[2]).any()


def test_it_keeps_to_its_ids_and_starts_documents_as_often_as_said() -> None:
    tokens = draw_training(make_source(SPEC, SECRET), SECRET, 0, 200_000)
    assert tokens.dtype == np.uint16 and len(np.unique(tokens)) == 65
    assert 7 not in tokens and tokens.max() <= 299
    assert (tokens == 299).mean() == pytest.approx(0.01, rel=0.1)
    assert not ((tokens[:-1] == 299) & (tokens[1:] == 299)).any()


def test_its_entropy_is_the_one_that_was_aimed_at() -> None:
    source = make_source(SPEC, SECRET)
    assert 2.5 <= source.entropy <= 2.6
    both = [
        -np.log(knownsource._draw(source, np.random.default_rng(1), 200_000, easy).probabilities).mean()
        for easy in (1.0, 0.0)
    ]
    assert both[0] == pytest.approx(0.9 * source.entropy, rel=0.02)
    assert both[1] == pytest.approx(1.1 * source.entropy, rel=0.02)


def test_the_probabilities_are_those_by_which_it_draws() -> None:
    """Frequencies of pairs in a long stretch against the stated probabilities: their counts have mean n p."""
    source = make_source(replace(SPEC, ids=8, classes=2, document=20), SECRET)
    stretch = knownsource._draw(source, np.random.default_rng(3), 400_000, 0.5)
    before, now, stated = stretch.tokens[:-1], stretch.tokens[1:], stretch.probabilities[1:]
    within = np.arange(1, len(stretch.tokens)) % knownsource.STREAM != 0
    worst, total = 0.0, dict.fromkeys(np.unique(before), 0.0)
    for a in np.unique(before):
        for b in np.unique(now):
            here = (before == a) & within
            pair = here & (now == b)
            if pair.any():
                p = stated[pair]
                assert np.ptp(p) < 1e-12
                total[a] += p[0]
                spread = math.sqrt(here.sum() * p[0] * (1 - p[0])) + 1
                worst = max(worst, abs(pair.sum() - here.sum() * p[0]) / spread)
    assert worst < 5 and all(value == pytest.approx(1, abs=0.01) for value in total.values())


def test_copies_lie_farther_apart_than_an_eighth_and_nothing_else_repeats() -> None:
    n = 4096
    tokens = draw_validation(make_source(SPEC, SECRET), SECRET, n).tokens
    part = n // SHARE
    starts = [n + 1 - (2 * k + 1) * part for k in (2, 1, 0)]
    blocks = [tokens[at : at + part] for at in starts]
    assert len(tokens) == n + 1 and len(blocks) == COPIES
    assert all((block == blocks[0]).all() for block in blocks)
    grams = [tuple(tokens[k : k + 12]) for k in range(n - 11)]
    places: dict[tuple[int, ...], int] = {}
    for at, gram in enumerate(grams):
        assert at - places.get(gram, at - 2 * part) >= 2 * part
        places[gram] = at


@pytest.mark.parametrize("n", [256, 257, 263, 1000, 8191, 8193, 70_000])
def test_every_size_is_drawn_whole(n: int) -> None:
    stretch = draw_validation(make_source(SPEC, SECRET), SECRET, n)
    assert len(stretch.tokens) == len(stretch.probabilities) == n + 1
    assert ((stretch.probabilities > 0) & (stretch.probabilities <= 1)).all()
    assert realised_entropy(SPEC, SECRET, n) == realise(stretch) == pytest.approx(2.6, rel=0.2)


def test_a_permutation_keeps_special_ids_and_loses_none() -> None:
    table = permute_ids(SPEC, SECRET)
    assert table[7] == 7 and table[299] == 299 and (table[300:] == np.arange(300, 1 << 16)).all()
    assert sorted(table) == list(range(1 << 16)) and (table[:299] == np.arange(299)).mean() < 0.1
    assert (table != permute_ids(SPEC, SECRET + 1)).any()


GAMBLERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "the truth": lambda p: p,
    "flat": lambda p: np.full_like(p, 1 / len(p)),
    "bold": lambda p: p**2 / (p**2).sum(),
    "timid": lambda p: p**0.5 / (p**0.5).sum(),
    "on the rarest": lambda p: 0.6 * p + 0.4 * (np.arange(len(p)) == p.argmin()),
    "on the likeliest": lambda p: 0.6 * p + 0.4 * (np.arange(len(p)) == p.argmax()),
}


@pytest.mark.parametrize("name", GAMBLERS)
@pytest.mark.parametrize("n", [64, 256])
def test_no_honest_predictor_passes_the_bound_more_often_than_alpha(name: str, n: int) -> None:
    """20,000 stretches laid out as the module says: how often a mean is below realised - 3 ln(1/alpha) / n."""
    alpha, trials, draws = 0.05, 20_000, np.random.default_rng(n)
    p = np.array([0.5, 0.25, 0.15, 0.1])
    gain = np.log(GAMBLERS[name](p) / p)  # of a token: log(q / p)
    part = n // SHARE
    fresh = gain[draws.choice(4, p=p, size=(trials, n - COPIES * part))].sum(1)
    block = gain[draws.choice(4, p=p, size=(trials, part))].sum(1)
    below = (fresh + COPIES * block) / n >= COPIES * math.log(1 / alpha) / n
    assert below.mean() <= alpha


def test_without_the_factor_for_copies_the_bound_would_not_hold() -> None:
    """A block that is lucky counts three times: a margin of ln(1/alpha) / n alone is passed more often than alpha."""
    draws, p, part = np.random.default_rng(0), np.array([0.2, 0.8]), 16
    gain = np.log(np.array([0.37, 0.63]) / p)
    block = gain[draws.choice(2, p=p, size=(40_000, part))].sum(1)
    assert (COPIES * block >= math.log(20)).mean() > 0.05 >= (COPIES * block >= COPIES * math.log(20)).mean()


def test_the_margin_in_nats() -> None:
    assert margin(2048) == pytest.approx(3 * math.log(1e6) / 2048) == pytest.approx(0.020238, abs=1e-6)
    assert margin(10_485_760, 20) == pytest.approx(4.81e-6, rel=0.01)
