"""How many blocks a study plans, and when it is settled, on made-up runs."""

from __future__ import annotations

import pytest

from patchrun.core.progress import is_settled, planned_blocks, trim, wanted
from patchrun.core.results import Run
from patchrun.core.sequential import power
from patchrun.core.track import Rule, Track
from tests.builders import SUBMISSION, make_run, make_study, make_track

RULE = Rule(kind="t-test", blocks=5, alpha=0.01, looks=(5, 9, 16, 25), loss_sd=0.0013)
OTHER = "other" * 4


def t_test_track() -> Track:
    rule = {"kind": "t-test", "blocks": 2, "alpha": 0.05, "looks": (2, 4), "loss_sd": 0.01}
    return make_track(rule=rule, evidence={"kind": "log"}, seeds={"public": [1], "deterministic": False})


STUDY = make_study(blocks=4)


def runs(
    blocks: int, *, losses: tuple[float, ...] = (3.70, 3.7001, 3.70, 3.7001), submission: float = 8.6
) -> list[Run]:
    """Complete blocks: baseline 10 s, human 8 s, a submission between, losses of all arms alike."""
    found = []
    for block in range(blocks):
        jitter = 0.01 * (block % 3)
        for kind, seconds in (("baseline", 10.0), ("human", 8.0), ("submission", submission)):
            loss = losses[block] if kind == "submission" else 3.70 + 0.0001 * block
            found.append(make_run(kind, block, seconds + jitter * (1 + (kind == "human")), loss))
    return found


@pytest.mark.parametrize(
    ("margin", "blocks"),
    [(0.006, 5), (0.0033, 9), (0.002, 16), (0.001, 25), (0.0, 25), (-0.1, 25), (None, 25)],
)
def test_blocks_follow_from_the_power_at_the_humans_margin(margin: float | None, blocks: int) -> None:
    assert planned_blocks(RULE, margin) == blocks
    if margin and margin >= 0.002:
        assert power(blocks, margin, 0.0013, 0.01 / 4) >= 0.9
        assert blocks == 5 or power(RULE.looks[RULE.looks.index(blocks) - 1], margin, 0.0013, 0.01 / 4) < 0.9


def test_a_rule_without_looks_plans_its_blocks() -> None:
    assert planned_blocks(Rule(kind="mean", blocks=5), 0.001) == 5
    assert planned_blocks(Rule(kind="t-test", blocks=2, alpha=0.01, looks=(2, 6)), 0.1) == 6, (
        "no sd, no power"
    )


def test_an_open_study_wants_every_arm() -> None:
    everything = {"b5", "h5", SUBMISSION}
    assert wanted(t_test_track(), STUDY, []) == everything
    assert wanted(t_test_track(), STUDY, runs(1)) == everything
    assert not is_settled(t_test_track(), STUDY, runs(1))


def test_a_look_that_proves_ends_it() -> None:
    assert wanted(t_test_track(), STUDY, runs(2)) == set()
    assert is_settled(t_test_track(), STUDY, runs(2))


def test_a_look_that_does_not_prove_goes_on() -> None:
    noisy = runs(2, losses=(3.60, 3.74, 3.6, 3.6))
    assert wanted(t_test_track(), STUDY, noisy) == {"b5", "h5", SUBMISSION}


def test_a_crash_ends_it_and_so_does_a_broken_reference() -> None:
    crashed = [make_run("baseline", 0, 10, 3.7), make_run("submission", 0, None, None, exit="failed")]
    assert wanted(t_test_track(), STUDY, crashed) == set()
    broken = [make_run("baseline", 0, None, None, exit="failed")]
    assert wanted(t_test_track(), STUDY, broken) == set()


def test_the_open_ones_of_several_submissions_go_on_with_their_references() -> None:
    study = make_study((SUBMISSION, OTHER), blocks=4)
    both = runs(1) + [make_run("submission", 0, None, None, exit="failed", arm=OTHER)]
    assert wanted(t_test_track(), study, both) == {"b5", "h5", SUBMISSION}


def test_the_mean_rule_and_trials_run_to_the_end() -> None:
    crashed = [make_run("submission", 0, None, None, exit="failed")]
    assert wanted(make_track(), STUDY, crashed) == {"b5", "h5", SUBMISSION}
    import msgspec

    trial = msgspec.structs.replace(STUDY, seed_source="steps", steps=10)
    assert wanted(t_test_track(), trial, crashed) == {"b5", "h5", SUBMISSION}


def test_a_complete_study_is_settled_under_any_rule() -> None:
    complete = [
        make_run(kind, k, 1.0, 9.9, position=p)
        for k in range(4)
        for p, kind in enumerate(
            ("baseline", "human", "submission") if k % 2 == 0 else ("submission", "human", "baseline")
        )
    ]
    assert is_settled(make_track(), STUDY, complete)
    assert not is_settled(make_track(), STUDY, complete[:-1])


def test_blocks_that_nothing_ran_in_are_trimmed() -> None:
    assert trim(STUDY, runs(2)).seeds == STUDY.seeds[:2]
    assert trim(STUDY, []).seeds == ()
    assert trim(STUDY, runs(4)) == STUDY
