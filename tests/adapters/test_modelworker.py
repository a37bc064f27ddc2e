"""The line to a worker, with candidates that answer, and with some that do not."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny import tiny_track, write_code

from patchrun.adapters.child import Stopped
from patchrun.adapters.modelworker import Cap, ModelWorker, WorkerFault
from patchrun.services.training import base_job

V = 6
TABLE = """
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding({v}, {v})

    def forward(self, ids):
        {body}

def build_model():
    return Model()
"""
IDS = np.array([[1, 2, 3], [3, 0, 5]], np.uint16)


def candidate(body: str = "return self.table(ids)", head: str = "") -> str:
    return head + TABLE.format(v=V, body=body)


@contextmanager
def worker(folder: Path, text: str, sandbox: str = "seccomp", stop=lambda: False) -> Iterator[ModelWorker]:
    code = write_code(folder, text)
    job = base_job(tiny_track(), code, sandbox) | {"vocab_size": V}
    with ModelWorker(folder / "worker", job, wrapper=sandbox, stop=stop) as running:
        running.await_ready()
        yield running


@pytest.fixture
def weights(tmp_path: Path) -> tuple[Path, np.ndarray]:
    table = np.random.default_rng(0).normal(size=(V, V)).astype(np.float32)
    save_file({"table.weight": table}, tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors", table


def test_logits_are_the_models_to_the_bit(tmp_path: Path, weights: tuple[Path, np.ndarray]):
    path, table = weights
    with worker(tmp_path, candidate()) as line:
        line.load(None, seed=3)
        untrained = line.logits(IDS)
        line.load(path)
        assert np.array_equal(line.logits(IDS), table[IDS])
        line.limit(Cap(10, "in the test"))
        assert 0 <= line.cpu_seconds < 1
    assert not np.array_equal(untrained, table[IDS])
    assert line.process.poll() is not None


def test_it_has_no_data_no_children_and_says_nothing_to_us_by_print(tmp_path: Path):
    head = (
        "import os, sys\nprint('K' + chr(0) * 8)\nos.write(1, b'K' + bytes(8))\n"
        "assert 'PATCHRUN_DATA' not in os.environ and 'PATCHRUN_OUT' not in os.environ\n"
        "assert __name__ == 'train_gpt' and os.path.basename(os.getcwd()) == 'code'\n"
        "assert sys.stdin.read() == ''\n"
        "try:\n    os.fork()\n    os._exit(1)\nexcept PermissionError:\n    pass\n"
    )
    with worker(tmp_path, candidate(head=head)) as line:
        line.load(None)
        assert line.logits(IDS).shape == (2, 3, V)
    assert "K" in (tmp_path / "worker" / "worker.log").read_text()


def test_the_seed_decides_the_untrained_model(tmp_path: Path):
    seen = []
    for number, seed in enumerate((5, 5, 6)):
        with worker(tmp_path / str(number), candidate(), sandbox="none") as line:
            line.load(None, seed)
            seen.append(line.logits(IDS))
    assert np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], seen[2])


def test_errors_of_the_candidate_come_as_words_and_the_worker_goes_on(
    tmp_path: Path, weights: tuple[Path, np.ndarray]
):
    path, table = weights
    save_file({"other": table}, tmp_path / "other.safetensors")
    save_file({"table.weight": table[:3]}, tmp_path / "small.safetensors")
    body = "if ids[0, 0] == 9: raise SystemExit('tired')\n        return self.table(ids)[:, : 3 - int(ids[0, 0] == 4)]"
    with worker(tmp_path, candidate(body), sandbox="none") as line:
        with pytest.raises(WorkerFault, match="other"):
            line.load(tmp_path / "other.safetensors")
        with pytest.raises(WorkerFault, match="size mismatch"):
            line.load(tmp_path / "small.safetensors")
        line.load(path)
        with pytest.raises(WorkerFault, match="SystemExit: tired"):
            line.logits(np.full((1, 3), 9))
        with pytest.raises(WorkerFault, match=r"\(1, 2, 6\) for logits \(1, 3, 6\)"):
            line.logits(np.full((1, 3), 4))
        assert np.array_equal(line.logits(IDS), table[IDS])


BROKEN = {
    "raise RuntimeError('no')": "RuntimeError: no",
    "import missing_thing": "No module named 'missing_thing'",
    "x = 1": "no attribute 'build_model'",
    "def build_model(:": "SyntaxError",
    "import sys; sys.exit(0)": "SystemExit: 0",
    "import os; os.kill(os.getpid(), 11)": "ended by signal 11",
}


def test_code_that_does_not_load(tmp_path: Path):
    with worker(tmp_path, "", sandbox="none") as line:
        for text, said in BROKEN.items():
            (tmp_path / "code" / "train_gpt.py").write_text(text)
            with pytest.raises(WorkerFault, match=said):
                line.load(None)


HANGS = """
import time
from torch import nn
class Model(nn.Module):
    def forward(self, ids):
        {body}
def build_model():
    return Model()
"""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("while True: pass", "more than 0.3 s of CPU in the test"),
        ("time.sleep(60)", "no answer in 6 s in the test"),
    ],
)
def test_a_worker_that_hangs_is_cut_off(tmp_path: Path, body: str, said: str):
    with worker(tmp_path, HANGS.format(body=body)) as line:
        line.load(None)
        line.limit(Cap(0.3, "in the test"))
        began = time.monotonic()
        with pytest.raises(WorkerFault, match=said):
            line.logits(IDS)
        assert time.monotonic() - began < 10
        # a request that does not fit into the pipe must not block us either
        with pytest.raises(WorkerFault):
            line.logits(np.zeros((1, 100_000)))
    with pytest.raises(ProcessLookupError):
        os.kill(line.process.pid, 0)


NO_LOGITS = (
    ("x * float('nan')", "not finite"),
    ("x + torch.tensor([float('inf')] + [0.0] * 5)", "not finite"),
    ("[1, 2]", "AttributeError"),
    ("torch.zeros(2, 3, 7)", r"\(2, 3, 7\) for logits \(2, 3, 6\)"),
)


def test_answers_that_are_no_logits(tmp_path: Path):
    lines = [f"if ids[0, 0] == {case}: return {answer}" for case, (answer, _) in enumerate(NO_LOGITS)]
    with worker(
        tmp_path, candidate("\n        ".join(["x = self.table(ids)", *lines])), sandbox="none"
    ) as line:
        line.load(None)
        for case, (_, said) in enumerate(NO_LOGITS):
            with pytest.raises(WorkerFault, match=said):
                line.logits(np.full((2, 3), case))


FORGER = """
import fcntl, os, struct
for name in os.listdir("/proc/self/fd"):
    fd = int(name)
    if fd > 2 and os.path.exists(f"/proc/self/fd/{fd}") and os.readlink(f"/proc/self/fd/{fd}").startswith("pipe"):
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
            os.write(fd, struct.pack("<cQ", b"K", 1 << 60))
"""


def test_a_forged_answer_of_another_length_is_refused_unread(tmp_path: Path):
    forged = pytest.raises(WorkerFault, match=str(1 << 60))
    with worker(tmp_path, candidate(head=FORGER), sandbox="none") as line, forged:
        line.load(None)


def test_other_widths_types_and_lengths(tmp_path: Path):
    body = "return self.table(ids).to(torch.bfloat16)"
    with worker(tmp_path, candidate(body), sandbox="none") as line:
        line.load(None)
        assert line.logits(np.zeros((1, 1), np.uint16)).dtype == np.float32
        assert line.logits(np.zeros((70, 300), np.uint16)).shape == (70, 300, V)


def test_a_wish_to_stop(tmp_path: Path):
    began = time.monotonic()
    asked = {"stop": False}
    with worker(tmp_path, HANGS.format(body="time.sleep(60)"), stop=lambda: asked["stop"]) as line:
        line.load(None)
        asked["stop"] = True
        with pytest.raises(Stopped):
            line.logits(IDS)
    assert time.monotonic() - began < 30
