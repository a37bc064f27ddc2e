"""Following a log that a real process writes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from patchrun.adapters.logtail import LogTail, find_logs
from patchrun.core.arrival import Stamp

WRITER = """
import pathlib, sys, time
place = pathlib.Path(sys.argv[1])
place.parent.mkdir(parents=True)
for text in ("print(f'step:{step}/2 train_time:1ms')\\n", "step:0/2 val_loss:9.0 train_time:0ms step_avg:nanms\\n",
             "step:1/2 train_ti", "me:7ms step_avg:7.00ms\\ns:3 tel:2.5\\n"):
    with place.open("a") as file:
        file.write(text)
    time.sleep(0.4)
"""


def write(place: Path) -> None:
    subprocess.run([sys.executable, "-c", WRITER, str(place)], check=True)


def test_lines_are_stamped_as_they_appear(tmp_path: Path) -> None:
    seen: list[Stamp] = []
    with LogTail(tmp_path, ["logs"], seen.append) as tail:
        write(tmp_path / "logs" / "run.txt")
    assert tail.stamps == seen
    assert [(s.step, s.validates, s.claimed, s.loss) for s in seen] == [
        (0, True, 0.0, 9.0),
        (1, False, 0.007, None),
        (3, True, None, 2.5),
    ]
    assert 0.6 < seen[1].at - seen[0].at < 2, "a line counts when its end has come"


def test_what_was_written_just_before_the_end_is_not_missed(tmp_path: Path) -> None:
    with LogTail(tmp_path, ["logs"]) as tail:
        (tmp_path / "logs" / "id").mkdir(parents=True)
        (tmp_path / "logs" / "id" / "log.txt").write_text("s:1 tel:2.5\n")
    assert [stamp.step for stamp in tail.stamps] == [1]


def test_no_log_is_no_stamp(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("s:1 tel:2.5\n")
    with LogTail(tmp_path, ["logs"]) as tail:
        time.sleep(0.05)
    assert tail.stamps == []


def test_a_log_that_is_taken_away_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    path = tmp_path / "logs" / "run.txt"
    path.write_text("s:1 tel:2.5\n")
    with LogTail(tmp_path, ["logs"]) as tail:
        time.sleep(0.1)
        path.unlink()
        time.sleep(0.1)
    assert [stamp.step for stamp in tail.stamps] == [1]


def test_logs_are_found_in_every_shape(tmp_path: Path) -> None:
    names = (
        "logs/b.txt",
        "logs/a/log.txt",
        "other/c.log",
        "logs/a/state.pt",
        "log.txt",
        "logs/a/b/deep.txt",
        "x/d.txt",
    )
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    found = find_logs(tmp_path, ["logs", "other", "absent"])
    assert [str(path) for path in found] == [
        "logs/a/log.txt",
        "logs/b.txt",
        "other/c.log",
    ]
