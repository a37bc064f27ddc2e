"""Whole trainings and evaluations inside bubblewrap: same weights, right clock, hostile scripts end as failures."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import pytest
from boxes import needs_bwrap
from tiny import base_script, slot_request, tiny_corpus, tiny_track, write_code

from patchrun.adapters.corpus import read_shard
from patchrun.services.runner import train_slot
from patchrun.services.training import Plan, Trained, Training

pytestmark = needs_bwrap
BURN = "import time\nend = time.process_time() + {0}\nwhile time.process_time() < end: pass\n"


def train(
    folder: Path, text: str, sandbox: str = "bwrap", tables: dict[str, dict] | None = None, **options
) -> Trained:
    track = tiny_track(**(tables or {}))
    plan = Plan(
        track, write_code(folder, text), tiny_corpus().train_dir, folder / "place", seed=1, sandbox=sandbox, **options
    )  # fmt: skip
    with Training(plan) as training:
        training.await_ready()
        return training.train()


def test_the_weights_are_the_same_to_the_bit(tmp_path: Path):
    digests = []
    for name in ("bwrap", "seccomp"):
        trained = train(tmp_path / name, base_script(), name, steps=12)
        assert trained.exit == "ok", trained.reason
        digests.append(hashlib.sha256(trained.model.read_bytes()).hexdigest())
    assert digests[0] == digests[1]


def test_the_clock_sees_through_the_wrapper(tmp_path: Path):
    trained = train(tmp_path, BURN.format("0.5") + "time.sleep(0.4)\n", warmup=False)
    assert trained.exit == "ok", trained.reason
    assert trained.seconds == pytest.approx(0.5, abs=0.06)
    assert 0.9 < trained.wall_seconds < 8


def test_allowed_children_and_orphans_are_on_the_clock(tmp_path: Path):
    text = (
        "import os, sys, time\n"
        f"burn = {BURN.format('0.3')!r}\n"
        "for orphan in (False, True):\n"
        "    if (pid := os.fork()) == 0:\n"
        "        if orphan:\n            os.setsid()\n            if os.fork():\n                os._exit(0)\n"
        "        exec(burn)\n        os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
        "time.sleep(1.5)\n"
    )
    trained = train(tmp_path, text, tables={"limits": {"processes": 4}}, warmup=False)
    assert trained.exit == "ok", trained.reason
    assert 0.45 < trained.seconds < 1.2, "a busy machine adds to it"


def test_the_validation_text_is_nowhere(tmp_path: Path):
    corpus = tiny_corpus()
    found = read_shard(corpus.val_file)[64:128].astype("<u2").tobytes()
    text = f"""
import json, os
needle, hits, opened = {found!r}, [], 0
for top in ("/tmp", "/etc", "/dev/shm", os.environ["PATCHRUN_DATA"], os.getcwd(), os.environ["HOME"]):
    for folder, _, names in os.walk(top):
        for name in names:
            if not os.path.isfile(os.path.join(folder, name)):
                continue  # reading a pipe would wait
            try:
                with open(os.path.join(folder, name), "rb") as file:
                    data, opened = file.read(), opened + 1
            except OSError:
                continue
            if needle in data and not name.startswith("train_gpt"):
                hits.append(name)
shown = [os.path.exists(path) for path in ({str(corpus.val_file)!r}, {str(corpus.train_dir)!r})]
print(json.dumps([hits, opened > 3, shown]))
"""
    assert found in corpus.val_file.read_bytes()
    assert json.loads(train(tmp_path, text, warmup=False).log) == [[], True, [False, True]]


class TestHostile:
    def test_a_file_of_a_terabyte(self, tmp_path: Path):
        text = """
import errno, os
path = os.environ["PATCHRUN_OUT"] + "/big"
def sparse():
    with open(path, "wb") as file:
        file.truncate(1 << 40)
def written():
    with open(path, "wb") as file:
        while True:
            file.write(bytes(1 << 20))
for attempt in (sparse, written):
    try:
        attempt()
    except OSError as error:
        print(errno.errorcode[error.errno])
raise SystemExit(7)
"""
        trained = train(tmp_path, text, warmup=False)
        assert (trained.exit, trained.log) == ("failed", b"EFBIG\nEFBIG\n")
        assert "exit status 7" in trained.reason
        assert (tmp_path / "place" / "out" / "big").stat().st_size <= tiny_track().limits.file_mb << 20

    def test_many_files_that_are_each_small_enough(self, tmp_path: Path):
        text = """
import os, time
for number in range(200):
    with open(os.environ["PATCHRUN_OUT"] + f"/{number}", "wb") as file:
        file.write(bytes(900_000))
time.sleep(60)
"""
        trained = train(tmp_path, text, tables={"limits": {"file_mb": 1}}, warmup=False)
        assert trained.exit == "failed"
        assert "PATCHRUN_OUT holds more than 8 MiB" in trained.reason

    def test_a_hog_of_memory(self, tmp_path: Path):
        text = "held = []\nwhile True: held.append(bytearray(64 << 20))\n"
        trained = train(tmp_path, text, tables={"limits": {"memory_mb": 700}}, warmup=False)
        assert trained.exit == "out-of-memory"
        assert "MemoryError" in trained.reason or "killed from outside" in trained.reason

    def test_a_hang_that_ignores_every_signal(self, tmp_path: Path):
        text = """
import signal, time
for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
    try:
        signal.signal(number, signal.SIG_IGN)
    except OSError:
        pass
while True:
    time.sleep(1)
"""
        began = time.monotonic()
        trained = train(tmp_path, text, tables={"limits": {"wall_seconds": 0.5}}, warmup=False)
        assert (trained.exit, trained.seconds) == ("timed-out", None)
        assert time.monotonic() - began < 60

    def test_a_fork_bomb(self, tmp_path: Path):
        text = """
import os, time
made = 0
while True:
    try:
        if os.fork() == 0:
            time.sleep(60)
        made += 1
    except OSError as error:
        print(made, flush=True)
        os._exit(9)
"""
        refused = train(tmp_path / "none", text, warmup=False)
        assert (refused.exit, refused.log) == ("failed", b"0\n")
        trained = train(tmp_path / "some", text, tables={"limits": {"processes": 1}}, warmup=False)
        assert trained.exit == "failed"
        assert 8 < int(trained.log) < 128


@pytest.mark.slow
def test_two_ranks_of_torchrun_with_gloo(tmp_path: Path):
    text = """
import socket, torch, torch.distributed as dist
dist.init_process_group("gloo")
total = torch.ones(1)
dist.all_reduce(total)
if dist.get_rank() == 0:
    print("ranks", int(total), socket.gethostname(), flush=True)
dist.destroy_process_group()
"""
    tables = {"launch": {"kind": "torchrun"}, "limits": {"processes": 8}, "clock": {"source": "arrival"}}
    trained = train(tmp_path, text, tables=tables, ranks=2)
    assert trained.exit == "ok", trained.log
    assert b"ranks 2 sandbox" in trained.log
    assert trained.wall_seconds < 60


@pytest.mark.slow
def test_a_whole_slot(tmp_path: Path):
    track = tiny_track(rule={"blocks": 1})
    request = slot_request(tmp_path, write_code(tmp_path, record=3), track, sandbox="bwrap")
    run, _ = train_slot(request)
    assert (run.exit, run.sandbox) == ("ok", "bwrap"), run.reason
    assert run.loss is not None and run.loss < 2
