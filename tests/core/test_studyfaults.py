"""Plans that hide, choose or pretend are faulty; every plan that patchrun makes is not."""

from __future__ import annotations

import msgspec
import pytest

from patchrun.core import plan
from patchrun.core.results import Arm, Study
from patchrun.core.studyfaults import Grounds, bound_blocks, expect_id, find_fault
from patchrun.core.track import Rule, Track, load_track
from tests.conftest import TRACK

KEY = b"k" * 32
CODE = {
    "refs/heads/baseline/1": "b" * 40,
    "refs/heads/baseline/2": "c" * 40,
    "refs/patchrun/human/1": "c" * 40,
    "refs/patchrun/human/2": "d" * 40,
}
BASELINE = Arm(name="b1", kind="baseline", commit="b" * 40, tree="1" * 40, ast_digest="1" * 40)
HUMAN = Arm(name="h1", kind="human", commit="c" * 40, tree="2" * 40, ast_digest="2" * 40)
OWN = Arm(name="a" * 20, kind="submission", commit="e" * 40, tree="3" * 40, ast_digest="3" * 64)


@pytest.fixture(scope="module")
def track() -> Track:
    return load_track(TRACK, "track.toml")


@pytest.fixture
def grounds(track: Track) -> Grounds:
    return Grounds(track, CODE, {OWN.name: OWN.commit}, KEY)


def study(track: Track, blocks: int = 5, **changes: object) -> Study:
    """A plan as patchrun makes it, with what ``changes`` say; its seeds follow from its id."""
    base = Study(
        id="",
        track="plain",
        track_digest=track.digest,
        record="1",
        arms=(BASELINE, HUMAN, OWN),
        seeds=(),
        created="2026-01-02T03:04:05+00:00",
    )
    made = msgspec.structs.replace(base, **changes)
    made = msgspec.structs.replace(made, id=expect_id(made))
    return (
        made if made.seeds else msgspec.structs.replace(made, seeds=plan.derive_seeds(KEY, made.id, blocks))
    )


def rename(arm: Arm, **changes: object) -> Arm:
    return msgspec.structs.replace(arm, **changes)


def test_a_plan_of_ours_has_no_fault(track: Track, grounds: Grounds) -> None:
    assert find_fault(study(track), grounds) == ""


OTHER = rename(OWN, name="f" * 20, commit="f" * 40)
FAULTS = {
    "empty": ({"blocks": 0}, "has no blocks"),
    "one block": ({"blocks": 1}, "has 1 blocks, and its track's rule takes 5 to 100"),
    "four blocks": ({"blocks": 4}, "has 4 blocks"),
    "a thousand blocks": ({"blocks": 1000}, "has 1000 blocks"),
    "chosen seeds": ({"seeds": (1, 2, 3, 4, 5)}, "its seeds are not those that the owner's key gives"),
    "one seed five times": ({"seeds": (7,) * 5}, "its seeds are not"),
    "seeds in another order": ({"seeds": "reversed"}, "its seeds are not"),
    "another commit as human": (
        {"arms": (BASELINE, rename(HUMAN, commit="b" * 40), OWN)},
        "arm h1 is not the real human",
    ),
    "another commit as baseline": (
        {"arms": (rename(BASELINE, commit="e" * 40), HUMAN, OWN)},
        "arm b1 is not the real",
    ),
    "another record's human": (
        {"arms": (BASELINE, rename(HUMAN, name="h2", commit="d" * 40), OWN)},
        "arm h2 is not the real",
    ),
    "the human as baseline": (
        {"arms": (rename(BASELINE, commit="c" * 40), HUMAN, OWN)},
        "arm b1 is not the real",
    ),
    "a submission called human": (
        {"arms": (BASELINE, rename(OWN, name="h1"))},
        "arm h1 is not that submission's",
    ),
    "a human under another name": (
        {"arms": (BASELINE, rename(HUMAN, name="x"), OWN)},
        "arm x is not the real human",
    ),
    "no human": ({"arms": (BASELINE, OWN)}, "has no human arm h1"),
    "no baseline": ({"arms": (HUMAN, OWN)}, "has no baseline arm b1"),
    "no submission": ({"arms": (BASELINE, HUMAN)}, "has no submission"),
    "no arms": ({"arms": ()}, "has no baseline arm"),
    "an arm twice": ({"arms": (BASELINE, HUMAN, OWN, OWN)}, "names an arm twice"),
    "another commit as the submission": (
        {"arms": (BASELINE, HUMAN, rename(OWN, commit="b" * 40))},
        "is not that submission's",
    ),
    "a digest of its own for the human": (
        {"arms": (BASELINE, rename(HUMAN, ast_digest="9" * 64), OWN)},
        "arm h1",
    ),
    "no record": ({"record": "best"}, "not a record or span"),
    "a record that is not there": ({"record": "9"}, "arm b1 is not the real baseline"),
    "seeds of another source": ({"seed_source": "public", "seeds": (77,)}, "not the track's public ones"),
    "steps on chosen seeds": (
        {"seed_source": "steps", "steps": 3, "seeds": (77, 78)},
        "not the track's public ones",
    ),
    "an ablation on chosen seeds": (
        {"seed_source": "ablation", "seeds": (1, 2)},
        "do not follow from its study's id",
    ),
    "a calibration of another's code": ({"seed_source": "calibration"}, "is no copy of baseline or human"),
    "a final of one block": ({"seed_source": "final", "final": "x", "blocks": 1}, "has 1 blocks"),
}


@pytest.mark.parametrize(("changes", "words"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named(track: Track, grounds: Grounds, changes: dict[str, object], words: str) -> None:
    changes = dict(changes)
    if changes.get("seeds") == "reversed":
        changes["seeds"] = study(track).seeds[::-1]
    if "blocks" in changes and not changes["blocks"]:
        changes = {}
        made = msgspec.structs.replace(study(track), seeds=())
    else:
        made = study(track, **changes)
    assert words in find_fault(made, grounds)


SOUND = {
    "without the key": {"seeds": (9, 8, 7, 6, 5), "key": None},
    "public seeds": {"seed_source": "public", "seeds": (1, 2)},
    "one public seed": {"seed_source": "public", "seeds": (2,)},
    "steps": {"seed_source": "steps", "steps": 10, "seeds": (1, 2)},
    "a re-measurement": {"generation": 3},
    "two submissions": {"arms": (BASELINE, HUMAN, OWN, OTHER)},
    "submissions in front": {"arms": (OWN, BASELINE, HUMAN)},
    "a submission that is not here": {"arms": (BASELINE, HUMAN, OTHER)},
    "an older state of the track, with fewer blocks": {"track_digest": "0" * 64, "blocks": 3},
    "an older state of the track, without human": {"track_digest": "0" * 64, "arms": (BASELINE, OWN)},
    "a span": {"record": "1..2", "arms": (BASELINE, rename(HUMAN, name="h2", commit="d" * 40), OWN)},
    "a calibration": {
        "seed_source": "calibration",
        "arms": (BASELINE, HUMAN, rename(OTHER, commit="c" * 40)),
    },
}


@pytest.mark.parametrize("changes", SOUND.values(), ids=SOUND)
def test_honest_plans_of_every_kind(track: Track, grounds: Grounds, changes: dict[str, object]) -> None:
    given = dict(changes)
    key = given.pop("key", KEY)
    grounds = Grounds(track, CODE, grounds.submissions, key if isinstance(key, bytes) else None)
    assert find_fault(study(track, **given), grounds) == ""


def test_a_record_without_a_human_patch_has_no_human_arm(track: Track) -> None:
    code = {name: commit for name, commit in CODE.items() if not name.startswith("refs/patchrun/human/")}
    assert find_fault(study(track, arms=(BASELINE, OWN)), Grounds(track, code, {}, KEY)) == ""


def test_the_blocks_of_a_rule_with_looks() -> None:
    rule = Rule(kind="t-test", blocks=5, alpha=0.01, looks=(3, 9, 27), loss_sd=0.001)
    assert bound_blocks(rule) == (5, 27)
    assert bound_blocks(Rule(kind="mean", blocks=4)) == (4, 100)


def test_an_id_follows_from_all_else(track: Track) -> None:
    ids = {
        study(track, **changes).id
        for changes in (
            {},
            {"generation": 1},
            {"record": "2"},
            {"arms": (BASELINE, OWN)},
            {"track_digest": "0" * 64},
            {"seed_source": "public", "seeds": (1,)},
            {"seed_source": "public", "seeds": (2,)},
            {"seed_source": "steps", "steps": 5, "seeds": (1,)},
            {"seed_source": "final", "final": "x"},
        )
    }
    assert len(ids) == 9
