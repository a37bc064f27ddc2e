"""Attacks that are no single diff or script: choices of runs, claims in logs, what lies around. Each checks itself."""

from __future__ import annotations

import math
import os
import pickle
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from patchrun.adapters import leavings
from patchrun.adapters.logtail import find_logs
from patchrun.adapters.modelfile import BadModel, NoModel, read_model
from patchrun.adapters.store import Arena
from patchrun.core.arrival import Stamp, calibrate, settle, time_course
from patchrun.core.errors import ArenaError
from patchrun.core.finalscore import judge_final
from patchrun.core.findings import accepted
from patchrun.core.results import Ruling, Run
from patchrun.core.scoring import Score, score
from patchrun.core.selection import Span
from patchrun.core.trainlog import LogError, parse_log
from patchrun.services import checkout, tournament
from tests.adapters.test_gitrepo import overwrite
from tests.attacks.case import Case, Outcome
from tests.builders import (
    BASELINE,
    GOOD,
    SUBMISSION,
    make_machine,
    make_reference,
    make_run,
    make_runs,
    make_study,
    make_track,
)
from tests.conftest import SCRIPT, change
from tests.core.test_finalscore import final_runs, references
from tests.core.test_trainlog import STEPS, plain


class Opened:
    """A pickle that leaves a mark when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


Check = Callable[[Arena, Path], None]
FAST = (8.4, 8.5, 8.2, 8.6, 8.7)
CASES: list[SetUp] = []


@dataclass(frozen=True)
class SetUp(Case):
    """``check`` gets an arena of the plain track and a folder; it fails where the attack succeeds."""

    check: Check = field(kw_only=True)


def attack(number: int, name: str, outcome: Outcome, evidence: str) -> Callable[[Check], Check]:
    def add(check: Check) -> Check:
        CASES.append(SetUp(number, name, outcome, evidence, check=check))
        return check

    return add


def judge(*runs: Run, blocks: int = 5, **options: object) -> Score:
    study = make_study(blocks=blocks)
    return score(make_track(), study, runs, SUBMISSION, **options)  # type: ignore[arg-type]


def submit(
    seconds: tuple[float, ...] = FAST, losses: tuple[float, ...] = GOOD, **changes: object
) -> list[Run]:
    return make_runs("submission", seconds, losses, **changes)


@attack(3, "results with impossible figures", "run", "no finite loss or no positive time")
def _(arena: Arena, folder: Path) -> None:
    for seconds, loss in (
        (0.0, 3.7),
        (-1.0, 3.7),
        (math.nan, 3.7),
        (math.inf, 3.7),
        (8.0, math.nan),
        (8.0, -math.inf),
    ):
        found = judge(*make_reference(), *submit()[:4], make_run("submission", 4, seconds, loss))
        assert (found.verdict, found.fsr) == ("failed", None)
        assert "no finite loss or no positive time" in found.reason


@attack(3, "logs with impossible figures", "run", "the line is named and the log refused")
def _(arena: Arena, folder: Path) -> None:
    for old, new in (
        ("val_loss:3.2788", "val_loss:nan"), ("val_loss:3.2788", "val_loss:-1.0"), ("val_loss:3.2788", "val_loss:0.0"),
        ("train_time:179828ms", "train_time:-5ms"), ("train_time:179828ms", "train_time:1e9ms"),
        ("step:2/2 val_loss", "step:999999/2 val_loss"),
    ):  # fmt: skip
        with pytest.raises(LogError):
            parse_log(plain(STEPS.replace(old, new)))


@attack(1, "a result line after the real one in a log", "run", "a step after the last validation")
def _(arena: Arena, folder: Path) -> None:
    with pytest.raises(LogError, match="after the last validation"):
        parse_log(plain(STEPS + "step:2/2 val_loss:3.0000 train_time:1ms step_avg:0.50ms\n"))


@attack(2, "a result line in the echoed source", "harmless", "the source is cut off byte for byte")
def _(arena: Arena, folder: Path) -> None:
    source = f"x = 1\n{'=' * 100}\nstep:0/0 val_loss:1.0000 train_time:1ms step_avg:1.00ms\n"
    log = parse_log(plain(source=source), source=source.encode())
    assert (log.loss, log.seconds) == (3.2788, 179.828)


@attack(2, "lines of two ranks mixed", "run", "the line is named and the log refused")
def _(arena: Arena, folder: Path) -> None:
    first, *rest = STEPS.splitlines(keepends=True)
    with pytest.raises(LogError):
        parse_log(plain(first + "rank 1: " + "".join(rest)))


@attack(4, "a crash in one run of five", "run", "every run counts: one crash is a failed arm")
def _(arena: Arena, folder: Path) -> None:
    crash = make_run("submission", 3, None, None, exit="failed", reason="exit status 1")
    assert judge(*make_reference(), *submit()[:3], crash, submit()[4]).verdict == "failed"


@attack(4, "runs that never come back", "harmless", "an open slot keeps the study without a verdict")
def _(arena: Arena, folder: Path) -> None:
    found = judge(*make_reference(), *submit()[:2])
    assert (found.state, found.verdict, found.fsr) == ("running", None, None)
    assert len(found.missing) == 3


@attack(4, "an early end with status 0", "run", "without a saved model there is nothing to score")
def _(arena: Arena, folder: Path) -> None:
    with pytest.raises(NoModel):
        read_model(folder / "model.safetensors", 1, None)


@attack(18, "a pickle under the model's name", "run", "is not a safetensors file")
def _(arena: Arena, folder: Path) -> None:
    path, mark = folder / "model.safetensors", folder / "ran"
    path.write_bytes(pickle.dumps(Opened(mark)))
    with pytest.raises(BadModel, match="is not a safetensors file"):
        read_model(path, 1, None)
    assert not mark.exists()
    pickle.loads(path.read_bytes())
    assert mark.exists(), "the pickle works: nobody opened it"


@attack(16, "weights hidden in buffers", "run", "numbers are allowed, buffers count")
def _(arena: Arena, folder: Path) -> None:
    save_file({"w": np.zeros(10, np.float32), "buffer": np.zeros(91, np.int8)}, folder / "m.safetensors")
    with pytest.raises(BadModel, match="101 numbers, 100 are allowed"):
        read_model(folder / "m.safetensors", 1, 100)


@attack(28, "the grader led to another file", "run", "a link or a pipe is refused unopened")
def _(arena: Arena, folder: Path) -> None:
    (folder / "link").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(BadModel):
            read_model(folder / name, 1, None)


@attack(28, "a log that leads to another file", "run", "a link or a pipe is refused unopened")
def _(arena: Arena, folder: Path) -> None:
    (folder / "logs").mkdir()
    (folder / "logs" / "a.txt").symlink_to("/proc/self/environ")
    [name] = find_logs(folder, ["logs"])
    with pytest.raises(leavings.Refused, match="a link"):
        leavings.read(folder, name, 1 << 20)


@attack(5, "one lucky run", "run", "unproven: the rule needs five")
def _(arena: Arena, folder: Path) -> None:
    found = judge(*(run for run in [*make_reference(), *submit()] if run.block == 0), blocks=1)
    assert found.verdict in ("unscorable", "unproven")
    assert found.fsr is None


@attack(5, "one seed repeated", "run", "repeat a seed or a loss")
def _(arena: Arena, folder: Path) -> None:
    found = judge(*make_reference(), *submit(seed=7))
    assert (found.verdict, found.fsr) == ("unproven", None)
    assert "repeat a seed or a loss" in found.reason


@attack(5, "one run under five seeds", "run", "repeat a seed or a loss")
def _(arena: Arena, folder: Path) -> None:
    assert judge(*make_reference(), *submit(losses=(3.7,) * 5)).verdict == "unproven"


@attack(5, "a better run of a slot that is taken", "harmless", "the first writer of a slot wins")
def _(arena: Arena, folder: Path) -> None:
    again = make_run("submission", 0, 0.1, 3.0)
    runs = [*make_reference(), *submit()]
    assert judge(*runs, again).seconds == judge(*runs).seconds


@attack(5, "the same code handed in until lucky", "harmless", "trees of equal code share one study")
def _(arena: Arena, folder: Path) -> None:
    texts = [change("STEPS = 100", f"STEPS = 60  # try {number}", 2) for number in range(3)]
    handed = [tournament.hand_in(arena, text, Span(1, 1), "ada").attempt for text in texts]
    assert [attempt.sequence for attempt in handed] == [1, 2, 3]
    (study,) = tournament.plan_waiting(arena)
    assert len([arm for arm in study.arms if arm.kind == "submission"]) == 1


@attack(5, "a bad measurement withdrawn", "run", "withdrawn after it was measured")
def _(arena: Arena, folder: Path) -> None:
    ruling = Ruling(submission=SUBMISSION, ruling="withdrawn", reason="unlucky", by="ada", created="2026")
    assert judge(*make_reference(), *submit(), ruling=ruling).verdict == "disqualified"


def course(validation: float, claimed: float, work: float = 100.0) -> list[Stamp]:
    """Ten steps of ``work`` seconds in all, a validation at the end, and what the script claims there."""
    steps = [Stamp(step, False, claimed * step / 10, 5.0, work * step / 10) for step in range(11)]
    return [*steps, Stamp(10, True, claimed, 3.27, work + validation)]


def counted(stamps: list[Stamp], validation: float) -> tuple[float, str]:
    timed = time_course(stamps)
    assert timed is not None
    return settle(timed, validation)


HONEST = time_course(course(2.0, 100.0))


@attack(7, "a clock that stops before the end", "run", "it claims less than the arrival stamps")
def _(arena: Arena, folder: Path) -> None:
    assert HONEST is not None
    seconds, words = counted(course(2.0, 80.0), calibrate(HONEST))
    assert seconds == pytest.approx(100.0, abs=1e-6)
    assert "it claims 80.00 s, 20.0% less" in words


@attack(
    6, "events that claim half of the time, by the stamps", "run", "it claims less than the arrival stamps"
)
def _(arena: Arena, folder: Path) -> None:
    assert HONEST is not None
    seconds, words = counted(course(2.0, 50.0), calibrate(HONEST))
    assert seconds == pytest.approx(100.0, abs=1e-6)
    assert "50.0% less" in words


@attack(7, "work behind the stop", "run", "it claims less than the arrival stamps")
def _(arena: Arena, folder: Path) -> None:
    assert HONEST is not None
    seconds, words = counted(course(2.0 + 15.0, 85.0, work=85.0), calibrate(HONEST))
    assert seconds == pytest.approx(100.0, abs=1e-6)
    assert "less than" in words


@attack(
    9,
    "training inside validation, by the stamps",
    "run",
    "a validation is worth what the reference arms' took",
)
def _(arena: Arena, folder: Path) -> None:
    assert HONEST is not None
    seconds, _words = counted(course(42.0, 60.0, work=60.0), calibrate(HONEST))
    assert seconds == pytest.approx(100.0, abs=1e-6)


@attack(9, "training inside validation on the pocket track", "harmless", "no part of a run is untimed there")
def _(arena: Arena, folder: Path) -> None:
    assert (arena.track.clock.source, arena.track.evidence.kind) == ("cpu", "model")


@attack(19, "the solution sought in a checkout", "harmless", "a checkout has one commit and no other object")
def _(arena: Arena, folder: Path) -> None:
    checkout.checkout(arena, Span(2, 2), folder / "copy")
    git = [
        "git",
        "-C",
        str(folder / "copy"),
        "cat-file",
        "--batch-all-objects",
        "--batch-check=%(objectname)",
    ]
    objects = subprocess.run(git, check=True, capture_output=True, text=True).stdout.split()
    assert len(objects) == 3
    assert arena.repo.resolve("refs/patchrun/human/2:train.py") not in objects


@attack(
    24,
    "files changed between check and run",
    "harmless",
    "the run exports the tree that was checked, by its hash",
)
def _(arena: Arena, folder: Path) -> None:
    handed = folder / "agent.diff"
    handed.write_bytes(change("STEPS = 100", "STEPS = 60", 2))
    attempt = tournament.hand_in(arena, handed.read_bytes(), Span(1, 1), "ada").attempt
    handed.write_bytes(change("STEPS = 100", "STEPS = 1", 2))
    (study,) = tournament.plan_waiting(arena)
    arm = next(arm for arm in study.arms if arm.kind == "submission")
    assert arm.tree == attempt.patched_tree == arena.repo.tree_of(arena.submission(attempt.id))
    arena.repo.export(arm.tree, folder / "code")
    assert (folder / "code" / "train.py").read_text() == SCRIPT.replace("STEPS = 100", "STEPS = 60")


@attack(24, "a stored file swapped under its hash", "run", "is not the content")
def _(arena: Arena, folder: Path) -> None:
    tournament.hand_in(arena, change("STEPS = 100", "STEPS = 60", 2), Span(1, 1), "ada")
    (study,) = tournament.plan_waiting(arena)
    tree = study.arms[-1].tree
    overwrite(arena.repo, arena.repo.files(tree)["train.py"].oid, b"print('evil')\n")
    with pytest.raises(ArenaError, match="is not the content"):
        arena.repo.export(tree, folder / "code")


@attack(14, "the validation tokens memorised", "run", "final round: the target is missed on held-back tokens")
def _(arena: Arena, folder: Path) -> None:
    known = final_runs("submission", FAST, [loss - 0.3 for loss in GOOD], 0.6)
    found = judge_final(
        make_track(), make_study(), [*references(), *known], SUBMISSION, Score(state="done"), ()
    )
    assert (found.score.verdict, found.overfit) == ("missed-target", True)


@attack(
    24,
    "a planted git folder in a checkout that comes back",
    "harmless",
    "the files are compared, its git is not asked",
)
def _(arena: Arena, folder: Path) -> None:
    copy = folder / "copy"
    checkout.checkout(arena, Span(1, 1), copy)
    mark = folder / "ran"
    (copy / ".git" / "config").write_text(f"[core]\n\tfsmonitor = touch {mark}\n\thooksPath = {copy}\n")
    (copy / "train.py").write_text(SCRIPT.replace("STEPS = 100", "STEPS = 60"))
    diff = checkout.diff_of_folder(arena, Span(1, 1), copy)
    assert accepted(tournament.validate(arena, diff, Span(1, 1)).findings)
    assert not mark.exists()


@attack(27, "the baseline slowed from another machine", "run", "runs of different hardware")
def _(arena: Arena, folder: Path) -> None:
    slow = [*make_runs("baseline", tuple(2 * s for s in BASELINE), GOOD, machine=make_machine("cpu-old"))]
    references = [run for run in make_reference() if run.kind == "human"] + slow
    found = judge(*references, *submit())
    assert (found.verdict, found.fsr) == ("unscorable", None)
    assert "different hardware" in found.reason


@attack(32, "a gain within noise", "harmless", "its interval holds 0")
def _(arena: Arena, folder: Path) -> None:
    noise = tuple(s + d for s, d in zip(BASELINE, (-0.3, 0.2, -0.2, 0.25, -0.1), strict=True))
    found = judge(*make_reference(), *submit(noise))
    assert found.verdict == "valid" and found.fsr is not None and found.fsr_ci is not None
    assert abs(found.fsr) < 0.05
    assert found.fsr_ci[0] < 0 < found.fsr_ci[1]


@attack(32, "a cut of steps beyond the margin", "run", "missed-target")
def _(arena: Arena, folder: Path) -> None:
    found = judge(*make_reference(), *submit(losses=(3.76, 3.77, 3.74, 3.78, 3.75)))
    assert (found.verdict, found.fsr) == ("missed-target", None)


@attack(
    32,
    "a cut of steps within the margin",
    "not caught",
    "the slack of the steps' rule can be spent: about 3% of them",
)
def _(arena: Arena, folder: Path) -> None:
    found = judge(
        *make_reference(),
        *submit(tuple(0.97 * s for s in BASELINE), losses=(3.749, 3.748, 3.7502, 3.7481, 3.7501)),
    )
    assert found.verdict == "valid" and found.fsr is not None
    assert found.fsr < 0.2
