from __future__ import annotations

from patchrun.core.results import CurvePoint
from patchrun.core.runlog import CURVE_POINTS, LINE_BYTES, RunLog, printable


def test_lines_are_read_across_pieces_and_stamped_on_arrival():
    seen = []
    log = RunLog(1000, lambda line, at: seen.append((line.step, at)))
    log.feed(b"hello\nstep:1/3 train_loss:5.5 train_", 0.5)
    log.feed(b"time:10ms\nstep:2/3 train_loss:5.25 train_time:20ms\nstep:3/3", 1.0)
    assert seen == [(1, 1.0), (2, 1.0)]
    log.feed(b" train_loss:5 train_time:30ms", 1.5)
    log.close(2.0)
    assert seen[-1] == (3, 2.0)
    assert log.curve() == (
        CurvePoint(1, 5.5, 10.0, 1.0), CurvePoint(2, 5.25, 20.0, 1.0), CurvePoint(3, 5.0, 30.0, 2.0),
    )  # fmt: skip
    assert log.first is not None
    assert log.first.at == 1.0


def test_all_is_kept_below_the_limit():
    log = RunLog(100)
    for piece in (b"a" * 40, b"b" * 40, b"c" * 20):
        log.feed(piece, 0)
    assert log.text() == b"a" * 40 + b"b" * 40 + b"c" * 20


def test_beyond_the_limit_head_and_tail_are_kept_and_the_gap_is_said():
    log = RunLog(100)
    log.feed(b"H" * 50 + b"x" * 1000 + b"T" * 50, 0)
    assert log.text() == b"H" * 50 + b"\n[patchrun: 1000 bytes left out here]\n" + b"T" * 50


def test_the_limit_holds_for_many_small_pieces_and_steps_in_the_gap_are_still_read():
    log = RunLog(200)
    for step in range(1, 1001):
        log.feed(b"step:%d/1000 train_loss:2.0 train_time:1ms\n" % step, step)
    assert len(log.text()) < 260
    assert log.text().startswith(b"step:1/1000")
    assert log.text().endswith(b"step:1000/1000 train_loss:2.0 train_time:1ms\n")
    assert [point.step for point in log.curve()] == list(range(1, 1001))


def test_a_flood_of_steps_is_thinned_and_its_end_kept():
    log = RunLog(1000)
    total = 5 * CURVE_POINTS + 3
    for step in range(1, total + 1):
        log.feed(b"step:%d/99999 train_loss:2.0 train_time:1ms\n" % step, step)
    curve = log.curve()
    assert CURVE_POINTS // 2 <= len(curve) <= CURVE_POINTS + 1
    assert curve[0].step == 1
    assert curve[-1].step == total
    gaps = {b.step - a.step for a, b in zip(curve[:-2], curve[1:-1], strict=True)}
    assert gaps == {8}


def test_one_endless_line_takes_no_memory_and_is_no_step():
    log = RunLog(1000)
    for _ in range(100):
        log.feed(b"y" * 100_000, 0)
    assert len(log.partial) == LINE_BYTES
    log.feed(b"\nstep:1/1 train_loss:1.0 train_time:1ms\n", 1)
    assert len(log.curve()) == 1


def test_the_last_validation_loss_stays():
    log = RunLog(1000)
    log.feed(b"step:1/2 val_loss:4.5 train_time:1ms\nstep:2/2 val_loss:3.25 train_time:2ms\n", 0)
    log.feed(b"step:2/2 train_time:3ms\n", 0)
    assert log.val_loss == 3.25


def test_last_words_are_the_end_of_a_traceback_without_its_marks():
    log = RunLog(10_000)
    log.feed(b"step:1/2 train_loss:1.0 train_time:1ms\nTraceback (most recent call last):\n", 0)
    log.feed(b'  File "train_gpt.py", line 7, in main\n    loss = 1 / 0\n           ~~^~~\n', 0)
    log.feed(b"ZeroDivisionError: division by zero\n\n", 0)
    words = log.last_words()
    assert (
        words == 'File "train_gpt.py", line 7, in main | loss = 1 / 0 | ZeroDivisionError: division by zero'
    )


def test_last_words_of_silence():
    log = RunLog(100)
    log.close(1)
    assert log.last_words() == ""
    assert log.curve() == ()
    assert log.text() == b""


def test_hostile_words_cannot_write_on_a_terminal():
    log = RunLog(10_000)
    log.feed(b"\x1b[2Jgone\x07 \xff\xfe " + "\u202e".encode() + b"end\n", 0)
    assert "\x1b" not in log.last_words()
    assert "\u202e" not in log.last_words()
    assert "gone" in log.last_words()
    assert printable("x" * 50, 10) == "x" * 9 + "…"
