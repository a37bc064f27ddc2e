"""Successive rejects: the phases of the paper, who is dismissed when, and how often the best is left."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from builders import GOOD, make_run, make_study, make_track

from patchrun.core.rejects import judge_group, judge_reject, list_phases
from patchrun.core.results import Run, StopRecord

ARMS = ("a", "b", "c", "d")
TRACK, STUDY = make_track(), make_study(ARMS)


def run_arm(arm: str, seconds: list[float], losses: tuple[float, ...] = GOOD, **changes: object) -> list[Run]:
    return [
        make_run("submission", block, time, loss, arm=arm, **changes)
        for block, (time, loss) in enumerate(zip(seconds, losses, strict=False))
    ]


def runs_of(blocks: int, **means: float) -> list[Run]:
    return [run for arm, mean in means.items() for run in run_arm(arm, [mean] * blocks)]


def test_the_phases_are_those_of_the_formula() -> None:
    """Four arms, five blocks: log~ = 1/2 + 1/2 + 1/3 + 1/4 = 19/12, n - K = 15; over 4, 3, 2 of it 2.4, 3.2, 4.7."""
    assert list_phases(4, 5) == (3, 4, 5)
    assert list_phases(2, 5) == (5,)
    assert list_phases(10, 5) == (1, 2, 2, 2, 2, 2, 3, 4, 5)


@pytest.mark.parametrize(("arms", "blocks"), [(3, 5), (7, 10), (20, 25), (50, 5)])
def test_phases_never_fall_and_the_last_two_take_all_blocks(arms: int, blocks: int) -> None:
    phases = list_phases(arms, blocks)
    assert (
        len(phases) == arms - 1 and list(phases) == sorted(phases) and phases[-1] == blocks and phases[0] >= 1
    )


@pytest.mark.parametrize(("arms", "blocks"), [(1, 5), (0, 5), (3, 0)])
def test_nothing_to_reject_is_refused(arms: int, blocks: int) -> None:
    with pytest.raises(ValueError, match="nothing to reject"):
        list_phases(arms, blocks)


def test_the_slowest_is_dismissed_at_the_end_of_its_phase_and_not_before() -> None:
    assert judge_group(TRACK, STUDY, runs_of(2, a=8, b=9, c=8.5, d=8.2), ARMS) is None
    first = judge_group(TRACK, STUDY, runs_of(3, a=8, b=9, c=8.5, d=8.2), ARMS)
    assert first is not None and (first.arm, first.blocks, first.rivals) == ("b", 3, ARMS)
    assert "the last of 4 after 3 of 5 blocks, mean 9 s, the first 8 s" in first.stop.reason
    assert judge_group(TRACK, STUDY, runs_of(3, a=8, b=9, c=8.5, d=8.2), ARMS, {"b"}) is None
    second = judge_group(TRACK, STUDY, runs_of(4, a=8, b=9, c=8.5, d=8.2), ARMS, {"b"})
    assert second is not None and (second.arm, second.rivals) == ("c", ("a", "c", "d"))
    assert judge_group(TRACK, STUDY, runs_of(5, a=8, b=9, c=8.5, d=8.2), ARMS, {"b", "c"}) is None, (
        "two are left"
    )


def test_who_misses_the_target_goes_before_who_is_slow_and_who_failed_before_both() -> None:
    runs = [*runs_of(3, a=8, b=9, c=8.5), *run_arm("d", [5.0] * 3, (3.9, 3.9, 3.9))]
    found = judge_group(TRACK, STUDY, runs, ARMS)
    assert found is not None and found.arm == "d" and "above the target" in found.stop.reason
    runs += [make_run("submission", 3, None, None, arm="c", exit="failed")]
    crashed = [run for run in runs if run.arm != "c"] + run_arm("c", [8.5] * 2)
    crashed.append(make_run("submission", 2, None, None, arm="c", exit="failed", reason="crash"))
    found = judge_group(TRACK, STUDY, crashed, ARMS)
    assert found is not None and found.arm == "c" and "a run of it failed" in found.stop.reason


def test_one_that_ended_already_is_the_one_its_phase_dismisses() -> None:
    runs = runs_of(3, a=8, b=9, c=8.5)
    assert judge_group(TRACK, STUDY, runs, ARMS, {"d"}) is None, "the first phase has had its reject"
    found = judge_group(TRACK, STUDY, runs_of(4, a=8, b=9, c=8.5), ARMS, {"d"})
    assert found is not None and found.arm == "b"


def test_alone_there_is_nothing_to_reject() -> None:
    assert judge_group(TRACK, STUDY, runs_of(5, a=8), ("a",)) is None
    assert judge_group(TRACK, STUDY, runs_of(5, a=8, b=9), ARMS, {"b", "c", "d"}) is None


def test_a_reject_can_be_judged_again_and_a_forged_one_does_not_hold() -> None:
    runs = runs_of(5, a=8, b=9, c=8.5, d=8.2)
    stop = StopRecord(
        study="study", arm="b", quantity="rank", reason="", confidence=0.999, blocks=3, track_digest="d",
        created="2026", group=ARMS, rivals=ARMS,
    )  # fmt: skip
    assert judge_reject(TRACK, STUDY, runs, stop)
    for changes in (
        {"arm": "a"}, {"blocks": 2}, {"rivals": ("a", "b")}, {"rivals": ("b",)},
        {"group": ("b", "zz"), "rivals": ("b", "zz")},
        {"arm": "c"}, {"rivals": ("a", "c", "d")}, {"group": (), "rivals": ()},
    ):  # fmt: skip
        assert not judge_reject(TRACK, STUDY, runs, msgspec.structs.replace(stop, **changes)), changes
    assert not judge_reject(TRACK, STUDY, runs_of(2, a=8, b=9, c=8.5, d=8.2), stop), "its runs are not there"


def test_the_best_is_mostly_left() -> None:
    """One arm half a second faster than three others, noise 0.35 s; chance would keep it every second time."""
    random = np.random.default_rng(5)
    left = 0
    for _ in range(100):
        runs = [
            run
            for arm in ARMS
            for run in run_arm(arm, (random.normal(8.0 if arm == "a" else 8.5, 0.35, 5)).tolist())
        ]
        gone: set[str] = set()
        while found := judge_group(TRACK, STUDY, runs, ARMS, gone):
            gone.add(found.arm)
        left += "a" not in gone
    assert left >= 90
