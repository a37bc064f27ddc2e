"""Whole slots of the tiny track: trained, timed, evaluated, and put together as a run."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tiny import base_script, slot_request, tiny_corpus, tiny_track, write_code

from patchrun.adapters import sandbox
from patchrun.core.errors import SetupError, UsageError
from patchrun.core.results import Run, decode, encode
from patchrun.services.runner import Event, SlotRequest, train_slot

FEW = {"PATCHRUN_STEPS": "4"}  # in launch.env: as good as the real thing where only the ends matter


def quick_track(**changes: Any):
    """The tiny track cut to four steps, without the set-up that exact repeats need."""
    return tiny_track(**{"launch": {"env": FEW}, "seeds": {"deterministic": False}, **changes})


def run(folder: Path, text: str | None = None, record: int = 0, **changes: Any) -> Run:
    return train_slot(slot_request(folder, write_code(folder, text, record), **changes))[0]


def saving(expression: str) -> str:
    """The base script, its last line saving ``expression`` instead."""
    return base_script().replace("save_file(model.state_dict(),", f"save_file({expression},")


@pytest.fixture(scope="module")
def human(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, bytes, list[Event], SlotRequest]:
    """Record 2's human code, two repeats, once for several tests."""
    folder = tmp_path_factory.mktemp("human")
    events: list[Event] = []
    cpu = min(os.sched_getaffinity(0))
    track = tiny_track(clock={"repeats": 2})
    request = slot_request(folder, write_code(folder, record=2), track, cpu=cpu)
    run, log = train_slot(request, events.append)
    return run, log, events, request


def test_a_run_reaches_the_target(human: tuple[Run, bytes, list[Event], SlotRequest]):
    run, _, _, request = human
    assert (run.exit, run.reason) == ("ok", "")
    assert run.loss is not None
    assert run.loss < request.track.target.loss
    losses = dict(run.losses_at)
    assert losses[1] == pytest.approx(5.75, abs=0.1)
    assert 5.2 < losses[2] < losses[1]
    assert run.loss < losses[max(losses)] < losses[2] and 50 <= max(losses) <= 110
    assert run.parameters == 32704
    assert len(run.model_sha256) == 64
    assert run.evaluation_seconds is not None
    assert 0 < run.evaluation_seconds < 2


def test_the_least_of_the_repeats_counts(human: tuple[Run, bytes, list[Event], SlotRequest]):
    run, _, _, _ = human
    assert len(run.repeats) == 2
    assert run.seconds == min(run.repeats)
    assert max(run.repeats) < 5
    assert run.wall_seconds is not None
    assert run.seconds is not None
    assert 0.05 < run.seconds < 3


def test_a_run_says_where_it_comes_from(human: tuple[Run, bytes, list[Event], SlotRequest]):
    run, _, _, request = human
    assert (run.study, run.arm, run.kind, run.record, run.slot) == (
        "study",
        "b1",
        "baseline",
        "1",
        request.slot,
    )
    assert (run.commit, run.tree, run.clock, run.sandbox) == (
        "c" * 40,
        "t" * 40,
        "cpu",
        sandbox.resolve("default"),
    )
    assert run.track_digest == request.track.digest
    assert run.machine.torch.startswith("2.")
    assert run.started.endswith("+00:00")
    assert decode(encode(run), Run) == run


def test_events_tell_the_story(human: tuple[Run, bytes, list[Event], SlotRequest]):
    run, _, events, _ = human
    phases = [event.phase for event in events]
    assert phases[0] == "starting"
    assert phases[-2:] == ["evaluating", "done"]
    assert set(phases[1:-2]) == {"training"}
    first = events[1]
    assert (first.step, first.steps) == (10, 110)
    assert first.loss is not None
    assert first.elapsed > 0
    assert [point.step for point in run.curve] == [*range(10, 111, 10)]


def test_the_log_holds_every_training(human: tuple[Run, bytes, list[Event], SlotRequest]):
    _, log, _, _ = human
    parts = [line for line in log.decode().splitlines() if line.startswith("[patchrun")]
    assert parts == ["[patchrun: repeat0]", "[patchrun: repeat1]"]
    assert log.count(b"step:110/110") == 2


def test_jobs_stay_readable_in_scratch(human: tuple[Run, bytes, list[Event], SlotRequest]):
    _, _, _, request = human
    place = request.scratch / request.slot.name
    jobs = sorted(path.parent.name for path in place.rglob("job.json"))
    assert jobs == [f"export-{'t' * 40}-1", f"export-{'t' * 40}-2", "interpreter1", "repeat0", "repeat1"]
    assert "PATCHRUN_DATA" not in "".join(path.read_text() for path in (place / "graphs").rglob("job.json"))
    everything = b"".join(path.read_bytes() for path in place.rglob("*") if path.is_file())
    assert tiny_corpus().val_file.read_bytes()[1024:1424] not in everything


def test_the_same_seed_gives_the_same_model_and_loss_in_another_slot(tmp_path: Path):
    first = run(tmp_path / "a", track=quick_track())
    second = run(tmp_path / "b", track=quick_track())
    assert first.model_sha256 == second.model_sha256
    assert first.loss == second.loss


def test_repeats_that_differ_are_no_run(tmp_path: Path):
    text = base_script().replace(
        "def main():\n", "def main():\n    torch.manual_seed(time.time_ns() % 2**31)\n"
    )
    track = tiny_track(launch={"env": FEW}, clock={"repeats": 2})
    seen = run(tmp_path, text, track=track)
    assert (seen.exit, seen.loss) == ("bad-model", None)
    assert seen.reason == "2 trainings with one seed saved 2 different models"


def test_a_script_that_prints_and_writes_nothing_where_a_killed_attempt_left_a_model(tmp_path: Path):
    made = slot_request(tmp_path, write_code(tmp_path, "pass"), quick_track())
    left = made.scratch / made.slot.name / "repeat0" / "out"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(b"from before")
    seen, log = train_slot(made)
    assert (seen.exit, log) == ("no-model", b"")
    assert seen.reason == "it ended without writing PATCHRUN_OUT/model.safetensors, and it printed nothing"
    assert (seen.loss, seen.curve) == (None, ())
    assert seen.seconds is not None


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("{n: w * float('nan') for n, w in model.state_dict().items()}", "holds NaN or infinity"),
        ("dict(model.state_dict(), table=torch.zeros(9000))", "holds 41,704 numbers, 40,000 are allowed"),
        ("dict(model.state_dict(), table=torch.zeros(3))", "of no module that the script called"),
    ],
)
def test_models_that_are_refused(tmp_path: Path, expression: str, said: str):
    seen = run(tmp_path, saving(expression), track=quick_track())
    assert seen.exit == "bad-model"
    assert re.search(said, seen.reason), seen.reason
    assert seen.loss is None
    assert seen.seconds is not None


def test_a_pickle_under_the_right_name(tmp_path: Path):
    text = base_script().replace("save_file(model.state_dict(), ", "torch.save(model.state_dict(), ")
    seen = run(tmp_path, text, track=quick_track())
    assert (seen.exit, "not a safetensors file" in seen.reason) == ("bad-model", True)


def test_a_crash_is_a_value_with_its_words_and_its_log(tmp_path: Path):
    text = base_script().replace("        optimizer.step()\n", "        optimizer.stepp()\n")
    made = slot_request(tmp_path, write_code(tmp_path, text), quick_track())
    seen, log = train_slot(made)
    assert seen.exit == "failed"
    assert "AttributeError: 'AdamW' object has no attribute 'stepp'" in seen.reason
    assert log.startswith(b"Traceback")
    assert (seen.seconds, seen.loss, seen.repeats) == (None, None, ())


def test_no_training_is_told_to_stop_early(tmp_path: Path):
    text = base_script().replace(
        "    last = min(", "    assert 'PATCHRUN_STEPS' not in os.environ\n    last = min("
    )
    seen = run(
        tmp_path, text.replace("STEPS = 600", "STEPS = 3"), track=tiny_track(seeds={"deterministic": False})
    )
    assert (seen.exit, [number for number, _ in seen.losses_at][:2]) == ("ok", [1, 2])


def test_a_model_that_is_trained_without_being_called(tmp_path: Path):
    text = base_script().replace("F.cross_entropy(model(inputs)", "F.cross_entropy(model.forward(inputs)")
    seen = run(tmp_path, text, track=quick_track())
    assert seen.exit == "bad-model"
    assert "call the module" in seen.reason or "calling the module that build_model() returns" in seen.reason
    few = base_script().replace("model(inputs)", "(model if step < 3 else model.forward)(inputs)")
    few = few.replace("LEARNING_RATE = 5e-4", "LEARNING_RATE = 4e-3").replace("STEPS = 600", "STEPS = 80")
    seen = run(tmp_path / "few", few, track=tiny_track(evidence={"min_loss_steps": (5.5, 5.2, 4.5)}))
    assert seen.exit == "bad-model"
    assert "after fewer than 3 calls of the model" in seen.reason


def test_weights_that_hide_the_future(tmp_path: Path):
    text = base_script().replace("is_causal=True", "is_causal=False")
    seen = run(tmp_path, text, track=quick_track())
    assert seen.exit == "disqualified"
    assert "what follows and the other rows are replaced" in seen.reason
    assert seen.loss is None


def test_time_runs_out(tmp_path: Path):
    seen = run(tmp_path, "import time\ntime.sleep(60)", track=quick_track(limits={"wall_seconds": 1}))
    assert (seen.exit, seen.wall_seconds is not None) == ("timed-out", True)
    assert "it printed no step line" in seen.reason


def test_a_wish_to_stop_comes_back_as_interrupted(tmp_path: Path):
    began: list[float] = []
    text = "import time\nprint('step:1/2 train_loss:3 train_time:1ms')\ntime.sleep(60)"
    made = slot_request(tmp_path, write_code(tmp_path, text), quick_track())
    seen, _ = train_slot(made, lambda event: began.append(time.monotonic()), lambda: len(began) >= 2)
    assert (seen.exit, seen.seconds) == ("interrupted", None)
    assert time.monotonic() - began[1] < 5


def test_ctrl_c_leaves_no_process_behind(tmp_path: Path):
    def interrupt(event: Event) -> None:
        if event.phase == "training":
            raise KeyboardInterrupt

    text = "import time\nprint('step:1/2 train_loss:3 train_time:1ms')\ntime.sleep(60)"
    with pytest.raises(KeyboardInterrupt):
        train_slot(slot_request(tmp_path, write_code(tmp_path, text), quick_track()), interrupt)
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [command for command in commands if str(tmp_path).encode() in command]


def test_evidence_by_log(tmp_path: Path):
    track = tiny_track(evidence={"kind": "log"}, clock={"source": "arrival"}, seeds={"deterministic": False})
    text = (
        "import time\nprint('step:0/2 val_loss:10.8 train_time:0ms step_avg:nanms')\ntime.sleep(0.3)\n"
        "print('step:2/2 val_loss:3.2781 train_time:1ms step_avg:0.5ms')\n"
    )
    seen = run(tmp_path / "good", text, track=track, corpus=None)
    assert (seen.exit, seen.loss, seen.clock) == ("ok", 3.2781, "arrival")
    assert seen.seconds == pytest.approx(0.3, abs=0.25)
    lossless = run(
        tmp_path / "lossless", text.replace("val_loss:3.2781 ", "").replace("val_loss:10.8 ", ""), track=track
    )
    assert (lossless.exit, lossless.reason) == ("failed", "it printed no validation loss")


def test_the_sandbox_is_named_in_the_run(tmp_path: Path):
    text = "import os\nos._exit(0) if os.fork() == 0 else os.wait()\n" + base_script()
    assert run(tmp_path / "open", text, track=quick_track(), sandbox="none").sandbox == "none"
    with pytest.raises(UsageError, match="no sandbox 'moat'"):
        run(tmp_path / "moat", text, track=quick_track(), sandbox="moat")


def test_a_track_for_gpus_on_a_machine_without(tmp_path: Path):
    with pytest.raises(SetupError, match=r"needs 8 GPU\(s\), this machine has 0"):
        run(tmp_path, track=tiny_track(hardware={"device": "cuda", "gpus": 8}))


def test_a_track_whose_evidence_needs_a_corpus(tmp_path: Path):
    with pytest.raises(SetupError, match="needs its corpus"):
        run(tmp_path, corpus=None)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", folder], capture_output=True)
    if mount.returncode:
        pytest.skip("may not mount a small file system here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_no_space_left(tmp_path: Path, small_disk: Path):
    made = slot_request(tmp_path, write_code(tmp_path), quick_track(), scratch=small_disk)
    with pytest.raises(SetupError, match="no space left in") as caught:
        train_slot(made)
    assert "free" in caught.value.hint


def test_weights_scored_before_are_not_scored_again(tmp_path: Path):
    code = write_code(tmp_path, record=1)
    first, _ = train_slot(slot_request(tmp_path, code))
    again, _ = train_slot(slot_request(tmp_path, code, scored=first))
    assert again.exit == "ok" and again.model_sha256 == first.model_sha256
    assert (again.loss, again.evaluation_seconds) == (first.loss, first.evaluation_seconds)
    other = msgspec.structs.replace(first, model_sha256="0" * 64, loss=99.0)
    scored, _ = train_slot(slot_request(tmp_path, code, scored=other))
    assert scored.loss == first.loss, "other weights, or another tree: scored anew"


SEEN = """
import json, os, resource, sys, threading
def look():
    place = os.path.dirname(os.environ["PATCHRUN_OUT"])
    links = [os.readlink(entry.path) for entry in os.scandir("/proc/self/fd") if os.path.exists(entry.path)]
    return {
        "environment": dict(os.environ), "argv": [sys.argv, sys.orig_argv], "folder": os.getcwd(),
        "job": open(place + "/job.json").read(), "files": [sorted(os.listdir(place + name)) for name in ("", "/code")],
        "out": os.listdir(place + "/out"), "copies": os.listdir(place + "/snapshots"),
        "open": sorted(link.split("[")[0].split(":")[0] for link in links),
        "limits": [resource.getrlimit(number) for number in range(16)], "threads": threading.active_count(),
        "modules": sorted(sys.modules), "names": sorted(os.listdir("/tmp")) + sorted(os.listdir(os.environ["HOME"])),
        "seed": __import__("torch").initial_seed(), "pid": os.getpid() if os.getpid() < 10 else 0,
    }
"""


def test_no_training_of_a_slot_can_be_told_from_another(tmp_path: Path):
    """A script that prints all that it sees prints the same in every repeat, but for the name of its folder."""
    look = 'def main():\n    print("SEEN " + json.dumps(look(), sort_keys=True))\n'
    code = write_code(tmp_path, SEEN + base_script().replace("def main():\n", look))
    track = tiny_track(launch={"env": FEW}, clock={"repeats": 3}, seeds={"deterministic": False})
    request = slot_request(tmp_path, code, track, sandbox="default")
    run, log = train_slot(request)
    assert run.exit == "ok", run.reason
    seen = [line for line in log.decode().splitlines() if line.startswith("SEEN ")]
    assert len(seen) == 3
    assert len({re.sub(r"repeat\d", "repeat", line) for line in seen}) == 1
