"""The tables of trials and of scores from logs, on literals."""

from __future__ import annotations

from patchrun.core.logscore import LogScore
from patchrun.core.steptimes import StepTimes
from patchrun.faces.live import describe
from patchrun.faces.logs_view import logs_document, logs_text
from patchrun.faces.trials import steps_document, steps_text
from tests.builders import make_run

ROWS = [
    StepTimes("b12", "baseline", 2, 40, 0.1, 0.101, 0.002, 1.0),
    StepTimes("5ab0c1d2e3f4a5b6c7d8", "submission", 2, 40, 0.095, 0.0955, None, 0.95),
    StepTimes("h12", "human", 1, 0, None, None, None, None, "failed: no such tensor"),
]


def test_step_times_are_a_line_an_arm() -> None:
    head, _, *lines = (" ".join(line.split()) for line in steps_text("12", ROWS).splitlines())
    assert head == "record 12 runs steps timed median ms mean ms sd of baseline"
    assert lines == [
        "baseline b12 2 40 100.00 101.00 2.00 100.0%",
        "submission 5ab0c1d2e3f4 2 40 95.00 95.50 - 95.0%",
        "human h12 1 0 - - - - failed: no such tensor",
    ]


def test_step_times_as_json_are_milliseconds() -> None:
    document = steps_document(ROWS[1])
    assert (document["median_ms"], document["sd_ms"], document["ratio"], document["trouble"]) == (
        95.0,
        None,
        0.95,
        None,
    )
    assert steps_document(ROWS[2])["median_ms"] is None


def test_a_run_that_was_stopped_or_is_odd_says_so_while_it_goes() -> None:
    stopped = make_run("baseline", 0, None, None, reason="stopped after step 30")
    assert describe(stopped, 1, 6).endswith("stopped after step 30")
    odd = make_run("submission", 0, 9.5, 3.2, reason="it claims 5.00 s")
    assert describe(odd, 2, 6).endswith("9.50 s  loss 3.2000  it claims 5.00 s")


def test_a_score_from_logs_says_its_source() -> None:
    score = LogScore(
        "valid",
        "",
        "8xNVIDIA H100",
        (("baseline", 3), ("human", 4), ("5ab0c1d2e3f4a5b6", 5)),
        0.5,
        (0.4, 0.6),
        3.278,
        0.002,
    )
    assert logs_text(score).splitlines() == [
        "From logs (the scripts' own clocks, not ranked): valid",
        "  3 baseline, 4 human, 5 5ab0c1d2e3f4; on 8xNVIDIA H100",
        "  mean loss 3.2780, p = 0.002",
        "  FSR 0.500, 95% interval 0.400 to 0.600 (unpaired)",
    ]
    assert logs_document(score)["fsr_ci"] == [0.4, 0.6]


def test_logs_that_cannot_score_say_why() -> None:
    score = LogScore("unscorable", "no log of the submission counts")
    assert logs_text(score) == (
        "From logs (the scripts' own clocks, not ranked): unscorable, no log of the submission counts"
    )
    assert logs_document(score)["hardware_class"] is None
