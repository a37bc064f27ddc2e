"""Every attack that runs ends as the table promises, in the sandbox that runs get by default here."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from patchrun.adapters import sandbox
from patchrun.adapters.interpreter import GraphFault, Interpreter
from patchrun.core.errors import SetupError
from patchrun.core.graph.values import BadGraph
from patchrun.services import evaluator
from patchrun.services.evaluator import Disqualified, Models, cut_blocks
from patchrun.services.probes import Blocks
from patchrun.services.training import LAUNCHER, Trained, Training
from tests.attacks.run_cases import BURNT, MODELS, TRAININGS, ModelCase, TrainingCase
from tests.graphs import as_model, export_text, open_interpreter
from tests.services.test_evaluator import BATCH, TABLE, T, V, honest, track
from tests.services.test_training import plan
from tests.tiny import tiny_corpus


def hides_files() -> bool:
    """Whether runs here get a sandbox that hides files and processes, not only a filter of system calls."""
    try:
        return sandbox.resolve("default") not in ("seccomp", "none")
    except SetupError:
        return False


needs_sandbox = pytest.mark.skipif(
    not hides_files(), reason="needs the sandbox that hides files and processes"
)


def by_outcome(cases: tuple[Any, ...]) -> list[Any]:
    marks = {True: [needs_sandbox], False: []}
    return [pytest.param(case, id=case.id, marks=marks[case.outcome == "sandbox"]) for case in cases]


def train(folder: Path, case: TrainingCase) -> Trained:
    (folder / "owner").mkdir(parents=True)
    secret = folder / "owner" / "secret.txt"
    secret.write_text("the owner's")
    listener = socket.create_server(("127.0.0.1", 0))
    values = {
        "pid": os.getpid(), "secret": str(secret), "val": str(tiny_corpus().val_file), "launcher": str(LAUNCHER),
        "shared": str(folder / "owner"), "home": str(folder),
        "port": listener.getsockname()[1],
    }  # fmt: skip
    text = re.sub(
        r"\{(\w+)(!r)?\}",
        lambda m: (repr if m[2] else str)(values[m[1]]) if m[1] in values else m[0],
        case.script,
    )
    name = sandbox.resolve("default")
    with listener, Training(plan(folder, text, {"limits": case.limits}, sandbox=name)) as training:
        training.await_ready()
        return training.train()


@pytest.mark.parametrize("case", by_outcome(TRAININGS))
def test_a_training(case: TrainingCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_KEY", "PYTHONPATH", "TORCHINDUCTOR_X"):
        monkeypatch.setenv(name, "1")
    trained = train(tmp_path, case)
    if case.outcome == "sandbox":
        printed = trained.log.decode().splitlines()  # a traceback quotes the script, indented
        assert not [line for line in printed if line.startswith(case.log)], "it got through"
        return
    assert trained.exit == case.exit, trained.reason
    if case.outcome == "run":
        assert re.search(case.evidence, trained.reason), trained.reason
        return
    assert case.log in trained.log.decode()
    assert not case.burns or (trained.seconds is not None and trained.seconds >= BURNT)


@pytest.fixture(scope="module")
def interpreter() -> Iterator[Interpreter]:
    with open_interpreter() as process:
        yield process


@pytest.fixture(scope="module")
def blocks() -> Blocks:
    """81 blocks from a chain in which the next token is usually the last one plus 3."""
    rng = np.random.default_rng(0)
    steps = np.where(rng.random(650) < 0.8, 3, rng.integers(V, size=650))
    return cut_blocks((np.cumsum(steps) % V).astype(np.uint16), T)


def model_text(more: str) -> str:
    buffers = (
        "self.seen = {}\n        self.register_buffer('text', torch.arange(90) % {v})\n"
        "        self.register_buffer('calls', torch.zeros(()))"
    ).replace("{v}", str(V))
    return honest(more.replace("{v}", str(V)).replace("{t}", str(T))).replace("self.seen = {}", buffers)


def score_case(text: str, blocks: Blocks, interpreter: Interpreter, folder: Path) -> float:
    """The loss of the table model in ``text``."""
    folder.mkdir(exist_ok=True)
    graph = export_text(text, BATCH, T, V, constants_kb=32)
    state = {"text": np.arange(90, dtype=np.int64) % V, "calls": np.zeros((), np.float32)}
    model = as_model(state | {"table.weight": TABLE}, folder)
    return evaluator.score(track(), graph, blocks, Models(model), interpreter).loss


@pytest.mark.parametrize("case", by_outcome(MODELS))
def test_a_model(case: ModelCase, interpreter: Interpreter, blocks: Blocks, tmp_path: Path) -> None:
    text = model_text(case.more)
    if case.outcome == "harmless":
        fair = score_case(model_text("pass"), blocks, interpreter, tmp_path / "plain")
        assert score_case(text, blocks, interpreter, tmp_path / "own") == pytest.approx(fair, abs=1e-5)
        return
    with pytest.raises((BadGraph, Disqualified, GraphFault), match=case.evidence):
        score_case(text, blocks, interpreter, tmp_path / "own")
