"""When a submission arm of a study ends, from literal runs."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from builders import (
    BASELINE,
    GOOD,
    HUMAN,
    SUBMISSION,
    make_reference,
    make_run,
    make_runs,
    make_study,
    make_track,
)

from patchrun.core import racejudge
from patchrun.core.racejudge import ended_arms, judge_again, judge_arm, stop_words
from patchrun.core.results import Run, StopRecord
from patchrun.core.scoring import score

TRACK = make_track()
T_TEST = make_track(rule={"kind": "t-test", "blocks": 10, "alpha": 0.05, "looks": [3, 10]})


def make_blocks(seconds: Sequence[float], losses: Sequence[float], **changes) -> list[Run]:
    """Reference runs and the submission's, over as many blocks as there are seconds."""
    n = len(seconds)
    references = make_runs("baseline", BASELINE[:n], GOOD[:n]) + make_runs("human", HUMAN[:n], GOOD[:n])
    return references + make_runs("submission", seconds, losses, **changes)


def judge(runs: list[Run], track=TRACK, blocks: int = 5):
    return judge_arm(track, make_study(blocks=blocks), runs, SUBMISSION)


def record(quantity: str, blocks: int, reason: str = "seen", confidence: float = 0.999) -> StopRecord:
    return StopRecord(
        study="study", arm=SUBMISSION, quantity=quantity, reason=reason, confidence=confidence, blocks=blocks,
        track_digest="d", created="2026-01-01",
    )  # fmt: skip


def test_a_loss_far_above_the_target_ends_the_arm() -> None:
    assert judge(make_blocks((8.5,), (3.9,))) is None, "one block says little of the spread"
    first = judge(make_blocks((8.5,), (4.9,)))
    assert first is not None and first[1] == 1, "far beyond what is assumed of it"
    stop, blocks = judge(make_blocks((8.5, 8.4, 8.6), (4.9, 4.8, 4.9)))
    assert (stop.quantity, blocks, stop.confidence) == ("loss", 3, 0.999)
    assert "mean loss 4.8667, target 3.75, after 3 of 5 blocks" in stop.reason


def test_a_loss_a_little_above_goes_on() -> None:
    assert judge(make_blocks((8.5, 8.4, 8.6), (3.76, 3.75, 3.77))) is None


def test_a_time_far_above_the_baselines_ends_the_arm() -> None:
    stop, blocks = judge(make_blocks((20.0, 20.1, 19.9), GOOD[:3]))
    assert (stop.quantity, blocks) == ("time", 3)
    assert "slower than the baseline" in stop.reason


@pytest.mark.parametrize("seconds", [(10.0, 10.2, 9.9), (9.0, 9.2, 8.9), (8.0, 8.1, 7.9), (10.3, 10.2, 10.2)])
def test_what_is_near_the_baseline_or_faster_goes_on(seconds: tuple[float, ...]) -> None:
    assert judge(make_blocks(seconds, GOOD[:3])) is None


def test_time_needs_paired_blocks_and_a_human_arm() -> None:
    unpaired = make_track(clock={"source": "cpu", "paired": False})
    assert judge(make_blocks((20.0, 20.1, 19.9), GOOD[:3]), unpaired) is None
    runs = [run for run in make_blocks((20.0, 20.1, 19.9), GOOD[:3]) if run.kind != "human"]
    assert judge_arm(TRACK, make_study(human=False), runs, SUBMISSION) is None


def test_a_failed_run_settles_the_verdict() -> None:
    runs = make_blocks((8.5,), (3.7,))
    runs[-1] = make_run("submission", 0, None, None, exit="failed", reason="it divided by zero")
    stop, blocks = judge(runs)
    assert (stop.quantity, blocks) == ("exit", 1) and "it divided by zero" in stop.reason


def test_a_broken_reference_ends_nobody() -> None:
    runs = make_blocks((20.0, 20.1, 19.9), (4.9, 4.8, 4.9))
    runs[0] = make_run("baseline", 0, None, None, exit="failed")
    assert judge(runs) is None


def test_only_whole_blocks_from_the_first_on_are_judged() -> None:
    runs = make_blocks((8.5, 8.4, 8.6), (4.9, 4.8, 4.9))
    assert judge([run for run in runs if run.block != 0]) is None
    assert judge([run for run in runs if (run.kind, run.block) != ("human", 2)])[1] == 2
    assert judge([]) is None


def test_a_proof_at_a_look_ends_the_arm_as_valid() -> None:
    runs = make_blocks((8.5, 8.4, 8.6), (3.70, 3.701, 3.699))
    stop, blocks = judge(runs, T_TEST, 10)
    assert (stop.quantity, blocks) == ("proof", 3)
    assert stop_words([record("proof", 3)], "study", SUBMISSION) == ""
    study = make_study(blocks=10)
    assert score(T_TEST, study, runs, SUBMISSION).verdict == "valid"


def test_a_re_measurement_might_still_prove_it() -> None:
    """The last block of the study is not the last look: only what no look can mend is stopped."""
    few = make_track(rule={"kind": "t-test", "blocks": 5, "alpha": 0.05, "looks": [5, 500]})
    runs = make_blocks((8.5, 8.4, 8.6, 8.5), (3.78, 3.785, 3.775, 3.78))
    assert judge(runs)[0].quantity == "loss"
    assert judge(runs, few) is None


def test_arms_that_full_studies_rank_are_not_stopped() -> None:
    """200 honest arms, judged after every block: a margin of one standard deviation, an FSR of a tenth or more."""
    random = np.random.default_rng(4)
    for _ in range(200):
        base, human = random.normal(10, 0.2, 5), random.normal(8, 0.2, 5)
        mine = random.normal(10 - 2 * random.uniform(0.1, 1.2), 0.2, 5)
        losses = random.normal(3.735, 0.015, (3, 5))
        for n in range(1, 6):
            runs = make_runs("baseline", base[:n], losses[0, :n]) + make_runs(
                "human", human[:n], losses[1, :n]
            )
            runs += make_runs("submission", mine[:n], losses[2, :n])
            assert judge(runs) is None


def test_a_stop_can_be_judged_again_from_the_runs() -> None:
    runs = make_blocks((8.5, 8.4, 8.6, 8.5), (4.9, 4.8, 4.9, 4.9))
    study = make_study()
    assert judge_again(TRACK, study, runs, record("loss", 3))
    assert not judge_again(TRACK, study, runs, record("time", 3)), "another quantity"
    near = make_blocks((8.5, 8.4, 8.6, 8.5), (3.85, 3.84, 3.86, 3.85))
    assert judge_again(TRACK, study, near, record("loss", 3))
    assert not judge_again(TRACK, study, near, record("loss", 1)), "too early to know"
    assert not judge_again(TRACK, study, runs, record("loss", 5)), "more blocks than there are"
    assert not judge_again(TRACK, study, make_blocks((8.5,) * 3, GOOD[:3]), record("loss", 3)), "a slander"
    weak = make_blocks((8.5, 8.4), (3.80, 3.81))
    assert judge_arm(TRACK, study, weak, SUBMISSION, confidence=0.5) is not None
    assert not judge_again(TRACK, study, weak, record("loss", 2, confidence=0.5)), (
        "a stop cannot lower the bar"
    )


def test_the_verdict_is_stopped_with_its_evidence() -> None:
    words = stop_words([record("loss", 3, "mean loss 4.87")], "study", SUBMISSION)
    assert words == "racing, loss: mean loss 4.87 (confidence 0.999 a look)"
    found = score(
        TRACK, make_study(), make_blocks((8.5, 8.4, 8.6), (4.9, 4.8, 4.9)), SUBMISSION, stopped=words
    )
    assert (found.verdict, found.reason, found.state) == ("stopped", words, "done")
    assert stop_words([record("loss", 3)], "other", SUBMISSION) == ""
    assert stop_words([record("exit", 3)], "study", SUBMISSION) == ""


def test_ended_arms_by_study() -> None:
    other = msgspec.structs.replace(record("time", 2), arm="x", study="s2")
    assert ended_arms([record("loss", 3), other]) == {"study": {SUBMISSION}, "s2": {"x"}}
    assert racejudge.ended_arms([]) == {}


def test_the_whole_study_is_never_stopped_after_the_fact() -> None:
    """After the last block the rule itself decides; nothing is left to save."""
    assert judge(make_reference() + make_runs("submission", (8.5,) * 5, (4.9,) * 5)) is None
