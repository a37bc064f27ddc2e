"""Racing: stop rules for runs and studies that cannot matter any more. The stop is a verdict with its evidence.

What matters is a mean over blocks: of the loss, against the target; of the time, against the baseline's. An ``Outlook``
says how likely the mean still comes out right: between runs from the runs that ended; for a run that goes on, from what
it would end at (``halting``). ``confidence`` is that of one look: who looks k times errs at most k (1 - confidence).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from patchrun.core.stats import as_values, summarize, t_quantile
from patchrun.core.track import Rule

CONFIDENCE = 0.999
FEW = 3  # below so many degrees of freedom a spread is judged with what is assumed of it beforehand
PRIOR_DF = 4.0
PRIOR_TIME = {
    "cpu": 0.10,
    "arrival": 0.005,
}  # by clock, of the baseline's seconds: above what either ladder shows
PRIOR_LOSS = 0.01  # of the target, where the track's rule states no spread
Points = Sequence[tuple[float, float]]
Quantity = Literal["loss", "time", "exit", "proof", "rank"]


class Stop(msgspec.Struct, frozen=True):
    """Why a study was ended: by which quantity, what was seen, and the confidence of the look."""

    quantity: Quantity
    reason: str
    confidence: float


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """A mean that must come out at most at ``bound`` at one of ``looks`` (numbers of values); ``values`` are there.

    ``sd`` of one value and its degrees of freedom come from the reference arms.
    """

    values: tuple[float, ...]
    bound: float
    looks: tuple[int, ...]
    sd: float
    df: float

    def chance(self, extra: float | None = None) -> float:
        """The best chance at any look to come; 1 when no look is to come.

        ``extra``, what a run that goes on would end at, counts for the mean and not for the spread: a run far off is no
        excuse for itself.
        """
        values = self.values if extra is None else (*self.values, extra)
        coming = [look for look in self.looks if look > len(values)]
        if not values or not coming:
            return 1.0
        sd = max(self.sd, (summarize(self.values).sd or 0.0) if self.values else 0.0)
        return max(chance_below(values, self.bound, look, sd, self.df) for look in coming)


def make_outlook(
    values: Sequence[float],
    bound: float,
    looks: Sequence[int],
    references: Sequence[Sequence[float]],
    prior: float | None = None,
) -> Outlook | None:
    """The outlook of ``values``; the spread is pooled within ``references``. None where those have none.

    ``prior``: a spread assumed beforehand. While the references have less than ``FEW`` degrees of freedom it is pooled
    with theirs as if it rested on ``PRIOR_DF`` (a scaled inverse chi-square prior: Gelman et al., Bayesian Data
    Analysis, 3rd ed. 2013, section 2.6), so a study can end after its first block, and never later for it.
    """
    pooled = pool_spread(references)
    if prior is not None and (pooled is None or pooled[1] < FEW):
        sd, df = pooled or (0.0, 0.0)
        pooled = math.sqrt((PRIOR_DF * prior**2 + df * sd**2) / (PRIOR_DF + df)), PRIOR_DF + df
    if pooled is None:
        return None
    return Outlook(values=tuple(values), bound=bound, looks=tuple(looks), sd=pooled[0], df=pooled[1])


def assume_loss_spread(rule: Rule, target: float) -> float:
    """The sd of one loss (nats per token) assumed beforehand: twice the rule's own, else a share of the target."""
    return 2 * rule.loss_sd if rule.loss_sd else PRIOR_LOSS * abs(target)


def assume_time_spread(clock: str, slowest: float) -> float:
    """The sd of a difference of two runs' seconds assumed beforehand; ``slowest``: the longest baseline run."""
    return PRIOR_TIME[clock] * slowest


def chance_below(values: Sequence[float], bound: float, planned: int, sd: float, df: float) -> float:
    """The chance that the mean of ``planned`` values, of which these are the first, ends at most at ``bound``.

    With k seen (mean m) and r to come, the mean to come less m is t(df) sd sqrt(1/k + 1/r), the predictive
    distribution of a later sample (Geisser, Predictive Inference, 1993, chapter 2). 0 or 1 when none is to come.
    """
    array = as_values(values)
    k, left, mean = array.size, planned - array.size, float(array.mean())
    if left <= 0 or sd <= 0:
        return float(mean <= bound)
    from scipy.special import stdtr

    needed = (planned * bound - k * mean) / left
    return float(stdtr(df, (needed - mean) / (sd * math.sqrt(1 / k + 1 / left))))


def stop_between_runs(outlook: Outlook, quantity: Quantity, confidence: float = CONFIDENCE) -> Stop | None:
    """Stop a study whose mean cannot come out right any more. For time, values are submission - baseline, bound 0."""
    chance = outlook.chance()
    if chance >= 1 - confidence:
        return None
    mean = sum(outlook.values) / len(outlook.values)
    seen = (
        f"mean loss {mean:.4f}, target {outlook.bound:g}"
        if quantity == "loss"
        else f"{mean:.3g} s slower than the baseline"
    )
    said = f"{seen}, after {len(outlook.values)} of {outlook.looks[-1]} blocks: the chance to mend it is {chance:.1g}"
    return Stop(quantity, said, confidence)


def most_to_lose(
    points: Points, steps: int, references: Sequence[Points], confidence: float = CONFIDENCE
) -> float | None:
    """How much loss a training takes off at most from here to its end: the upper limit of one more draw from
    what the references lost between the same fraction of their steps and their end.

    None where curves are not comparable: fewer than three references, or a first loss outside half to twice theirs.
    """
    curves = [np.asarray(curve, dtype=float) for curve in references if len(curve) >= 2]
    if len(curves) < 3 or not points or not np.isfinite(np.asarray(points, dtype=float)).all():
        return None
    first = float(np.mean([curve[0, 1] for curve in curves]))
    if not first / 2 <= points[0][1] <= first * 2:
        return None
    done = points[-1][0] / steps
    falls = summarize([float(np.interp(done, c[:, 0] / c[-1, 0], c[:, 1]) - c[-1, 1]) for c in curves])
    return falls.mean + t_quantile(confidence, falls.n - 1) * (falls.sd or 0.0) * math.sqrt(1 + 1 / falls.n)


def pool_spread(groups: Sequence[Sequence[float]]) -> tuple[float, float] | None:
    """Pooled standard deviation within groups and its degrees of freedom; None without any."""
    found = [summarize(group) for group in groups if len(group) > 1]
    df = sum(group.n - 1 for group in found)
    if not df:
        return None
    return math.sqrt(sum((group.n - 1) * (group.sd or 0.0) ** 2 for group in found) / df), float(df)
