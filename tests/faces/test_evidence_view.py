"""The evidence under a verdict and the sparklines, from literal runs."""

from __future__ import annotations

import pytest

from patchrun.core import scoring
from patchrun.core.results import CurvePoint
from patchrun.faces.evidence_view import BARS, PLAIN_BARS, curves_text, evidence_text
from tests.builders import GOOD, SUBMISSION, make_reference, make_run, make_runs, make_study, make_track


def evidence(seconds, losses=GOOD, track=None, human: bool = True) -> list[str]:
    track = track or make_track()
    runs = [*make_reference(), *make_runs("submission", seconds, losses)]
    runs = runs if human else [run for run in runs if run.kind != "human"]
    score = scoring.score(track, make_study(human=human), runs, SUBMISSION)
    return evidence_text(track, score, runs).splitlines()


def test_a_valid_one_has_target_gap_saving_and_fsr() -> None:
    lines = evidence((8.5, 8.7, 8.4, 8.6, 8.6))
    assert lines[0] == "Evidence"
    assert lines[1].startswith(
        "  target   mean loss 3.7200 <= 3.75 (n = 5, sd 0.0158); rule: mean of at least 5"
    )
    assert (
        lines[2].startswith("  gap      baseline - human = 2.040 s, 95% 1.8")
        and "paired t over 5 blocks" in lines[2]
    )
    assert lines[3].startswith("  saved    baseline - submission = 1.540 s")
    assert lines[4].startswith("  FSR      saved / gap = 0.755, 95% 0.7") and "Fieller" in lines[4]


def test_one_that_missed_has_no_fsr() -> None:
    lines = evidence((8.5, 8.7, 8.4, 8.6, 8.6), (3.8, 3.9, 3.8, 3.7, 3.8))
    assert "mean loss 3.8000 > 3.75" in lines[1] and len(lines) == 4


def test_what_noise_can_explain_is_called_so() -> None:
    lines = evidence((10.5, 9.5, 10.4, 9.6, 10.4))
    assert "not beyond noise" in lines[3]


def test_a_record_without_a_human_patch_has_no_gap() -> None:
    assert not any("gap" in line for line in evidence((8.5, 8.7, 8.4, 8.6, 8.6), human=False))


def test_a_rule_with_a_test_shows_its_p_value() -> None:
    rule = {"kind": "t-test", "blocks": 5, "alpha": 0.01, "looks": [5], "loss_sd": 0.01}
    track = make_track(rule=rule, evidence={"kind": "log"}, seeds={"public": [1], "deterministic": False})
    assert "one-sided t-test" in evidence((8.5, 8.7, 8.4, 8.6, 8.6), track=track)[1]


def test_clocks_that_are_not_paired_take_welch() -> None:
    track = make_track(clock={"source": "cpu", "paired": False})
    assert "Welch's t" in evidence((8.5, 8.7, 8.4, 8.6, 8.6), track=track)[2]


def test_nothing_measured_is_nothing_said() -> None:
    score = scoring.score(make_track(), None, (), SUBMISSION)
    assert evidence_text(make_track(), score, ()) == "" and curves_text(()) == ""


def curve(*points: tuple[float, float]) -> tuple[CurvePoint, ...]:
    return tuple(CurvePoint(k, loss, None, at) for k, (at, loss) in enumerate(points))


RUNS = [
    make_run("baseline", 0, 1.0, 3.0, curve=curve((0.5, 6.0), (4, 2.0))),
    make_run("submission", 0, 1.0, 3.0, curve=curve((0.5, 6.0), (1, 4.0), (2, 2.5))),
]


@pytest.mark.parametrize(("plain", "bars"), [(False, BARS), (True, PLAIN_BARS)])
def test_sparklines_share_one_scale_of_loss_and_time(plain: bool, bars: str) -> None:
    head, baseline, submission = curves_text(RUNS, 60, plain).splitlines()
    assert "0 to 4 s" in head and "6.000 at the top, 2.000 at the foot" in head
    assert baseline.endswith(f"{bars[7]}{bars[0]} 2.000") and submission.endswith(" 2.500")
    assert baseline.count(bars[7]) > submission.count(bars[7]) > 0
    assert len(baseline) == len(submission)


@pytest.mark.parametrize("width", [10, 60, 100, 300])
def test_sparklines_fit_their_terminal(width: int) -> None:
    lines = curves_text(RUNS, width).splitlines()[1:]
    assert all(len(line) <= max(width, 32) and len(line) <= 96 for line in lines)


def test_a_flat_curve_is_drawn_at_the_foot() -> None:
    run = make_run("human", 0, 1.0, 3.0, curve=curve((1, 2.0), (2, 2.0)))
    assert BARS[0] in curves_text([run], 40)
