"""Plans of studies, as literals."""

from __future__ import annotations

from patchrun.core import plan
from patchrun.core.results import Arm, Machine, Run, Study

MACHINE = Machine(host="h", cpu="c", cores=1, torch="2", python="3", kernel="6", hardware_class="x")


def arm(name: str, kind: str = "submission", ast: str = "") -> Arm:
    return Arm(name=name, kind=kind, commit="c" * 40, tree="t" * 40, ast_digest=ast or name)


def study(
    name: str = "s1", arms: tuple[Arm, ...] = (), seeds: tuple[int, ...] = (7, 8, 9), generation: int = 0
) -> Study:
    arms = arms or (arm("b5", "baseline"), arm("h5", "human"), arm("aa"))
    return Study(id=name, track="t", track_digest="d", record="5", generation=generation, arms=arms, seeds=seeds,
                 created="2026-01-01T00:00:00+00:00")  # fmt: skip


def run(study: str, name: str, kind: str, block: int, seed: int = 1) -> Run:
    return Run(study=study, arm=name, kind=kind, record="5", block=block, position=0, seed=seed, exit="ok", clock="cpu",
               sandbox="none", machine=MACHINE, commit="c", tree="t", track_digest="d", tool_version="0",
               started="2026-01-01T00:00:00+00:00")  # fmt: skip


def test_seeds_follow_from_key_and_study() -> None:
    seeds = plan.derive_seeds(b"key", "study", 5)
    assert len(set(seeds)) == 5 and all(0 <= seed < 2**31 for seed in seeds)
    assert seeds == plan.derive_seeds(b"key", "study", 5)
    assert seeds[:3] == plan.derive_seeds(b"key", "study", 3)
    assert not set(seeds) & set(plan.derive_seeds(b"other", "study", 5))
    assert not set(seeds) & set(plan.derive_seeds(b"key", "another", 5))


def test_blocks_are_mirrored() -> None:
    names = [[a.name for a in plan.block_order(study(), block)] for block in range(3)]
    assert names == [["b5", "h5", "aa"], ["aa", "h5", "b5"], ["b5", "h5", "aa"]]


def test_slots_name_block_position_and_seed() -> None:
    found = [(a.name, slot.name) for a, slot in plan.slots(study(), 1)]
    assert found == [("aa", "b1p0s8"), ("h5", "b1p1s8"), ("b5", "b1p2s8")]


def test_missing_blocks_are_those_without_all_runs() -> None:
    one = study()
    names = {f"{a.name}/s1-{slot.name}" for block in (0, 2) for a, slot in plan.slots(one, block)}
    assert plan.missing(one, names) == [1]
    assert plan.missing(one, names - {"h5/s1-b2p1s9"}) == [1, 2]
    assert plan.missing(one, set()) == [0, 1, 2]


def test_the_same_question_is_the_same_study() -> None:
    arms = (arm("b5", "baseline"), arm("aa"), arm("bb"))
    name = plan.study_id("d", "5", arms, 0, "scoring")
    assert name == plan.study_id("d", "5", arms[::-1], 0, "scoring")
    others = {
        plan.study_id("e", "5", arms, 0, "scoring"), plan.study_id("d", "6", arms, 0, "scoring"),
        plan.study_id("d", "5", arms[:2], 0, "scoring"), plan.study_id("d", "5", arms, 1, "scoring"),
        plan.study_id("d", "5", arms, 0, "public"),
    }  # fmt: skip
    assert len(others) == 5 and name not in others


def test_an_arm_is_found_by_its_code() -> None:
    one = study(arms=(arm("b5", "baseline", "base"), arm("aa", ast="code")))
    assert plan.find_arm(one, "5", "code") == one.arms[1]
    assert plan.find_arm(one, "6", "code") is None
    assert plan.find_arm(one, "5", "base") is None, "the baseline arm is not a submission"


def test_pooling_leaves_no_block_out_and_takes_no_other_submission() -> None:
    first = study("s1", (arm("b5", "baseline"), arm("aa", ast="code"), arm("zz")), (7, 8))
    again = study("s2", (arm("b5", "baseline"), arm("bb", ast="code")), (11,), generation=1)
    own = [run("s1", "b5", "baseline", 0), run("s1", "aa", "submission", 1), run("s1", "zz", "submission", 1)]
    later = [run("s2", "b5", "baseline", 0), run("s2", "bb", "submission", 0)]
    pooled, runs = plan.pool([first, again], [own, later], "code")
    assert pooled.seeds == (7, 8, 11) and [a.name for a in pooled.arms] == ["b5", "aa"]
    assert [(r.study, r.arm, r.block) for r in runs] == [
        ("s1", "b5", 0), ("s1", "aa", 1), ("s1", "b5", 2), ("s1", "aa", 2),
    ]  # fmt: skip


def test_a_pooled_run_that_need_not_move_is_not_copied() -> None:
    first, again = study("s1", seeds=(7, 8)), study("s2", seeds=(9,), generation=1)
    own = [run("s1", "b5", "baseline", 0), run("s1", "aa", "submission", 1)]
    later = run("s2", "aa", "submission", 0)
    pooled, runs = plan.pool([first, again], [own, [later]], "aa")
    assert runs[0] is own[0] and runs[1] is own[1]
    assert (runs[2].study, runs[2].block, pooled.seeds) == ("s1", 2, (7, 8, 9)) and later.study == "s2"


def test_a_run_beyond_the_plan_is_pooled_with_nobody() -> None:
    first = study("s1", (arm("b5", "baseline"), arm("aa", ast="code")), (7, 8))
    again = study("s2", (arm("b5", "baseline"), arm("aa", ast="code")), (11,), generation=1)
    beyond = [run("s1", "b5", "baseline", block) for block in range(3)]
    _, runs = plan.pool([first, again], [beyond, [run("s2", "b5", "baseline", 0)]], "code")
    assert [each.block for each in runs] == [0, 1, 2], "the third is the second study's own"
