"""Plans: which submissions share a study, in which order its arms run, with which seeds."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable, Sequence

import msgspec

from patchrun.core.results import Arm, Run, Slot, Study, content_id


def derive_seeds(key: bytes, study_id: str, count: int) -> tuple[int, ...]:
    """``count`` distinct seeds in [0, 2^31) from the owner's key: HMAC-SHA256 of study and index."""
    seeds: list[int] = []
    index = 0
    while len(seeds) < count:
        word = hmac.new(key, f"{study_id}|{index}".encode(), hashlib.sha256).digest()
        seed = int.from_bytes(word[:4], "big") >> 1
        if seed not in seeds:
            seeds.append(seed)
        index += 1
    return tuple(seeds)


def derive_secret(key: bytes, study_id: str) -> str:
    """128 bits in hex from the owner's key: HMAC-SHA256 of the study, apart from its seeds, which runs are told."""
    return hmac.new(key, f"tokens|{study_id}".encode(), hashlib.sha256).hexdigest()[:32]


def study_id(track_digest: str, record: str, arms: Sequence[Arm], generation: int, seed_source: str) -> str:
    """The id of a plan: the same question asked twice is the same study."""
    codes = sorted(f"{arm.name} {arm.ast_digest}" for arm in arms)
    return content_id("study", track_digest, record, *codes, generation, seed_source)


def block_order(study: Study, block: int) -> tuple[Arm, ...]:
    """The arms of a block in the order they run: mirrored from block to block, so that drift cancels."""
    return study.arms if block % 2 == 0 else study.arms[::-1]


def slots(study: Study, block: int, ended: Collection[str] = ()) -> tuple[tuple[Arm, Slot], ...]:
    """Every arm of a block with its slot, in running order; those that ``ended`` names run no more.

    Where no submission is left, the reference arms run no more either.
    """
    order = block_order(study, block)
    if all(arm.name in ended for arm in order if arm.kind == "submission") and ended:
        return ()
    return tuple(
        (arm, Slot(block, position, study.seeds[block]))
        for position, arm in enumerate(order)
        if arm.name not in ended
    )


def missing(study: Study, stored: Iterable[str], ended: Collection[str] = ()) -> list[int]:
    """The blocks that still lack a run; ``stored`` are ``<arm>/<study>-<slot>`` names, ``ended`` arms lack none."""
    have = set(stored)
    lacking = []
    for block in range(study.blocks):
        names = {f"{arm.name}/{study.id}-{slot.name}" for arm, slot in slots(study, block, ended)}
        if not names <= have:
            lacking.append(block)
    return lacking


def find_arm(study: Study, record: str, ast_digest: str) -> Arm | None:
    """The submission arm of ``study`` that has this code on this record."""
    if study.record != record:
        return None
    matching = (arm for arm in study.arms if arm.kind == "submission" and arm.ast_digest == ast_digest)
    return next(matching, None)


def pool(studies: Sequence[Study], runs: Sequence[Sequence[Run]], ast_digest: str) -> tuple[Study, list[Run]]:
    """All studies of one code as one: blocks renumbered, no run left out, the arm named as in the first.

    A re-measurement adds blocks on new seeds; it never replaces the ones that were there.
    """
    first = studies[0]
    arms = tuple(arm for arm in first.arms if arm.kind != "submission" or arm.ast_digest == ast_digest)
    name = arms[-1].name
    seeds: tuple[int, ...] = ()
    pooled: list[Run] = []
    for study, own in zip(studies, runs, strict=True):
        arm, blocks = find_arm(study, first.record, ast_digest), study.blocks
        wanted = arm.name if arm else None
        counted = [
            run for run in own if run.block < blocks and (run.kind != "submission" or run.arm == wanted)
        ]
        if study is not first:  # mostly there is one study, and no copy of its runs
            counted = [_move(run, first.id, run.block + len(seeds), name) for run in counted]
        pooled += counted
        seeds += study.seeds
    return msgspec.structs.replace(first, arms=arms, seeds=seeds), pooled


def _move(run: Run, study: str, block: int, submission: str) -> Run:
    arm = submission if run.kind == "submission" else run.arm
    return msgspec.structs.replace(run, study=study, block=block, arm=arm)
