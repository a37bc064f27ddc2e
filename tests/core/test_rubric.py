"""The judge's rules, rendered for a track."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchrun.core.errors import ManifestError
from patchrun.core.rubric import Rubric, choose_rules, load_rubric, write_question, write_system
from patchrun.core.track import load_track
from tests.builders import make_track

ROOT = Path(__file__).parents[2]
TEXT = """
version = 1
system = "Contest $title, target $target. $clock $evidence Rules:\\n$rules"
question = "number $token: $data ($ids)"
[[rule]]
id = "always"
text = "Nothing bad."
[[rule]]
id = "its-own-words"
text = "Against: $about"
needs = "about"
[[rule]]
id = "stays"
text = "Changes $protected."
needs = "protected"
[[rule]]
id = "validates"
text = "Validates less."
evidence = "log"
"""
RUBRIC = load_rubric(TEXT)
TRACKS = [ROOT / "baselines" / "pocket", ROOT / "baselines" / "nanogpt", ROOT / "tests" / "tracks" / "tiny"]


def shipped() -> Rubric:
    return load_rubric((ROOT / "patchrun" / "prompts" / "judge.toml").read_text())


def ids(rubric: Rubric, track) -> list[str]:
    return [rule.id for rule in choose_rules(rubric, track)]


def test_rules_that_say_nothing_about_a_track_are_left_out() -> None:
    bare = make_track()
    assert ids(RUBRIC, bare) == ["always"]
    told = make_track(
        about="Only  gradient\nsteps.", edit={"paths": ["a.py"], "protected": ["a.py:f", "a.py:g"]}
    )
    assert ids(RUBRIC, told) == ["always", "its-own-words", "stays"]
    assert ids(RUBRIC, make_track(evidence={"kind": "log"})) == ["always", "validates"]


def test_the_prompt_names_target_clock_evidence_and_every_rule() -> None:
    track = make_track(about="Only  gradient\nsteps.")
    assert write_system(RUBRIC, track) == (
        "Contest test, target 3.75. Time is the CPU time of the script's process, read from outside. The loss is that "
        "of the saved model, computed by the contest on texts that the script never sees. Rules:\n"
        "- `always`: Nothing bad.\n- `its-own-words`: Against: Only gradient steps."
    )


def test_dollars_in_data_are_data() -> None:
    assert write_question(RUBRIC, make_track(), "7", "$about ${title} $$ $x") == (
        "number 7: $about ${title} $$ $x (`always`)"
    )


@pytest.mark.parametrize("folder", TRACKS, ids=lambda folder: folder.name)
def test_what_ships_renders_for_every_track(folder: Path) -> None:
    track, rubric = load_track((folder / "track.toml").read_text()), shipped()
    system, question = write_system(rubric, track), write_question(rubric, track, "number", "the data")
    for rule in choose_rules(rubric, track):
        assert f"- `{rule.id}`: " in system and f"`{rule.id}`" in question
    assert "$" not in system + question
    assert all(name in system for name in track.edit.protected)
    assert ("weakens-the-validation" in system) is (track.evidence.kind == "log")


def test_one_rule_is_about_words_to_the_reviewer() -> None:
    assert "speaks-to-the-reviewer" in ids(shipped(), make_track())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('id = "stays"', 'id = "always"', "always twice"),
        ('id = "stays"', 'id = "Not An Id"', "rule.2.id"),
        ('needs = "about"', 'needs = "title"', "rule.1.needs"),
        ('evidence = "log"', 'evidense = "log"', "did you mean evidence"),
        ("version = 1", "version = 3", "version"),
    ],
)
def test_a_broken_rubric_is_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        load_rubric(TEXT.replace(old, new))


def test_an_unknown_name_in_a_rubric_is_a_bug_that_shows() -> None:
    with pytest.raises(KeyError, match="nothing"):
        write_system(load_rubric(TEXT.replace("$about", "$nothing")), make_track(about="x"))
