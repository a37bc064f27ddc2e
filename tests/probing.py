"""The whole-script fixture on known tokens, in this process: what it prints, and what the probe says of it."""

from __future__ import annotations

import contextlib
import io
import runpy
import socket
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec
import pytest

from patchrun.adapters import probeshards
from patchrun.core import knownsource, lossprobe
from patchrun.core.lossprobe import Probed
from patchrun.core.results import Arm, Machine, Probe, Run, Study
from patchrun.core.steplines import parse_step_line
from tests.whole import PROBE_TOKENS, whole_track, write_shards
from tests.whole import SCRIPT as FIXTURE

SECRET = 20260102
TARGETS = 16384  # the fixture's 2,048 have a margin of 0.022 nats, which hides small lies
SCRIPT = FIXTURE.replace("val_tokens = 2048", f"val_tokens = {TARGETS}")
TRACK = whole_track(data={"val_tokens": TARGETS}, probe={"entropy": (1.8, 1.9)})
LOSS = "F.cross_entropy(model(val[:-1]), val[1:])"
STUDY = Study(
    id="probe", track="whole", track_digest="d", record="1", seeds=(1,), seed_source="probe", secret=f"{SECRET:032x}",
    created="now", arms=tuple(
        Arm(name=name, kind=kind, commit="c", tree="t", ast_digest=name)
        for name, kind in (("b1", "baseline"), ("eve", "submission"))
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Edit:
    """A change of the fixture: ``pairs`` of text that stands there and what is put in its place."""

    name: str
    pairs: tuple[tuple[str, str], ...]

    def apply(self, text: str = SCRIPT) -> str:
        for old, new in self.pairs:
            assert old in text, (self.name, old)
            text = text.replace(old, new)
        return text


@cache
def known_shards() -> tempfile.TemporaryDirectory[str]:
    """A folder with the shards of the probe in ``known``, drawn once for all tests."""
    folder = tempfile.TemporaryDirectory()
    real = write_shards(Path(folder.name, "real"), PROBE_TOKENS)
    assert TRACK.probe
    probeshards.write_known(TRACK.probe, TRACK.data, SECRET, real, Path(folder.name, "known"))
    return folder


def print_losses(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[float, ...]:
    """Run ``script`` on known tokens as one rank, without its pauses; the validation losses that it prints."""
    path = folder / "train_gpt.py"
    path.write_text(script.replace("PAUSE = 0.02", "PAUSE = 0").replace("time.sleep(0.05)", "pass"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    words = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
             "DATA_PATH": str(Path(known_shards().name, "known"))}  # fmt: skip
    for name, value in words.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", [str(path)])
    monkeypatch.chdir(folder)
    import torch

    torch.manual_seed(7)
    try:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            runpy.run_path(str(path), run_name="__main__")
    finally:
        if torch.distributed.is_initialized():  # it fell: the next script begins anew
            torch.distributed.destroy_process_group()
    lines = [parse_step_line(line) for line in printed.getvalue().splitlines()]
    return tuple(line.val_loss for line in lines if line and line.val_loss is not None)


@cache
def realised() -> float:
    assert TRACK.probe
    return knownsource.realised_entropy(TRACK.probe, SECRET, TARGETS)


def make_run(arm: str, losses: tuple[float, ...], **changes: object) -> Run:
    """A probe's run that printed ``losses``."""
    machine = Machine(host="h", cpu="c", cores=1, torch="t", python="p", kernel="k", hardware_class="x")
    run = Run(
        study="probe", arm=arm, kind="baseline" if arm == "b1" else "submission", record="1", block=0, position=0,
        seed=1, exit="ok", clock="arrival", sandbox="none", machine=machine, commit="c", tree="t", track_digest="d",
        tool_version="0", started="now", probe=Probe(realised=realised(), tokens=TARGETS, losses=losses),
    )  # fmt: skip
    return msgspec.structs.replace(run, **changes)


def judge(baseline: tuple[float, ...], own: tuple[float, ...]) -> Probed:
    """What the probe says of a submission that printed ``own``."""
    found = lossprobe.judge(TRACK, [STUDY], [make_run("b1", baseline), make_run("eve", own)], "eve")
    assert found is not None
    return found
