"""Every attack that is a diff gets the finding that the table promises."""

from __future__ import annotations

import pytest

from patchrun.services.validator import Validation
from tests.attacks import diff_cases, guard_cases
from tests.attacks.diff_cases import DiffCase
from tests.attacks.ground import GROUNDS

CASES = (*diff_cases.CASES, *guard_cases.GUARDED)


def codes(found: Validation, severity: str) -> set[str]:
    return {finding.code for finding in found.findings if finding.severity == severity}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_diff_is_seen_for_what_it_is(case: DiffCase) -> None:
    found = GROUNDS[case.on]().check(case.change)
    if case.outcome == "static":
        assert case.evidence in codes(found, "error"), found.findings
        return
    assert found.accepted, found.findings
    if case.outcome == "review":
        assert case.evidence in codes(found, "review"), found.findings
    else:
        assert not codes(found, "review"), "it is seen after all: mend its outcome"


def test_names_are_unique() -> None:
    ids = [case.id for case in CASES]
    assert len(ids) == len(set(ids))
