"""Honest arrivals made up from logs' own times: none is refused, each counts as its log says."""

from __future__ import annotations

import pytest

from patchrun.core.logjudge import Reference, judge_reference, judge_submission
from patchrun.core.replay import Pace, find_refusal, replay
from patchrun.core.trainlog import parse_log
from tests.upstream_fixture import LOADERS, framed_log, llmc_log, log_files, plain_log, step_lines

FINISHED = {name: data for name, data in log_files().items() if parse_log(data).loss is not None}
OLD = step_lines(30, 3.3, 90_000, old_clock=True, train_losses=True)
WARMUP = ["Sampling steps [0, 1] for warmup", "Resetting Model"]
ERAS = {
    "framed, old clock, training losses": framed_log("x = 1\n", OLD),
    "loaders": plain_log("x = 1\n", step_lines(30, 3.3, 60_000, old_clock=True), loaders=LOADERS),
    "warm-up lines": plain_log("x = 1\n", [*WARMUP, *step_lines(30, 3.3, 9000)]),
    "a step of 1 ms": plain_log("x = 1\n", step_lines(3000, 3.3, 3000)),
    "no times": llmc_log([11.0, *[4.0] * 40, 3.27]),
}  # fmt: skip


@pytest.mark.parametrize("name", FINISHED)
def test_no_published_form_is_refused(name: str) -> None:
    assert find_refusal(parse_log(FINISHED[name], name)) == ""


@pytest.mark.parametrize("name", ERAS)
def test_no_era_is_refused(name: str) -> None:
    assert find_refusal(parse_log(ERAS[name], name)) == ""


@pytest.mark.parametrize("validation", [0.0, 0.01, 60.0])
def test_whatever_a_validation_takes(validation: float) -> None:
    log = parse_log(ERAS["warm-up lines"])
    seen = replay(log, Pace(validation=validation))
    arm = judge_reference(log, seen)
    assert arm.validation == pytest.approx(validation)
    assert judge_submission(
        log, seen, Reference(arm.validation or 0.0, prints=True)
    ).seconds == pytest.approx(9)


def test_what_would_be_refused_is_named() -> None:
    cut = parse_log(plain_log("x = 1\n", step_lines(4, 3.3, 4000, last=False)))
    assert "as a reference arm: no validation at step 4" in find_refusal(cut)
