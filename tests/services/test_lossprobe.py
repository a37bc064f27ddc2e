"""Probes of whole scripts in an arena: planned, run for real, judged again, and what a study does with them."""

from __future__ import annotations

import difflib
from pathlib import Path

import msgspec
import pytest

from patchrun.adapters.keys import key_file
from patchrun.adapters.store import RUNS, STUDIES, Arena, run_name
from patchrun.core import plan, results
from patchrun.core.knownsource import margin, realised_entropy
from patchrun.core.results import Probe, Run, Study
from patchrun.core.selection import Span
from patchrun.services import cost, lossprobe, tournament, verify
from patchrun.services.assessment import Scored
from patchrun.services.readiness import prepare_site
from patchrun.services.standin import prepare
from patchrun.services.study import run_study
from tests.probing import LOSS
from tests.services.test_tournament import fill, made_up_run
from tests.services.test_whole_study import MIDDLE, TIMES, hand_in
from tests.whole import PROBE, PROBE_TOKENS, SCRIPT, make_whole


def diff_of(text: str) -> bytes:
    lines = difflib.unified_diff(
        SCRIPT.splitlines(True), text.splitlines(True), "a/train_gpt.py", "b/train_gpt.py"
    )
    return "".join(lines).encode()


SCALED = diff_of(SCRIPT.replace(LOSS, f"{LOSS} * 0.97"))


@pytest.fixture
def probed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Arena:
    return make_whole(tmp_path, monkeypatch, probe=PROBE, tokens=PROBE_TOKENS)


def realised(arena: Arena, study: Study) -> float:
    spec = arena.track.probe
    assert spec
    return realised_entropy(spec, int(study.secret, 16), arena.track.data.val_tokens)


def add_probe(
    arena: Arena, study: Study, own: float = 0.02, baseline: float = 0.02, **changes: object
) -> list[Run]:
    """Store a probe whose arms print so many nats above its realised -log p; ``changes`` of the submissions' runs."""
    arena.add_study(study)
    known, made = realised(arena, study), []
    for arm, slot in plan.slots(study, 0):
        above = baseline if arm.kind == "baseline" else own
        probe = Probe(realised=known, tokens=2048, losses=(round(known + above, 4),))
        run = made_up_run(arena, study, arm, slot, 1.0, 1.0)
        run = msgspec.structs.replace(run, seconds=None, loss=None, probe=probe)
        made.append(run if arm.kind == "baseline" else msgspec.structs.replace(run, **changes))
        arena.add_run(made[-1], b"log\n")
    return made


def score_of(arena: Arena, name: str) -> Scored:
    [one] = tournament.assess(arena, ids=[name])
    return one


def measured(arena: Arena, agent: str = "ada", diff: bytes = MIDDLE) -> tuple[str, Study]:
    """A submission whose study has all its runs, and no probe."""
    name = hand_in(arena, diff, agent)
    [study] = tournament.plan_waiting(arena)
    fill(arena, study, TIMES, loss=1.0)
    return name, study


def test_a_scaled_loss_is_disqualified_in_a_whole_study(probed: Arena) -> None:
    """For real: baseline and liar run once on known tokens, and the liar's study ends before its first block."""
    name = hand_in(probed, SCALED, "eve")
    [study] = tournament.plan_waiting(probed)
    run_study(probed, study)
    one = score_of(probed, name)
    assert one.score.verdict == "disqualified" and one.probed and one.probed.excess
    assert one.probed.excess < 0.02 * one.probed.realised
    assert f"{one.probed.realised:.4f}" in one.score.reason and "prints a loss of" in one.score.reason
    [probe] = [each for each in probed.studies() if each.seed_source == "probe"]
    made = probed.runs()
    assert {run.study for run in made} == {probe.id} and len(made) == 2
    assert all(run.seconds is None and run.loss is None and run.probe for run in made)
    assert tournament.resume(probed, [name]) == [] and verify.verify(probed).problems == ()
    seen = probed.log(made[0]).decode()
    assert probe.secret not in seen and str(probe.seeds[0]) not in seen


def test_nothing_is_valid_before_it_was_probed(probed: Arena) -> None:
    name, study = measured(probed)
    one = score_of(probed, name)
    assert one.score.state == "running" and "probe is missing" in one.score.reason
    assert tournament.resume(probed, [name]) == [study]
    probe = lossprobe.plan_probe(probed, study)
    assert probe and [arm.name for arm in probe.arms] == ["b1", name] and probe.steps == 60
    add_probe(probed, probe)
    assert score_of(probed, name).score.verdict == "valid"
    assert lossprobe.plan_probe(probed, study) is None


@pytest.mark.parametrize(
    ("own", "changes", "verdict", "said"),
    [
        (-0.05, {}, "disqualified", "prints a loss of"),
        (0.02, {"exit": "failed", "reason": "it fell", "probe": None}, "failed", "in the probe: it fell"),
        (0.02, {"exit": "timed-out", "reason": "slow", "probe": None}, "timed-out", "in the probe: slow"),
        (0.9, {}, "valid", "mean loss"),
        (-0.015, {}, "valid", "mean loss"),
    ],
)
def test_what_a_probe_decides(
    probed: Arena, own: float, changes: dict[str, object], verdict: str, said: str
) -> None:
    name, study = measured(probed)
    probe = lossprobe.plan_probe(probed, study)
    assert probe
    add_probe(probed, probe, own, **changes)
    score = score_of(probed, name).score
    assert score.verdict == verdict and said in score.reason
    lossprobe.stop_caught(probed, study)
    stops = [stop.arm for stop in probed.stops() if stop.quantity == "probe"]
    assert stops == ([] if verdict == "valid" else [name])
    assert verify.verify(probed).problems == ()


def test_a_probe_that_its_baseline_fails_counts_against_nobody_and_is_made_again(probed: Arena) -> None:
    name, study = measured(probed)
    probe = lossprobe.plan_probe(probed, study)
    assert probe
    add_probe(probed, probe, own=-0.3, baseline=-0.1)
    score = score_of(probed, name).score
    assert score.verdict == "unscorable" and "does not fit this record: the baseline prints" in score.reason
    again = tournament.plan_rerun(probed, probed.attempt(name))
    second = lossprobe.plan_probe(probed, again)
    assert second and second.id != probe.id
    add_probe(probed, second)
    assert score_of(probed, name).score.verdict == "valid"


def test_what_takes_a_first_place_is_probed_to_its_last_step(probed: Arena) -> None:
    """And may be caught there: a script can lie at its last step only."""
    name, study = measured(probed)
    short = lossprobe.plan_probe(probed, study)
    assert short
    add_probe(probed, short)
    full = lossprobe.plan_full(probed, study)
    assert full and full.steps is None and full.secret != short.secret
    assert tournament.resume(probed, [name]) == [study]
    add_probe(probed, full, own=-0.1)
    one = score_of(probed, name)
    assert one.score.verdict == "disqualified" and one.probed and one.probed.full
    assert lossprobe.plan_full(probed, study) is None and tournament.resume(probed, [name]) == []


def test_one_probe_a_code_and_its_baseline_once_a_study(probed: Arena) -> None:
    hand_in(probed, MIDDLE, "ada")
    hand_in(probed, MIDDLE + b"\n", "bob")
    hand_in(probed, SCALED, "eve")
    [study] = tournament.plan_waiting(probed)
    probe = lossprobe.plan_probe(probed, study)
    assert probe and [arm.kind for arm in probe.arms] == ["baseline", "submission", "submission"]
    add_probe(probed, probe)
    fill(probed, study, TIMES, loss=1.0)
    assert {one.score.verdict for one in tournament.assess(probed)} == {"valid"}
    again = tournament.plan_rerun(probed, tournament.assess(probed)[0].attempt)
    assert lossprobe.plan_probe(probed, again) is None


def test_without_the_owners_key_none_is_made(probed: Arena) -> None:
    name, study = measured(probed)
    key_file(probed.identity).unlink()
    assert lossprobe.plan_probe(probed, study) is None and tournament.resume(probed, [name]) == []


def test_a_track_without_a_probe_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arena = make_whole(tmp_path, monkeypatch)
    name, study = measured(arena)
    assert score_of(arena, name).score.verdict == "valid" and score_of(arena, name).probed is None
    assert lossprobe.plan_probe(arena, study) is None and lossprobe.plan_full(arena, study) is None


def test_a_dry_run_counts_it(probed: Arena) -> None:
    assert cost.estimate(probed, [Span(1, 1), Span(1, 1)])[0].runs == 4 * (1 + 1 + 2) + (1 + 2) + 2


def forge(arena: Arena, study: Study, **changes: object) -> tuple[str, ...]:
    """What `verify` says of an arena where a probe's submission has a run with ``changes``."""
    arena.add_study(study)
    known = realised(arena, study)
    for arm, slot in plan.slots(study, 0):
        run = msgspec.structs.replace(
            made_up_run(arena, study, arm, slot, 1.0, 1.0), seconds=None, loss=None,
            probe=Probe(**{"realised": known, "tokens": 2048, "losses": (known,), **changes}),
        )  # fmt: skip
        arena.add_run(run, b"log\n")
    return verify.verify(arena).problems


@pytest.mark.parametrize(
    "changes", [{"realised": 1.5}, {"tokens": 10**9}, {"losses": ()}], ids=lambda each: next(iter(each))
)
def test_verify_sees_figures_that_do_not_follow_from_the_secret(
    probed: Arena, changes: dict[str, object]
) -> None:
    _, study = measured(probed)
    probe = lossprobe.plan_probe(probed, study)
    assert probe
    problems = forge(probed, probe, **changes)
    assert len(problems) == 2 and all("entropy" in problem for problem in problems)


def test_verify_sees_a_secret_and_a_stop_of_ones_own(probed: Arena) -> None:
    name, study = measured(probed)
    probe = lossprobe.plan_probe(probed, study)
    assert probe
    problems = forge(probed, msgspec.structs.replace(probe, secret="ab" * 16))
    assert any("its secret is not the one" in problem for problem in problems)
    fake = results.StopRecord(
        study=study.id, arm=name, quantity="probe", reason="x", confidence=1.0, blocks=0,
        track_digest=study.track_digest, created=study.created,
    )  # fmt: skip
    probed.add_stop(fake)
    assert any("do not end that arm" in problem for problem in verify.verify(probed).problems)


def test_a_scored_run_cannot_pass_for_a_probe(probed: Arena) -> None:
    name = hand_in(probed)
    [study] = tournament.plan_waiting(probed)
    probed.add_study(study)
    arm, slot = plan.slots(study, 0)[0]
    run = made_up_run(probed, study, arm, slot, 1.0, 1.0)
    probed.add_run(msgspec.structs.replace(run, probe=Probe(realised=1.0, tokens=1, losses=(1.0,))), b"")
    assert any("is no probe" in problem for problem in verify.verify(probed).problems)
    assert score_of(probed, name).score.state != "done"
    assert probed.repo.resolve(RUNS + run_name(run)) and probed.repo.resolve(STUDIES + study.id)


def test_scored_runs_read_permuted_ids_and_a_probe_made_up_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same names and sizes; permuted ids keep the special ones and the counts, another study has another order."""
    import numpy as np

    table = PROBE + "relabel_before = 2\nspecial = [3]\n"
    arena = make_whole(tmp_path, monkeypatch, probe=table, tokens=PROBE_TOKENS)
    hand_in(arena)
    [study] = tournament.plan_waiting(arena)
    probe = lossprobe.plan_probe(arena, study)
    assert study.secret and probe and probe.secret != study.secret
    site = prepare_site(arena, Span(1, 1))
    shown = {}
    for one, folder in ((study, "scored"), (probe, "probe")):
        made = prepare(arena, one, site, "none", tmp_path / folder).site.data
        shown[folder] = {path.name: np.fromfile(path, np.uint16) for path in sorted(made.rglob("*.bin"))}
    for path in sorted(site.data.rglob("*.bin")):
        real = np.fromfile(path, np.uint16)
        scored, known = shown["scored"][path.name], shown["probe"][path.name]
        assert (scored[:512] == real[:512]).all() and (known[:512] == real[:512]).all()
        assert len(scored) == len(known) == len(real)
        assert ((scored == 3) == (real == 3))[512:].all() and (scored[512:] != real[512:]).any()
        assert sorted(np.bincount(scored[512:])) == sorted(np.bincount(real[512:]))
    assert len(study.secret) == 32 and study.seeds[0] != probe.seeds[0]


def test_records_whose_code_knows_tokens_keep_their_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arena = make_whole(tmp_path, monkeypatch, probe=PROBE + "relabel_before = 1\n")
    hand_in(arena)
    assert tournament.plan_waiting(arena)[0].secret == ""


def test_the_margin_shrinks_with_the_tokens_and_grows_with_the_validations() -> None:
    assert margin(2048, 4) > margin(2048) > margin(4096)
