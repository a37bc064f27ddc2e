"""Which submissions to measure again, so that the order of agents gets surer for the least machine time.

What is unsure about a ranking, as far as more runs can mend it: for each two neighbours of the board, the chance that
the lower one is really ahead. With independent estimates the difference of their mean scores is normal with the sum of
their variances; an FSR's variance comes from its interval, cut to [0, 1] as the score is, and falls as 1 / blocks.

The worth of more blocks is the expected fall of that chance before one knows what they will show: preposterior
analysis (Raiffa and Schlaifer, Applied Statistical Decision Theory, 1961, chapter 5), as in the knowledge gradient
(Frazier, Powell and Dayanik, SIAM J. Control Optim. 47 (2008) 2410-2439). Shared reference runs make neighbours' errors
agree, so the chance is overstated rather than understated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from patchrun.core.picks import Picked, worth
from patchrun.core.stats import LEVEL, t_quantile


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """An agent's counted score on one record: ``variance`` of its estimate from ``blocks`` blocks."""

    submission: str
    record: str
    value: float
    variance: float
    blocks: int


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Measure ``submission`` again: ``worth`` is the fall of the chances, ``seconds`` what it adds to the plan."""

    submission: str
    agent: str
    record: str
    worth: float
    seconds: float | None


class Price(msgspec.Struct, frozen=True):
    """Seconds of a study of one record: its reference arms, and each submission beside them; None: not known."""

    references: float | None
    submission: float | None


def make_estimate(picked: Picked) -> Estimate | None:
    """The estimate of a valid pick with an interval over blocks; None for what more blocks cannot make surer."""
    score = picked.score
    if not score.is_valid or score.fsr is None or score.fsr_ci is None or score.n_blocks < 2:
        return None
    low, high = (min(max(end, 0.0), 1.0) for end in score.fsr_ci)
    error = (high - low) / 2 / t_quantile(0.5 + LEVEL / 2, score.n_blocks - 1)
    return Estimate(
        submission=picked.attempt.id, record=picked.attempt.record, value=worth(score), variance=error**2,
        blocks=score.n_blocks,
    )  # fmt: skip


def chance_of_error(difference: float, variance: float) -> float:
    """The chance that a difference seen as ``difference`` has the other sign: Phi(-|d| / sd); a half for a draw."""
    if variance <= 0:
        return 0.0 if difference else 0.5
    return _phi(-abs(difference) / math.sqrt(variance))


def expected_chance(difference: float, before: float, after: float) -> float:
    """The mean of ``chance_of_error`` once more runs have brought the variance from ``before`` to ``after``.

    What will be seen is normal around ``difference`` with variance before - after. By quadrature at 201 quantiles.
    """
    if after >= before:
        return chance_of_error(difference, before)
    seen = difference + math.sqrt(before - after) * _quantiles()
    if after <= 0:
        return 0.0
    from scipy.special import ndtr

    return float(ndtr(-np.abs(seen) / math.sqrt(after)).mean())


def _phi(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))


@lru_cache(maxsize=1)
def _quantiles() -> NDArray[np.float64]:
    from scipy.special import ndtri

    return ndtri((np.arange(201) + 0.5) / 201)


class _Board:
    """The scores as they stand, with the variances that the choices so far are expected to leave."""

    def __init__(self, order: Sequence[str], means: Mapping[str, float], records: int,
                 estimates: Mapping[str, Sequence[Estimate]]) -> None:  # fmt: skip
        self.order, self.means, self.records = list(order), means, records
        self.place = {agent: place for place, agent in enumerate(order)}
        self.known: dict[str, float] = {}
        self.left = {agent: {e.submission: e for e in estimates.get(agent, ())} for agent in order}

    def variance(self, agent: str) -> float:
        return sum(e.variance for e in self.left[agent].values()) / self.records**2

    def worth_of(self, agent: str, estimate: Estimate, blocks: int) -> float:
        """The expected fall of the chances between this agent and its neighbours; kept until one is measured."""
        if estimate.submission not in self.known:
            self.known[estimate.submission] = self._find_worth(agent, self._fall(estimate, blocks))
        return self.known[estimate.submission]

    def _find_worth(self, agent: str, fall: float) -> float:
        total, fall = 0.0, fall / self.records**2
        for other in self._neighbours(agent):
            difference = self.means[agent] - self.means[other]
            before = self.variance(agent) + self.variance(other)
            total += chance_of_error(difference, before) - expected_chance(difference, before, before - fall)
        return total

    def _neighbours(self, agent: str) -> list[str]:
        place = self.place[agent]
        return self.order[max(place - 1, 0) : place] + self.order[place + 1 : place + 2]

    def measure(self, agent: str, estimate: Estimate, blocks: int) -> None:
        """Expect the variance that ``blocks`` more leave, and offer the submission no more."""
        left = estimate.variance - self._fall(estimate, blocks)
        self.left[agent][estimate.submission] = msgspec.structs.replace(estimate, variance=left)
        for changed in (agent, *self._neighbours(agent)):
            for name in self.left[changed]:
                self.known.pop(name, None)

    @staticmethod
    def _fall(estimate: Estimate, blocks: int) -> float:
        return estimate.variance * blocks / (estimate.blocks + blocks)


def choose_measurements(
    order: Sequence[str],
    means: Mapping[str, float],
    records: int,
    estimates: Mapping[str, Sequence[Estimate]],
    prices: Mapping[str, Price],
    *,
    blocks: int,
    budget: float | None = None,
    least: float = 0.01,
) -> tuple[Choice, ...]:
    """Submissions worth ``blocks`` more blocks, the most worth a second first; each at most once.

    ``order``: agents as ranked; ``means``: their scores over ``records`` records; ``estimates`` by agent. Submissions
    to one record share its reference runs, so the second one there is cheaper. Greedy: it ends where nothing is worth
    ``least``, or fits what is left of ``budget`` (seconds; a record without a price fits no budget).
    """
    board = _Board(order, means, records, estimates)
    open_ = [(agent, estimate) for agent in order for estimate in estimates.get(agent, ())]
    chosen: list[Choice] = []
    left = math.inf if budget is None else budget
    while open_:
        opened = {choice.record for choice in chosen}
        offers = [
            _offer(board, agent, e, blocks, prices.get(e.record), e.record in opened) for agent, e in open_
        ]
        fitting = [
            (offer, one) for offer, one in zip(offers, open_, strict=True)
            if offer.worth >= least and (budget is None or (offer.seconds is not None and offer.seconds <= left))
        ]  # fmt: skip
        if not fitting:
            break
        best, one = max(fitting, key=lambda pair: _rate(pair[0]))
        chosen.append(best)
        left -= best.seconds or 0.0
        board.measure(*one, blocks)
        open_.remove(one)
    return tuple(chosen)


def _offer(
    board: _Board, agent: str, estimate: Estimate, blocks: int, price: Price | None, opened: bool
) -> Choice:
    seconds = price.submission if price else None
    if seconds is not None and not opened:
        seconds = None if price is None or price.references is None else seconds + price.references
    return Choice(
        submission=estimate.submission, agent=agent, record=estimate.record, seconds=seconds,
        worth=board.worth_of(agent, estimate, blocks),
    )  # fmt: skip


def _rate(offer: Choice) -> tuple[bool, float]:
    """Known prices go first, then worth a second."""
    return offer.seconds is not None, offer.worth / (offer.seconds or 1.0)
