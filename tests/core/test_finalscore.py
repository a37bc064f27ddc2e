"""The final round's arithmetic on literals: the moved target, the excess, who knew the validation tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from patchrun.core import scoring
from patchrun.core.evidence import collect
from patchrun.core.finalscore import Excess, contrast, judge_final, move_target
from patchrun.core.results import Run
from tests.builders import BASELINE, GOOD, HUMAN, SUBMISSION, make_runs, make_score, make_study, make_track

TRACK = make_track()
STUDY = make_study()
SECONDS = (8.5, 8.6, 8.4, 8.7, 8.6)
STRETCHES = 16


def draw_parts(mean: float, seed: int, noise: float = 0.02) -> tuple[float, ...]:
    """Losses of stretches with this mean exactly."""
    values = np.random.default_rng(seed).normal(0, noise, STRETCHES)
    return tuple(float(x) for x in mean + values - values.mean())


def final_runs(kind: str, seconds: Sequence[float], losses: Sequence[float], rise: float) -> list[Run]:
    """Runs with ``losses`` on the ordinary tokens and ``rise`` more on the held-back ones."""
    runs = make_runs(kind, seconds, [loss + rise for loss in losses])
    return [change(run, k, losses[k], rise) for k, run in enumerate(runs)]


def change(run: Run, block: int, loss: float, rise: float, **more: Any) -> Run:
    return msgspec.structs.replace(
        run, block=block, seed=100 + block, final="f", validation_loss=loss,
        parts=draw_parts(loss + rise, block), validation_parts=draw_parts(loss, 100 + block), **more,
    )  # fmt: skip


def references(rise: float = 0.2, human_rise: float | None = None) -> list[Run]:
    return final_runs("baseline", BASELINE, GOOD, rise) + final_runs(
        "human", HUMAN, GOOD, rise if human_rise is None else human_rise
    )


def judge(runs: Sequence[Run], before: Sequence[Run] = (), track=TRACK, study=STUDY):
    return judge_final(track, study, runs, SUBMISSION, make_score(0.7), before)


def test_harder_tokens_move_the_target_for_all() -> None:
    """Every loss is 0.2 above the ordinary one, far above 3.75: nobody is to blame."""
    found = judge(references() + final_runs("submission", SECONDS, GOOD, 0.2))
    assert found.offset == pytest.approx(0.2)
    assert found.score.verdict == "valid" and found.score.fsr == pytest.approx(0.75, abs=0.02)
    assert found.score.loss.target == pytest.approx(3.95)
    assert found.overfit is False and found.excess.value == pytest.approx(0.0)
    assert found.ordinary.fsr == 0.7, "the ordinary score stands beside, unchanged"


def test_easier_tokens_give_nothing_away() -> None:
    """On tokens that are easier by 0.3 a loss of 3.6 would pass the old target: it must not."""
    spoilt = final_runs("submission", SECONDS, [loss + 0.1 for loss in GOOD], -0.3)
    found = judge(references(-0.3) + spoilt)
    assert max(run.loss for run in spoilt) < TRACK.target.loss
    assert found.score.verdict == "missed-target" and "> 3.45" in found.score.reason


def test_who_knew_the_validation_tokens_misses_and_is_flagged() -> None:
    found = judge(references() + final_runs("submission", SECONDS, [x - 0.1 for x in GOOD], 0.6))
    assert found.score.verdict == "missed-target"
    assert found.overfit is True
    assert found.excess.value == pytest.approx(0.4) == found.excess_over_human.value
    assert found.excess.ci[0] > 0.3 and found.changes["submission"].rise == pytest.approx(0.6)


def test_a_little_knowledge_is_flagged_though_it_passes() -> None:
    better = [x - 0.1 for x in GOOD]
    found = judge(references() + final_runs("submission", SECONDS, better, 0.26))
    assert (found.score.verdict, found.overfit) == ("valid", True)


def test_what_the_human_change_brings_too_is_no_overfitting() -> None:
    """Another architecture is good at other texts: the human arm rises as much, so nothing is said."""
    found = judge(references(0.2, 0.3) + final_runs("submission", SECONDS, GOOD, 0.3))
    assert found.excess.is_above_zero and not found.excess_over_human.is_above_zero
    assert found.overfit is False
    assert found.offset == pytest.approx(0.25), "the mean over both reference arms"


def test_a_fall_is_no_overfitting() -> None:
    found = judge(references() + final_runs("submission", SECONDS, GOOD, 0.1))
    assert found.overfit is False and found.excess.ci[1] < 0


def test_the_interval_of_the_excess_is_over_stretches_of_text() -> None:
    """Seeds agree exactly; what is uncertain is the text. One stretch that differs wildly makes it wide."""
    runs = final_runs("submission", SECONDS, GOOD, 0.2)
    odd = [replace_parts(run, (run.parts[0] + 1.6, *run.parts[1:])) for run in runs]
    found = judge(references() + odd)
    assert found.excess.value == pytest.approx(0.1)
    assert found.excess.ci[0] < 0 < found.excess.ci[1] and found.overfit is False


def replace_parts(run: Run, parts: tuple[float, ...]) -> Run:
    return msgspec.structs.replace(run, parts=parts)


def test_equal_code_has_an_excess_of_nothing() -> None:
    """The human patch itself: same seeds, same weights, same losses."""
    found = judge(references() + final_runs("submission", HUMAN, GOOD, 0.2))
    assert found.excess_over_human == Excess(value=0.0, ci=(0.0, 0.0))
    assert found.overfit is False


def test_a_record_without_a_human_patch() -> None:
    study = make_study(human=False)
    runs = final_runs("baseline", BASELINE, GOOD, 0.2) + final_runs("submission", SECONDS, GOOD, 0.5)
    found = judge(runs, study=study)
    assert found.excess_over_human is None and found.overfit is True
    assert found.offset == pytest.approx(0.2)


@pytest.mark.parametrize("exit_name", ["failed", "no-model", "timed-out"])
def test_a_crash_is_a_failed_run_here_too(exit_name: str) -> None:
    runs = references() + final_runs("submission", SECONDS, GOOD, 0.2)
    runs[-1] = change(runs[-1], 4, 3.7, 0.2, exit=exit_name)
    found = judge(runs)
    assert found.score.verdict == ("timed-out" if exit_name == "timed-out" else "failed")


def test_a_round_that_is_not_finished_has_no_verdict() -> None:
    found = judge(references() + final_runs("submission", SECONDS, GOOD, 0.2)[:3])
    assert (found.score.state, found.score.verdict) == ("running", None)
    assert judge([]).score.state == "pending" and judge([]).overfit is None


def test_ordinary_runs_do_not_get_into_the_score_of_a_round() -> None:
    """``before`` serves the offset of whole scripts only; the runs of a model's round are all in its study."""
    before = make_runs("baseline", [1.0] * 5, [2.0] * 5, study="ordinary")
    runs = references() + final_runs("submission", SECONDS, GOOD, 0.2)
    assert judge(runs, before) == judge(runs)
    assert judge([*runs, *before]) == judge(runs)


LOG = make_track(
    evidence={"kind": "log"},
    rule={"kind": "t-test", "blocks": 5, "alpha": 0.05, "looks": (5,)},
    clock={"source": "arrival"},
)


def log_runs(rise: float, submission_rise: float) -> tuple[list[Run], list[Run]]:
    """(final, ordinary) runs of a track whose scripts validate themselves."""
    low = [x - 0.1 for x in GOOD]
    ordinary = make_runs("baseline", BASELINE, low) + make_runs("human", HUMAN, low)
    ordinary += make_runs("submission", SECONDS, low)
    shifts = {"baseline": rise, "human": rise, "submission": submission_rise}
    final = [msgspec.structs.replace(run, loss=run.loss + shifts[run.kind], final="f") for run in ordinary]
    return final, ordinary


def test_whole_scripts_are_compared_with_their_ordinary_runs() -> None:
    final, before = log_runs(0.3, 0.3)
    found = judge(final, before, LOG)
    assert found.offset == pytest.approx(0.3) and found.score.verdict == "valid"
    assert found.overfit is False and found.excess.ci[0] < 0 < found.excess.ci[1]


def test_a_whole_script_that_knew_its_tokens() -> None:
    final, before = log_runs(0.3, 0.9)
    found = judge(final, before, LOG)
    assert found.score.verdict == "missed-target" and found.overfit is True
    assert found.excess.value == pytest.approx(0.6)


def test_without_ordinary_runs_a_whole_script_cannot_be_judged() -> None:
    """Nothing says where the target is: a loss below the old one proves nothing."""
    final, _ = log_runs(-0.3, -0.3)
    found = judge(final, (), LOG)
    assert found.score.verdict == "unscorable" and "what the target is" in found.score.reason
    assert found.offset is None and found.overfit is None


def test_the_target_moves_and_nothing_else() -> None:
    moved = move_target(TRACK, 0.25)
    assert moved.target.loss == 4.0 and moved.rule == TRACK.rule and TRACK.target.loss == 3.75
    assert scoring.score(moved, STUDY, [], SUBMISSION).loss.target == 4.0
    assert collect(moved, STUDY, [], SUBMISSION).track is moved


def test_a_contrast_against_welch_by_hand() -> None:
    """With two constant samples it is Welch's interval of the other two: scipy's own figures."""
    from scipy import stats

    a, b = [1.0, 1.2, 0.9, 1.4], [0.5, 0.7, 0.6]
    found = contrast([a, b, [2.0, 2.0], [1.5, 1.5]])
    low, high = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert found.value == pytest.approx(np.mean(a) - np.mean(b) - 0.5)
    assert found.ci == pytest.approx((low - 0.5, high - 0.5))


def test_a_contrast_needs_two_values_of_each() -> None:
    assert contrast([[1.0], [0.5, 0.6], [1.0, 1.1], [0.5, 0.6]]).ci is None
    assert contrast([[1.0, 1.0]] * 4) == Excess(value=0.0, ci=(0.0, 0.0))


def test_the_flag_is_rarely_raised_by_honest_code() -> None:
    """Honest code differs in which stretches it is good at, at random: at most one flag in forty, both being needed."""
    rng = np.random.default_rng(0)
    flags = 0
    for _ in range(200):
        runs = []
        for kind, seconds in (("baseline", BASELINE), ("human", HUMAN), ("submission", SECONDS)):
            own = rng.normal(3.5, 0.05, (2, STRETCHES))
            runs += [set_parts(run, own) for run in make_runs(kind, seconds, GOOD)]
        flags += bool(judge(runs).overfit)
    assert flags / 200 <= 0.03


def set_parts(run: Run, own: np.ndarray) -> Run:
    return msgspec.structs.replace(
        run, final="f", loss=float(own[0].mean()), validation_loss=float(own[1].mean()),
        parts=tuple(map(float, own[0])), validation_parts=tuple(map(float, own[1])),
    )  # fmt: skip
