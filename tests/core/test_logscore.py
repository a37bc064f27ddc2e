"""Scores from logs, on literals."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from patchrun.core.ladder import Record
from patchrun.core.logfacts import LogFact
from patchrun.core.logscore import score_logs
from patchrun.core.stats import unpaired_fsr
from patchrun.core.track import Track, load_track
from tests.upstream_fixture import TRACK_TOML

RECORD = Record(number=7, date="2026-01-01", by="a", summary="s")
SLOW, FAST, MINE = (10.0, 10.1, 9.9, 10.0), (6.0, 6.1, 5.9, 6.05), (8.0, 8.1, 7.9, 8.05)
GOOD = (3.2701, 3.2703, 3.2702, 3.2700)


@pytest.fixture(scope="module")
def track() -> Track:
    return load_track(TRACK_TOML)


def facts(
    arm: str, seconds: tuple[float, ...], losses: tuple[float, ...] = GOOD, driver: str = "550"
) -> list[LogFact]:
    return [
        LogFact(path=f"{arm}{second}", digest="d", record=7, arm=arm, gpus=8, gpu="H100", torch="2.10", driver=driver,
                steps=3, reached=3, seconds=second, loss=loss)
        for second, loss in zip(seconds, losses, strict=True)
    ]  # fmt: skip


REFERENCES = facts("baseline", SLOW) + facts("human", FAST)


def test_a_valid_score_is_fiellers_ratio_of_independent_samples(track: Track) -> None:
    score = score_logs([*REFERENCES, *facts("me", MINE)], RECORD, "me", track)
    expected = unpaired_fsr(SLOW, MINE, FAST)
    assert (score.verdict, score.source, score.reason) == ("valid", "logs", "")
    assert (score.fsr, score.fsr_ci) == (expected.value, expected.interval)
    assert score.fsr == pytest.approx(0.5, abs=0.02)
    assert dict(score.runs) == {"baseline": 4, "human": 4, "me": 4}
    assert score.hardware_class == "8xH100 torch 2.10 driver 550"


@pytest.mark.parametrize(
    ("losses", "verdict", "words"),
    [
        ((3.29, 3.28, 3.285, 3.284), "missed-target", "above 3.28"),
        ((3.279, 3.2801, 3.2795, 3.2799), "unproven", "needs less than 0.01"),
    ],
)
def test_the_official_rule_decides(track: Track, losses: tuple[float, ...], verdict: str, words: str) -> None:
    score = score_logs([*REFERENCES, *facts("me", MINE, losses)], RECORD, "me", track)
    assert score.verdict == verdict
    assert words in score.reason
    assert score.fsr is None


def test_one_log_proves_nothing(track: Track) -> None:
    score = score_logs([*REFERENCES, *facts("me", (8.0,), (3.1,))], RECORD, "me", track)
    assert (score.verdict, score.p_value) == ("unproven", None)
    assert "no p-value from one run" in score.reason


def test_other_hardware_is_never_compared(track: Track) -> None:
    score = score_logs([*REFERENCES, *facts("me", MINE, driver="999")], RECORD, "me", track)
    assert score.verdict == "unscorable"
    assert "driver 999" in score.reason


def test_the_class_with_most_logs_of_the_submission_is_taken(track: Track) -> None:
    both = facts("baseline", SLOW, driver="560") + facts("human", FAST, driver="560")
    mine = facts("me", MINE, driver="560") + facts("me", MINE[:2], GOOD[:2])
    score = score_logs([*REFERENCES, *both, *mine], RECORD, "me", track)
    assert (score.hardware_class, dict(score.runs)["me"]) == ("8xH100 torch 2.10 driver 560", 4)


def test_a_gap_within_noise_cannot_be_scored(track: Track) -> None:
    near = facts("baseline", (6.0, 6.2, 5.8, 6.1)) + facts("human", FAST)
    score = score_logs([*near, *facts("me", MINE)], RECORD, "me", track)
    assert (score.verdict, score.fsr) == ("unscorable", None)


def test_an_environment_record_and_an_absent_submission(track: Track) -> None:
    only = replace(RECORD, environment_only=True)
    assert "environment" in score_logs([*REFERENCES, *facts("me", MINE)], only, "me", track).reason
    assert score_logs(REFERENCES, RECORD, "me", track).reason == "no log of the submission counts"


def test_logs_that_were_set_aside_do_not_count(track: Track) -> None:
    aside = [msgspec.structs.replace(fact, set_aside="ran other code") for fact in facts("me", MINE)]
    assert score_logs([*REFERENCES, *aside], RECORD, "me", track).reason == "no log of the submission counts"
