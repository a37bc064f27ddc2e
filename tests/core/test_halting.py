"""Limits inside a run: what they rest on, how often they stop what would have scored, and that they follow again."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from builders import BASELINE, GOOD, HUMAN, SUBMISSION, make_runs, make_study, make_track

from patchrun.core import halting
from patchrun.core.halting import Bar, Limits, find_limits, judge_halt, say_halt
from patchrun.core.racing import Outlook
from patchrun.core.results import CurvePoint, Halt, Run

TRACK, STUDY = make_track(), make_study()


def references(blocks: int, curve: bool = False) -> list[Run]:
    runs = make_runs("baseline", BASELINE[:blocks], GOOD[:blocks]) + make_runs(
        "human", HUMAN[:blocks], GOOD[:blocks]
    )
    if not curve:
        return runs
    return [msgspec.structs.replace(run, curve=draw(run.loss or 0.0)) for run in runs]


def draw(end: float, start: float = 6.2, steps: int = 100) -> tuple[CurvePoint, ...]:
    """A loss that falls ever slower from ``start`` to ``end``."""
    return tuple(
        CurvePoint(step, end + (start - end) * (1 - step / steps) ** 3, None, step * 0.1)
        for step in range(10, steps + 1, 10)
    )


def own(seconds: tuple[float, ...], losses: tuple[float, ...] = GOOD) -> list[Run]:
    return make_runs("submission", seconds, losses[: len(seconds)])


def limits(runs: list[Run], block: int, **options: object) -> Limits:
    found = find_limits(TRACK, STUDY, runs, SUBMISSION, block, **options)
    assert found is not None
    return found


def test_before_any_reference_run_there_is_no_limit() -> None:
    assert find_limits(TRACK, STUDY, [], SUBMISSION, 0) is None
    assert find_limits(TRACK, STUDY, make_runs("baseline", BASELINE[:1], GOOD[:1]), SUBMISSION, 0) is None


def test_the_first_block_allows_half_as_much_again_and_later_ones_less() -> None:
    first = limits(references(1), 0)
    assert first.blocks == (0,) and first.seconds is not None
    assert 1.4 * BASELINE[0] < first.seconds < 1.8 * BASELINE[0]
    behind = limits(references(3) + own((BASELINE[0] * 1.05, BASELINE[1] * 1.05)), 2)
    assert behind.blocks == (0, 1, 2)
    assert max(BASELINE[:3]) < (behind.seconds or 0) < first.seconds


def test_the_last_run_has_no_limit_of_time() -> None:
    runs = references(5) + own(BASELINE[:4])
    assert limits(runs, 4).seconds is None


def test_an_unpaired_track_and_one_without_a_human_arm_have_none() -> None:
    unpaired = make_track(clock={"source": "arrival", "paired": False})
    assert find_limits(unpaired, STUDY, references(2), SUBMISSION, 1) is None
    alone = make_study(human=False)
    assert find_limits(TRACK, alone, make_runs("baseline", BASELINE, GOOD), SUBMISSION, 1) is None


def test_bars_need_three_curves_and_fall_with_the_steps() -> None:
    assert limits(references(1, curve=True), 0).bars == ()
    found = limits(references(2, curve=True) + own((8.5,)), 1)
    assert [bar.fraction for bar in found.bars] == [0.25, 0.5, 0.75]
    losses = [bar.loss for bar in found.bars]
    assert losses == sorted(losses, reverse=True) and losses[-1] > TRACK.target.loss


def test_a_hopeless_curve_is_stopped_and_a_good_one_is_not() -> None:
    found = limits(references(2, curve=True) + own((8.5,)), 1)
    good = [(p.step / 100, p.loss or 0.0) for p in draw(3.7)]
    flat = [(p.step / 100, 6.1) for p in draw(3.7)]
    assert all(found.judge_losses(good[:k]) is None for k in range(1, 11))
    stops = [k for k in range(1, 11) if found.judge_losses(flat[:k])]
    assert stops and stops[0] <= 8
    halt = found.judge_losses(flat[: stops[0]])
    assert halt is not None and halt.quantity == "loss" and "printed a loss of 6.1" in say_halt(halt)


def test_a_curve_in_another_unit_stops_nobody() -> None:
    """Bits in place of nats, or whatever a script chooses to print: it is shown to people."""
    found = limits(references(2, curve=True) + own((8.5,)), 1)
    assert found.judge_losses([(0.1, 60.0), (0.8, 50.0)]) is None
    assert found.judge_losses([(0.1, 0.6), (0.8, 50.0)]) is None
    assert found.judge_losses([]) is None


def test_time_is_stopped_beyond_the_limit_only() -> None:
    found = Limits(seconds=10.0, bars=(Bar(0.5, 4.0),), first=6.0, blocks=(0,), confidence=0.999)
    assert found.judge_seconds(10.0) is None
    halt = found.judge_seconds(10.5)
    assert halt == Halt(quantity="time", seen=10.5, limit=10.0, blocks=(0,), confidence=0.999)
    assert "no run of more than 10 s" in say_halt(halt)


def test_a_run_that_was_stopped_can_be_judged_again() -> None:
    runs = references(1)
    first = limits(runs, 0)
    halt = first.judge_seconds((first.seconds or 0) + 0.1)
    [run] = make_runs("submission", (None,), (None,), exit="stopped", halt=halt)  # type: ignore[arg-type]
    assert judge_halt(TRACK, STUDY, [*runs, run], run)
    later = references(5) + own(BASELINE)
    assert judge_halt(TRACK, STUDY, [*later, run], run), "what came later changes nothing"
    for changes in (
        {"seen": 1.0},
        {"limit": 9.0},
        {"blocks": (0, 1)},
        {"confidence": 0.5},
        {"quantity": "loss"},
    ):
        forged = msgspec.structs.replace(run, halt=msgspec.structs.replace(halt, **changes))
        assert not judge_halt(TRACK, STUDY, later, forged), changes
    assert not judge_halt(TRACK, STUDY, later, msgspec.structs.replace(run, halt=None))
    assert not judge_halt(TRACK, STUDY, later, msgspec.structs.replace(run, kind="baseline", arm="b5"))


def test_honest_runs_are_hardly_ever_beyond_the_limit() -> None:
    """Arms as fast as the baseline, timed with a noise of 5%, at 0.001 a look: their first two runs go on."""
    random = np.random.default_rng(3)
    stopped = 0
    for _ in range(300):
        b, h, s = (random.normal(mean, 0.5, 2).tolist() for mean in (10.0, 7.5, 10.0))
        for block in range(2):
            runs = make_runs("baseline", b[: block + 1], GOOD[: block + 1])
            runs += make_runs("human", h[: block + 1], GOOD[: block + 1]) + own(tuple(s[:block]))
            found = find_limits(TRACK, STUDY, runs, SUBMISSION, block)
            stopped += found is not None and found.judge_seconds(s[block]) is not None
    assert stopped <= 2


@pytest.mark.parametrize("times", [1.25, 2.0, 4.0])
def test_the_slower_the_sooner(times: float) -> None:
    """The share of a run that is spent before its limit falls as it gets slower."""
    found = limits(references(1), 0)
    slow = times * BASELINE[0]
    spent = min(1.0, (found.seconds or 0) / slow)
    assert spent == pytest.approx(1.0 if times < 1.4 else (found.seconds or 0) / slow)
    assert (times > 1.8) == (found.judge_seconds(slow) is not None)


def test_the_grid_of_limits_is_scanned_for_the_least_that_is_hopeless() -> None:
    outlook = Outlook(values=(0.0,), bound=0.0, looks=(5,), sd=0.1, df=1e6)
    found = halting._solve(outlook, [0.1, 0.2, 0.5, 1.0, 2.0], 0.999)
    # 3.09 sd sqrt(1/2 + 1/3) is how far behind -x/3 the mean of two, x/2, may be: x = 0.34
    assert found == 0.5
    assert halting._solve(outlook, [0.1, 0.2], 0.999) is None
    assert (
        halting._solve(Outlook(values=(0.0,) * 4, bound=0.0, looks=(5,), sd=0.1, df=9.0), [9.0], 0.999)
        is None
    )
