"""Lies about a validation loss end in a disqualification by the probe; honest scripts, however unusual, pass it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.probe_cases import CASES, HONEST, LIES, ProbeCase
from tests.probing import SCRIPT, Edit, judge, print_losses, realised


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> tuple[float, ...]:
    with pytest.MonkeyPatch.context() as patch:
        return print_losses(SCRIPT, tmp_path_factory.mktemp("baseline"), patch)


def test_the_baseline_comes_within_a_hundredth(baseline: tuple[float, ...]) -> None:
    probed = judge(baseline, baseline)
    assert probed.verdict is None and probed.excess is not None
    assert 0 < probed.excess / realised() < 0.01
    assert 0.97 * baseline[-1] < baseline[-1] - probed.smallest


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_lie_is_disqualified(
    case: ProbeCase, baseline: tuple[float, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = print_losses(case.edit.apply(), tmp_path, monkeypatch)
    probed = judge(baseline, losses)
    if case.outcome == "not caught":
        assert probed.verdict is None, "it is seen after all: mend its outcome"
        return
    assert probed.verdict == "disqualified", (losses, realised(), probed)
    assert f"{min(losses):.4f}" in probed.reason and f"{realised():.4f}" in probed.reason


@pytest.mark.parametrize("one", [pytest.param(one, id=one.name) for one in HONEST])
def test_honest_scripts_pass(
    one: Edit, baseline: tuple[float, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = print_losses(one.apply(), tmp_path, monkeypatch)
    assert judge(baseline, losses).verdict is None, (losses, realised())
    assert losses[-1] < 1.15 * realised(), "it learned nothing, so it shows nothing"


def test_every_kind_has_five_spellings() -> None:
    assert all(len(lies) >= 5 for lies in LIES.values()) and len(HONEST) >= 10
