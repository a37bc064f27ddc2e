"""How many runs a validity test needs, and looking more than once without spending more than alpha."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from patchrun.core.stats import MeanTest, as_values, check_mean_at_most

MAX_RUNS = 10_000


@dataclass(frozen=True)
class Look:
    """One look of a sequence: the test at ``test.n`` runs, its share of alpha, and whether it proves the claim."""

    test: MeanTest
    alpha: float
    proven: bool


def power(n: int, margin: float, sd: float, alpha: float) -> float:
    """The chance that n runs prove a mean that lies ``margin`` below the target.

    One-sided one-sample t-test: P(T' < -t(1 - alpha, n - 1)), T' noncentral t with shift -margin sqrt(n) / sd
    (Cohen, Statistical Power Analysis, 2nd ed. 1988, chapter 2). ``margin`` and ``sd`` in one unit.
    """
    _check(margin, sd, alpha)
    if n < 2:
        return 0.0
    from scipy.special import nctdtr, stdtrit

    return float(1 - nctdtr(n - 1, margin / sd * math.sqrt(n), stdtrit(n - 1, 1 - alpha)))


def runs_for_power(margin: float, sd: float, alpha: float = 0.01, wanted: float = 0.9) -> int:
    """The least number of runs whose power reaches ``wanted``; ValueError beyond 10,000 runs."""
    _check(margin, sd, alpha)
    low, high = 1, 2
    while power(high, margin, sd, alpha) < wanted:
        low, high = high, high * 2
        if high > MAX_RUNS:
            raise ValueError(f"a margin of {margin:g} at sd {sd:g} needs more than {MAX_RUNS} runs")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, margin, sd, alpha) >= wanted else (middle, high)
    return high


def margin_for_runs(n: int, sd: float, alpha: float = 0.01, wanted: float = 0.9) -> float:
    """The margin below the target that n runs prove with power ``wanted``."""
    from scipy.optimize import brentq

    if n < 2:
        raise ValueError("one run proves nothing")
    return sd * float(brentq(lambda margin: power(n, margin, 1.0, alpha) - wanted, 1e-9, 1e3))


def split_alpha(alpha: float, looks: Sequence[int]) -> tuple[float, ...]:
    """The level of each look: alpha / (number of looks).

    Bonferroni, for three reasons: each look is an exact t-test, so the union bound keeps alpha whatever the
    correlation of the looks and however small n is (Pocock's constant, Biometrika 64 (1977) 191-199, is
    derived for known variance and leaks at n = 5); a reader can check it by hand; at alpha = 0.01 and
    three looks the runs lost against Pocock are few. ValueError when looks do not rise from 2 or more.
    """
    if not looks or looks[0] < 2 or any(b <= a for a, b in zip(looks, looks[1:], strict=False)):
        raise ValueError(f"looks must rise from 2 or more, got {tuple(looks)}")
    return (alpha / len(looks),) * len(looks)


def take_looks(values: ArrayLike, target: float, alpha: float, looks: Sequence[int]) -> tuple[Look, ...]:
    """The looks that ``values`` (in the order of their blocks) reach, up to the first that proves.

    At look k the first ``looks[k]`` values are tested; later values never change an earlier look.
    """
    array = as_values(values)
    taken: list[Look] = []
    for n, share in zip(looks, split_alpha(alpha, looks), strict=True):
        if array.size < n or (taken and taken[-1].proven):
            break
        test = check_mean_at_most(array[:n], target)
        taken.append(Look(test, share, test.p_value is not None and test.p_value < share))
    return tuple(taken)


def simulate_looks(
    margin: float, sd: float, alpha: float, looks: Sequence[int], *, trials: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """The share of simulated studies that are proven, and the mean number of runs they used.

    Normal losses whose mean lies ``margin`` below the target; at margin 0 the share is the false-positive rate.
    """
    from scipy.special import stdtr

    shares = split_alpha(alpha, looks)
    losses = np.random.default_rng(seed).normal(-margin, sd, size=(trials, looks[-1]))
    open_: NDArray[np.bool_] = np.ones(trials, dtype=bool)
    used = np.full(trials, looks[-1])
    for n, share in zip(looks, shares, strict=True):
        head = losses[:, :n]
        t = head.mean(axis=1) / (head.std(axis=1, ddof=1) / math.sqrt(n))
        proven = open_ & (stdtr(n - 1, t) < share)
        used[proven] = n
        open_ &= ~proven
    return float(1 - open_.mean()), float(used.mean())


def _check(margin: float, sd: float, alpha: float) -> None:
    if not (math.isfinite(margin) and margin >= 0 and math.isfinite(sd) and sd > 0 and 0 < alpha < 1):
        raise ValueError(f"need margin >= 0, sd > 0, 0 < alpha < 1; got {margin}, {sd}, {alpha}")
