"""What pieces are worth, from literal runs: every label, the corrections, the search, what is stored."""

from __future__ import annotations

import msgspec
import pytest

from patchrun.core.ablation import Ablation, Effect, judge
from patchrun.core.pieces import Hunk, Piece
from patchrun.core.results import Run, Study
from patchrun.core.stages import Stage, VariantArm
from tests.builders import make_arm, make_run, make_track

TRACK = make_track()
NOISE = (0.00, 0.03, -0.02, 0.01, -0.01)
LOSS = 3.70
PIECES = tuple(Piece((Hunk("train.py", k, k + 1, k, k + 1),)) for k in range(3))
LEFT_OUT = {"rest0": (1, 2), "rest1": (0, 2), "rest2": (0, 1)}
ALONE = {"only0": (0,), "only1": (1,), "only2": (2,)}


def make_stage(variants: dict[str, tuple[int, ...]], pieces=PIECES, **changes) -> Stage:
    known = {"b5": (), "full": tuple(range(len(pieces)))} | variants
    values = {
        "submission": "full", "track_digest": "d", "number": 1, "purpose": "each", "study": "s1", "pieces": pieces,
        "variants": tuple(VariantArm(own, arm) for arm, own in known.items()), "created": "2026-01-01",
    }  # fmt: skip
    return Stage(**(values | changes))


def make_study(stage: Stage, blocks: int = 5) -> Study:
    names = dict.fromkeys(one.arm for one in stage.variants)
    arms = tuple(make_arm(name, "baseline" if name == "b5" else "submission") for name in names)
    return Study(
        id=stage.study, track="pocket", track_digest="d", record="5", arms=arms, created="2026-01-01",
        seeds=tuple(range(blocks)), seed_source="ablation",
    )  # fmt: skip


def runs_of(study: Study, seconds: dict[str, float], losses=None, **broken: str) -> list[Run]:
    """About these seconds (spread by arm) and losses an arm; ``broken`` arms fail in their first block."""
    found = []
    for place, arm in enumerate(study.arms):
        for block in range(study.blocks):
            time = seconds[arm.name] * (1 + 0.2 * NOISE[(block + 2 * place) % 5])
            loss = (
                (losses or {}).get(arm.name, LOSS) + 0.01 * NOISE[block] + 1e-4 * NOISE[(block + place) % 5]
            )
            run = make_run(arm.kind, block, time, loss, arm=arm.name, study=study.id)
            if block == 0 and arm.name in broken:
                run = msgspec.structs.replace(
                    run, exit="failed", seconds=None, loss=None, reason=broken[arm.name]
                )
            found.append(run)
    return found


BASE = {"b5": 10.0, "full": 8.0}
EXACT = BASE | {"rest0": 10.5, "rest1": 8.0, "rest2": 7.5, "only0": 7.5, "only1": 10.0, "only2": 10.5}


def ablate(seconds: dict[str, float] = EXACT, losses=None, arms=None, track=TRACK, **broken: str) -> Ablation:
    stage = make_stage(arms if arms is not None else LEFT_OUT | ALONE)
    study = make_study(stage)
    return judge(track, [stage], {study.id: study}, runs_of(study, seconds, losses, **broken))


def labels(found: Ablation) -> list[str | None]:
    return [one.label for one in found.worths]


def test_one_pays_one_is_noise_one_harms_with_figures() -> None:
    found = ablate()
    assert labels(found) == ["pays", "noise", "harms"]
    pays, noise, harms = found.worths
    assert pays.seconds.difference == pytest.approx(2.5, abs=0.1) and pays.seconds.ci[0] > 2
    assert harms.seconds.difference == pytest.approx(-0.5, abs=0.1) and harms.seconds.ci[1] < 0
    assert noise.seconds.ci[0] < 0 < noise.seconds.ci[1] and noise.seconds.p_holm > 0.05
    assert pays.alone.share == pytest.approx(1.25, abs=0.03) and noise.alone.share == pytest.approx(
        0, abs=0.05
    )
    assert found.gain.difference == pytest.approx(2.0, abs=0.1)
    assert found.search.is_over and found.best.pieces == (0,) and found.best.keeps and found.best.is_sure
    assert (found.runs_planned, found.runs_stored) == (40, 40)


def test_holm_is_over_the_pieces_that_were_tested() -> None:
    found = ablate()
    plain = sorted(one.seconds.p for one in found.worths)
    held = sorted(one.seconds.p_holm for one in found.worths)
    assert held[0] == pytest.approx(3 * plain[0]) and held[1] == pytest.approx(2 * plain[1])
    assert held[2] == pytest.approx(max(plain[2], held[1]))


@pytest.mark.parametrize(
    ("seconds", "loss", "expected"),
    [
        (8.0, 3.72, "buys margin"),
        (8.0, 3.68, "costs margin"),
        (8.0, 3.80, "carries"),
        (7.0, 3.80, "carries"),
        (9.0, 3.80, "pays"),
        (9.0, 3.60, "pays"),
        (7.0, 3.72, "harms"),
        (8.0, 3.70, "noise"),
    ],
)
def test_a_label_weighs_time_then_target_then_margin(seconds: float, loss: float, expected: str) -> None:
    assert labels(ablate(EXACT | {"rest1": seconds}, {"rest1": loss}))[1] == expected


def test_a_variant_that_breaks_carries_and_keeps_nothing() -> None:
    found = ablate(rest1="exit status 1: it broke")
    assert labels(found)[1] == "carries"
    assert "it broke" in found.worths[1].without.broken and not found.worths[1].without.keeps


def test_comments_are_no_code_and_cost_no_runs() -> None:
    """The variant without them shares the arm of the whole patch, the piece alone that of the baseline."""
    stage = make_stage({"rest0": (1, 2), "rest2": (0, 1), "only0": (0,), "only2": (2,)})
    more = (*stage.variants, VariantArm((0, 2), "full"), VariantArm((1,), "b5"))
    stage = msgspec.structs.replace(stage, variants=more)
    study = make_study(stage)
    found = judge(TRACK, [stage], {study.id: study}, runs_of(study, EXACT))
    assert labels(found) == ["pays", "no code", "harms"] and found.runs_planned == 30
    assert found.worths[1].seconds.difference == 0 and found.worths[1].alone.share == 0


def test_without_runs_alone_the_search_asks_for_them() -> None:
    found = ablate(arms=LEFT_OUT)
    assert labels(found) == ["pays", "noise", "harms"] and found.worths[0].alone is None
    assert found.search.wanted == (frozenset({0}),) and found.best.pieces == (0, 1, 2)


def test_the_next_stage_answers_and_the_search_is_over() -> None:
    first = make_stage(LEFT_OUT)
    second = make_stage({"only0": (0,)}, number=2, purpose="greedy", study="s2")
    studies = {stage.study: make_study(stage) for stage in (first, second)}
    runs = [run for study in studies.values() for run in runs_of(study, EXACT)]
    found = judge(TRACK, [first, second], studies, runs)
    assert found.search.is_over and found.best.pieces == (0,) and found.best.study == "s2"
    assert found.runs_planned == 25 + 15


def test_subsets_that_are_no_code_are_not_asked_for() -> None:
    stage = msgspec.structs.replace(make_stage(LEFT_OUT), refused=((0,),))
    study = make_study(stage)
    found = judge(TRACK, [stage], {study.id: study}, runs_of(study, EXACT))
    assert frozenset({0}) not in found.search.wanted and found.search.best != {0}


@pytest.mark.parametrize(
    ("seconds", "losses", "reason"),
    [
        (EXACT | {"full": 10.0}, {}, "no speedup to keep"),
        (EXACT | {"full": 12.0}, {}, "no speedup to keep"),
        (EXACT, {"full": 3.9}, "misses the target: mean loss 3.9"),
    ],
)
def test_without_a_speedup_there_is_no_search(seconds, losses, reason: str) -> None:
    found = ablate(seconds, losses)
    assert found.search is None and reason in found.reason and found.best is None


def test_a_study_that_was_stopped_says_what_is_missing() -> None:
    stage = make_stage(LEFT_OUT | ALONE)
    study = make_study(stage)
    runs = [run for run in runs_of(study, EXACT) if run.block < 3 and (run.block, run.arm) != (2, "rest2")]
    found = judge(TRACK, [stage], {study.id: study}, runs)
    assert found.search is None and found.reason == "runs are missing" and found.runs_stored == 23
    assert labels(found) == [None, None, None] and found.worths[0].seconds.difference > 2
    found = judge(TRACK, [stage], {study.id: study}, [])
    assert found.full.seconds is None and found.worths[0].seconds == Effect()


def test_a_clock_that_is_not_paired_takes_welch_and_the_losses_stay_paired() -> None:
    track = make_track(clock={"source": "cpu", "paired": False})
    found = ablate(track=track)
    assert labels(found) == ["pays", "noise", "harms"] and found.best.pieces == (0,)
    assert found.worths[0].seconds.ci != ablate().worths[0].seconds.ci
    assert found.worths[0].loss.ci == ablate().worths[0].loss.ci


def test_equal_losses_differ_by_nothing() -> None:
    stage = make_stage(LEFT_OUT)
    study = make_study(stage)
    runs = [msgspec.structs.replace(run, loss=LOSS + run.block / 100) for run in runs_of(study, EXACT)]
    found = judge(TRACK, [stage], {study.id: study}, runs)
    assert [one.loss for one in found.worths] == [Effect(difference=0.0, p=1.0, p_holm=1.0)] * 3
