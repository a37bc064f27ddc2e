"""Manifests: read once, checked whole, every problem named."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchrun.core.errors import ManifestError, UsageError
from patchrun.core.track import load_ladder, load_track
from tests.conftest import RECORDS, TRACK

ROOT = Path(__file__).parents[2]
SHIPPED = sorted([*ROOT.glob("baselines/*/track.toml"), *ROOT.glob("tests/tracks/*/track.toml")])


def test_a_good_track_becomes_a_frozen_value() -> None:
    track = load_track(TRACK)
    assert (track.name, track.target.loss, track.rule.blocks, track.clock.repeats) == ("plain", 3.0, 5, 1)
    with pytest.raises(AttributeError, match="immutable"):
        track.name = "other"  # type: ignore[misc]


def test_all_problems_are_named_at_once() -> None:
    text = (
        TRACK.replace("blocks = 5", "block = 5")
        .replace("loss = 3.0", "loss = -1")
        .replace('device = "cpu"', "")
    )
    with pytest.raises(ManifestError) as caught:
        load_track(text, "some/track.toml")
    message = str(caught.value)
    assert "some/track.toml: rule.blocks: missing" in message
    assert "some/track.toml: rule.block: unknown key; did you mean blocks?" in message
    assert "some/track.toml: target.loss: Expected `float` > 0.0, got -1" in message
    assert "some/track.toml: hardware.device: missing" in message
    assert "mend 4 place(s)" in message


def test_an_unknown_key_at_the_top_is_named_with_the_nearest() -> None:
    with pytest.raises(ManifestError, match="abuot: unknown key; did you mean about"):
        load_track('abuot = "x"\n' + TRACK)


def test_what_is_not_toml() -> None:
    with pytest.raises(ManifestError, match="t.toml: not TOML"):
        load_track("version = [", "t.toml")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('kind = "mean"', 'kind = "t-test"', "a t-test rule needs alpha and looks"),
        ("vocab_size = 16\n", "", "evidence by model needs vocab_size and context"),
        (
            "vocab_size = 16\n",
            "vocab_size = 16\nmin_loss_steps = [5.8, 6.1]\n",
            "min_loss_steps must not rise",
        ),
        ("vocab_size = 16\n", "vocab_size = 16\nmin_loss_step0 = 6.1\n", "min_loss_step"),
        ("version = 1", "version = 2", "version"),
        ('name = "plain"', 'name = "Plain Track"', "name"),
        ("public = [1, 2]", "public = []", "seeds.public"),
        ('source = "cpu"', 'source = "cpu"\nwarmup_runs = 1', "clock.warmup_runs"),
    ],
)
def test_wrong_values(old: str, new: str, problem: str) -> None:
    with pytest.raises(ManifestError, match=problem):
        load_track(TRACK.replace(old, new, 1))


def test_the_digest_covers_rules_and_not_words() -> None:
    track = load_track(TRACK)
    assert load_track(TRACK.replace("A track without data", "Words")).digest == track.digest
    assert load_track(TRACK.replace("loss = 3.0", "loss = 3.1")).digest != track.digest
    assert load_track(TRACK.replace("[limits]", "[limits]\nadded_bytes = 9000")).digest != track.digest


def test_a_ladder_gives_its_records() -> None:
    ladder = load_ladder(RECORDS)
    assert ladder.get(2).by == "Grace"
    with pytest.raises(UsageError, match="no record 3\n.*1..2"):
        ladder.get(3)
    with pytest.raises(UsageError, match="no record 0"):
        ladder.get(0)


def test_records_must_be_in_order() -> None:
    with pytest.raises(ManifestError, match=r"numbered 1..2 in order, got \[1, 3\]"):
        load_ladder(RECORDS.replace("number = 2", "number = 3"))


def test_an_unknown_key_inside_a_record_is_named() -> None:
    with pytest.raises(ManifestError, match="record.1.sumary: unknown key; did you mean summary"):
        load_ladder(RECORDS.replace('summary = "faster still"', 'sumary = "x"\nsummary = "y"'))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_every_manifest_that_we_ship_is_sound(path: Path) -> None:
    track = load_track(path.read_text(), str(path))
    ladder = load_ladder((path.parent / "records.toml").read_text())
    assert track.name == path.parent.name
    for record in ladder.record:
        assert not record.patch or (path.parent / record.patch).is_file()


def test_keys_of_former_versions_are_passed_over_in_an_arena_and_refused_in_a_folder() -> None:
    text = TRACK.replace("[limits]\n", "[limits]\neval_cpu_factor = 3\n", 1)
    assert load_track(text, stored=True) == load_track(TRACK)
    with pytest.raises(ManifestError, match="eval_cpu_factor"):
        load_track(text)
