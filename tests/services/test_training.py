"""One training at a time, with scripts that are done in a moment: the clock, the limits, the ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_corpus, tiny_track, write_code

from patchrun.adapters import sandbox
from patchrun.adapters.child import Stopped
from patchrun.core.errors import SetupError
from patchrun.core.halting import Bar, Limits
from patchrun.services.training import Plan, Trained, Training

STEP = "print('step:{0}/2 train_loss:2.5 train_time:7ms')\n"
BURN = "import time\nend = time.process_time() + {0}\nwhile time.process_time() < end: pass\n"


def plan(folder: Path, text: str, changes: dict[str, Any] | None = None, **options: Any) -> Plan:
    track = tiny_track(**{"seeds": {"deterministic": False}, **(changes or {})})
    values: dict[str, Any] = {
        "track": track, "code_dir": write_code(folder, text), "data_dir": tiny_corpus().train_dir,
        "place": folder / "place", "seed": 1, "sandbox": "seccomp", "warmup": False,
    }  # fmt: skip
    return Plan(**(values | options))


def train(folder: Path, text: str, changes: dict[str, Any] | None = None, **options: Any) -> Trained:
    with Training(plan(folder, text, changes, **options)) as training:
        training.await_ready()
        return training.train()


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_the_clock_runs_from_the_start_signal_and_counts_cpu_only(tmp_path: Path):
    text = BURN.format("0.5") + "time.sleep(0.4)\n"
    with Training(plan(tmp_path, text, {"seeds": {"deterministic": True}}, warmup=True)) as training:
        versions = training.await_ready()
        time.sleep(0.3)
        trained = training.train()
    assert trained.exit == "ok"
    assert 0.44 < trained.seconds < 0.7, "a busy machine adds to it"
    assert 0.9 < trained.wall_seconds < 5
    assert versions["python"] == sys.version.split()[0]
    assert versions["torch"].startswith("2.")


def test_threads_and_allowed_children_are_on_the_clock(tmp_path: Path):
    text = (
        "import subprocess, sys, threading, time\n"
        "def burn():\n    end = time.thread_time() + 0.3\n    while time.thread_time() < end: pass\n"
        "thread = threading.Thread(target=burn)\nthread.start()\nburn()\nthread.join()\n"
        f"subprocess.run([sys.executable, '-c', {BURN.format('0.3')!r}], check=True)\n"
    )
    trained = train(tmp_path, text, {"limits": {"processes": 4}})
    assert trained.exit == "ok", trained.reason
    assert trained.seconds == pytest.approx(0.9, abs=0.15)


def test_hidden_children_are_impossible(tmp_path: Path):
    text = (
        "import os, signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "try:\n    pid = os.fork()\nexcept PermissionError:\n    print('no fork')\n"
    )
    assert train(tmp_path, text).log == b"no fork\n"


def test_the_job_the_environment_and_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    cpu = max(os.sched_getaffinity(0))
    text = (
        "import json, os\ndata = os.listdir(os.environ['PATCHRUN_DATA'])\n"
        "print(json.dumps([dict(os.environ), sorted(os.sched_getaffinity(0)), data]))"
    )
    trained = train(tmp_path, text, {"launch": {"env": {"FLAVOUR": "mild"}}}, cpu=cpu, steps=1)
    environment, cpus, data = json.loads(trained.log)
    place = tmp_path / "place"
    assert environment.pop("LC_CTYPE", "C.UTF-8") == "C.UTF-8"
    listed = set(sandbox.listed_environment(tmp_path, 1, {}))
    assert set(environment) == listed | {"PATCHRUN_DATA", "PATCHRUN_OUT", "PATCHRUN_STEPS", "FLAVOUR"}
    assert environment["PATCHRUN_OUT"] == str(place / "out")
    assert (environment["PATCHRUN_STEPS"], environment["FLAVOUR"]) == ("1", "mild")
    assert cpus == [cpu]
    assert data == ["train.bin"]
    job = json.loads((place / "job.json").read_text())
    assert job["environment"] == {**environment, "HOME": str(place / "home"), "TMPDIR": str(place / "home")}
    assert (job["seed"], job["steps"], job["script"]) == (1, 1, "train_gpt.py")


def test_without_a_step_limit_there_is_no_such_variable(tmp_path: Path):
    trained = train(tmp_path, "import os\nprint(os.environ.get('PATCHRUN_STEPS'))")
    assert trained.log == b"None\n"


def test_steps_become_a_curve_stamped_by_our_clock(tmp_path: Path):
    seen = []
    text = "import time\n" + STEP.format(1) + "time.sleep(0.5)\n" + STEP.format(2)
    with Training(plan(tmp_path, text)) as training:
        training.await_ready()
        trained = training.train(lambda line, at: seen.append((line.step, line.loss)))
    assert seen == [(1, 2.5), (2, 2.5)]
    assert [point.step for point in trained.curve] == [1, 2]
    assert 0.45 < trained.curve[1].at - trained.curve[0].at < 2
    assert trained.curve[1].ms == 7.0


def test_the_arrival_clock_takes_the_stamps_and_not_the_claims(tmp_path: Path):
    text = (
        "import time\ntime.sleep(0.3)\n"
        + STEP.format(1)
        + "time.sleep(0.5)\n"
        + STEP.format(2)
        + "time.sleep(0.3)"
    )
    trained = train(tmp_path, text, {"clock": {"source": "arrival"}})
    assert trained.seconds == pytest.approx(0.5, abs=0.2)
    silent = train(tmp_path / "silent", "pass", {"clock": {"source": "arrival"}})
    assert (silent.exit, silent.seconds) == ("ok", None)


@pytest.mark.parametrize(
    ("text", "exit", "said"),
    [
        (
            "def main():\n    raise ValueError('bad rate')\nmain()",
            "failed",
            "exit status 1: .*ValueError: bad rate",
        ),
        ("import sys\nsys.exit(3)", "failed", "exit status 3: it printed nothing"),
        ("import os\nos.kill(os.getpid(), 11)", "failed", "ended by signal 11"),
        (
            "import os\nos.kill(os.getpid(), 9)",
            "out-of-memory",
            "by the kernel for memory.*printed no step line",
        ),
        ("x = bytearray(3 << 30)", "out-of-memory", r"exit status 1: .*MemoryError \(limit 2048 MiB\)"),
        (
            "import torch\nx = torch.ones(800_000_000)",
            "out-of-memory",
            r"can't allocate memory.*\(limit 2048 MiB\)",
        ),
        ("import subprocess\nsubprocess.run(['true'])", "failed", "PermissionError"),
    ],
)
def test_how_runs_end(tmp_path: Path, text: str, exit: str, said: str):
    trained = train(tmp_path, text)
    assert trained.exit == exit
    assert re.search(said, trained.reason), trained.reason
    assert trained.seconds is None
    assert str(tmp_path) not in trained.reason


def test_a_hanging_run_is_ended_and_says_how_far_it_came(tmp_path: Path):
    text = f"import os, time\nprint(os.getpid())\n{STEP.format(1)}time.sleep(60)"
    trained = train(tmp_path, text, {"limits": {"wall_seconds": 1.5}})
    assert trained.exit == "timed-out"
    assert trained.reason.startswith("still running after 1.5 s; its last step line was step 1 at ")
    assert 1.4 < trained.wall_seconds < 4
    assert is_gone(int(trained.log.split()[0]))


def test_a_flood_of_output_is_capped(tmp_path: Path):
    text = f"for _ in range(3000): print('y' * 1000)\n{STEP.format(2)}"
    trained = train(tmp_path, text)
    assert len(trained.log) < (1 << 20) + 100
    assert b"bytes left out here" in trained.log
    assert trained.curve[-1].step == 2


def test_files_are_capped(tmp_path: Path):
    trained = train(
        tmp_path, "import os\nopen(os.environ['PATCHRUN_OUT'] + '/x', 'wb').write(bytes(1 << 25))"
    )
    assert "File too large" in trained.reason


def test_a_wish_to_stop_kills(tmp_path: Path):
    steps: list[int] = []
    text = f"import os, time\n{STEP.format(1)}time.sleep(60)"
    training = Training(plan(tmp_path, text), stop=lambda: bool(steps))
    with pytest.raises(Stopped), training:
        training.await_ready()
        training.train(lambda line, at: steps.append(line.step))
    assert is_gone(training.child.pid)


def test_ctrl_c_kills_and_goes_on_upward(tmp_path: Path):
    def interrupt(line: object, at: float) -> None:
        raise KeyboardInterrupt

    training = Training(plan(tmp_path, f"import time\n{STEP.format(1)}time.sleep(60)"))
    with pytest.raises(KeyboardInterrupt), training:
        training.await_ready()
        training.train(interrupt)
    assert is_gone(training.child.pid)


def test_a_script_cannot_change_the_code_it_was_started_from(tmp_path: Path):
    made = plan(tmp_path, "open('train_gpt.py', 'w').write('changed')\nopen('new.py', 'w').write('new')")
    with Training(made) as training:
        training.await_ready()
        assert training.train().exit == "ok"
    assert sorted(path.name for path in made.code_dir.iterdir()) == ["train_gpt.py"]
    assert "changed')" in (made.code_dir / "train_gpt.py").read_text()


def test_a_python_without_torch(tmp_path: Path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    made = plan(tmp_path, "pass", python=str(tmp_path / "venv/bin/python"))
    with pytest.raises(SetupError, match="No module named 'torch'") as caught, Training(made) as training:
        training.await_ready()
    assert "import torch" in caught.value.hint


def test_too_little_memory_for_torch_itself(tmp_path: Path):
    with (
        Training(plan(tmp_path, "pass", {"limits": {"memory_mb": 40}})) as training,
        pytest.raises(SetupError),
    ):
        training.await_ready()


def test_a_cpu_that_is_not_there(tmp_path: Path):
    with Training(plan(tmp_path, "pass", cpu=4000)) as training:
        training.await_ready()
        with pytest.raises(SetupError, match="no CPU 4000"):
            training.train()


@pytest.mark.slow
def test_torchrun_starts_a_rank_per_gpu_and_all_wait_for_the_signal(tmp_path: Path):
    text = (
        "import os, torch, torch.distributed as dist\ndist.init_process_group('gloo')\n"
        "total = torch.ones(1)\ndist.all_reduce(total)\n"
        "if dist.get_rank() == 0: print('ranks', int(total), flush=True)\ndist.destroy_process_group()\n"
    )
    changes = {"launch": {"kind": "torchrun"}, "hardware": {"gpus": 2}, "limits": {"processes": 64}}
    with Training(plan(tmp_path, text, changes)) as training:
        training.await_ready()
        trained = training.train()
    assert trained.exit == "ok", trained.log
    assert b"ranks 2" in trained.log
    assert trained.seconds is not None
    assert 0 < trained.seconds < trained.wall_seconds * 2 + 1


def test_a_hopeless_loss_ends_a_training_on_its_way(tmp_path: Path):
    """The script prints its loss; beyond the bar of the limits the run is over, and says what was seen."""
    limits = Limits(
        seconds=None, bars=(Bar(0.25, 2.6), Bar(0.5, 2.4)), first=2.6, blocks=(0, 1), confidence=0.999
    )
    text = "import sys, time\n" + STEP.format(1) + "sys.stdout.flush()\ntime.sleep(30)\n"
    trained = train(tmp_path, text, limits=limits)
    assert (trained.exit, trained.seconds) == ("stopped", None)
    assert trained.halt is not None and (trained.halt.fraction, trained.halt.seen) == (0.5, 2.5)
    assert trained.wall_seconds < 10
    assert "nothing comes down to the target" in trained.reason


def test_too_many_seconds_by_our_clock_end_a_training(tmp_path: Path):
    limits = Limits(seconds=0.5, blocks=(0,), confidence=0.999)
    trained = train(tmp_path, "print('step:0/2 train_loss:2.5 train_time:7ms', flush=True)\n" + BURN.format("20"),
                    limits=limits)  # fmt: skip
    assert trained.exit == "stopped" and trained.halt is not None
    assert 0.5 < trained.halt.seen < 3
