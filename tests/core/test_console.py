"""Consoles laid beside logs, on literal lines."""

from __future__ import annotations

import random

import pytest

from patchrun.core.console import MOST_LINES, Tape, join_shapes, match_console, shape_of
from patchrun.core.results import Console
from patchrun.core.trainlog import parse_log
from tests.upstream_fixture import llmc_log, plain_log, step_lines

STEPS = step_lines(4, 3.2772, 40_000)
WARMUP = ["Sampling steps [0, 1, 2] for warmup", "Resetting Model"]
LOG = parse_log(plain_log("x = 1\n", [*WARMUP, *STEPS])).lines
CONSOLE = [*WARMUP, *STEPS]
WARNING = "/usr/lib/python3/torch/_dynamo/x.py:12: UserWarning: this is slow"
C10D = "[rank1]:[W1130 01:34:40.123456789 ProcessGroupNCCL.cpp:1496] Warning: not destroyed"


def tape_of(lines: list[str]) -> Tape:
    tape = Tape()
    for number, line in enumerate(lines):
        tape.add(line, float(number))
    return tape


def problem(lines: list[str], known: frozenset[str] | None = frozenset()) -> str:
    """What is said of a submission's console; empty where it is its log's."""
    match = match_console(tape_of(lines), LOG, known)
    return match.problem or (f"missing: {match.missing}" if match.missing else "")


def swapped(lines: list[str], one: int, other: int) -> list[str]:
    found = list(lines)
    found[one], found[other] = found[other], found[one]
    return found


def with_line(line: str, place: int = 5) -> list[str]:
    return [*CONSOLE[:place], line, *CONSOLE[place:]]


REFUSED = {
    "a huge clock": with_line("step:2/4 train_time:99999999ms step_avg:1.00ms"),
    "no clock": with_line("step:2/4 train_time:nanms step_avg:nanms"),
    "a negative clock": with_line("step:2/4 train_time:-5ms step_avg:1.00ms"),
    "a clock in floats": with_line("step:2/4 train_time:1e9ms step_avg:1.00ms"),
    "an infinite clock": with_line("step:2/4 train_time:infms"),
    "a clock that is set back": with_line("step:2/4 train_time:0ms step_avg:0.00ms"),
    "an extra validation": with_line("step:4/4 val_loss:3.0000 train_time:10ms step_avg:1.00ms"),
    "a step of the first records' form": with_line("s:1 tel:3.0"),
    "a line twice": with_line(CONSOLE[4]),
    "a line missing": CONSOLE[:4] + CONSOLE[5:],
    "the first line missing": [*WARMUP, *STEPS[1:]],
    "the last validation missing": CONSOLE[:-2],
    "two lines swapped": swapped(CONSOLE, 4, 5),
    "the validation before its step": swapped(CONSOLE, 6, 7),
    "in reverse": CONSOLE[::-1],
    "two lines merged": [*CONSOLE[:4], CONSOLE[4] + CONSOLE[5], *CONSOLE[6:]],
    "a line with words of its own behind it": [*CONSOLE[:4], CONSOLE[4] + " ok", *CONSOLE[5:]],
    "a line cut short": [*CONSOLE[:4], CONSOLE[4][:-8], *CONSOLE[5:]],
    "another time": [*CONSOLE[:4], CONSOLE[4].replace("20000", "2000"), *CONSOLE[5:]],
    "spaces before it": [*CONSOLE[:4], "  " + CONSOLE[4], *CONSOLE[5:]],
    "a step line in a warning": with_line(WARNING + " step:1/4 train_time:1ms step_avg:1.00ms"),
    "a step line after a warning's text": with_line(f"{C10D} step:4/4 train_time:nanms"),
    "a step line as a warning's second line": [*CONSOLE[:5], WARNING, "  step:4/4 train_time:5ms", *CONSOLE[5:]],
    "a step line in digits of another script": with_line("step:٢/4 train_time:20000ms"),
    "a line that nobody knows": with_line("hello"),
    "everything twice": CONSOLE * 2,
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_the_logs_is_refused(name: str) -> None:
    assert problem(REFUSED[name])


ACCEPTED = {
    "as the log": CONSOLE,
    "step lines alone": STEPS[:-1],
    "blank lines": [line for own in CONSOLE for line in ("", own)],
    "carriage returns": [line + "\r" for line in CONSOLE],
    "a warning": with_line(WARNING),
    "a warning of many lines": [*CONSOLE[:5], WARNING, "  warnings.warn(", "a second line", *CONSOLE[5:]],
    "torchrun's banner": [
        "W1130 01:34:40.123000 4242 torch/distributed/run.py:793] ",
        "W1130 01:34:40.123000 4242 torch/distributed/run.py:793] " + "*" * 41,
        "*****************************************",
        "Setting OMP_NUM_THREADS environment variable for each process to be 1 in default",
        *CONSOLE,
    ],
    "a warning at the end": [*CONSOLE, C10D],
    "warnings late in training": [*CONSOLE[:7], C10D, C10D.replace("rank1", "rank2"), *CONSOLE[7:]],
    "a warning of another process behind a line": [*CONSOLE[:4], CONSOLE[4] + C10D, "", *CONSOLE[5:]],
    "a warning of another process before a line": [*CONSOLE[:4], C10D + CONSOLE[4], *CONSOLE[5:]],
    "a warning in the middle of a note": ["Resetting Model", *STEPS[:2], STEPS[2] + WARNING, "", *STEPS[3:]],
    "NCCL's words": ["node1:42:42 [0] NCCL INFO Bootstrap : Using eth0", "NCCL version 2.21.5+cuda12.4", *CONSOLE],
    "a progress bar": ["Fetching 3 files:  33%|###   | 1/3 [00:01<00:02]", *CONSOLE],
    "autotuning": ["AUTOTUNE mm(64x64, 64x64)", "  mm 0.0061 ms 100.0% ", "  triton_mm_1 0.0082 ms", *CONSOLE],
    "a log line that comes late": [*STEPS, "Resetting Model"],
}  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_libraries_print_is_no_matter(name: str) -> None:
    match = match_console(tape_of(ACCEPTED[name]), LOG, frozenset())
    assert (match.problem, match.missing) == ("", "")
    assert match.console == Console(True)
    assert len(match.stamps) == 6


def test_lines_that_the_reference_arms_print_too_may_come() -> None:
    """Scripts of the first records print the device of each process, and their log does not have it."""
    reference = [f"using device: cuda:{rank}" for rank in range(8)]
    found = match_console(tape_of([*reference, *CONSOLE]), LOG, None)
    assert found.console == Console(True, ("using device: cuda:0",))
    known = join_shapes([found.console, None])
    assert problem(["using device: cuda:3", *CONSOLE], known) == ""
    said = problem(["using device: cpu", *CONSOLE], known)
    assert said == "not in the log: 'using device: cpu' (write it to the log too, or do not print it)"


def test_a_shape_is_a_line_without_its_numbers() -> None:
    line = "step    7/9536 | train loss 7.123456 | lr 1.00e-04 | norm nan | 0x7ffd | (12.31 ms)"
    assert shape_of(line) == "step    0/0 | train loss 0 | lr 0 | norm 0 | 0 | (0 ms)"
    assert len(shape_of("x" * 5000)) == 200


def test_a_console_in_a_form_of_its_own_times_nothing() -> None:
    log = parse_log(llmc_log([11.0, 4.0, 3.27])).lines
    printed = [f"step {k}/2 | train loss {11 - k}.5 | (1.5 ms)" for k in range(3)]
    reference = match_console(tape_of(printed), log, None)
    assert not reference.console.complete and reference.stamps == ()
    same = match_console(tape_of(printed), log, join_shapes([reference.console]))
    assert same.problem == "" and not same.console.complete


def test_a_reference_whose_step_lines_differ_is_not_timed_by_its_console() -> None:
    odd = [line.replace("train_time", "time, train_time") for line in CONSOLE]
    match = match_console(tape_of(odd), LOG, None)
    assert match.problem == "" and not match.console.complete


def test_a_library_has_a_budget() -> None:
    assert "not in the log" in problem([WARNING] * 1001 + CONSOLE)
    assert problem([WARNING] * 900 + CONSOLE) == ""
    words = [WARNING, *(f"word {chr(97 + k)}" for k in range(21))]
    assert "not in the log" in problem([*words, *CONSOLE]), "a message goes on for twenty lines"


def test_a_console_without_end_is_cut_and_refused() -> None:
    tape = Tape()
    for number in range(MOST_LINES + 10):
        tape.add("x", float(number))
    assert tape.full and len(tape.lines) == MOST_LINES
    assert "more than 200000 lines" in match_console(tape, LOG, frozenset({"x"})).problem


def test_very_long_lines_are_compared_as_far_as_they_are_read() -> None:
    long = "Sampling steps [" + ", ".join(str(k) for k in range(3000)) + "] for warmup"
    log = parse_log(plain_log("x = 1\n", [long, *STEPS])).lines
    assert match_console(tape_of([long[:4096], *STEPS]), log, frozenset()).problem == ""


@pytest.mark.parametrize("seed", range(40))
def test_only_the_logs_own_step_lines_in_order_are_ever_taken(seed: int) -> None:
    """Whatever is deleted, doubled, moved or put in: it passes exactly where the step lines are the log's."""
    draw = random.Random(seed)
    lines = list(CONSOLE)
    others = [WARNING, C10D, "", "step:2/4 train_time:1ms", "\x00\x1b[2J", "s:1 tel:1.0", "Resetting Model"]
    for _ in range(draw.randrange(4)):
        place = draw.randrange(len(lines))
        match draw.randrange(4):
            case 0:
                del lines[place]
            case 1:
                lines.insert(place, lines[draw.randrange(len(lines))])
            case 2:
                lines.insert(place, lines.pop(draw.randrange(len(lines))))
            case _:
                lines.insert(place, draw.choice(others))
    match = match_console(tape_of(lines), LOG, frozenset())
    steps = [line for line in lines if line.startswith(("step:", "s:"))]
    strange = any("\x00" in line for line in lines)
    own = steps == [line for line in LOG if line.startswith("step:")]
    assert match.console.complete == (own and not strange)
