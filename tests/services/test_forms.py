"""What tools and models do to a diff's form: the same tree as the plain diff, or a reason."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from msgspec.structs import replace

from patchrun.core.edits import Refusal
from patchrun.core.errors import UnreadableDiff
from patchrun.core.normal_form import normalise
from patchrun.services.validator import Validation, validate
from tests.attacks.ground import Ground, pocket
from tests.forms import FORMS, ambiguous, change, good_changes, spoil, unified

MUTATIONS, AMBIGUOUS, SEED = 300, 100, 1


def check(ground: Ground, diff: str, strict: bool = False) -> Validation:
    return validate(ground.repo, ground.track, ground.baseline, diff.encode(), strict=strict)


@pytest.mark.parametrize("name", good_changes(pocket().text))
def test_each_form_of_a_good_diff_gives_its_tree(name: str) -> None:
    ground = pocket()
    diff = unified(ground.text, good_changes(ground.text)[name])
    plain = check(ground, diff)
    assert plain.accepted
    assert plain.mended == ()
    for form, way in FORMS.items():
        if form == "HTML escapes" and name == "an insertion":
            continue  # nothing in its context was escaped: git takes it as it is
        found = check(ground, way(diff, ground.text, random.Random(SEED)))
        assert (found.tree, found.accepted) == (plain.tree, True), (form, found.findings)
        told = [one.message.removeprefix("mended: ") for one in found.findings if one.code == "PR112"]
        assert sorted(told) == sorted(found.mended)


def test_mutations_give_the_tree_of_the_plain_diff() -> None:
    ground, same = pocket(), 0
    files = {"train_gpt.py": ground.text.encode()}
    for number in range(MUTATIONS):
        rng = random.Random(f"{SEED}/{number}")
        diff = unified(ground.text, change(ground.text, rng))
        plain = ground.repo.apply(ground.baseline, diff.encode()).tree
        spoiled, _ = spoil(diff, ground.text, rng)
        try:
            same += ground.repo.apply(ground.baseline, normalise(spoiled.encode(), files).diff).tree == plain
        except Refusal:
            continue
    assert same >= 0.95 * MUTATIONS


def test_what_is_ambiguous_is_refused_with_its_reason() -> None:
    ground = pocket()
    files = {"train_gpt.py": ground.text.encode()}
    for number in range(AMBIGUOUS):
        diff, words = ambiguous(ground.text, random.Random(f"{SEED}/a{number}"))
        with pytest.raises(Refusal, match=words) as refused:
            normalise(diff.encode(), files)
        assert refused.value.hint


def test_the_reason_is_the_finding() -> None:
    ground = pocket()
    diff, _ = ambiguous(ground.text, random.Random(0))
    found = check(ground, diff)
    errors = [one for one in found.findings if one.severity == "error"]
    assert len(errors) == 1
    assert errors[0].hint
    assert not found.accepted


def test_strict_and_the_track_switch_it_off() -> None:
    ground = pocket()
    diff = FORMS["wrong counts"](
        unified(ground.text, good_changes(ground.text)["two hunks"]), "", random.Random(1)
    )
    assert check(ground, diff).accepted
    assert not check(ground, diff, strict=True).accepted
    edit = replace(ground.track.edit, mend=False)
    assert not validate(
        ground.repo, replace(ground.track, edit=edit), ground.baseline, diff.encode()
    ).accepted
    with pytest.raises(UnreadableDiff, match="no file header and no hunk"):
        check(ground, FORMS["SEARCH/REPLACE"](diff, "", random.Random(1)), strict=True)


def test_the_bytes_as_submitted_are_kept() -> None:
    ground = pocket()
    diff = FORMS["quoted"](unified(ground.text, good_changes(ground.text)["two hunks"]), "", random.Random(1))
    assert check(ground, diff).diff == diff.encode()


def test_text_that_is_no_diff_is_none(tmp_path: Path) -> None:
    for text in ("Raise the rate.\n", "- a\n- b\n", "# --- a/x\n"):
        with pytest.raises(UnreadableDiff):
            check(pocket(), text)
