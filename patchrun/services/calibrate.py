"""Do the intervals hold? Known patches measured as if an agent had handed them in, on the real track."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
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
    arms = [*references, *(_copy(arm, truth, n, draw) for truth, arm in enumerate(references) for n in range(copies))]
    name = plan.study_id(arena.track.digest, str(number), arms, 0, "calibration")
    return Study(
        id=name, track=arena.track.name, track_digest=arena.track.digest, record=str(number), arms=tuple(arms),
        seeds=plan.derive_seeds(secrets.token_bytes(32), name, arena.track.rule.blocks),
        seed_source="calibration", created=tournament.now(),
    )  # fmt: skip


def _copy(arm: Arm, truth: int, index: int, draw: str) -> Arm:
    name = content_id("copy", truth, index, draw)
    return Arm(name=name, kind="submission", commit=arm.commit, tree=arm.tree, ast_digest=f"copy-{truth}-{name}")


def measure(
    arena: Arena, numbers: Sequence[int], count: int, copies: int, run: Runner | None = None
) -> list[Calibration]:
    """Run ``count`` studies a record, each with ``copies`` of both kinds, and return every outcome so far.

    ``run`` measures one study (default: ``study.run_study`` with its default options).
    """
    for _ in range(count):
        for number in numbers:
            planned = plan_calibration(arena, number, copies)
            run(planned) if run else studies.run_study(arena, planned)
    return outcomes(arena)


def outcomes(arena: Arena) -> list[Calibration]:
    """The outcome of every copy in every finished calibration study of the arena."""
    runs = group_by_study(arena.runs())
    found = []
    for study in arena.studies():
        if study.seed_source == "calibration" and not plan.missing(study, _names(arena, study)):
            copies = (arm for arm in study.arms if arm.kind == "submission")
            found += [_outcome(arm, study, scoring.score(arena.track, study, runs[study.id], arm.name)) for arm in copies]
    return found


def _names(arena: Arena, study: Study) -> set[str]:
    return arena.slots(study.id)


def _outcome(arm: Arm, study: Study, score: Score) -> Calibration:
    low, high = score.fsr_ci or (None, None)
    truth = int(arm.ast_digest.split("-")[1])
    return Calibration(study.id, int(study.record), truth, score.verdict or score.state, score.fsr, low, high)
