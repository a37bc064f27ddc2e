"""Probes of whole scripts: which a study needs, and of which submission at full length. See ``core.lossprobe``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from patchrun.adapters.keys import find_key
from patchrun.adapters.store import Arena
from patchrun.core import lossprobe, plan
from patchrun.core.knownsource import ALPHA
from patchrun.core.lossprobe import Probed
from patchrun.core.results import Arm, StopRecord, Study
from patchrun.services.assessment import Scored, assess


def plan_probe(
    arena: Arena, study: Study, full: Iterable[str] | None = None, known: Sequence[Study] | None = None
) -> Study | None:
    """The probe that a scoring study lacks, on its baseline and its submissions; None where it lacks none.

    ``full``: at full length, of these arms. ``known``: all studies of the arena, else they are read. One that was begun
    is given as it was stored. None as well where the owner's key is not: who has it makes the probe, and until then no
    submission is valid.
    """
    if arena.track.probe is None or (study.seed_source, study.track_digest) != (
        "scoring",
        arena.track.digest,
    ):
        return None
    steps = arena.track.probe.steps if full is None else None
    everything = arena.studies() if known is None else known
    stored = [one for one in everything if one.seed_source == "probe" and one.steps == steps]
    wanted = None if full is None else set(full)
    own = [arm for arm in study.arms if arm.kind == "submission" and (wanted is None or arm.name in wanted)]
    arms = [arm for arm in own if not _is_done(arena, stored, study, arm)]
    return _plan(arena, study, arms, steps, stored) if arms else None


def _is_done(arena: Arena, stored: Sequence[Study], study: Study, arm: Arm) -> bool:
    """The code of ``arm`` was probed before; a re-measurement probes again where that said nothing of the code."""
    found = _judge(arena, stored, study, arm)
    return bool(found) and not found.pending and not (study.generation and found.verdict == "unscorable")


def _judge(arena: Arena, stored: Sequence[Study], study: Study, arm: Arm) -> Probed | None:
    own = [one for one in stored if lossprobe.covers(one, study.track_digest, study.record, arm.ast_digest)]
    return lossprobe.judge(arena.track, own, arena.runs_of(own), arm.ast_digest)


def stop_caught(arena: Arena, study: Study) -> None:
    """Store that the arms against which a probe speaks run no more: their verdict is settled."""
    stored = [one for one in arena.studies() if one.seed_source == "probe"]
    gone = {stop.arm for stop in arena.stops() if stop.study == study.id}
    for arm in study.arms:
        if arm.kind != "submission" or arm.name in gone:
            continue
        found = _judge(arena, stored, study, arm)
        if found and found.verdict:
            arena.add_stop(StopRecord(
                study=study.id, arm=arm.name, quantity="probe", reason=found.reason, confidence=1 - ALPHA, blocks=0,
                track_digest=study.track_digest, created=datetime.now(UTC).isoformat(timespec="seconds"),
            ))  # fmt: skip


def with_probe(arena: Arena, study: Study) -> tuple[Study, ...]:
    """What is run for a study: the probe that it lacks, then itself."""
    probe = plan_probe(arena, study)
    return (probe, study) if probe else (study,)


def find_lacking(arena: Arena, studies: Sequence[Study]) -> set[str]:
    """The ids of those among ``studies``, all of the arena's, of which a probe could be made now."""
    if arena.track.probe is None:
        return set()
    scored = assess(arena) if arena.track.probe.full_length else []
    return {
        study.id for study in studies
        if plan_probe(arena, study, known=studies) or plan_full(arena, study, scored, studies)
    }  # fmt: skip


def _plan(
    arena: Arena, study: Study, submissions: Sequence[Arm], steps: int | None, stored: Sequence[Study]
) -> Study | None:
    baseline = next(arm for arm in study.arms if arm.kind == "baseline")
    arms = (baseline, *submissions)
    name = plan.study_id(study.track_digest, study.record, arms, study.generation, f"probe {steps or 'full'}")
    if begun := next((one for one in stored if one.id == name), None):
        return begun
    if (key := find_key(arena.identity)) is None:
        return None
    return Study(
        id=name, track=study.track, track_digest=study.track_digest, record=study.record, generation=study.generation,
        arms=arms, seeds=plan.derive_seeds(key, name, 1), seed_source="probe", steps=steps,
        secret=plan.derive_secret(key, name), created=datetime.now(UTC).isoformat(timespec="microseconds"),
    )  # fmt: skip


def plan_full(
    arena: Arena, study: Study, scored: Sequence[Scored] | None = None, known: Sequence[Study] | None = None
) -> Study | None:
    """The probe to the last step of those of a study's submissions that take the first place of its record.

    ``scored`` and ``known``: all attempts and studies of the arena, else they are read.
    """
    spec = arena.track.probe
    if spec is None or not spec.full_length or study.seed_source != "scoring":
        return None
    everything = assess(arena) if scored is None else scored
    valid = [one for one in everything if one.score.is_valid and one.attempt.record == study.record]
    best = max((_worth(one) for one in valid), default=None)
    codes = {one.attempt.ast_digest for one in valid if _worth(one) == best}
    first = [arm.name for arm in study.arms if arm.kind == "submission" and arm.ast_digest in codes]
    return plan_probe(arena, study, first, known) if first else None


def _worth(one: Scored) -> float:
    """What ranks it on its record."""
    score = one.score
    return score.fsr if score.fsr is not None else score.speedup or 0.0
