"""Work outside the clock: what a run used before its first timed line and from then on, against the reference arms.

Training that no clock counts still takes time, energy and CPU. Each figure of a submission's run is compared with the
reference runs' of the same study. What its own counted seconds explain is no work outside: where it is slower than
they are, it may use more from its first timed line on, where it is faster, less. To use less before it is no gain. All
of it follows from stored figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from patchrun.core.results import Amount, Run
from patchrun.core.stats import t_quantile

SHARE = 0.02  # so far from the reference arms' mean says nothing
DEVIATIONS = 4.0  # nor so many of their standard deviations
TAIL = 0.02  # of honest runs lie beyond that at four runs, on either side; where there are fewer, it takes more sd
TOO_MUCH = 1.5
TIME_FLOOR = 10.0  # seconds of a cold disk or a busy machine: time alone says less than work does


@dataclass(frozen=True)
class Figure:
    """One thing that is compared. ``read``: from the run; ``floor``: so much more is no sign of anything.

    ``counted``: its expected value follows the counted seconds. ``of_all``: its bound is made from the largest of all
    reference runs, not of the block's: machines make runs slow. ``slack``: so much more than that is below the bound.
    """

    name: str
    unit: str
    read: Callable[[Run], float | None]
    floor: float = 0.0
    counted: bool = False
    of_all: bool = False
    slack: float = 0.0


@dataclass(frozen=True)
class Comparison:
    """A figure of one run: ``value``, the ``mean`` of the reference runs of its block, and what it may be.

    Below ``low`` or above ``high`` a person is asked, above ``most`` it is work outside the clock.
    """

    figure: Figure
    value: float
    mean: float
    low: float
    high: float
    most: float

    @property
    def ratio(self) -> float | None:
        return self.value / self.mean if self.mean > 0 else None


@dataclass(frozen=True)
class Outside:
    """What is said of a submission's runs: why they are disqualified, if they are, and what a person should see."""

    disqualified: str = ""
    reviews: tuple[str, ...] = ()


def _lead(kind: str) -> Callable[[Run], float | None]:
    def read(run: Run) -> float | None:
        found = _amount(run, kind)
        return found.lead if found else None

    return read


def _rest(kind: str) -> Callable[[Run], float | None]:
    def read(run: Run) -> float | None:
        found = _amount(run, kind)
        return None if found is None or found.lead is None else found.whole - found.lead

    return read


def _amount(run: Run, kind: str) -> Amount | None:
    found: Amount | None = getattr(run.work, kind) if run.work else None
    return found


def _off_clock(run: Run) -> float | None:
    """Wall time less the counted seconds and the validations that were taken off."""
    if run.wall_seconds is None or run.seconds is None:
        return None
    return run.wall_seconds - run.seconds - (run.validation_seconds or 0.0) * (run.validations or 0)


LEAD = "before its first timed line"
REST = "from its first timed line on"
JOULES = (
    Figure(f"GPU energy {LEAD}", "J", _lead("joules"), 50.0),
    Figure(f"GPU energy {REST}", "J", _rest("joules"), 50.0, counted=True),
)
BUSY = (
    Figure(f"GPU busy time {LEAD}", "s", _lead("busy"), 1.0),
    Figure(f"GPU busy time {REST}", "s", _rest("busy"), 1.0, counted=True),
)
CPU = (
    Figure(f"CPU time {LEAD}", "s", _lead("cpu"), 0.5),
    Figure(f"CPU time {REST}", "s", _rest("cpu"), 0.5, counted=True),
)
WALL = (
    Figure(f"time {LEAD}", "s", lambda run: run.lead_seconds, 0.25, of_all=True, slack=TIME_FLOOR),
    Figure("time off the clock", "s", _off_clock, 0.25, of_all=True, slack=TIME_FLOOR),
)


def compare_run(run: Run, references: Sequence[Run]) -> list[Comparison]:
    """Every figure that the run and the reference runs have; CPU time counts where there is no GPU's counter."""
    by_gpu = [found for figure in (*JOULES, *BUSY) if (found := compare(figure, run, references))]
    by_cpu = [] if by_gpu else [found for figure in CPU if (found := compare(figure, run, references))]
    return [*by_gpu, *by_cpu, *(found for figure in WALL if (found := compare(figure, run, references)))]


def compare(figure: Figure, run: Run, references: Sequence[Run]) -> Comparison | None:
    """The figure of ``run`` beside the reference runs'; None where either has none."""
    value = figure.read(run)
    known = [(other, seen) for other in references if (seen := figure.read(other)) is not None]
    if (
        value is None
        or not known
        or not all(math.isfinite(each) for each in (value, *(seen for _, seen in known)))
    ):
        return None
    near = [pair for pair in known if pair[0].block == run.block] or known
    mean = sum(seen for _, seen in near) / len(near)
    most = max(seen for _, seen in (known if figure.of_all else near))
    band = max(SHARE * mean, _spread([seen for _, seen in known]), figure.floor)
    slower, faster = _explained(run, [other for other, _ in near]) if figure.counted else (1.0, 0.0)
    limit = max(TOO_MUCH * most * slower, most * slower + max(figure.floor, figure.slack))
    return Comparison(figure, value, mean, mean * faster - band, mean * slower + band, limit)


def judge_outside(runs: Sequence[Run], references: Sequence[Run]) -> Outside:
    """What the figures of a submission's runs say, against the reference runs of its studies."""
    excess, reviews = "", []
    for run in runs:
        own = [other for other in references if other.study == run.study]
        for each in compare_run(run, own):
            said = f"{run.kind}, block {run.block + 1}, seed {run.seed}: {say(each)}"
            if each.value > each.most:
                excess = excess or f"work outside the clock: {said}"
            elif not each.low <= each.value <= each.high:
                reviews.append(said)
    return Outside(excess, tuple(reviews))


def say(found: Comparison) -> str:
    """``GPU energy before its first timed line: 632,000 J, 2.10 times the reference arms' 300,600 J``."""
    unit, ratio = found.figure.unit, found.ratio
    times = f"{ratio:.2f} times " if ratio is not None else ""
    value, mean = (f"{each:.3g}" if each < 1000 else f"{each:,.0f}" for each in (found.value, found.mean))
    return f"{found.figure.name}: {value} {unit}, {times}the reference arms' {mean} {unit}"


def _spread(values: Sequence[float]) -> float:
    """How far from the mean of few runs another honest one may lie: t sd sqrt(1 + 1/n), at least 4 sd; any of one."""
    n = len(values)
    if n < 2:
        return math.inf
    mean = sum(values) / n
    sd = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
    return sd * max(DEVIATIONS, t_quantile(1 - TAIL, n - 1) * math.sqrt(1 + 1 / n))


def _explained(run: Run, near: Sequence[Run]) -> tuple[float, float]:
    """By which factors a run's own counted seconds explain more, and less, in all than the mean."""
    counted = [other.seconds for other in near if other.seconds]
    if not run.seconds or not counted:
        return 1.0, 1.0
    ratio = run.seconds * len(counted) / sum(counted)
    return max(1.0, ratio), min(1.0, ratio)
