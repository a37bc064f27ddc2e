"""Spans and chains for real: what is trained is the first baseline, the last human code and the submission."""

from __future__ import annotations

import pytest

from patchrun.adapters.store import Arena
from patchrun.core.selection import Span
from patchrun.services import chains, importer, tournament, verify
from patchrun.services.study import run_study
from tests.conftest import TINY
from tests.services.test_tournament import fill

PATCHES = sorted((TINY / "patches").iterdir())


def test_a_span_of_pocket_is_from_its_first_baseline_to_its_last_human_code(tmp_path) -> None:
    importer.init(tmp_path / "arena", "pocket")
    arena = Arena.open(tmp_path / "arena")
    arms = tournament.reference_arms(arena, Span(3, 5))
    assert [(arm.name, arm.tree) for arm in arms] == [
        ("b3", arena.repo.tree_of(arena.baseline(3))), ("h5", arena.repo.tree_of(arena.human(5) or "")),
    ]  # fmt: skip
    script = arena.repo.read(f"{arms[1].tree}:train_gpt.py")
    assert script == arena.repo.read(f"{arena.baseline(6)}:train_gpt.py") and b"STEPS = 237" in script


@pytest.mark.long
def test_a_chain_is_trained_over_its_span(tiny: Arena) -> None:
    """The agent's patches are the ladder's own: the second on the first, one and the same study for both ends."""
    first = tournament.hand_in(tiny, PATCHES[0].read_bytes(), Span(1, 1), "ada")
    assert first.attempt.accepted, first.attempt.findings
    made_up = {"baseline": 10.0, "human": 5.0, "submission": 6.0}
    fill(tiny, tournament.plan_waiting(tiny)[0], made_up, loss=1.1)
    link = tournament.hand_in(tiny, PATCHES[1].read_bytes(), Span(2, 2), "ada", onto=first.attempt.id)
    assert link.attempt.accepted and link.attempt.record == "1..2", link.attempt.findings
    [study] = tournament.plan_waiting(tiny)
    run_study(tiny, study)
    runs = [run for run in tiny.runs() if run.study == study.id]
    trees = {run.kind: run.tree for run in runs}
    assert trees["baseline"] == tiny.repo.tree_of(tiny.baseline(1))
    assert trees["human"] == tiny.repo.tree_of(tiny.human(2) or "") == trees["submission"]
    losses = {(run.kind, run.block): run.loss for run in runs}
    for block in range(study.blocks):
        assert losses["human", block] == losses["submission", block] != losses["baseline", block]
    assert [one.attempt.record for one in chains.list_chain(tiny, link.attempt.id)] == ["1", "1..2"]
    assert verify.verify(tiny).problems == ()
