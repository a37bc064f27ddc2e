"""Ablations in the arena: each stage a ref, created once, with its study; its parents are the variants' commits."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from patchrun.adapters.gitrepo import PATCHRUN, RefExists
from patchrun.adapters.store import STUDIES, Arena
from patchrun.core import results
from patchrun.core.results import Study
from patchrun.core.stages import Stage

ABLATIONS = "refs/patchrun/ablations/"
FILE = "ablation.json"


def stage_name(stage: Stage, data: bytes) -> str:
    """``<submission>/<hash of the content>``."""
    return f"{stage.submission}/{hashlib.sha256(data).hexdigest()[:12]}"


def add_stage(arena: Arena, stage: Stage, study: Study, commits: Sequence[str]) -> bool:
    """Store a stage and its study in one transaction; False when the study is there already.

    ``commits`` hold the trees of the variants: as parents of the stage's commit they last and travel with it.
    """
    data = results.encode(stage)
    words = f"ablation of {stage.submission}, stage {stage.number}: {stage.purpose}\n"
    commit = arena.repo.commit(arena.repo.store_files({FILE: data}), commits, words, PATCHRUN, stage.created)
    tree = arena.repo.store_files({"study.json": results.encode(study)})
    plan = arena.repo.commit(tree, [], f"study {study.id}: record {study.record}\n", PATCHRUN, study.created)
    try:
        arena.repo.create_refs({ABLATIONS + stage_name(stage, data): commit, STUDIES + study.id: plan})
    except RefExists:
        return False
    return True


def read_stages(arena: Arena, submission: str = "") -> list[Stage]:
    """The stages of a submission (of all without one), in the order in which they were made."""
    refs = arena.repo.refs(f"{ABLATIONS}{submission}/" if submission else ABLATIONS)
    blobs = arena.repo.read_many(f"{commit}:{FILE}" for commit in refs.values())
    stages = [results.decode(data or b"", Stage, name) for name, data in zip(refs, blobs, strict=True)]
    return sorted(stages, key=lambda stage: (stage.submission, stage.created, stage.number, stage.study))
