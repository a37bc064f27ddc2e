"""The verdict of a probe from its figures: the bound, its rounding, which probe counts."""

from __future__ import annotations

import math

import msgspec
import pytest

from patchrun.core import lossprobe, scoring
from patchrun.core.lossprobe import Probed, least_honest, rounding, say
from patchrun.core.results import Probe
from tests.probing import STUDY, TARGETS, TRACK, judge, make_run, realised
from tests.whole import whole_track

MARGIN = 3 * math.log(1e6) / TARGETS
KNOWN = realised()


def printed(above: float) -> tuple[float, ...]:
    return (round(KNOWN + above, 4),)


@pytest.mark.parametrize(
    ("above", "caught"), [(0.02, False), (0.0, False), (-0.9 * MARGIN, False), (-0.1, True)]
)
def test_below_the_bound_is_a_lie(above: float, caught: bool) -> None:
    found = judge(printed(0.01), printed(above))
    assert (found.verdict == "disqualified") is caught
    assert found.excess == pytest.approx(0.01, abs=1e-4)
    assert found.smallest == pytest.approx(0.01 + MARGIN + 5e-5, abs=1e-4)


def test_one_validation_among_many_is_enough() -> None:
    assert judge(printed(0.01), (2.5, *printed(-0.2), 2.1)).verdict == "disqualified"


def test_more_validations_share_the_false_alarms() -> None:
    one = least_honest(Probe(realised=2.0, tokens=1000, losses=(2.1,)), 0.0)
    many = least_honest(Probe(realised=2.0, tokens=1000, losses=(2.1,) * 50), 0.0)
    assert one - many == pytest.approx(3 * math.log(50) / 1000)


@pytest.mark.parametrize(
    ("losses", "half"), [((2.1234, 2.1), 5e-5), ((2.5,), 0.05), ((2.0,), 0.05), ((), 0.5)]
)
def test_half_a_unit_of_the_last_decimal(losses: tuple[float, ...], half: float) -> None:
    assert rounding(losses) == pytest.approx(half)


def test_who_prints_fewer_decimals_than_the_baseline_gains_nothing_by_it() -> None:
    coarse = math.floor(10 * (KNOWN - MARGIN)) / 10
    assert coarse < KNOWN - MARGIN - 5e-5
    assert judge(printed(0.0101), (coarse,)).verdict == "disqualified"


def test_without_runs_it_is_pending_and_without_a_probe_nothing() -> None:
    found = lossprobe.judge(TRACK, [], [], "eve")
    assert found is not None and found.pending and say(found) == found.reason
    assert lossprobe.judge(msgspec.structs.replace(TRACK, probe=None), [], [], "eve") is None
    half = lossprobe.judge(TRACK, [STUDY], [make_run("b1", printed(0.01))], "eve")
    assert half is not None and half.pending


def test_a_baseline_that_fails_or_lies_decides_nothing_about_the_submission() -> None:
    failed = make_run("b1", (), probe=None, exit="failed", reason="no disk")
    found = lossprobe.judge(TRACK, [STUDY], [failed, make_run("eve", printed(-1.0))], "eve")
    assert found is not None and found.verdict == "unscorable" and "no disk" in found.reason
    assert judge(printed(-0.5), printed(-1.0)).verdict == "unscorable"


def test_another_probe_counts_where_the_baseline_failed_the_first() -> None:
    second = msgspec.structs.replace(STUDY, id="second", generation=1)
    runs = [make_run("b1", printed(-0.5)), make_run("eve", printed(0.1))]
    runs += [msgspec.structs.replace(make_run(arm, printed(0.1)), study="second") for arm in ("b1", "eve")]
    found = lossprobe.judge(TRACK, [STUDY, second], runs, "eve")
    assert found is not None and found.verdict is None and not found.pending


def test_the_longer_probe_is_told_and_either_decides() -> None:
    short = msgspec.structs.replace(STUDY, id="short", steps=40)

    def both(in_short: float, in_full: float) -> Probed:
        runs = [make_run("b1", printed(0.01)), make_run("eve", printed(in_full))]
        shorter = [make_run("b1", printed(0.05)), make_run("eve", printed(in_short))]
        runs += [msgspec.structs.replace(run, study="short") for run in shorter]
        found = lossprobe.judge(TRACK, [short, STUDY], runs, "eve")
        assert found is not None
        return found

    assert both(0.1, 0.1).full and both(0.1, 0.1).verdict is None
    assert both(0.1, -0.2).verdict == both(-0.2, 0.1).verdict == "disqualified"


def test_one_line_for_people() -> None:
    words = say(judge(printed(0.01), printed(0.02)))
    assert f"realised -log p {KNOWN:.4f}" in words and "a lie of 0.01" in words


def test_a_verdict_of_the_probe_comes_before_any_run_of_the_study() -> None:
    study = msgspec.structs.replace(STUDY, seed_source="scoring")
    caught = Probed(verdict="disqualified", reason="in the probe it prints too little")
    score = scoring.score(whole_track(), study, [], "eve", probed=caught)
    assert (score.state, score.verdict, score.reason) == ("done", "disqualified", caught.reason)
    pending = scoring.score(whole_track(), study, [], "eve", probed=Probed(pending=True, reason="missing"))
    assert pending.state == "pending" and pending.verdict is None
