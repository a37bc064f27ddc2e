"""One ablation trained for real: the piece that pays, the one that does nothing, the one that harms."""

from __future__ import annotations

import os

import pytest

from patchrun.adapters.store import Arena
from patchrun.core.selection import Span
from patchrun.services import ablation, tournament, verify
from patchrun.services.study import Options, run_study
from tests.services.test_pieces import diff_to
from tests.tiny import base_script

CHANGES = (
    ("STEPS = 600\nLEARNING_RATE = 5e-4\n", "STEPS = 150\nLEARNING_RATE = 3e-3\n"),  # pays
    (
        "    starts = torch.randint(len(tokens) - CONTEXT - 1, (BATCH, 1))\n    rows = tokens[starts +",
        "    places = torch.randint(len(tokens) - CONTEXT - 1, (BATCH, 1))\n    rows = tokens[places +",
    ),  # another name
    (
        "        optimizer.zero_grad()\n",
        "        for _ in range(3):\n"
        "            F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten()).backward()\n"
        "        optimizer.zero_grad()\n",
    ),  # gradients that are thrown away
)


@pytest.mark.long
def test_one_pays_one_is_noise_one_harms(tiny: Arena) -> None:
    """Three blocks, each piece left out; the search would go on with the piece that pays, but for the budget."""
    new = base_script()
    for old, text in CHANGES:
        assert old in new
        new = new.replace(old, text)
    handed = tournament.hand_in(tiny, diff_to(new, base_script(), "train_gpt.py"), Span(1, 1), "ada")
    assert handed.attempt.accepted, handed.attempt.findings
    jobs = min(2, len(os.sched_getaffinity(0)))
    planner = ablation.make_planner(tiny, handed.attempt, 15, 3)
    found = ablation.ablate(planner, lambda study: run_study(tiny, study, Options(jobs=jobs)))
    pays, neutral, harms = found.worths
    assert (pays.label, harms.label) == ("pays", "harms") and found.runs_stored == 15
    assert pays.seconds.ci[0] > 0 and harms.seconds.ci[1] < 0
    # one study in twenty calls what does nothing something: its size is what a test may rest on
    assert abs(neutral.seconds.difference) < 0.4 * abs(harms.seconds.difference)
    assert neutral.loss.difference == harms.loss.difference == 0, "the same weights, bit for bit"
    assert pays.loss.difference != 0
    assert tournament.assess(tiny)[0].score.state == "pending", "an ablation scores nobody"
    assert verify.verify(tiny).problems == ()
