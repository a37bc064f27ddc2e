from __future__ import annotations

import pytest

from patchrun.core.steplines import StepLine, parse_step_line


def test_training_line_as_pocket_prints_it():
    line = parse_step_line("step:120/600 train_loss:3.9876 train_time:5123ms")
    assert line == StepLine(120, 600, 3.9876, None, 5123.0, None)
    assert line.loss == 3.9876


def test_validation_line_as_the_speedrun_prints_it():
    line = parse_step_line("step:1250/1770 val_loss:3.2781 train_time:109284ms step_avg:86.32ms")
    assert line == StepLine(1250, 1770, None, 3.2781, 109284.0, 86.32)
    assert line.loss == 3.2781


def test_validation_loss_comes_before_training_loss_in_loss():
    line = parse_step_line("step:3/9 train_loss:4.5 val_loss:4.25 train_time:10ms")
    assert line is not None
    assert line.loss == 4.25


def test_line_without_a_loss():
    assert parse_step_line("step:7/1770 train_time:612ms step_avg:87.4ms") == StepLine(
        7, 1770, None, None, 612, 87.4
    )


@pytest.mark.parametrize("word", ["nan", "inf", "-inf"])
def test_numbers_that_are_not_finite_are_no_numbers(word: str):
    line = parse_step_line(f"step:1/2 train_loss:{word} train_time:3ms step_avg:{word}ms")
    assert line == StepLine(1, 2, None, None, 3.0, None)


def test_exponents_and_surrounding_space():
    assert parse_step_line("  step:1/2 train_loss:1e-3 train_time:1.5e3ms\r") == StepLine(
        1, 2, 1e-3, None, 1500, None
    )


@pytest.mark.parametrize(
    "line",
    [
        "",
        "step",
        "loading tokens",
        "step:1/2",
        "step:1 train_loss:3 train_time:4ms",
        "step:1/2 train_loss:3 train_time:4",
        "step:1/2 train_loss:3 train_time:4ms and more",
        "> step:1/2 train_loss:3 train_time:4ms",
        "step:1/2  train_loss:3 train_time:4ms",
        "step:-1/2 train_loss:3 train_time:4ms",
        "step:1/2 train_loss:0x3 train_time:4ms",
        "step:1/2 train_loss:3_0 train_time:4ms",
        "step:1/2 train_loss: 3 train_time:4ms",
        "step:1/2 train_loss:NaN train_time:4ms",
        "step:1/2 train_loss:3 train_loss:4 train_time:4ms",
        "step:" + "1" * 5000 + "/2 train_loss:3 train_time:4ms",
        "step:1/2 train_loss:" + "9" * 400 + " train_time:4ms",
        "step:1/2 train_loss:3 train_time:4ms\nstep:2/2 train_loss:3 train_time:4ms",
        "step:１/２ train_loss:3 train_time:4ms",
    ],
)
def test_anything_else_is_no_step_line(line: str):
    assert parse_step_line(line) is None
