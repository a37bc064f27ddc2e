"""Studies run for real on the tiny track: stored as they go, resumed, shared, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zlib

import msgspec
import pytest

from patchrun.adapters.gitrepo import PATCHRUN
from patchrun.adapters.store import Arena
from patchrun.core.errors import ArenaError, SetupError, UsageError
from patchrun.core.selection import Span
from patchrun.services import calibrate, tournament, verify
from patchrun.services.study import Options, Progress, prepare_data, run_study
from tests.conftest import TINY

FIRST = (TINY / "patches" / "0001-Raise-the-learning-rate.patch").read_bytes()
JOBS = min(2, len(os.sched_getaffinity(0)))


def test_a_study_is_run_stopped_resumed_and_scored(tiny: Arena) -> None:
    handed = tournament.hand_in(tiny, FIRST, Span(1, 1), "ada")
    assert handed.attempt.accepted, handed.attempt.findings
    [study] = tournament.plan_waiting(tiny)
    seen: list[Progress] = []

    def stop_after_two(progress: Progress) -> None:
        seen.append(progress)
        if sum(one.run is not None for one in seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(tiny, study, on_progress=stop_after_two)
    assert len(tiny.runs()) == 2
    [unfinished] = tournament.resume(tiny, [handed.attempt.id])
    kept = tiny.runs()

    run_study(tiny, unfinished, Options(jobs=JOBS))
    runs = tiny.runs()
    assert len(runs) == 6 and all(run in runs for run in kept) and tiny.extra_runs() == []
    assert {run.exit for run in runs} == {"ok"}
    for seed in study.seeds:
        losses = {run.kind: run.loss for run in runs if run.seed == seed}
        assert losses["human"] == losses["submission"] != losses["baseline"], (
            "the same code and seed, bit for bit"
        )
    [scored] = tournament.assess(tiny)
    assert scored.score.state == "done" and scored.score.verdict in ("valid", "unscorable")
    assert scored.score.seconds.baseline > 1.3 * scored.score.seconds.human
    assert {one.event.phase for one in seen if one.event} >= {"starting", "training", "evaluating"}
    assert verify.verify(tiny).problems == ()
    assert b"step:" in tiny.log(runs[0])


@pytest.mark.long
def test_calibration_copies_are_measured_and_tallied(tiny: Arena) -> None:
    study = calibrate.plan_calibration(tiny, 2, 1)
    run_study(tiny, study, Options(jobs=JOBS))
    found = calibrate.outcomes(tiny)
    assert [(one.record, one.truth) for one in found] == [(2, 0), (2, 1)]
    rows = calibrate.tally(found)
    assert [(row.record, row.truth, row.copies) for row in rows] == [
        (2, 0, 1),
        (2, 1, 1),
        (None, 0, 1),
        (None, 1, 1),
    ]
    assert tournament.assess(tiny) == [], "calibration counts for nobody"
    assert verify.verify(tiny).problems == ()


def tamper(arena: Arena, oid: str, content: bytes, kind: bytes) -> None:
    path = arena.repo.path / "objects" / oid[:2] / oid[2:]
    path.chmod(0o644)
    path.write_bytes(zlib.compress(kind + b" %d\0" % len(content) + content))


@pytest.mark.parametrize("what", ["file", "tree", "commit"])
def test_a_swap_between_check_and_run_stops_the_study(tiny: Arena, what: str) -> None:
    """The validator accepted a tree; what lies there now is other code. Nothing of it is trained."""
    handed = tournament.hand_in(tiny, FIRST, Span(1, 1), "ada")
    [study] = tournament.plan_waiting(tiny)
    study = msgspec.structs.replace(study, arms=study.arms[::-1])  # the submission first
    arm = study.arms[0]
    evil = tiny.repo.store_files({"train_gpt.py": b"print('evil')\n"})
    if what == "file":
        tamper(tiny, tiny.repo.files(arm.tree)["train_gpt.py"].oid, b"print('evil')\n", b"blob")
    elif what == "tree":
        tamper(tiny, arm.tree, tiny.repo.git("cat-file", "tree", evil).stdout, b"tree")
    else:
        commit = tiny.repo.commit(evil, [tiny.baseline(1)], "evil\n", PATCHRUN, "2026-01-02T03:04:05+00:00")
        study = msgspec.structs.replace(
            study, arms=(msgspec.structs.replace(arm, commit=commit), *study.arms[1:])
        )
    with pytest.raises(
        ArenaError, match="was to be tree|is not the content|hash mismatch|has no [0-9a-f]{40}"
    ):
        run_study(tiny, study)
    assert tiny.runs() == [] and handed.attempt.accepted


def test_more_jobs_than_cpus(tiny: Arena) -> None:
    study = calibrate.plan_calibration(tiny, 1, 1)
    for jobs in (0, 1000):
        with pytest.raises(UsageError, match="choose --jobs 1"):
            run_study(tiny, study, Options(jobs=jobs))
    assert tiny.studies() == []


def test_data_that_is_not_the_pinned_one_stops_before_anything_is_stored(
    tiny: Arena, monkeypatch, tmp_path
) -> None:
    monkeypatch.setenv("PATCHRUN_CACHE", str(tmp_path / "cache"))
    folder = tiny.track_folder()
    text = next((folder / "texts").iterdir())
    text.write_text(text.read_text() + "One more sentence.\n")
    study = calibrate.plan_calibration(tiny, 1, 1)
    with pytest.raises(Exception, match="not the one that the track pins"):
        run_study(tiny, study)
    assert tiny.studies() == []


def test_a_cache_that_cannot_be_written(tiny: Arena, monkeypatch, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PATCHRUN_CACHE", str(tmp_path / "file"))
    with pytest.raises(SetupError):
        prepare_data(tiny)


def submit(arena: Arena, agent: str, *more: str) -> subprocess.Popen[bytes]:
    words = [
        sys.executable,
        "-m",
        "patchrun",
        "-C",
        str(arena.repo.path),
        "submit",
        str(TINY / "patches" / PATCH),
    ]
    return subprocess.Popen([*words, "--record", "1", "--agent", agent, *more], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip


PATCH = "0001-Raise-the-learning-rate.patch"


def test_two_submits_at_once_lose_nothing(tiny: Arena) -> None:
    children = [submit(tiny, agent, "--no-run") for agent in ("ada", "bob", "eve", "dan")]
    said = [child.communicate(timeout=120)[0].decode() for child in children]
    assert [child.returncode for child in children] == [0, 0, 0, 0], said
    assert sorted(attempt.agent for attempt in tiny.attempts()) == ["ada", "bob", "dan", "eve"]
    assert verify.verify(tiny).problems == ()


@pytest.mark.long
def test_kill_at_random_moments_breaks_nothing(tiny: Arena) -> None:
    """Twenty submits are killed at moments spread over a whole one; then one completes."""
    known: dict[str, str] = {}
    for trial in range(20):
        child = submit(tiny, f"agent-{trial % 3}")
        time.sleep(0.15 + 0.55 * trial)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        refs = tiny.repo.refs("refs/patchrun")
        assert refs.items() >= known.items(), "a killed submit took something away"
        known = refs
    verify.remove_stale_locks(tiny)
    assert verify.verify(tiny).problems == ()
    for agent in range(3):
        child = submit(tiny, f"agent-{agent}", "--jobs", str(JOBS))
        said = child.communicate(timeout=300)[0].decode()
        assert child.returncode in (0, 1) and "bug" not in said, said
    [*scored] = tournament.assess(tiny)
    assert len(scored) == 3 and {one.score.state for one in scored} == {"done"}
    assert len({one.score.fsr for one in scored}) == 1, "AST-equal submissions share one study"
    assert verify.verify(tiny).problems == ()
