"""Loss and seconds of runs whose evidence is their log, on literal logs and stamps."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from patchrun.core.arrival import draw_curve, read_stamp
from patchrun.core.console import Tape
from patchrun.core.logjudge import (
    Arrived,
    Reference,
    judge_again,
    judge_reference,
    judge_submission,
    reference_of,
)
from patchrun.core.replay import replay
from patchrun.core.results import Console, CurvePoint, Run
from patchrun.core.trainlog import TrainLog, parse_log
from tests.builders import make_run
from tests.upstream_fixture import llmc_log, plain_log, step_lines

SCRIPT = "x = 1\n"
REFERENCE = Reference(validation=2.0, prints=True, others=frozenset())


def log_of(lines: list[str]) -> TrainLog:
    return parse_log(plain_log(SCRIPT, lines))


def arrived(lines: list[str], step: float, validation: float) -> Arrived:
    """The console of a run whose steps and validations take that long; the first step line comes at 100 s."""
    at, tape, first = 100.0, Tape(), True
    for line in lines:
        stamp = read_stamp(line, at)
        if stamp is not None and not first:
            at += validation if stamp.validates else step
        first = first and stamp is None
        tape.add(line, at)
    return Arrived(tape)


def tailed(lines: list[str], step: float, validation: float) -> Arrived:
    """The same, seen in the log and not on the console."""
    found = arrived(lines, step, validation).console.lines
    stamps = [read_stamp(line, at) for line, at in found]
    return Arrived(Tape(), [stamp for stamp in stamps if stamp])


LINES = step_lines(4, 3.2772, 40_000)


def test_a_reference_arm_counts_as_it_claims() -> None:
    judged = judge_reference(log_of(LINES), arrived(LINES, 10, 3))
    assert (judged.exit, judged.reason, judged.loss) == ("ok", "", 3.2772)
    assert (judged.seconds, judged.claimed, judged.validation) == (40.0, 40.0, 3.0)


def test_a_submission_is_bound_by_the_stamps() -> None:
    honest = judge_submission(log_of(LINES), arrived(LINES, 10, 2), REFERENCE)
    assert (honest.exit, honest.reason, honest.seconds, honest.validation) == ("ok", "", 40.0, 2.0)
    slow = judge_submission(log_of(LINES), arrived(LINES, 11, 2), REFERENCE)
    assert (slow.exit, slow.seconds) == ("ok", 44.0)
    assert "claims 40.00 s, 9.1% less than the 44.00 s" in slow.reason


def test_training_hidden_in_the_validation_is_on_the_clock() -> None:
    judged = judge_submission(log_of(LINES), arrived(LINES, 10, 20), REFERENCE)
    assert judged.seconds == 58.0
    assert judged.reason


def often(steps: int) -> list[str]:
    """A validation after every step, each as long as a reference arm's, and a clock that hardly runs."""
    lines = [f"step:0/{steps} val_loss:10.8258 train_time:0ms step_avg:nanms"]
    for step in range(1, steps + 1):
        lines += [f"step:{step}/{steps} train_time:{step}ms step_avg:1.00ms",
                  f"step:{step}/{steps} val_loss:3.2772 train_time:{step}ms step_avg:1.00ms"]  # fmt: skip
    return lines


def test_training_in_validations_that_the_reference_arms_do_not_make_is_on_the_clock() -> None:
    lines = often(100)
    reference = Reference(2.0, prints=True, others=frozenset(), validations=4)
    judged = judge_submission(log_of(lines), arrived(lines, 0.001, 2.0), reference)
    assert (judged.exit, judged.validations) == ("ok", 6)
    assert judged.seconds == pytest.approx(0.1 + 94 * 2.0)
    assert "it validates 100 times, of which 6 are not timed" in judged.reason


def test_without_a_reference_a_submission_cannot_be_timed() -> None:
    judged = judge_submission(log_of(LINES), arrived(LINES, 10, 2), None)
    assert (judged.exit, judged.seconds) == ("failed", None)
    assert "no reference run" in judged.reason


@pytest.mark.parametrize(
    ("restart", "exit"), [(None, "disqualified"), (1, "disqualified"), (2, "ok"), (5, "ok")]
)
def test_a_clock_set_back_later_than_the_reference_arms_disqualifies(restart: int | None, exit: str) -> None:
    lines = step_lines(4, 3.2772, 40_000, old_clock=True)  # set back before step 2
    log = log_of(lines)
    judged = judge_submission(log, replay(log), Reference(2.0, restart))
    assert judged.exit == exit
    if exit == "disqualified":
        assert "sets its clock back at step 2, the reference arms" in judged.reason


def test_an_unfinished_log_has_no_loss() -> None:
    lines = step_lines(4, 3.2772, 40_000, last=False)
    judged = judge_reference(log_of(lines), arrived(lines, 10, 2))
    assert (judged.exit, judged.reason) == ("failed", "no validation at step 4, the last step is 4")


PRINTED = [
    step_lines(4, 3.1000, 40_000),  # another loss than in the log
    step_lines(3, 3.2772, 40_000),  # another step
    [LINES[0], *LINES],  # a line before the real ones
    [*LINES[:3], "step:4/4 train_time:nanms step_avg:nanms", *LINES[3:]],
    LINES[:-2],
    [],
]


@pytest.mark.parametrize("printed", PRINTED)
def test_a_submissions_console_must_be_its_log(printed: list[str]) -> None:
    judged = judge_submission(log_of(LINES), arrived(printed, 10, 2), REFERENCE)
    assert judged.exit == "failed"
    assert judged.reason.startswith("console lines are not those of the log: ")


@pytest.mark.parametrize("printed", PRINTED)
def test_a_reference_arm_with_another_console_is_timed_by_its_log(printed: list[str]) -> None:
    seen = Arrived(arrived(printed, 10, 2).console, tailed(LINES, 10, 3).logged)
    judged = judge_reference(log_of(LINES), seen)
    assert (judged.exit, judged.seconds, judged.validation) == ("ok", 40.0, 3.0)
    assert judged.console is not None and not judged.console.complete
    judged = judge_reference(log_of(LINES), arrived(printed, 10, 2))
    assert judged.exit == "failed"
    assert judged.reason == "the step lines that were seen while its log was written are not those it has now"


def test_a_submission_may_print_nothing_where_the_reference_arms_do_not() -> None:
    quiet = Reference(2.0, prints=False, others=frozenset())
    assert judge_submission(log_of(LINES), tailed(LINES, 10, 2), quiet).seconds == 40.0
    assert "missing" in judge_submission(log_of(LINES), tailed(LINES, 10, 2), REFERENCE).reason
    rewritten = judge_submission(log_of(LINES), tailed(step_lines(4, 3.2772, 4000), 10, 2), quiet)
    assert rewritten.exit == "failed" and "are not those it has now" in rewritten.reason


def test_lines_held_back_fail_a_submission_and_not_a_reference_arm() -> None:
    seen = arrived(LINES, 10, 2)
    seen.console.lines = [(line, 144.0) for line, _ in seen.console.lines]
    judged = judge_submission(log_of(LINES), seen, REFERENCE)
    assert (judged.exit, judged.seconds) == ("failed", None)
    assert judged.reason.startswith("its lines do not arrive when they say: they lag 40.00 s behind")
    assert judge_reference(log_of(LINES), seen).exit == "ok"


def test_where_the_lead_ends() -> None:
    assert judge_submission(log_of(LINES), arrived(LINES, 10, 2), REFERENCE).lead == 100.0


def test_logs_of_the_first_records_have_no_times() -> None:
    data = llmc_log([11.0, *[4.0] * 11, 3.27])
    log, lines = parse_log(data), data.decode().splitlines()
    stamps = arrived(lines, 10, 3)
    judged = judge_reference(log, stamps)
    assert (judged.exit, judged.loss, judged.claimed, judged.validation) == ("ok", 3.27, None, 3.0)
    assert judged.seconds == pytest.approx(20.0)  # of twelve steps the first ten are not timed
    assert judge_submission(log, stamps, Reference(3.0, untimed=True, prints=True)).exit == "ok"
    assert judge_submission(log, stamps, Reference(3.0)).exit == "failed", (
        "it may not fall back to such a log"
    )


def test_the_reference_runs_of_the_first_block_count() -> None:
    curve = tuple(CurvePoint(k, None, ms, 0.0) for k, ms in enumerate([0.0, 50.0, 10.0]))
    runs = [
        make_run(
            "baseline",
            0,
            9.0,
            3.0,
            validation_seconds=1.0,
            claimed_seconds=9.0,
            console=Console(True, ("x",)),
            validations=7,
        ),
        make_run("human", 0, 8.0, 3.0, validation_seconds=1.5, claimed_seconds=8.0, curve=curve),
        make_run("human", 1, 8.0, 3.0, validation_seconds=9.0, claimed_seconds=8.0),
        make_run("submission", 0, 8.0, 3.0, validation_seconds=9.0, claimed_seconds=8.0),
    ]
    assert reference_of(runs) == Reference(1.5, 2, False, True, frozenset({"x"}), 7)
    untimed = make_run("baseline", 0, 9.0, 3.0, validation_seconds=2.5)
    assert reference_of([untimed, *runs[1:]]) == Reference(2.5, 2, True)
    assert reference_of([make_run("baseline", 0, None, None, exit="failed")]) is None
    assert reference_of([]) is None


def stored(kind: str = "submission", lines: list[str] = LINES, **changes: Any) -> Run:
    """A run as it is stored once it was judged."""
    log = log_of(lines)
    judged = judge_submission(log, replay(log), Reference(1.5, log.restart, prints=True))
    values = {
        "clock": "arrival", "claimed_seconds": judged.claimed, "validation_seconds": judged.validation,
        "validations": judged.validations, "lead_seconds": judged.lead, "console": judged.console,
        "curve": draw_curve(judged.stamps),
    }  # fmt: skip
    return make_run(kind, 0, judged.seconds, judged.loss, **(values | changes))


OLD = step_lines(30, 3.3, 90_000, old_clock=True, train_losses=True)


@pytest.mark.parametrize("lines", [LINES, OLD, step_lines(1500, 3.2, 80_000)])
def test_a_stored_run_is_judged_again_from_its_own_lines(lines: list[str]) -> None:
    assert judge_again(stored(lines=lines)) == ""


def test_what_a_stored_runs_lines_contradict() -> None:
    whole = stored()
    late = tuple(msgspec.structs.replace(point, at=342.0 + k / 1e4) for k, point in enumerate(whole.curve))
    for changes, said in (
        ({"seconds": 30.0}, "its lines give 40.00 s, not the 30.00 s that it states"),
        ({"lead_seconds": 10.0}, "came at another moment"),
        ({"lead_seconds": None}, "came at another moment"),
        ({"validation_seconds": 0.1}, "its lines give 41.40 s"),
        ({"curve": late, "lead_seconds": 342.0}, "behind their own times and catch up again"),
        ({"curve": late, "lead_seconds": 342.0, "kind": "baseline"}, ""),
        ({"exit": "failed", "seconds": None}, ""),
        ({"console": None, "seconds": 30.0}, ""),
    ):
        found = judge_again(msgspec.structs.replace(whole, **changes))
        assert said in found and bool(said) == bool(found), changes
