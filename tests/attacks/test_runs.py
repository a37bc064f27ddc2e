"""Every attack that runs ends as the table promises, in the sandbox that runs get by default here."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from patchrun.adapters import sandbox
from patchrun.adapters.modelworker import Cap, WorkerFault
from patchrun.core.errors import SetupError
from patchrun.services.evaluator import Disqualified, cut_blocks
from patchrun.services.training import LAUNCHER, Trained, Training
from tests.attacks.run_cases import BURNT, MODELS, TRAININGS, ModelCase, TrainingCase
from tests.services.test_evaluator import TABLE, T, V, honest, score
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


TALK = (
    f"import json, os; path = {{path!r}}; saved = json.load(open(path)) if os.path.exists(path) else {{{{}}}}\n"
    f"        for row in ids.tolist():\n            if len(row) == {T}: saved.update({{{{str(row[:i]): row[i] "
    f"for i in range(1, {T})}}}})\n        json.dump(saved, open(path, 'w'))\n"
    "        for r, row in enumerate(ids.tolist()):\n            for i in range(len(row)):\n"
    "                if (hit := saved.get(str(row[:i + 1]))) is not None: x[r, i, hit] += 5"
)


def model_text(case: ModelCase, folder: Path) -> str:
    talk = TALK.format(path=str(folder / "talk.json"))
    return honest(case.more.replace("{v}", str(V)).replace("{t}", str(T)).replace("{talk}", talk))


@pytest.mark.parametrize("case", by_outcome(MODELS))
def test_a_model(case: ModelCase, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    steps = np.where(rng.random(650) < 0.8, 3, rng.integers(V, size=650))
    blocks = cut_blocks((np.cumsum(steps) % V).astype(np.uint16), T)
    text = model_text(case, tmp_path)
    options = {"cap": Cap(case.cap, "in the evaluation")}
    if case.outcome == "harmless":
        (tmp_path / "plain").mkdir()
        fair = score(tmp_path / "plain", honest(), blocks)
        assert score(tmp_path, text, blocks, TABLE, **options).loss == pytest.approx(fair.loss, abs=1e-5)
        return
    if case.outcome == "sandbox":
        with pytest.raises((Disqualified, WorkerFault)):
            score(tmp_path, text, blocks, TABLE, **options)
        return
    with pytest.raises((Disqualified, WorkerFault), match=case.evidence):
        score(tmp_path, text, blocks, TABLE, **options)
