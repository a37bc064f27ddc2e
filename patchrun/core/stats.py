"""Intervals and tests over the blocks of one study: t, Fieller, the validity rules, Holm.

Values in, values out. Blocks are few (3 to 25), so nothing here is a bootstrap: see ``bootstrap`` for
what is resampled over records. NaN and infinity are refused with ValueError everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Interval = tuple[float, float]
LEVEL = 0.95
TINY, HUGE = 1e-70, 1e70  # squares of squares of what lies between are floats; no time or loss goes beyond


@dataclass(frozen=True)
class Summary:
    """``n`` values, their mean, and their standard deviation (n - 1 below; None for n = 1)."""

    n: int
    mean: float
    sd: float | None


@dataclass(frozen=True)
class Ratio:
    """A ratio of two means. ``interval`` is None when it is not a bounded one; ``reason`` says why."""

    value: float | None
    interval: Interval | None
    reason: str = ""


@dataclass(frozen=True)
class MeanTest:
    """One-sided test that a mean is at most ``bound``; ``p_value`` is None, never 0, when there is none."""

    n: int
    mean: float
    sd: float | None
    bound: float
    t: float | None
    p_value: float | None
    reason: str = ""


@dataclass(frozen=True)
class Difference:
    """mean(first) - mean(second), its 95% interval and its two-sided p-value; None where there is no spread."""

    difference: float
    ci: Interval | None
    p_value: float | None


def as_values(values: ArrayLike) -> NDArray[np.float64]:
    """A flat float array; ValueError when it is empty or holds NaN, infinity or what is as good as infinite."""
    array = np.asarray(values, dtype=float).ravel()
    if array.size == 0:
        raise ValueError("no values")
    if not (array.min() > -HUGE and array.max() < HUGE):
        raise ValueError("values must be finite numbers")
    return array


def summarize(values: ArrayLike) -> Summary:
    """n, mean and sample standard deviation."""
    array = as_values(values)
    return Summary(array.size, float(array.mean()), float(array.std(ddof=1)) if array.size > 1 else None)


@lru_cache(maxsize=4096)
def t_quantile(probability: float, df: float) -> float:
    """The quantile of Student's t with ``df`` degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(df, probability))


def has_spread(values: NDArray[np.float64]) -> bool:
    """The values differ by more than floating-point noise."""
    low, high = float(values.min()), float(values.max())
    return high - low > max(TINY, 1e-12 * max(abs(low), abs(high)))


@lru_cache(maxsize=4096)
def difference_interval(first: tuple[float, ...], second: tuple[float, ...]) -> Interval | None:
    """``t_interval`` of the differences of pairs; remembered, since submissions share the runs of their references."""
    return t_interval([one - other for one, other in zip(first, second, strict=True)])


def t_interval(values: ArrayLike, level: float = LEVEL) -> Interval | None:
    """mean +- t(n - 1) sd / sqrt(n) (Student 1908); None for n = 1 or values without spread."""
    array = as_values(values)
    if not has_spread(array):
        return None
    half = t_quantile(0.5 + level / 2, array.size - 1) * array.std(ddof=1) / math.sqrt(array.size)
    return float(array.mean() - half), float(array.mean() + half)


def fieller_bounds(
    a: ArrayLike,
    b: ArrayLike,
    v_aa: ArrayLike,
    v_bb: ArrayLike,
    v_ab: ArrayLike,
    t: float | NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fieller's limits for E(a) / E(b), elementwise over arrays of one shape.

    ``v_aa``, ``v_bb``, ``v_ab``: variances and covariance of the estimates a and b; ``t``: the two-sided
    quantile. The limits are the roots in r of (a - r b)^2 = t^2 (v_aa - 2 r v_ab + r^2 v_bb): Fieller,
    "Some problems in interval estimation", J. R. Stat. Soc. B 16 (1954) 175-185. Where b^2 <= t^2 v_bb the
    denominator's own interval holds 0 and the set is unbounded or everything outside an interval
    ("exclusive"): both limits are NaN there.
    """
    a, b, v_aa, v_bb, v_ab = (np.asarray(value, dtype=float) for value in (a, b, v_aa, v_bb, v_ab))
    square = b * b - t * t * v_bb
    middle = a * b - t * t * v_ab
    with np.errstate(invalid="ignore", divide="ignore"):
        root = np.sqrt(np.maximum(middle**2 - square * (a * a - t * t * v_aa), 0.0))
        low, high = (middle - root) / square, (middle + root) / square
    bounded = square > 0
    return np.where(bounded, low, np.nan), np.where(bounded, high, np.nan)


def paired_ratio(numerators: ArrayLike, denominators: ArrayLike, level: float = LEVEL) -> Ratio:
    """mean(numerators) / mean(denominators) over n pairs, with Fieller's interval, t with n - 1 degrees.

    Raises:
        ValueError: the lengths differ, or a value is not finite.
    """
    above, below = as_values(numerators), as_values(denominators)
    n = above.size
    if below.size != n:
        raise ValueError(f"{n} numerators and {below.size} denominators")
    if n < 2:
        return Ratio(float(above[0] / below[0]) if below[0] else None, None, "one block gives no interval")
    pair = np.stack((above, below))
    centre = pair.mean(axis=1)
    a, b = centre.tolist()
    if not has_spread(above) and not has_spread(below):
        return Ratio(a / b if b else None, None, "blocks without spread give no interval")
    rest = pair - centre[:, None]
    (v_aa, v_ab), (_, v_bb) = (rest @ rest.T / (n * (n - 1))).tolist()
    return _ratio(a, b, v_aa, v_bb, v_ab, t_quantile(0.5 + level / 2, n - 1))


def _ratio(a: float, b: float, v_aa: float, v_bb: float, v_ab: float, t: float) -> Ratio:
    low, high = (float(limit) for limit in fieller_bounds(a, b, v_aa, v_bb, v_ab, t))
    value = a / b if b else None
    if math.isnan(low):
        return Ratio(value, None, "the interval of the denominator contains 0")
    return Ratio(value, (low, high))


def paired_fsr(baseline: ArrayLike, submission: ArrayLike, human: ArrayLike, level: float = LEVEL) -> Ratio:
    """Fraction of speedup recovered, mean(b - s) / mean(b - h) over blocks, by ``paired_ratio``; in seconds."""
    b, s, h = as_values(baseline), as_values(submission), as_values(human)
    if not b.size == s.size == h.size:
        raise ValueError(f"blocks differ in number: {b.size}, {s.size}, {h.size}")
    return paired_ratio(b - s, b - h, level)


def unpaired_fsr(baseline: ArrayLike, submission: ArrayLike, human: ArrayLike, level: float = LEVEL) -> Ratio:
    """(mean b - mean s) / (mean b - mean h) for three independent samples, with Fieller's interval.

    Var = (1 - r)^2 v_b + v_s + r^2 v_h at ratio r, where v = sd^2 / n; the degrees of freedom are
    Satterthwaite's at the estimated r, as in Tamhane and Logan, "Finding the maximum safe dose level
    for heteroscedastic data", J. Biopharm. Stat. 14 (2004) 843-856. Each sample needs two values.
    """
    samples = [as_values(values) for values in (baseline, submission, human)]
    (m_b, m_s, m_h), sizes = (float(sample.mean()) for sample in samples), [sample.size for sample in samples]
    a, b = m_b - m_s, m_b - m_h
    if min(sizes) < 2:
        return Ratio(a / b if b else None, None, "an arm with one run gives no interval")
    if not any(has_spread(sample) for sample in samples):
        return Ratio(a / b if b else None, None, "runs without spread give no interval")
    v_b, v_s, v_h = (float(sample.var(ddof=1)) / sample.size for sample in samples)
    r = a / b if b else 0.0
    df = satterthwaite([(1 - r) ** 2 * v_b, v_s, r * r * v_h], sizes)
    return _ratio(a, b, v_b + v_s, v_b + v_h, v_b, t_quantile(0.5 + level / 2, df))


def unpaired_ratio(numerators: ArrayLike, denominators: ArrayLike, level: float = LEVEL) -> Ratio:
    """mean(numerators) / mean(denominators) of two independent samples: Fieller, Satterthwaite's degrees at r."""
    above, below = as_values(numerators), as_values(denominators)
    a, b = float(above.mean()), float(below.mean())
    if min(above.size, below.size) < 2 or not (has_spread(above) or has_spread(below)):
        return Ratio(a / b if b else None, None, "one run, or runs without spread, give no interval")
    v_a, v_b = (float(sample.var(ddof=1)) / sample.size for sample in (above, below))
    df = satterthwaite([v_a, (a / b if b else 0.0) ** 2 * v_b], [above.size, below.size])
    return _ratio(a, b, v_a, v_b, 0.0, t_quantile(0.5 + level / 2, df))


def unpaired_interval(first: ArrayLike, second: ArrayLike, level: float = LEVEL) -> Interval | None:
    """Welch's interval of mean(first) - mean(second) (Biometrika 34 (1947) 28-35); None without spread."""
    one, two = as_values(first), as_values(second)
    if min(one.size, two.size) < 2 or not (has_spread(one) or has_spread(two)):
        return None
    variances = [float(sample.var(ddof=1)) / sample.size for sample in (one, two)]
    t = t_quantile(0.5 + level / 2, satterthwaite(variances, [one.size, two.size]))
    difference, half = float(one.mean() - two.mean()), t * math.sqrt(sum(variances))
    return difference - half, difference + half


def satterthwaite(variances: Sequence[float], sizes: Sequence[int]) -> float:
    """Degrees of freedom of a sum of independent variance estimates (Satterthwaite 1946)."""
    below = sum(variance**2 / (size - 1) for variance, size in zip(variances, sizes, strict=True))
    return sum(variances) ** 2 / below if below > 0 else float(min(sizes) - 1)


def check_mean_at_most(values: ArrayLike, bound: float) -> MeanTest:
    """The official validity test: one-sided one-sample t-test, alternative mean < ``bound``.

    t = (mean - bound) / (sd / sqrt(n)), p = P(T(n - 1) <= t) (Student 1908; the speedrun's own rule). n = 1
    or values without spread have no p-value, and the reason says so.
    """
    array = as_values(values)
    summary = summarize(array)
    if not has_spread(array):
        reason = "no p-value from one run" if array.size == 1 else "no p-value from runs without spread"
        return MeanTest(summary.n, summary.mean, summary.sd, bound, None, None, reason)
    from scipy.special import stdtr

    assert summary.sd is not None
    t = (summary.mean - bound) / (summary.sd / math.sqrt(summary.n))
    return MeanTest(summary.n, summary.mean, summary.sd, bound, t, float(stdtr(summary.n - 1, t)))


def tell_difference(first: ArrayLike, second: ArrayLike, *, paired: bool) -> Difference:
    """Is mean(first) - mean(second) 0? Student's t of the pairs, or Welch's of two samples, two-sided.

    Two samples that are the same number for number differ by 0 for certain: p is 1. ValueError when pairs do not fit.
    """
    one, two = as_values(first), as_values(second)
    if not paired:
        return Difference(float(one.mean() - two.mean()), unpaired_interval(one, two), _welch_p(one, two))
    if one.size != two.size:
        raise ValueError(f"pairs differ in number: {one.size}, {two.size}")
    gaps = one - two
    p = check_mean_at_most(gaps, 0.0).p_value
    same = 1.0 if gaps.size > 1 and not gaps.any() else None
    return Difference(float(gaps.mean()), t_interval(gaps), same if p is None else 2 * min(p, 1 - p))


def _welch_p(one: NDArray[np.float64], two: NDArray[np.float64]) -> float | None:
    """Two-sided p-value (Welch 1947); None where ``unpaired_interval`` is."""
    if min(one.size, two.size) < 2 or not (has_spread(one) or has_spread(two)):
        return None
    from scipy.special import stdtr

    variances = [float(sample.var(ddof=1)) / sample.size for sample in (one, two)]
    t = abs(float(one.mean() - two.mean())) / math.sqrt(sum(variances))
    return float(2 * stdtr(satterthwaite(variances, [one.size, two.size]), -t))


def combine_difference(a: float, a_ci: Interval, b: float, b_ci: Interval) -> Interval:
    """The interval of a - b from independent intervals of a and b: MOVER.

    Low = d - sqrt((a - a_low)^2 + (b_high - b)^2), high = d + sqrt((a_high - a)^2 + (b - b_low)^2): Newcombe,
    Stat. Med. 17 (1998) 873-890; Zou and Donner, Stat. Med. 27 (2008) 1693-1702. Keeps the asymmetry of both.
    """
    low, high = mover_bounds(np.array(a), np.array(a_ci), np.array(b), np.array(b_ci))
    return float(low), float(high)


def mover_bounds(
    a: NDArray[np.float64], a_ci: NDArray[np.float64], b: NDArray[np.float64], b_ci: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``combine_difference`` over arrays: ``a`` and ``b`` broadcast, ``a_ci`` and ``b_ci`` end in [low, high]."""
    difference = a - b
    low = difference - np.hypot(a - a_ci[..., 0], b_ci[..., 1] - b)
    high = difference + np.hypot(a_ci[..., 1] - a, b - b_ci[..., 0])
    return low, high


def holm(p_values: ArrayLike) -> tuple[float, ...]:
    """Adjusted p-values in the given order: Holm, Scand. J. Stat. 6 (1979) 65-70.

    The k-th smallest of m is multiplied by m - k + 1, made monotone, and cut at 1; rejecting those at most
    alpha keeps the family-wise error at alpha under any dependence. ValueError outside [0, 1].
    """
    array = as_values(p_values)
    if (array < 0).any() or (array > 1).any():
        raise ValueError("p-values lie in [0, 1]")
    order = np.argsort(array, kind="stable")
    steps = np.maximum.accumulate(array[order] * np.arange(array.size, 0, -1))
    adjusted = np.empty_like(array)
    adjusted[order] = np.minimum(steps, 1.0)
    return tuple(float(value) for value in adjusted)
