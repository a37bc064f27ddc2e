"""Every set-up fails as an attack."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchrun.adapters.store import Arena
from tests.attacks import clock_cases, sync_cases
from tests.attacks.set_ups import SetUp


@pytest.mark.parametrize("case", [*sync_cases.CASES, *clock_cases.CASES], ids=lambda case: case.id)
def test_a_set_up(case: SetUp, plain: Arena, tmp_path: Path) -> None:
    case.check(plain, tmp_path)
