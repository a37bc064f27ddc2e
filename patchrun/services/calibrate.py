"""Do the intervals hold? Known patches measured as if an agent had handed them in, on the real track."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import fmean, median
from typing import Any

from patchrun.adapters.store import Arena, group_by_study
from patchrun.core import plan, scoring
from patchrun.core.errors import UsageError
from patchrun.core.results import Arm, Study, content_id
from patchrun.core.scoring import Score
from patchrun.core.selection import Span
from patchrun.services import study as studies
from patchrun.services import tournament

Runner = Callable[[Study], None]


@dataclass(frozen=True)
class Calibration:
    """One copy's outcome: ``truth`` is the FSR it must have (1 the human patch, 0 the baseline itself)."""

    study: str
    record: int
    truth: int
    verdict: str
    fsr: float | None
    low: float | None
    high: float | None

    @property
    def holds(self) -> bool | None:
        """The interval contains the truth; None when there is no interval."""
        if self.low is None or self.high is None:
            return None
        return self.low <= self.truth <= self.high

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"holds": self.holds}


def plan_calibration(arena: Arena, number: int, copies: int) -> Study:
    """A study with ``copies`` copies of the human patch and of the baseline as submissions, on seeds of its own.

    Raises:
        UsageError: the record has no human patch.
    """
    human = arena.human(number)
    if human is None:
        raise UsageError(f"record {number} has no human patch", "calibrate on one that has")
    references = tournament.reference_arms(arena, Span(number, number))
    draw = secrets.token_hex(8)
    arms = [
        *references,
        *(_copy(arm, truth, n, draw) for truth, arm in enumerate(references) for n in range(copies)),
    ]
    name = plan.study_id(arena.track.digest, str(number), arms, 0, "calibration")
    return Study(
        id=name, track=arena.track.name, track_digest=arena.track.digest, record=str(number), arms=tuple(arms),
        seeds=plan.derive_seeds(secrets.token_bytes(32), name, arena.track.rule.blocks),
        seed_source="calibration", created=tournament.now(),
    )  # fmt: skip


def _copy(arm: Arm, truth: int, index: int, draw: str) -> Arm:
    name = content_id("copy", truth, index, draw)
    return Arm(
        name=name, kind="submission", commit=arm.commit, tree=arm.tree, ast_digest=f"copy-{truth}-{name}"
    )


def measure(
    arena: Arena, numbers: Sequence[int], count: int, copies: int, run: Runner | None = None
) -> list[Calibration]:
    """Finish what was begun, run ``count`` new studies a record, and return every outcome so far.

    Each study has ``copies`` of both kinds. ``run`` measures one (default: ``study.run_study`` as it is).
    """
    work = run or partial(studies.run_study, arena)
    if numbers:
        for study in unfinished(arena):
            work(study)
    for _ in range(count):
        for number in numbers:
            work(plan_calibration(arena, number, copies))
    return outcomes(arena)


def unfinished(arena: Arena) -> list[Study]:
    """Calibration studies that were stopped."""
    begun = (study for study in arena.studies() if study.seed_source == "calibration")
    return [study for study in begun if plan.missing(study, arena.slots(study))]


def outcomes(arena: Arena) -> list[Calibration]:
    """The outcome of every copy in every finished calibration study of the arena."""
    runs = group_by_study(arena.runs())
    found = []
    for study in arena.studies():
        if study.seed_source == "calibration" and not plan.missing(study, arena.slots(study)):
            for arm in study.arms[2:]:
                score = scoring.score(arena.track, study, runs[study.id], arm.name)
                found.append(_outcome(arm, study, score))
    return found


def _outcome(arm: Arm, study: Study, score: Score) -> Calibration:
    low, high = score.fsr_ci or (None, None)
    truth = int(arm.ast_digest.split("-")[1])
    return Calibration(study.id, int(study.record), truth, score.verdict or score.state, score.fsr, low, high)


@dataclass(frozen=True)
class Tally:
    """What the copies of one kind on one record (None: on all) came to; ``width`` is the median half-width."""

    record: int | None
    truth: int
    studies: int
    copies: int
    scored: int
    holds: int
    mean: float | None
    width: float | None
    others: dict[str, int]


def tally(found: Sequence[Calibration]) -> list[Tally]:
    """Each record's and then all records' tallies, of null copies and of human ones."""
    numbers = sorted({one.record for one in found})
    groups: list[tuple[int | None, int]] = [(n, truth) for n in [*numbers, None] for truth in (0, 1)]
    rows = []
    for number, truth in groups:
        own = [one for one in found if one.truth == truth and number in (None, one.record)]
        if own:
            rows.append(_tally(number, truth, own))
    return rows


def _tally(number: int | None, truth: int, own: Sequence[Calibration]) -> Tally:
    scored = [one for one in own if one.holds is not None]
    widths = [(one.high - one.low) / 2 for one in scored if one.low is not None and one.high is not None]
    values = [one.fsr for one in scored if one.fsr is not None]
    return Tally(
        record=number, truth=truth, studies=len({one.study for one in own}), copies=len(own), scored=len(scored),
        holds=sum(bool(one.holds) for one in scored), mean=fmean(values) if values else None,
        width=median(widths) if widths else None, others=Counter(o.verdict for o in own if o.holds is None),
    )  # fmt: skip
