"""Ablations on real git: planned, resumed, kept within a budget, verified, exchanged."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from patchrun.adapters import ablations
from patchrun.adapters.ablations import ABLATIONS
from patchrun.adapters.store import RUNS, STUDIES, Arena
from patchrun.core import plan, results
from patchrun.core.errors import UsageError
from patchrun.core.pieces import COARSE
from patchrun.core.results import Attempt, Study, content_id
from patchrun.services import ablation, standings, sync, tournament, verify
from tests.conftest import SCRIPT
from tests.services.test_pieces import ONE, diff_to
from tests.services.test_tournament import fill, made_up_run
from tests.services.test_verify import forge

# STEPS: faster by 4; WASTE: slower by 1; what is printed: nothing
NEW = SCRIPT.replace("STEPS = 100", "STEPS = 60").replace("load())", "load() + 0)")
NEW = NEW.replace("    return 42\n\n\n", "    return 42\n\n\nWASTE = 7\n\n\n")


def seconds_of(text: str) -> float:
    return 10.0 - 4 * ("STEPS = 60" in text) + ("WASTE" in text)


class Runner:
    """Stores runs whose seconds follow from the code that they would train; interrupts after ``most`` of them."""

    def __init__(self, arena: Arena, most: int = 10**6) -> None:
        self.arena, self.most, self.studies = arena, most, []

    def __call__(self, study: Study) -> None:
        self.studies.append(study)
        stored = self.arena.slots(study)
        for block in range(study.blocks):
            for arm, slot in plan.slots(study, block):
                if f"{arm.name}/{study.id}-{slot.name}" in stored:
                    continue
                if self.most == 0:
                    raise KeyboardInterrupt
                self.most -= 1
                text = self.arena.repo.read(f"{arm.tree}:train.py").decode()
                noise = (
                    int(content_id(arm.tree, slot.seed)[:4], 16) / 1e6
                )  # below 0.07, the same in every test run
                run = made_up_run(
                    self.arena, study, arm, slot, seconds_of(text) + noise, 2.9 + slot.seed % 97 * 1e-5
                )
                self.arena.add_run(run, b"log\n")


@pytest.fixture
def attempt(plain: Arena) -> Attempt:
    handed = tournament.hand_in(plain, diff_to(NEW), ONE, "ada")
    assert handed.attempt.accepted, handed.attempt.findings
    return handed.attempt


@pytest.fixture
def done(plain: Arena, attempt: Attempt) -> Arena:
    ablation.ablate(ablation.make_planner(plain, attempt, blocks=2), Runner(plain))
    return plain


def test_each_piece_gets_what_it_is_worth(plain: Arena, attempt: Attempt) -> None:
    planner = ablation.make_planner(plain, attempt)
    prospect = ablation.foresee(planner)
    assert (len(prospect.pieces), prospect.runs, prospect.blocks, prospect.with_alone) == (3, 40, 5, True)
    assert plain.studies() == [], "looking ahead stores nothing"
    runner = Runner(plain)
    found = ablation.ablate(planner, runner)
    assert sorted(one.label for one in found.worths) == ["harms", "noise", "pays"]
    pays = next(one for one in found.worths if one.label == "pays")
    assert pays.seconds.difference == pytest.approx(4, abs=0.05)
    assert found.best.pieces == (pays.piece,) and found.search.is_over
    assert found.best.share == pytest.approx(4 / 3, abs=0.05)
    assert (found.runs_planned, found.runs_stored) == (40, 40) and len(runner.studies) == 1
    assert ablation.read_ablation(plain, attempt) == found and ablation.is_whole(planner)


def test_it_counts_for_nobody(plain: Arena, attempt: Attempt) -> None:
    [study] = tournament.plan_waiting(plain)
    fill(plain, study, {"baseline": 10.0, "human": 7.0, "submission": 7.0})
    before = (standings.board(plain), tournament.assess(plain), standings.status(plain))
    own = tournament.stored_runs(plain, attempt)
    ablation.ablate(ablation.make_planner(plain, attempt, blocks=2), Runner(plain))
    assert (standings.board(plain), tournament.assess(plain), standings.status(plain)) == before
    assert tournament.stored_runs(plain, attempt) == own
    assert tournament.plan_waiting(plain) == [] and tournament.resume(plain, [attempt.id]) == []
    assert len(plain.attempts()) == 1 and len(plain.repo.refs("refs/patchrun/submissions/")) == 1


def test_no_seed_of_the_owner_is_spent(done: Arena, home: Path) -> None:
    next((home / "data").rglob("*.key")).unlink()
    [study] = [one for one in done.studies() if one.seed_source == "ablation"]
    assert study.seeds == plan.derive_seeds(study.id.encode(), study.id, 2)


@pytest.mark.parametrize("after", [0, 7, 15])
def test_it_goes_on_where_it_was_stopped(plain: Arena, attempt: Attempt, after: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        ablation.ablate(ablation.make_planner(plain, attempt, blocks=2), Runner(plain, after))
    kept = plain.repo.refs("refs/patchrun/")
    stopped = ablation.read_ablation(plain, attempt)
    assert stopped.runs_stored == after and stopped.reason == "runs are missing"
    planner = ablation.make_planner(plain, attempt, blocks=2)
    assert ablation.foresee(planner).stored == after and not ablation.is_whole(planner)
    found = ablation.ablate(planner, Runner(plain))
    assert plain.repo.refs("refs/patchrun/").items() >= kept.items() and plain.extra_runs() == []
    assert found.runs_stored == 16 and len(ablation.find_stages(plain, attempt)) == 1
    assert verify.verify(plain).problems == ()


def test_a_stage_that_two_processes_plan_is_stored_once(plain: Arena, attempt: Attempt) -> None:
    first, second = (ablation.make_planner(plain, attempt) for _ in range(2))
    first.add(*first.first())
    second.add(*second.first())
    assert len(ablations.read_stages(plain)) == 1 and first.stages == second.stages


def test_a_small_budget_leaves_out_then_coarsens(plain: Arena, attempt: Attempt) -> None:
    lean = ablation.foresee(ablation.make_planner(plain, attempt, 39))
    assert (lean.runs, lean.with_alone, len(lean.pieces)) == (25, False, 3)
    coarse = ablation.foresee(ablation.make_planner(plain, attempt, 20))
    assert coarse.runs <= 20 and len(coarse.pieces) == 2 and COARSE in str(coarse.pieces)
    with pytest.raises(UsageError, match="--budget-runs 15 or more"):
        ablation.make_planner(plain, attempt, 14)


def test_the_search_goes_on_within_the_budget_and_says_when_that_ends_it(
    plain: Arena, attempt: Attempt
) -> None:
    found = ablation.ablate(ablation.make_planner(plain, attempt, 15, 2), Runner(plain))
    assert found.runs_stored == 10 and not found.search.is_over and len(found.best.pieces) == 3
    planner = ablation.make_planner(plain, attempt, 16, 2)
    found = ablation.ablate(planner, Runner(plain))
    assert found.runs_stored == 16 and found.search.is_over and len(found.best.pieces) == 1
    assert [stage.purpose for stage in planner.stages] == ["each", "greedy"]
    assert verify.verify(plain).problems == ()


def test_a_larger_budget_begins_again_with_smaller_pieces(plain: Arena, attempt: Attempt) -> None:
    found = ablation.ablate(ablation.make_planner(plain, attempt, 8, 2), Runner(plain))
    assert len(found.pieces) == 2
    found = ablation.ablate(ablation.make_planner(plain, attempt, 100, 2), Runner(plain))
    assert len(found.pieces) == 3 and ablation.read_ablation(plain, attempt) == found
    assert verify.verify(plain).problems == ()


def test_blocks_may_be_fewer(plain: Arena, attempt: Attempt) -> None:
    found = ablation.ablate(ablation.make_planner(plain, attempt, blocks=3), Runner(plain))
    assert found.blocks == 3 and found.runs_stored == 24


def test_one_piece_is_the_whole_patch(plain: Arena) -> None:
    handed = tournament.hand_in(plain, diff_to(SCRIPT.replace("100", "60")), ONE, "bob")
    found = ablation.ablate(ablation.make_planner(plain, handed.attempt), Runner(plain))
    assert len(found.pieces) == 1 and found.search is None and "one piece" in found.reason
    assert found.runs_planned == 10, "without it is the baseline, alone is the patch"
    assert [one.label for one in found.worths] == ["pays"]


def test_what_cannot_be_ablated(plain: Arena) -> None:
    handed = tournament.hand_in(plain, diff_to(SCRIPT.replace("100", "(")), ONE, "bob")
    with pytest.raises(UsageError, match="was rejected"):
        ablation.make_planner(plain, handed.attempt)
    good = tournament.hand_in(plain, diff_to(SCRIPT.replace("100", "60")), ONE, "bob").attempt
    with pytest.raises(UsageError, match="another state of the track"):
        ablation.make_planner(plain, msgspec.structs.replace(good, track_digest="old"))
    assert ablation.read_ablation(plain, good) is None


def test_it_travels_and_is_verified_on_arrival(plain: Arena, attempt: Attempt, tmp_path: Path) -> None:
    plain.repo.git("clone", "--quiet", "--mirror", str(plain.repo.path), str(tmp_path / "other.git"))
    other = Arena.open(tmp_path / "other.git")
    found = ablation.ablate(ablation.make_planner(plain, attempt, blocks=2), Runner(plain))
    assert sync.sync(other, str(plain.repo.path), send=False).conflicts == ()
    assert ablation.read_ablation(other, other.attempt(attempt.id)) == found
    other.repo.git("gc", "--quiet", "--prune=now")
    assert verify.verify(other).problems == (), "the variants' code came along and stays"


def test_arenas_that_ablate_apart_agree_when_they_meet(
    plain: Arena, attempt: Attempt, tmp_path: Path
) -> None:
    plain.repo.git("clone", "--quiet", "--mirror", str(plain.repo.path), str(tmp_path / "other.git"))
    other = Arena.open(tmp_path / "other.git")
    found = [
        ablation.ablate(ablation.make_planner(each, attempt, blocks=2), Runner(each))
        for each in (plain, other)
    ]
    assert found[0] == found[1]
    sync.sync(other, str(plain.repo.path))
    for each in (plain, other):
        assert ablation.read_ablation(each, attempt) == found[0] and len(each.runs()) == 16
        assert verify.verify(each).problems == ()


def one_problem(arena: Arena) -> str:
    problems = verify.verify(arena).problems
    assert len(problems) == 1, problems
    return problems[0]


def test_forged_stages_are_found(done: Arena) -> None:
    [name] = done.repo.refs(ABLATIONS)
    [stage] = ablations.read_stages(done)
    assert verify.verify(done).problems == ()

    def put(changed) -> None:
        data = results.encode(changed)
        done.repo.git("update-ref", "-d", next(iter(done.repo.refs(ABLATIONS))))
        forge(done, ABLATIONS + ablations.stage_name(changed, data), ablations.FILE, data)

    swapped = tuple(msgspec.structs.replace(one, arm=stage.variants[2].arm) for one in stage.variants)
    put(msgspec.structs.replace(stage, variants=swapped))
    assert "is not the baseline with pieces" in one_problem(done)
    put(msgspec.structs.replace(stage, pieces=stage.pieces[:1]))
    assert "a variant of pieces that there are not" in one_problem(done)
    put(msgspec.structs.replace(stage, study="f" * 20))
    assert "its study" in one_problem(done)
    put(msgspec.structs.replace(stage, submission="f" * 20))
    assert "its submission" in one_problem(done)
    done.repo.git("update-ref", "-d", next(iter(done.repo.refs(ABLATIONS))))
    forge(done, f"{ABLATIONS}{stage.submission}/000000000000", ablations.FILE, results.encode(stage))
    assert "its name does not follow" in one_problem(done)


def test_an_ablation_cannot_point_at_a_study_that_ranks(done: Arena) -> None:
    [stage] = ablations.read_stages(done)
    [study] = tournament.plan_waiting(done)
    done.add_study(study)
    data = results.encode(msgspec.structs.replace(stage, study=study.id))
    forge(done, ABLATIONS + ablations.stage_name(msgspec.structs.replace(stage, study=study.id), data),
          ablations.FILE, data)  # fmt: skip
    assert "no study of an ablation" in one_problem(done)


def test_refs_are_a_stage_with_its_study_and_plain_runs(done: Arena, attempt: Attempt) -> None:
    [name] = done.repo.refs(ABLATIONS)
    assert name.startswith(f"{ABLATIONS}{attempt.id}/")
    assert len(done.repo.refs(STUDIES)) == 1 and len(done.repo.refs(RUNS)) == 16
