"""The launcher as a process of its own, run by hand: no parent that waits, unless a test gives it one."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tiny import base_script, tiny_corpus, write_code

from patchrun.adapters import syscalls

LAUNCHER = Path(__file__).parents[2] / "patchrun" / "launch" / "launcher.py"


def write_job(folder: Path, text: str, **changes: Any) -> Path:
    code = write_code(folder, text)
    job: dict[str, Any] = {
        "script": "train_gpt.py", "code": str(code), "seed": 1, "threads": 1, "deterministic": False, "warmup": False,
        "memory_bytes": 2 << 30, "file_bytes": 1 << 20, "tasks": 0, "seccomp": "", "ready": "", "start": "",
    }  # fmt: skip
    path = folder / "job.json"
    path.write_text(json.dumps(job | changes))
    return path


def argv(job: Path) -> list[str]:
    return [sys.executable, "-s", "-P", "-B", str(LAUNCHER), str(job)]


def launch(
    folder: Path, text: str, env: dict[str, str] | None = None, **changes: Any
) -> subprocess.CompletedProcess:
    job = write_job(folder, text, **changes)
    clean = {"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1", **(env or {})}
    return subprocess.run(argv(job), env=clean, cwd=folder, capture_output=True, text=True, timeout=60)


def weights_after_five_steps(folder: Path, **changes: Any) -> str:
    folder.mkdir()
    env = {"PATCHRUN_DATA": str(tiny_corpus().train_dir), "PATCHRUN_OUT": str(folder), "PATCHRUN_STEPS": "5"}
    done = launch(folder, base_script(), env, **changes)
    assert done.returncode == 0, done.stderr
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def test_weights_follow_from_the_seed_alone_whether_torch_was_warm_or_not(tmp_path: Path):
    cold = weights_after_five_steps(tmp_path / "cold", warmup=False)
    warm = weights_after_five_steps(tmp_path / "warm", warmup=True, deterministic=True)
    assert cold == warm
    assert weights_after_five_steps(tmp_path / "other", seed=2, warmup=True) != warm


SURROUNDINGS = """
import json, os, random, sys
import numpy, torch, helper
print(json.dumps({
    "name": __name__, "argv": sys.argv, "folder": os.getcwd(), "first": sys.path[0], "helper": helper.WORD,
    "torch": torch.__file__, "numpy": numpy.__file__, "threads": torch.get_num_threads(),
    "exact": torch.are_deterministic_algorithms_enabled(),
    "draws": [random.random(), float(numpy.random.rand()), float(torch.rand(()))],
}))
"""


def test_the_script_runs_as_main_in_its_folder_and_cannot_stand_in_for_torch(tmp_path: Path):
    job = write_job(tmp_path, SURROUNDINGS, deterministic=True, seed=7)
    code = tmp_path / "code"
    for shadow in ("torch.py", "numpy.py", "json.py", "safetensors.py"):
        (code / shadow).write_text("raise SystemExit('the shadow was imported')")
    (code / "helper.py").write_text("WORD = 'helped'")
    done = subprocess.run(argv(job), cwd=code, env={}, capture_output=True, text=True, timeout=60)
    seen = json.loads(done.stdout)
    assert (seen["name"], seen["argv"], seen["helper"]) == ("__main__", ["train_gpt.py"], "helped")
    assert seen["folder"] == seen["first"] == str(code)
    assert "site-packages" in seen["torch"]
    assert "site-packages" in seen["numpy"]
    assert (seen["threads"], seen["exact"]) == (1, True)
    assert seen["draws"] == expected_draws(7)


def expected_draws(seed: int) -> list[float]:
    import random

    import numpy as np
    import torch

    return [
        random.Random(seed).random(),
        float(np.random.RandomState(seed).rand()),
        float(torch.rand((), generator=torch.Generator().manual_seed(seed))),
    ]


LATE = """
import json, os, sys
before = "torch" in sys.modules
os.environ["SET_BEFORE_TORCH"] = "1"
import random, numpy, torch
print(json.dumps({
    "before": before, "argv": sys.argv, "torch": torch.__file__, "finders": len(sys.meta_path),
    "draws": [random.random(), float(numpy.random.rand()), float(torch.rand(()))],
}))
import torch.nn.functional
"""


def test_torch_may_be_left_to_the_script_and_is_seeded_all_the_same(tmp_path: Path):
    job = write_job(tmp_path, LATE, late_torch=True, seed=7, arguments=["--lr", "0.1"])
    (tmp_path / "code" / "torch.py").write_text("raise SystemExit('the shadow was imported')")
    done = subprocess.run(argv(job), env={}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert (seen["before"], seen["argv"]) == (False, ["train_gpt.py", "--lr", "0.1"])
    assert "site-packages" in seen["torch"]
    assert seen["draws"] == expected_draws(7)


def test_left_to_the_script_a_missing_torch_is_still_said_at_once(tmp_path: Path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    job = write_job(tmp_path, "print('not reached')", late_torch=True)
    words = [str(tmp_path / "venv/bin/python"), *argv(job)[1:]]
    done = subprocess.run(words, env={}, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "No module named 'torch'" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("sys.exit()", 0, ""),
        ("sys.exit(7)", 7, ""),
        ("sys.exit('no tokens')", 1, "no tokens\n"),
        (
            "threading.Thread(target=lambda: (time.sleep(0.2), print('late', file=sys.stderr))).start()",
            0,
            "late\n",
        ),
    ],
)
def test_exit_status(tmp_path: Path, line: str, status: int, said: str):
    done = launch(tmp_path, f"import sys, threading, time\n{line}\n")
    assert (done.returncode, done.stderr) == (status, said)


def test_a_traceback_begins_in_the_script(tmp_path: Path):
    done = launch(tmp_path, "def main():\n    raise ValueError('boom')\n\nmain()\n")
    assert done.returncode == 1
    assert done.stderr.splitlines()[:2] == [
        "Traceback (most recent call last):", '  File "train_gpt.py", line 4, in <module>',
    ]  # fmt: skip
    assert done.stderr.endswith("ValueError: boom\n")
    assert "runpy" not in done.stderr


def test_a_script_that_does_not_parse(tmp_path: Path):
    done = launch(tmp_path, "def main(:\n")
    assert done.returncode == 1
    assert "SyntaxError" in done.stderr


ESCAPES = """
import ctypes, json, os, signal, socket, subprocess, threading
libc = ctypes.CDLL(None, use_errno=True)

def call(number, *words):
    ctypes.set_errno(0)
    if libc.syscall(ctypes.c_long(number), *[ctypes.c_long(word) for word in words]) == 0 and number in (56, 57, 58):
        os._exit(99)
    return ctypes.get_errno()

def attempt(action):
    try:
        return str(action())
    except OSError as error:
        return error.errno

seen = {
    "os.fork": attempt(os.fork),
    "run": attempt(lambda: subprocess.run(["true"])),
    "posix_spawn": attempt(lambda: os.posix_spawn("/bin/true", ["true"], {})),
    "execv": attempt(lambda: os.execv("/bin/true", ["true"])),
    "system": os.system("exit 0"),
    "socket": attempt(socket.socket),
    "fork": call(57), "vfork": call(58), "clone": call(56, 17, 0, 0, 0, 0), "clone3": call(435, 0, 0),
    "execveat": call(322, -100, 0, 0, 0, 0), "ptrace": call(101, 0, 0, 0, 0), "io_uring_setup": call(425, 8, 0),
    "unshare": call(272, 0x10000000), "process_vm_readv": call(310, 1, 0, 0, 0, 0, 0),
    "seccomp": [line.split()[1] for line in open("/proc/self/status") if line.startswith("Seccomp:")],
}
threads = [threading.Thread(target=seen.setdefault, args=("thread", "ran"))]
[thread.start() for thread in threads], [thread.join() for thread in threads]
print(json.dumps(seen))
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="system call numbers of x86_64")
def test_under_the_filter_there_are_threads_and_no_children(tmp_path: Path):
    program = base64.b64encode(syscalls.seccomp_program(children=False)).decode()
    done = launch(tmp_path, ESCAPES, seccomp=program, warmup=True)
    seen = json.loads(done.stdout)
    assert seen.pop("thread") == "ran"
    assert seen.pop("seccomp") == ["2"]
    assert seen.pop("clone3") == 38  # ENOSYS: the C library then tries clone
    assert seen.pop("io_uring_setup") == 38
    assert seen.pop("system") != 0
    assert set(seen.values()) == {1}, seen  # EPERM


def test_limits(tmp_path: Path):
    text = (
        "import os, resource\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE)[1])\n"
        "try:\n    open('big', 'wb').write(bytes(2 << 20))\nexcept OSError as error:\n    print(error.strerror)\n"
        "try:\n    bytes(3 << 30)\nexcept MemoryError:\n    print('no memory')\n"
        "import torch\ntorch.empty(800_000_000)\n"
    )
    done = launch(tmp_path, text)
    assert done.stdout.splitlines() == ["0", "File too large", "no memory"]
    assert "can't allocate memory" in done.stderr
    assert (tmp_path / "code" / "big").stat().st_size == 1 << 20


PARENT = """
import os, subprocess, sys, time
ready = os.open(sys.argv[1], os.O_RDWR)
start = os.open(sys.argv[2], os.O_RDWR)
child = subprocess.Popen(sys.argv[3:])
os.read(ready, 1000)
print(child.pid, flush=True)
if sys.argv[1].endswith("go"):
    os.write(start, bytes(64))
time.sleep(60)
"""


def wait_for_end(pid: int) -> bool:
    """True when ``pid`` is gone, or a corpse that its new parent has not fetched, within five seconds."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("ready", ["wait", "go"])
def test_it_ends_with_its_parent_before_and_after_the_start(tmp_path: Path, ready: str):
    pipes = [tmp_path / f"{ready}", tmp_path / "start"]
    for pipe in pipes:
        os.mkfifo(pipe)
    job = write_job(tmp_path, "import time\ntime.sleep(60)\n", ready=str(pipes[0]), start=str(pipes[1]))
    command = [sys.executable, "-c", PARENT, *map(str, pipes), *argv(job)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        os.kill(pid, 0)
        parent.send_signal(signal.SIGKILL)
    assert wait_for_end(pid)


def test_without_a_reader_it_gives_up(tmp_path: Path):
    os.mkfifo(tmp_path / "ready")
    done = launch(tmp_path, "print('ran')", ready=str(tmp_path / "ready"), start=str(tmp_path / "ready"))
    assert done.returncode != 0
    assert "ran" not in done.stdout


def test_a_filter_that_the_kernel_refuses_is_reported(tmp_path: Path):
    os.mkfifo(tmp_path / "ready")
    pipe = os.open(tmp_path / "ready", os.O_RDWR | os.O_NONBLOCK)
    done = launch(
        tmp_path,
        "print('ran')",
        seccomp=base64.b64encode(b"\xff" * 16).decode(),
        ready=str(tmp_path / "ready"),
    )
    assert done.returncode != 0
    assert json.loads(os.read(pipe, 1000))["error"].startswith("OSError")
    assert "ran" not in done.stdout
    os.close(pipe)
