"""Stages of ablations as refs: created once, with their study, and read back in order."""

from __future__ import annotations

import msgspec
import pytest

from patchrun.adapters.ablations import ABLATIONS, FILE, add_stage, read_stages
from patchrun.adapters.gitrepo import PATCHRUN
from patchrun.adapters.store import STUDIES, Arena
from patchrun.core import results
from patchrun.core.errors import ArenaError
from patchrun.core.results import Study
from patchrun.core.stages import Stage
from tests.core.test_ablation import LEFT_OUT, make_stage
from tests.core.test_ablation import make_study as make_plan

FIRST = make_stage(LEFT_OUT, created="2026-01-01T00:00:00+00:00")
SECOND = msgspec.structs.replace(FIRST, number=2, study="s2", created="2026-01-02T00:00:00+00:00")


def make_study(stage: Stage) -> Study:
    return msgspec.structs.replace(make_plan(stage), created=stage.created)


def test_a_stage_and_its_study_are_one_act(plain: Arena) -> None:
    study = make_study(FIRST)
    assert add_stage(plain, FIRST, study, [plain.baseline(1)])
    [planned] = plain.repo.refs(STUDIES)
    assert read_stages(plain) == [FIRST]
    assert results.decode(plain.repo.read(f"{planned}:study.json"), Study, planned) == study
    [name] = plain.repo.refs(ABLATIONS)
    assert plain.repo.python.commit(name).parents[0].hexsha == plain.baseline(1)
    later = msgspec.structs.replace(FIRST, created="2026-02-02T00:00:00+00:00")
    assert not add_stage(plain, later, study, []), "the study is planned already"
    assert read_stages(plain) == [FIRST] and len(plain.repo.refs(STUDIES, ABLATIONS)) == 2


def test_stages_are_read_in_order_and_by_submission(plain: Arena) -> None:
    other = msgspec.structs.replace(FIRST, submission="other", study="s3")
    for stage in (SECOND, other, FIRST):
        add_stage(plain, stage, make_study(stage), [])
    assert read_stages(plain, "full") == [FIRST, SECOND]
    assert read_stages(plain) == [FIRST, SECOND, other] and read_stages(plain, "nobody") == []


def test_damage_is_named(plain: Arena) -> None:
    commit = plain.repo.commit(
        plain.repo.store_files({"x": b""}), [], "forged\n", PATCHRUN, "2026-01-01T00:00:00Z"
    )
    plain.repo.create_refs({f"{ABLATIONS}full/0": commit})
    with pytest.raises(ArenaError, match="ablations/full/0: not a stage"):
        read_stages(plain)
    assert FILE == "ablation.json"
