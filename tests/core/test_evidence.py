"""Which runs count, in what order, and what is missing."""

from __future__ import annotations

import pytest
from builders import (
    BASELINE,
    GOOD,
    HUMAN,
    SUBMISSION,
    make_machine,
    make_reference,
    make_run,
    make_runs,
    make_study,
    make_track,
)

from patchrun.core import evidence


def test_runs_of_other_arms_studies_tracks_blocks_and_interrupted_ones_do_not_count() -> None:
    runs = make_reference() + make_runs("submission", HUMAN, GOOD)
    noise = [
        make_run("submission", 0, 1.0, 3.7, arm="other"),
        make_run("baseline", 0, 1.0, 3.7, study="other"),
        make_run("human", 0, 1.0, 3.7, track_digest="old"),
        make_run("submission", 0, None, None, exit="interrupted"),
        make_run("baseline", 5, 1.0, 3.7),  # the study plans five blocks
    ]
    study = make_study((SUBMISSION, "other"))
    clean = evidence.collect(make_track(), study, runs, SUBMISSION)
    assert evidence.collect(make_track(), study, noise[2:] + runs + noise, SUBMISSION) == clean
    assert [len(clean.baseline), len(clean.human), len(clean.submission)] == [5, 5, 5]
    assert clean.missing == ()


def test_the_first_run_of_a_slot_wins() -> None:
    runs = [make_run("submission", 0, 9.0, 3.7), make_run("submission", 0, 1.0, 3.0)]
    found = evidence.collect(make_track(), make_study(), runs, SUBMISSION)
    assert [run.seconds for run in found.submission] == [9.0]


def test_runs_come_in_block_order() -> None:
    runs = make_runs("submission", HUMAN, GOOD)[::-1]
    found = evidence.collect(make_track(), make_study(), runs, SUBMISSION)
    assert [run.block for run in found.submission] == [0, 1, 2, 3, 4]


def test_empty_slots_are_named_by_arm_and_block() -> None:
    runs = make_reference() + make_runs("submission", HUMAN[:3], GOOD[:3])
    found = evidence.collect(make_track(), make_study(), runs, SUBMISSION)
    assert [(arm.name, block) for arm, block in found.missing] == [(SUBMISSION, 3), (SUBMISSION, 4)]
    assert found.references_full
    assert not evidence.collect(make_track(), make_study(), runs[1:], SUBMISSION).references_full


def test_a_study_without_the_arm_is_refused() -> None:
    with pytest.raises(ValueError, match="no arm nobody"):
        evidence.collect(make_track(), make_study(), [], "nobody")


def test_only_an_unpaired_track_reuses_reference_runs_of_its_hardware() -> None:
    elsewhere = make_runs("baseline", BASELINE, GOOD, study="older")
    other = make_runs("baseline", BASELINE, GOOD, study="oldest", machine=make_machine("cpu-b"))
    mine = make_runs("submission", HUMAN, GOOD, study="older")
    runs = elsewhere + other + mine + make_reference() + make_runs("submission", HUMAN, GOOD)
    unpaired = make_track(clock={"source": "cpu", "paired": False})
    found = evidence.collect(unpaired, make_study(), runs, SUBMISSION)
    assert (len(found.baseline), len(found.human), len(found.submission)) == (10, 5, 5)
    assert len(evidence.collect(make_track(), make_study(), runs, SUBMISSION).baseline) == 5


@pytest.mark.parametrize(
    ("changes", "usable"),
    [
        ({}, True),
        ({"exit": "failed"}, False),
        ({"seconds": None}, False),
        ({"loss": None}, False),
        ({"loss": float("nan")}, False),
        ({"loss": float("inf")}, False),
        ({"seconds": float("nan")}, False),
        ({"seconds": 0.0}, False),
        ({"seconds": -1.0}, False),
        ({"loss": 1e70}, False),
        ({"seconds": 1e-80}, False),
        ({"seconds": 1e80}, False),
    ],
)
def test_a_usable_run_has_a_time_and_a_loss(changes: dict[str, object], usable: bool) -> None:
    values = {"seconds": 8.0, "loss": 3.7} | changes
    run = make_run("submission", 0, values.pop("seconds"), values.pop("loss"), **values)  # type: ignore[arg-type]
    assert evidence.is_usable(run) is usable


def test_failed_goes_before_timed_out_before_disqualified() -> None:
    runs = [
        make_run("submission", block, None, None, exit=name, reason=name)
        for block, name in enumerate(("disqualified", "timed-out", "out-of-memory"))
    ]
    assert evidence.broken_run(runs) == ("failed", "submission, block 3, seed 102: out-of-memory")
    assert evidence.broken_run(runs[:2]) == ("timed-out", "submission, block 2, seed 101: timed-out")
    assert evidence.broken_run(runs[:1]) == ("disqualified", "submission, block 1, seed 100: disqualified")
    assert evidence.broken_run([]) is None


@pytest.mark.parametrize("name", ["failed", "out-of-memory", "no-model", "bad-model"])
def test_every_way_to_fail_is_failed(name: str) -> None:
    assert (evidence.broken_run([make_run("submission", 0, None, None, exit=name)]) or "?")[0] == "failed"


def test_repeats_are_not_independent() -> None:
    seeds = make_runs("submission", HUMAN, GOOD, seed=7)
    same = make_runs("submission", HUMAN, [3.7] * 5)
    assert len(evidence.independent_runs(make_track(), seeds)) == 1
    assert len(evidence.independent_runs(make_track(), same)) == 1
    by_log = make_track(evidence={"kind": "log"})
    assert len(evidence.independent_runs(by_log, same)) == 5, "losses in a log are rounded"
    assert len(evidence.independent_runs(by_log, seeds)) == 1


def test_a_block_is_complete_with_a_usable_run_of_every_arm() -> None:
    runs = make_reference() + make_runs("submission", HUMAN[:4], GOOD[:4])
    runs[1] = make_run("baseline", 1, None, None, exit="failed")
    found = evidence.collect(make_track(), make_study(), runs, SUBMISSION)
    blocks = evidence.complete_blocks(found)
    assert [times.block for times in blocks] == [0, 2, 3]
    assert blocks[0] == evidence.BlockTimes(0, 10.0, 8.0, 8.0)


def test_keeping_blocks_drops_the_rest_and_leaves_nothing_missing() -> None:
    runs = make_reference() + make_runs("submission", HUMAN[:3], GOOD[:3])
    kept = evidence.keep_blocks(evidence.collect(make_track(), make_study(), runs, SUBMISSION), (0, 1))
    assert (len(kept.baseline), len(kept.human), len(kept.submission), kept.missing) == (2, 2, 2, ())
