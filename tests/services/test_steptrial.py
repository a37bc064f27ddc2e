"""A few steps of the tiny track: step times and nothing else."""

from __future__ import annotations

from pathlib import Path

from tiny import slot_request, write_code

from patchrun.core.steptimes import step_seconds
from patchrun.services.steptrial import train_steps


def test_a_run_is_stopped_after_its_steps_and_has_no_score(tmp_path: Path) -> None:
    events = []
    request = slot_request(tmp_path, write_code(tmp_path))
    run, log = train_steps(request, 60, events.append)
    assert (run.exit, run.reason) == ("ok", "stopped after step 60")
    assert (run.seconds, run.loss, run.model_sha256) == (None, None, "")
    assert run.curve[-1].step == 60
    assert b"step:60/600" in log and b"step:70/600" not in log
    seconds = step_seconds(run.curve)
    assert len(seconds) == 50 and all(0 < each < 0.1 for each in seconds)
    assert [event.phase for event in events][0] == "starting" and events[-1].phase == "done"


def test_a_script_that_goes_on_is_ended(tmp_path: Path) -> None:
    line = "    print(f'step:{k}/9999 train_time:1ms', flush=True)\n    time.sleep(0.01)\n"
    text = f"import time\nfor k in range(1, 9999):\n{line}"
    run, _ = train_steps(slot_request(tmp_path, write_code(tmp_path, text)), 5)
    assert (run.exit, run.reason) == ("ok", "stopped after step 5")
    assert 5 <= run.curve[-1].step < 500


def test_a_script_that_ends_before_has_failed(tmp_path: Path) -> None:
    text = "print('step:1/9 train_time:1ms')\n"
    run, _ = train_steps(slot_request(tmp_path, write_code(tmp_path, text)), 5)
    assert (run.exit, run.reason) == ("failed", "it ended before step 5")
    run, _ = train_steps(slot_request(tmp_path / "crash", write_code(tmp_path / "crash", "1 / 0")), 5)
    assert run.exit == "failed" and "ZeroDivisionError" in run.reason


def test_a_wish_to_stop(tmp_path: Path) -> None:
    text = "import time\nprint('step:1/9 train_time:1ms', flush=True)\ntime.sleep(99)\n"
    events = []
    request = slot_request(tmp_path, write_code(tmp_path, text))
    run, _ = train_steps(request, 5, events.append, lambda: any(event.step == 1 for event in events))
    assert run.exit == "interrupted"
    assert run.curve[-1].step == 1
