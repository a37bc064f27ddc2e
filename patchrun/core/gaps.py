"""Which published gaps can carry an FSR, and what luck alone earns under a rule, from times with their spread.

Figures file, one line a record: ``record,seconds,sd,n``: the mean time of record N's code over n runs on one machine.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from patchrun.core.errors import UsageError
from patchrun.core.stats import LEVEL, Interval, Summary, satterthwaite, t_quantile


class GapRow(msgspec.Struct, frozen=True, kw_only=True):
    """The gap that record N opened, in seconds: baseline N - 1 less N.

    ``ci``: Welch's 95% interval from means, sds and n. ``scorable``: the interval lies above 0. ``noise``: the sd of
    one baseline run in gaps. ``luck``: the mean FSR of patches that change nothing, by rule name; None without a gap.
    """

    record: int
    gap: float
    ci: Interval
    scorable: bool
    noise: float | None
    luck: dict[str, float | None]


def read_figures(text: str, name: str = "times") -> dict[int, Summary]:
    """Record -> n, mean and sd of its seconds; UsageError names file, line and column."""
    reader = csv.DictReader(io.StringIO(text))
    absent = {"record", "seconds", "sd", "n"} - set(reader.fieldnames or ())
    if absent:
        raise UsageError(
            f"{name}: no column {', '.join(sorted(absent))}", "the header is record,seconds,sd,n"
        )
    found: dict[int, Summary] = {}
    for line in reader:
        try:
            record, n = int(line["record"]), int(line["n"])
            mean, sd = float(line["seconds"]), float(line["sd"])
        except (TypeError, ValueError):
            raise UsageError(f"{name}: line {reader.line_num}: expected four numbers, got {line}") from None
        if record in found or n < 2 or not (0 < mean < math.inf and 0 <= sd < math.inf):
            raise UsageError(
                f"{name}: line {reader.line_num}: not usable",
                "a record comes once, with seconds above 0, sd of 0 or more, n of 2 or more",
            )
        found[record] = Summary(n, mean, sd)
    return found


def expect_top(n: int, top: int) -> float:
    """The mean of the ``top`` largest of n standard normal draws, by quadrature.

    Density of the r-th smallest: n! / ((r - 1)! (n - r)!) Phi^(r - 1) (1 - Phi)^(n - r) phi (David and Nagaraja, Order
    Statistics, 3rd ed. 2003, section 2.1).
    """
    if not 1 <= top <= n:
        raise UsageError(f"the best {top} of {n} runs", "choose top from 1 to the number of runs")
    from scipy.special import gammaln, log_ndtr

    x = np.linspace(-9, 9, 4001)
    log_density = -x * x / 2 - math.log(math.sqrt(2 * math.pi))
    means = []
    for rank in range(n - top + 1, n + 1):
        log_ways = gammaln(n + 1) - gammaln(rank) - gammaln(n - rank + 1)
        log_shape = log_ways + (rank - 1) * log_ndtr(x) + (n - rank) * log_ndtr(-x) + log_density
        means.append(float((x * np.exp(log_shape)).sum() * (x[1] - x[0])))
    return sum(means) / top


def expect_clipped(mean: float, sd: float) -> float:
    """E[min(max(X, 0), 1)] of a normal X: the integral of P(X > u) over u from 0 to 1."""
    if sd <= 0:
        return min(max(mean, 0.0), 1.0)
    from scipy.special import ndtr

    u = (np.arange(2000) + 0.5) / 2000
    return float(ndtr((mean - u) / sd).mean())


def tabulate_gaps(figures: Mapping[int, Summary], tries: int = 10, top: int = 3) -> tuple[GapRow, ...]:
    """One row for each record whose predecessor is there; ``tries`` runs a patch in the columns of luck."""
    best = expect_top(tries, top)
    return tuple(
        _make_row(record, figures[record - 1], figures[record], tries, top, best)
        for record in sorted(figures) if record - 1 in figures
    )  # fmt: skip


def _make_row(record: int, before: Summary, after: Summary, tries: int, top: int, best: float) -> GapRow:
    gap = before.mean - after.mean
    variances = [(arm.sd or 0.0) ** 2 / arm.n for arm in (before, after)]
    half = math.sqrt(sum(variances)) * t_quantile(
        0.5 + LEVEL / 2, satterthwaite(variances, [before.n, after.n])
    )
    noise = (before.sd or 0.0) / gap if gap > 0 else None
    names = (f"best {top} of {tries}", f"mean of {tries}, clipped")
    luck = (None, None) if noise is None else (best * noise, expect_clipped(0.0, noise / math.sqrt(tries)))
    return GapRow(
        record=record, gap=gap, ci=(gap - half, gap + half), scorable=gap - half > 0, noise=noise,
        luck=dict(zip(names, luck, strict=True)),
    )  # fmt: skip


def mean_luck(rows: Sequence[GapRow], scorable_only: bool) -> dict[str, float]:
    """Each rule's luck, averaged over the records that have a positive gap, or over the scorable ones."""
    own = [row for row in rows if row.noise is not None and (row.scorable or not scorable_only)]
    names = own[0].luck if own else {}
    return {name: sum(row.luck[name] or 0.0 for row in own) / len(own) for name in names}
