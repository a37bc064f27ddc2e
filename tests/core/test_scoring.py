"""Every state and verdict, their order, and the numbers that come with them."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from builders import (
    BASELINE,
    GOOD,
    HUMAN,
    SUBMISSION,
    make_attempt,
    make_machine,
    make_reference,
    make_run,
    make_runs,
    make_study,
    make_track,
)

from patchrun.core.findings import Finding
from patchrun.core.results import Amount, Ruling, Run, Work
from patchrun.core.scoring import Score, score, score_rejected

FAST = (8.4, 8.5, 8.2, 8.6, 8.7)
T_TEST = {"kind": "t-test", "blocks": 5, "alpha": 0.01, "looks": (5, 10)}
BY_LOG = {"kind": "log"}


def assess(*runs: Run, **options: Any) -> Score:
    track = options.pop("track", make_track())
    return score(track, options.pop("study", make_study()), runs, SUBMISSION, **options)


def submit(seconds: tuple[float, ...] = FAST, losses: tuple[float, ...] = GOOD, **changes: Any) -> list[Run]:
    return make_runs("submission", seconds, losses, **changes)


def make_ruling(kind: str) -> Ruling:
    return Ruling(submission=SUBMISSION, ruling=kind, reason="count table", by="owner", created="2026")  # type: ignore[arg-type]


def crash(block: int, name: str = "failed", kind: str = "submission") -> Run:
    return make_run(kind, block, None, None, exit=name, reason=f"{name} here")


def test_valid_with_fsr_speedup_seconds_and_loss() -> None:
    found = assess(*make_reference(), *submit())
    saved = [b - s for b, s in zip(BASELINE, FAST, strict=True)]
    gap = [b - h for b, h in zip(BASELINE, HUMAN, strict=True)]
    assert (found.state, found.verdict, found.scorable) == ("done", "valid", True)
    assert found.fsr == pytest.approx(sum(saved) / sum(gap))
    assert found.fsr_ci is not None
    assert found.fsr_ci[0] < found.fsr < found.fsr_ci[1]
    assert found.speedup == pytest.approx(sum(BASELINE) / sum(FAST))
    assert found.gap_log == pytest.approx(math.log(sum(BASELINE) / sum(HUMAN)))
    assert (found.n_blocks, found.clock, found.study, found.missing) == (5, "cpu", "study", ())
    assert found.seconds.baseline == pytest.approx(10.1)
    assert found.seconds.human == pytest.approx(8.06)
    assert found.seconds.submission == pytest.approx(8.48)
    assert (found.loss.mean, found.loss.target, found.loss.p_value) == (pytest.approx(3.72), 3.75, None)


def test_a_slower_patch_is_valid_with_a_negative_fsr() -> None:
    found = assess(*make_reference(), *submit((11.0, 11.2, 10.9, 11.3, 11.1)))
    assert found.verdict == "valid"
    assert found.fsr is not None
    assert found.fsr < 0


def test_no_runs_is_pending_and_some_is_running() -> None:
    assert assess().state == "pending"
    assert len(assess().missing) == 15
    assert score(make_track(), None, (), SUBMISSION) == Score(
        state="pending", clock="cpu", loss=assess().loss
    )
    some = assess(*make_reference(), *submit()[:3])
    assert (some.state, some.verdict, some.fsr) == ("running", None, None)
    assert some.missing == ("submission block 4", "submission block 5")
    assert some.n_blocks == 3
    assert some.scorable is True


def test_stale_has_no_verdict_even_if_it_was_valid() -> None:
    found = assess(*make_reference(), *submit(), stale=True)
    assert (found.state, found.verdict, found.fsr) == ("stale", None, None)
    assert "rerun" in found.reason


def test_rejected_names_its_findings() -> None:
    findings = (
        Finding(code="PR301", severity="error", message="x"),
        Finding(code="PR203", severity="error", message="y"),
        Finding(code="PR500", severity="review", message="z"),
    )
    found = score_rejected(make_track(), make_attempt(accepted=False, findings=findings))
    assert (found.state, found.verdict) == ("done", "rejected")
    assert found.reason == "failed validation: PR203, PR301"


def test_a_ruling_goes_before_what_the_runs_say() -> None:
    found = assess(crash(0, kind="human"), *submit(), ruling=make_ruling("disqualified"))
    assert (found.verdict, found.reason) == ("disqualified", "disqualified by owner: count table")


def test_withdrawing_after_a_measurement_counts_and_before_it_does_not() -> None:
    after = assess(*submit()[:1], ruling=make_ruling("withdrawn"))
    assert (after.state, after.verdict, after.withdrawn) == ("done", "disqualified", True)
    before = assess(*make_reference(), ruling=make_ruling("withdrawn"))
    assert (before.state, before.verdict, before.withdrawn) == ("done", None, True)


@pytest.mark.parametrize("kind", ["baseline", "human"])
def test_a_broken_reference_arm_makes_it_unscorable_at_once(kind: str) -> None:
    found = assess(crash(0, "out-of-memory", kind), *submit()[:1])
    assert (found.state, found.verdict, found.scorable) == ("done", "unscorable", False)
    assert found.reason == f"the reference failed: {kind}, block 1, seed 100: out-of-memory here"


@pytest.mark.parametrize("kind", ["baseline", "human"])
def test_a_reference_arm_above_the_target_makes_it_unscorable(kind: str) -> None:
    times = {"baseline": BASELINE, "human": HUMAN}
    runs = [run for run in make_reference() if run.kind != kind] + make_runs(
        kind, times[kind], [3.76] * 4 + [3.79]
    )
    found = assess(*runs, *submit())
    assert (found.verdict, found.fsr) == ("unscorable", None)
    assert f"the {kind} arm misses the target" in found.reason


def test_reference_arms_that_repeat_themselves_make_it_unscorable() -> None:
    runs = make_runs("baseline", BASELINE, [3.7] * 5) + make_runs("human", HUMAN, GOOD)
    assert "only 1 independent" in assess(*runs, *submit()).reason


@pytest.mark.parametrize(
    ("human", "words"),
    [
        ((11.0, 11.1, 11.2, 11.0, 11.1), "not positive"),
        (BASELINE, "not positive"),
        ((9.0, 10.9, 9.1, 10.8, 9.4), "not beyond noise"),
        (tuple(b - 2 for b in (10.0, 10.0, 10.0, 10.0, 10.0)), "no interval"),
    ],
)
def test_a_gap_that_carries_nothing_makes_it_unscorable(human: tuple[float, ...], words: str) -> None:
    still = words == "no interval"
    baseline = make_runs("baseline", (10.0,) * 5 if still else BASELINE, GOOD)
    found = assess(*baseline, *make_runs("human", human, GOOD), *submit())
    assert (found.verdict, found.fsr, found.scorable) == ("unscorable", None, False)
    assert words in found.reason


def test_one_block_gives_no_interval() -> None:
    track = make_track(rule={"kind": "mean", "blocks": 1})
    runs = [run for run in (*make_reference(), *submit()) if run.block == 0]
    found = assess(*runs, track=track, study=make_study(blocks=1))
    assert (found.verdict, found.reason) == ("unscorable", "one block gives no interval of the gap")


def test_mixed_hardware_makes_it_unscorable() -> None:
    found = assess(*make_reference(), *submit(machine=make_machine("cpu-b")))
    assert (found.verdict, found.reason) == ("unscorable", "runs of different hardware: cpu-a, cpu-b")


@pytest.mark.parametrize(
    ("exit_name", "verdict"),
    [("failed", "failed"), ("out-of-memory", "failed"), ("no-model", "failed"), ("bad-model", "failed"),
     ("timed-out", "timed-out"), ("disqualified", "disqualified")],
)  # fmt: skip
def test_one_bad_run_of_five_is_the_verdict(exit_name: str, verdict: str) -> None:
    found = assess(*make_reference(), *submit()[:4], crash(4, exit_name))
    assert (found.state, found.verdict, found.fsr) == ("done", verdict, None)
    assert found.reason == f"submission, block 5, seed 104: {exit_name} here"
    assert found.scorable is True


def test_a_bad_run_decides_before_the_study_is_full() -> None:
    found = assess(*make_reference()[:1], crash(0))
    assert (found.state, found.verdict, found.scorable) == ("done", "failed", None)
    assert len(found.missing) == 13


def test_nan_is_a_failed_run() -> None:
    found = assess(*make_reference(), *submit()[:4], make_run("submission", 4, 8.0, math.nan))
    assert (found.verdict, "no finite loss" in found.reason) == ("failed", True)


def test_stopped_by_racing() -> None:
    found = assess(*make_reference(), *submit()[:2], stopped="projected time 12 s, baseline 10 s")
    assert (found.state, found.verdict, found.reason) == (
        "done",
        "stopped",
        "projected time 12 s, baseline 10 s",
    )


def test_a_mean_above_the_target_missed_it() -> None:
    found = assess(*make_reference(), *submit(losses=(3.74, 3.76, 3.75, 3.77, 3.74)))
    assert (found.verdict, found.reason) == ("missed-target", "mean loss 3.7520 > 3.75 over 5 runs")
    assert (found.fsr, found.speedup, found.scorable) == (None, None, True)
    assert found.seconds.submission is not None


def test_a_mean_at_the_target_reaches_it() -> None:
    losses = (3.75 - 0.02, 3.75 - 0.01, 3.75, 3.75 + 0.01, 3.75 + 0.02)
    assert assess(*make_reference(), *submit(losses=losses)).verdict == "valid"


@pytest.mark.parametrize("repeat", [{"losses": (3.7,) * 5}, {"seed": 7}])
def test_repeats_leave_it_unproven(repeat: dict[str, Any]) -> None:
    found = assess(*make_reference(), *submit(**repeat))
    assert (found.verdict, found.fsr) == ("unproven", None)
    assert "4 run(s) repeat a seed or a loss" in found.reason


def test_fewer_blocks_than_the_rule_needs_leave_it_unproven() -> None:
    track = make_track(rule={"kind": "mean", "blocks": 6})
    found = assess(*make_reference(), *submit(), track=track)
    assert (found.verdict, "the rule needs 6" in found.reason) == ("unproven", True)


LATER: list[tuple[str, dict[str, Any], list[Run]]] = [
    ("disqualified", {"ruling": make_ruling("disqualified")}, []),
    ("unscorable", {}, [crash(0, kind="human")]),
    ("failed", {}, [crash(0)]),
    ("timed-out", {}, [crash(1, "timed-out")]),
    ("disqualified", {}, [crash(2, "disqualified")]),
    ("stopped", {"stopped": "slow"}, []),
    ("missed-target", {}, [make_run("submission", 3, 8.6, 5.0)]),
    ("unproven", {}, [make_run("submission", 4, 8.7, 3.70, seed=100)]),
    ("valid", {}, []),
]


@pytest.mark.parametrize("first", range(len(LATER)))
def test_the_order_of_verdicts(first: int) -> None:
    """All troubles from ``first`` on at once: the first of them is the verdict."""
    options: dict[str, Any] = {}
    slots = {(run.kind, run.block): run for run in (*make_reference(), *submit())}
    for _, more, runs in reversed(LATER[first:]):
        options |= more
        slots |= {(run.kind, run.block): run for run in runs}
    assert assess(*slots.values(), **options).verdict == LATER[first][0]


def test_without_a_human_patch_it_ranks_by_speedup() -> None:
    runs = [run for run in make_reference() if run.kind == "baseline"]
    found = assess(*runs, *submit(), study=make_study(human=False))
    assert (found.verdict, found.fsr, found.fsr_ci, found.gap_log) == ("valid", None, None, None)
    assert found.speedup == pytest.approx(10.1 / 8.48)
    assert found.speedup_ci is not None
    assert found.speedup_ci[0] < 10.1 / 8.48 < found.speedup_ci[1]
    assert found.seconds.human is None


def run_blocks(losses: list[float], done: int | None = None, **changes: Any) -> list[Run]:
    """Blocks of all three arms with steady times; the submission has ``losses``."""
    n = len(losses)
    wiggle = [0.1 * ((k * 7) % 5 - 2) for k in range(n)]
    good = [3.27 + 0.0004 * ((k * 3) % 7 - 3) for k in range(n)]
    arms = [
        make_runs("baseline", [10 + w for w in wiggle], good),
        make_runs("human", [8 - w / 3 for w in wiggle], good),
        make_runs("submission", [8.5 + w / 2 for w in wiggle], losses, **changes),
    ]
    return [run for arm in arms for run in arm[:done]]


LOG_TRACK = make_track(rule=T_TEST, evidence=BY_LOG, target={"loss": 3.28})


def test_a_t_test_that_proves_at_an_early_look_is_done() -> None:
    losses = [3.276, 3.277, 3.275, 3.276, 3.277]
    found = assess(*run_blocks(losses), track=LOG_TRACK, study=make_study(blocks=10))
    assert (found.state, found.verdict, found.n_blocks) == ("done", "valid", 5)
    assert found.loss.p_value is not None
    assert 0 < found.loss.p_value < 0.005
    assert found.missing == ()


def test_what_was_run_after_the_look_that_proved_changes_nothing() -> None:
    losses = [3.276, 3.277, 3.275, 3.276, 3.277]
    five = assess(*run_blocks(losses), track=LOG_TRACK, study=make_study(blocks=10))
    ten = assess(*run_blocks(losses + [3.29] * 5), track=LOG_TRACK, study=make_study(blocks=10))
    assert (ten.verdict, ten.n_blocks, ten.loss, ten.fsr) == ("valid", 5, five.loss, five.fsr)


def test_a_t_test_that_is_not_proven_yet_goes_on() -> None:
    losses = [3.276, 3.284, 3.275, 3.283, 3.277]
    found = assess(*run_blocks(losses), track=LOG_TRACK, study=make_study(blocks=10))
    assert (found.state, found.verdict) == ("running", None)
    end = assess(*run_blocks(losses * 2), track=LOG_TRACK, study=make_study(blocks=10))
    assert (end.verdict, end.fsr) == ("unproven", None)
    assert end.loss.p_value is not None
    assert end.loss.p_value > 0.005
    assert "n = 10" in end.reason
    missed = assess(
        *run_blocks([x + 0.003 for x in losses * 2]), track=LOG_TRACK, study=make_study(blocks=10)
    )
    assert missed.verdict == "missed-target"


def test_repeats_of_one_seed_have_no_p_value() -> None:
    losses = [3.276, 3.277, 3.275, 3.276, 3.277] * 2
    found = assess(*run_blocks(losses, seed=1), track=LOG_TRACK, study=make_study(blocks=10))
    assert (found.verdict, found.loss.p_value) == ("unproven", None)
    assert "9 run(s) repeat" in found.reason


def test_a_t_test_without_spread_has_no_p_value() -> None:
    found = assess(*run_blocks([3.27] * 10), track=LOG_TRACK, study=make_study(blocks=10))
    assert (found.verdict, found.loss.p_value) == ("unproven", None)
    assert "without spread" in found.reason


def test_an_unpaired_track_uses_reused_runs_and_an_unpaired_interval() -> None:
    track = make_track(clock={"source": "arrival", "paired": False})
    reused = [
        msgspec.structs.replace(run, study="older", seconds=(run.seconds or 0) + 0.05)
        for run in make_reference()
    ]
    own = [*make_reference(), *submit()]
    found = assess(*own, *reused, track=track)
    alone = assess(*own, track=track)
    paired = assess(*own)
    assert (found.verdict, found.paired, found.clock) == ("valid", False, "arrival")
    assert found.fsr == pytest.approx((10.125 - 8.48) / (10.125 - 8.085))
    assert all(x.fsr_ci is not None and x.speedup_ci is not None for x in (found, alone, paired))
    assert width(found) < width(alone)
    assert width(paired) < width(alone)


def width(found: Score) -> float:
    assert found.fsr_ci is not None
    return found.fsr_ci[1] - found.fsr_ci[0]


def test_an_unpaired_study_without_any_reference_run_waits() -> None:
    track = make_track(clock={"source": "arrival", "paired": False})
    found = assess(*submit(), track=track)
    assert (found.state, found.verdict, found.n_blocks) == ("running", None, 0)


def test_a_score_is_a_plain_value() -> None:
    found = assess(*make_reference(), *submit())
    assert msgspec.json.decode(msgspec.json.encode(found), type=Score) == found


def test_submissions_that_share_a_study_are_judged_each_for_itself() -> None:
    study = make_study(("one", "two", "three"))
    runs = [
        *make_reference(),
        *submit(arm="one"),
        *submit(losses=tuple(x + 0.1 for x in GOOD), arm="two"),
        make_run("submission", 0, None, None, arm="three", exit="failed", reason="SyntaxError"),
    ]
    verdicts = {arm: score(make_track(), study, runs, arm).verdict for arm in ("one", "two", "three")}
    assert verdicts == {"one": "valid", "two": "missed-target", "three": "failed"}


def test_another_submissions_missing_runs_do_not_matter() -> None:
    study = make_study((SUBMISSION, "late"))
    assert assess(*make_reference(), *submit(), study=study).verdict == "valid"
    assert score(make_track(), study, make_reference(), "late").state == "running"


def test_a_span_has_the_baseline_of_its_first_and_the_human_arm_of_its_last() -> None:
    study = make_study(record="30..62")
    runs = [msgspec.structs.replace(run, record="30..62", arm=run.arm + "0") for run in make_reference()]
    own = [msgspec.structs.replace(run, record="30..62") for run in submit()]
    arms = tuple(
        msgspec.structs.replace(a, name=a.name[:1] + "50") if a.kind != "submission" else a
        for a in study.arms
    )
    study = msgspec.structs.replace(study, arms=arms)
    assert assess(*runs, *own, study=study).verdict == "valid"


def test_more_blocks_than_the_rule_needs_all_count() -> None:
    """A pooled re-measurement: ten blocks, none left out."""
    runs = []
    for arm in (make_reference()[:5], make_reference()[5:], submit()):
        runs += arm
        runs += [
            msgspec.structs.replace(r, block=r.block + 5, seed=r.seed + 5, loss=(r.loss or 0) - 0.001)
            for r in arm
        ]
    found = assess(*runs, study=make_study(blocks=10))
    once = assess(*make_reference(), *submit())
    assert (found.verdict, found.n_blocks) == ("valid", 10)
    assert found.fsr == pytest.approx(once.fsr)
    assert width(found) < width(once)


def test_a_lucky_half_cannot_outvote_the_other() -> None:
    """Pooling takes the mean over all blocks: a re-measurement does not replace a missed target."""
    runs = []
    for arm, shift in ((make_reference()[:5], -0.001), (make_reference()[5:], -0.001), (submit(), 0.08)):
        runs += arm
        runs += [
            msgspec.structs.replace(r, block=r.block + 5, seed=r.seed + 5, loss=(r.loss or 0) + shift)
            for r in arm
        ]
    assert assess(*runs, study=make_study(blocks=10)).verdict == "missed-target"


@pytest.mark.parametrize("kind", ["human", "submission"])
def test_a_hole_in_the_middle_cannot_be_skipped(kind: str) -> None:
    runs = run_blocks([3.276, 3.277, 3.29, 3.276, 3.277, 3.276])
    holed = [run for run in runs if not (run.kind == kind and run.block == 2)]
    found = assess(*holed, track=LOG_TRACK, study=make_study(blocks=10))
    assert (found.state, found.verdict) == ("running", None)


def test_a_proof_does_not_save_a_study_whose_reference_misses_the_target() -> None:
    runs = run_blocks([3.276, 3.277, 3.275, 3.276, 3.277])
    bad = [msgspec.structs.replace(r, loss=3.29) if r.kind == "human" else r for r in runs]
    found = assess(*bad, track=LOG_TRACK, study=make_study(blocks=10))
    assert (found.verdict, found.fsr) == ("unscorable", None)
    assert "the human arm misses the target" in found.reason


def test_a_crash_after_the_proof_is_still_a_crash() -> None:
    runs = run_blocks([3.276, 3.277, 3.275, 3.276, 3.277])
    found = assess(*runs, crash(6), track=LOG_TRACK, study=make_study(blocks=10))
    assert found.verdict == "failed"


def test_false_validity_is_at_most_alpha_with_optional_stopping() -> None:
    """A submission exactly at the target, looked at after 5 and 10 runs: proven in at most 1% of studies."""
    import numpy as np

    random = np.random.default_rng(4)
    study, valid, trials = make_study(blocks=10), 0, 500
    for _ in range(trials):
        losses = random.normal(3.28, 0.0013, 10).tolist()
        five = assess(*run_blocks(losses[:5]), track=LOG_TRACK, study=study)
        valid += (
            five if five.state == "done" else assess(*run_blocks(losses), track=LOG_TRACK, study=study)
        ).verdict == "valid"
    assert valid / trials < 0.01 + 4 * math.sqrt(0.01 * 0.99 / trials)


def test_the_interval_of_a_scored_study_covers() -> None:
    import numpy as np

    random = np.random.default_rng(5)
    hits = []
    for _ in range(400):
        drift = random.normal(0, 0.3, 5)
        b, h, s = (mean + drift + random.normal(0, 0.15, 5) for mean in (10.0, 8.0, 8.6))
        runs = [*make_runs("baseline", b, GOOD), *make_runs("human", h, GOOD), *submit(tuple(s))]
        interval = assess(*runs).fsr_ci
        assert interval is not None
        hits.append(interval[0] <= 0.7 <= interval[1])
    assert np.mean(hits) == pytest.approx(0.95, abs=0.035)


ARRIVAL = {"clock": {"source": "arrival"}, "evidence": BY_LOG}


def work(joules: float) -> dict[str, Any]:
    """Figures of a run by the arrival clock that used so much before its first timed line."""
    used = Work(joules=Amount(joules, joules + 400.0), cpu=Amount(10.0, 12.0))
    return {"work": used, "lead_seconds": 5.0, "clock": "arrival"}


@pytest.mark.parametrize(
    ("joules", "verdict", "reviews"),
    [(1000.0, "valid", 0), (1300.0, "valid", 5), (1600.0, "disqualified", 0)],
)
def test_work_outside_the_arrival_clock(joules: float, verdict: str, reviews: int) -> None:
    references = make_runs("baseline", BASELINE, GOOD, **work(1000.0)) + make_runs(
        "human", HUMAN, GOOD, **work(1001.0)
    )
    runs = [*references, *submit(**work(joules))]
    found = assess(*runs, track=make_track(**ARRIVAL))
    assert (found.verdict, len(found.reviews)) == (verdict, reviews)
    if verdict == "disqualified":
        assert found.fsr is None
        assert "work outside the clock: submission, block 1, seed 100: GPU energy before" in found.reason
    by_cpu = assess(*runs)
    assert (by_cpu.verdict, by_cpu.reviews) == ("valid", ()), "where CPU time is the clock, all work is on it"


def test_a_crash_goes_before_work_outside_the_clock() -> None:
    references = make_runs("baseline", BASELINE, GOOD, **work(1000.0)) + make_runs(
        "human", HUMAN, GOOD, **work(1001.0)
    )
    found = assess(*references, *submit(**work(9000.0))[:4], crash(4), track=make_track(**ARRIVAL))
    assert found.verdict == "failed"
