"""Every attempt with its score, computed anew from the stored runs: nothing computed is stored."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from patchrun.adapters.store import Arena, group_by_study
from patchrun.core import chains, lossprobe, plan, progress, racejudge, scoring, versions
from patchrun.core.lossprobe import Probed
from patchrun.core.results import Attempt, Ruling, Run, StopRecord, Study
from patchrun.core.scoring import Score
from patchrun.services.outlook import Outlook

UNSIGNED = "no listed key signed it: `patchrun keys vouch` does"
Measured = Literal["all", "first", "again"]


@dataclass(frozen=True)
class Scored:
    """An attempt with its score, the study that it rests on (all ``generations`` pooled) and its runs."""

    attempt: Attempt
    score: Score
    study: Study | None
    runs: tuple[Run, ...]
    ruling: Ruling | None
    generations: tuple[Study, ...] = ()
    probed: Probed | None = None


class Covering:
    """Which of many studies score an attempt, found at once."""

    def __init__(self, studies: Iterable[Study]) -> None:
        self._found: dict[tuple[str, str, str], list[Study]] = {}
        for study in studies:
            if study.seed_source == "scoring":
                for code in dict.fromkeys(arm.ast_digest for arm in study.arms if arm.kind == "submission"):
                    self._found.setdefault((study.track_digest, study.record, code), []).append(study)

    def of(self, attempt: Attempt) -> list[Study]:
        """Those of its track, record and code, in the order in which they were given."""
        return self._found.get((attempt.track_digest, attempt.record, attempt.ast_digest), [])


def assess(arena: Arena, measured: Measured = "all", ids: Collection[str] | None = None) -> list[Scored]:
    """Every attempt with its score, or those of ``ids``, computed anew from the stored runs.

    What those of ``ids`` cost does not grow with the arena's runs; their runs come whole, others' without curves.
    ``measured`` chooses the studies: all of them, the first of each code, or those on seeds drawn after the first
    was seen (a choice among attempts and the value of the chosen one must not rest on the same runs).
    """
    everything = arena.studies()
    probes = [study for study in everything if study.seed_source == "probe"]
    studies = [study for study in everything if study.seed_source == "scoring"]
    if measured != "all":
        studies = [study for study in studies if (study.generation > 0) == (measured == "again")]
    covering, attempts = Covering(studies), arena.attempts()
    rulings = find_rulings(arena, attempts)
    if ids is not None:
        attempts = [attempt for attempt in attempts if attempt.id in ids]
        wanted = {study.id for attempt in attempts for study in covering.of(attempt)}
        studies = [study for study in studies if study.id in wanted]
        probes = [study for study in probes if any(probes_of([study], one) for one in attempts)]
    runs = group_by_study(arena.runs() if ids is None else arena.runs_of([*studies, *probes]))
    outlook, stops, unsigned = Outlook(arena), arena.stops(), arena.unsigned_attempts()
    settled = _trim_settled(arena, studies, runs, stops)
    return [
        _assess_unsigned(arena, attempt, rulings.get(attempt.id)) if attempt.id in unsigned and attempt.accepted
        else _assess(
            arena, attempt, covering.of(attempt), runs, rulings.get(attempt.id), outlook, stops, settled,
            _judge_probes(arena, probes, runs, attempt),
        )
        for attempt in attempts
    ]  # fmt: skip


def _assess_unsigned(arena: Arena, attempt: Attempt, ruling: Ruling | None) -> Scored:
    """Shown, and measured by nobody until a listed key signs for it."""
    stale = attempt.track_digest != arena.track.digest
    score = scoring.score(arena.track, None, (), attempt.id, stale=stale, ruling=ruling)
    if score.state == "pending":
        score = msgspec.structs.replace(score, reason=UNSIGNED)
    return Scored(attempt, score, None, (), ruling)


def probes_of(studies: Iterable[Study], attempt: Attempt) -> list[Study]:
    """The probes among ``studies`` of the code of this attempt."""
    key = (attempt.track_digest, attempt.record, attempt.ast_digest)
    return [study for study in studies if lossprobe.covers(study, *key)]


def _judge_probes(
    arena: Arena, probes: Iterable[Study], runs: Mapping[str, list[Run]], attempt: Attempt
) -> Probed | None:
    own = probes_of(probes, attempt)
    made = [run for study in own for run in runs.get(study.id, [])]
    return lossprobe.judge(arena.track, own, made, attempt.ast_digest)


def _trim_settled(
    arena: Arena, studies: Iterable[Study], runs: Mapping[str, list[Run]], stops: Sequence[StopRecord]
) -> dict[str, Study]:
    """The studies that lack no run which could change a verdict, without the blocks that were not needed.

    One that racing ended keeps its plan: its references are judged as the unfinished ones that they are.
    """
    ended, raced = racejudge.ended_arms(stops), {stop.study for stop in stops}
    return {
        study.id: study if study.id in raced else progress.trim(study, runs.get(study.id, []))
        for study in studies
        if progress.is_settled(arena.track, study, runs.get(study.id, []), ended.get(study.id, ()))
    }  # fmt: skip


def _assess(
    arena: Arena,
    attempt: Attempt,
    studies: Sequence[Study],
    runs: dict[str, list[Run]],
    ruling: Ruling | None,
    outlook: Outlook,
    stops: Sequence[StopRecord],
    settled: Mapping[str, Study],
    probed: Probed | None,
) -> Scored:
    if not attempt.accepted:
        return Scored(attempt, scoring.score_rejected(arena.track, attempt), None, (), ruling)
    stale = attempt.track_digest != arena.track.digest
    covering = sorted(studies, key=lambda study: (study.generation, study.created))
    if not covering:
        score = scoring.score(arena.track, None, (), attempt.id, stale=stale, ruling=ruling)
        if score.state == "pending" and (obstacle := outlook.obstacle(attempt.span)):
            score = scoring.score_unscorable(score, obstacle)
        return Scored(attempt, score, None, (), ruling)
    counted = [settled[study.id] for study in covering if study.id in settled] or covering[:1]
    study, pooled = plan.pool(counted, [runs.get(study.id, []) for study in counted], attempt.ast_digest)
    words = [say_stopped(stops, one, attempt) for one in counted] if stops else []
    score = scoring.score(
        arena.track, study, pooled, study.arms[-1].name, stale=stale, ruling=ruling,
        stopped=next(filter(None, words), ""), probed=probed,
    )  # fmt: skip
    return Scored(attempt, score, study, tuple(pooled), ruling, tuple(counted), probed)


def read_runs(arena: Arena, scored: Sequence[Scored]) -> list[list[Run]]:
    """The runs of some attempts with their curves, read anew: of all attempts' they would be too much at once."""
    studies = {study.id: study for one in scored for study in one.generations}
    runs = group_by_study(arena.runs_of(studies.values()))
    return [
        plan.pool(one.generations, [runs.get(study.id, []) for study in one.generations], one.attempt.ast_digest)[1]
        if one.generations else []
        for one in scored
    ]  # fmt: skip


def find_rulings(arena: Arena, attempts: Sequence[Attempt]) -> dict[str, Ruling]:
    """Submission -> the ruling that holds for it (see ``chains.rule_chains``)."""
    return chains.rule_chains(attempts, versions.strongest(arena.rulings()))


def covers(study: Study, attempt: Attempt) -> bool:
    """The study measures the code of this attempt for its score."""
    return (
        study.seed_source == "scoring"
        and study.track_digest == attempt.track_digest
        and plan.find_arm(study, attempt.record, attempt.ast_digest) is not None
    )


def say_stopped(stops: Sequence[StopRecord], study: Study, attempt: Attempt) -> str:
    """Why racing stopped this submission's arm of a study; empty where it did not."""
    arm = plan.find_arm(study, attempt.record, attempt.ast_digest)
    return racejudge.stop_words(stops, study.id, arm.name) if arm else ""
