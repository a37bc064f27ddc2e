"""Weights that do not come from training show in a scored run, at whatever early call they are put in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from patchrun.services.runner import train_slot
from tests.attacks.start_cases import STARTS, StartCase
from tests.tiny import base_script, slot_request, tiny_track, write_code


@pytest.mark.parametrize("case", STARTS, ids=lambda case: case.id)
def test_a_start(case: StartCase, tmp_path: Path) -> None:
    text = case.script(base_script()).replace("STEPS = 600", "STEPS = 14")
    track = tiny_track(seeds={"deterministic": False})
    run, _ = train_slot(slot_request(tmp_path, write_code(tmp_path, text), track, sandbox="seccomp"))
    assert run.exit == case.exit, run.reason
    assert re.search(case.evidence, run.reason), run.reason
    assert run.loss is None
