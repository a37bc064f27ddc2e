"""Honest patches pass, the human patches of the pocket ladder among them."""

from __future__ import annotations

import pytest

from patchrun.services.validator import validate
from tests.attacks.ground import GROUNDS, pocket
from tests.attacks.twins import TWINS, Twin


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.id)
def test_an_honest_patch_passes(twin: Twin) -> None:
    found = GROUNDS[twin.on]().check(twin.change)
    assert found.accepted, found.findings
    assert {one.code for one in found.findings if one.severity == "review"} == twin.asks, found.findings


@pytest.mark.parametrize("number", range(1, 10))
def test_a_human_patch_passes_and_bothers_nobody(number: int) -> None:
    ground = pocket()
    baseline, human = (ground.refs[f"refs/{name}/{number}"] for name in ("heads/baseline", "patchrun/human"))
    found = validate(ground.repo, ground.track, baseline, ground.repo.diff(baseline, human))
    assert found.accepted
    assert [one for one in found.findings if one.severity == "review"] == []


def test_there_are_enough_of_them() -> None:
    assert len(TWINS) >= 15
    assert len({twin.id for twin in TWINS}) == len(TWINS)
