"""A made-up crowd: many attempts of many agents with their runs, stored in bulk; reading and scoring them is real."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from patchrun.adapters.store import ATTEMPTS, STUDIES, Arena
from patchrun.core import plan, results
from patchrun.core.results import Arm, Attempt, CurvePoint, Run, Study
from patchrun.core.selection import Span
from patchrun.services import tournament
from tests.bench import synthetic
from tests.bench.synthetic import made_up

ARMS_A_STUDY = 10
TIERS: tuple[tuple[int, ...], ...] = ((), (1,), (1, 2, 3))


def store(arena: Arena, refs: Sequence[tuple[str, dict[str, bytes]]]) -> None:
    """Create commits that hold files, one a ref, by one `git fast-import`."""
    synthetic.store(arena, [synthetic.commit(name, files) for name, files in refs])


def gather_crowd(arena: Arena, diff: bytes, attempts: int, agents: int, record: int = 1) -> list[Attempt]:
    """Store ``attempts`` of one record whose diffs differ in a comment, their studies and all their runs.

    Every tenth is rejected and every thirteenth waits; agents' times differ, so that a ranking means something.
    """
    model = tournament.hand_in(arena, diff, Span(record, record), "model").attempt
    crowd = [_vary(model, k, k % agents) for k in range(attempts)]
    files = [
        (ATTEMPTS + one.id, {"attempt.json": results.encode(one), "patch.diff": diff + b"# %d\n" % k})
        for k, one in enumerate(crowd)
    ]
    store(arena, files)
    plan_of = tournament.plan_studies(arena, [model])[0]
    measured = [one for k, one in enumerate(crowd) if one.accepted and k % 13]
    for at in range(0, len(measured), ARMS_A_STUDY):
        study = _plan(arena, plan_of, measured[at : at + ARMS_A_STUDY])
        store(arena, [(STUDIES + study.id, {"study.json": results.encode(study)})])
        synthetic.store(arena, [synthetic.commands(run) for run in _make_runs(study)])
    return crowd


def _vary(model: Attempt, number: int, agent: int) -> Attempt:
    name = hashlib.sha256(f"{model.id} {number}".encode()).hexdigest()[:20]
    day = f"2026-{1 + number // 28 % 12:02d}-{1 + number % 28:02d}"
    return replace(
        model, id=name, agent=f"agent-{agent:03d}", sequence=number + 1, ast_digest=name, accepted=number % 10 != 9,
        hint_tiers=TIERS[agent % len(TIERS)], created=f"{day}T00:00:00",
    )  # fmt: skip


def _plan(arena: Arena, model: Study, own: Sequence[Attempt]) -> Study:
    arms = [arm for arm in model.arms if arm.kind != "submission"]
    arms += [
        Arm(name=one.id, kind="submission", commit="c" * 40, tree="t" * 40, ast_digest=one.ast_digest)
        for one in own
    ]
    name, key = own[0].id[::-1], arena.owner_key
    assert key
    return replace(model, id=name, arms=tuple(arms), seeds=plan.derive_seeds(key, name, model.blocks))


def _make_runs(study: Study) -> Iterator[Run]:
    for block in range(study.blocks):
        for arm, slot in plan.slots(study, block):
            run = made_up(study, arm, slot)
            factor = 1.0 if arm.kind != "submission" else 0.7 + int(arm.name[:4], 16) % 100 / 140
            noise = 1.0 + (block * 7 + slot.position * 3) % 5 / 500
            points = curve(3.0 * factor + slot.seed % 7 / 20)
            yield replace(run, seconds=(run.seconds or 0.0) * factor * noise, curve=points)


def curve(start: float, steps: int = 40) -> tuple[CurvePoint, ...]:
    """A loss that falls from ``start``."""
    return tuple(CurvePoint(k, start / (1 + k / 20) + 1.0, 10.0 * k, 0.05 * k) for k in range(1, steps + 1))
