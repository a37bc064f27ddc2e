"""Studies of the whole-script track: planned, stopped at the look that decides, tried for a few steps."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import msgspec
import pytest

from patchrun.adapters import environments
from patchrun.adapters.store import Arena
from patchrun.core.errors import SetupError, UsageError
from patchrun.core.selection import Span
from patchrun.core.steptimes import compare_steps
from patchrun.services import cost, tournament, verify
from patchrun.services.readiness import find_gaps_here, prepare_site
from patchrun.services.study import Options, run_study
from tests.services.test_tournament import fill
from tests.whole import FOLDER, make_whole

PATCH = (FOLDER / "patches" / "0001-Pause-for-a-shorter-time.patch").read_bytes()
MIDDLE = PATCH.replace(b"+PAUSE = 0.012 ", b"+PAUSE = 0.014 ")
ONE = Span(1, 1)


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Arena:
    return make_whole(tmp_path, monkeypatch)


def hand_in(arena: Arena, diff: bytes = MIDDLE, agent: str = "ada") -> str:
    handed = tournament.hand_in(arena, diff, ONE, agent)
    assert handed.attempt.accepted, handed.attempt.findings
    return handed.attempt.id


def test_where_it_runs_here(whole: Arena, tmp_path: Path) -> None:
    assert find_gaps_here(whole, ONE) == []
    site = prepare_site(whole, ONE)
    assert (site.python, site.data) == (sys.executable, tmp_path / "shards")
    assert site.processes == min(2, len(os.sched_getaffinity(0)))


def test_an_environment_that_was_built_is_used_where_ours_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arena = make_whole(tmp_path, monkeypatch, torch="1.0.0")
    home = environments.environment_home(["torch==1.0.0"], tmp_path / "cache")
    packages = home / "lib" / "torch-1.0.0.dist-info"
    packages.mkdir(parents=True)
    (packages / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 1.0.0\n")
    (home / "bin").mkdir()
    python = home / "bin" / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={home}/lib exec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    (home / "packages.txt").write_text("torch==1.0.0\n")
    assert prepare_site(arena, ONE).python == str(python)


def test_without_uv_and_without_the_pinned_torch_it_says_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arena = make_whole(tmp_path, monkeypatch, torch="1.0.0")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(shutil.which("git"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(SetupError, match="the record needs 1.0.0 \\(pip install uv"):
        prepare_site(arena, ONE)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("magic", "magic 7 version 1, not 20240520 version 1"),
        ("short", "the header says 4096 tokens, the file holds 4000"),
        ("gone", "no validation shards"),
    ],
)
def test_bad_shards_stop_a_study_before_anything_is_stored(
    whole: Arena, tmp_path: Path, damage: str, said: str
) -> None:
    path = next((tmp_path / "shards").rglob("*_val_*.bin"))
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes((7).to_bytes(4, "little") + data[4:] if damage == "magic" else data[:-192])
    hand_in(whole)
    [study] = tournament.plan_waiting(whole)
    with pytest.raises(SetupError) as caught:
        run_study(whole, study)
    assert said in caught.value.message and "data script" in caught.value.message
    assert whole.studies() == []


def test_a_run_takes_the_whole_machine(whole: Arena) -> None:
    hand_in(whole)
    with pytest.raises(UsageError, match="choose --jobs 1..1"):
        run_study(whole, tournament.plan_waiting(whole)[0], Options(jobs=2))


def test_a_study_plans_the_blocks_of_its_last_look(whole: Arena) -> None:
    hand_in(whole)
    [study] = tournament.plan_waiting(whole)
    assert study.blocks == 4
    assert cost.estimate(whole, [ONE])[0].runs == 12


TIMES = {"baseline": 10.0, "human": 7.0, "submission": 8.0}


def test_a_study_that_its_first_look_decides_is_over(whole: Arena) -> None:
    name = hand_in(whole)
    [study] = tournament.plan_waiting(whole)
    fill(whole, study, TIMES, loss=1.0, blocks=range(1))
    assert tournament.resume(whole, [name]) == [study]
    fill(whole, study, TIMES, loss=1.0, blocks=range(1, 2))
    assert tournament.resume(whole, [name]) == []
    run_study(whole, study)
    assert len(whole.runs()) == 6, "nothing is trained any more"
    [scored] = tournament.assess(whole)
    assert (scored.score.verdict, scored.score.n_blocks) == ("valid", 2)


def test_a_rerun_adds_to_a_study_that_ended_early(whole: Arena) -> None:
    name = hand_in(whole)
    [study] = tournament.plan_waiting(whole)
    fill(whole, study, TIMES, loss=1.0, blocks=range(2))
    again = tournament.plan_rerun(whole, whole.attempt(name))
    assert again.generation == 1
    fill(whole, again, TIMES | {"submission": 7.5}, loss=1.0, blocks=range(2))
    [scored] = tournament.assess(whole)
    assert scored.score.verdict == "valid"
    assert scored.study is not None and scored.study.blocks == 4, "empty blocks leave no hole"
    [fresh] = tournament.assess(whole, "again")
    assert fresh.score.fsr == pytest.approx(5 / 6, abs=0.02)


def test_runs_on_other_hardware_are_never_compared(whole: Arena) -> None:
    hand_in(whole)
    [study] = tournament.plan_waiting(whole)
    fill(whole, study, TIMES, loss=1.0, blocks=range(1))
    moved = [
        msgspec.structs.replace(run, block=1, seed=study.seeds[1], machine=other(run)) for run in whole.runs()
    ]
    for run in moved:
        whole.add_run(run, b"")
    [scored] = tournament.assess(whole)
    assert scored.score.verdict == "unscorable"
    assert "different hardware" in scored.score.reason


def other(run):
    return msgspec.structs.replace(run.machine, hardware_class="8x h200, torch 2.10.0, driver 1")


@pytest.mark.long
def test_a_study_is_trained_and_stops_at_its_first_look(whole: Arena) -> None:
    name = hand_in(whole)
    [study] = tournament.plan_waiting(whole)
    run_study(whole, study)
    runs = whole.runs()
    assert {run.exit for run in runs} == {"ok"}, [run.reason for run in runs]
    assert len(runs) == 6 and {run.block for run in runs} == {0, 1}, "two blocks of four planned"
    assert {run.track_digest for run in runs} == {whole.track.digest}
    assert all(run.seconds and run.claimed_seconds and run.validation_seconds for run in runs)
    used = {run.validation_seconds for run in runs if run.kind == "submission"}
    first = [run.validation_seconds for run in runs if run.kind != "submission" and run.block == 0]
    assert used == {max(first)}
    assert tournament.resume(whole, [name]) == []
    [scored] = tournament.assess(whole)
    assert scored.score.state == "done"
    assert scored.score.verdict in ("valid", "unscorable"), "a busy machine may blur a gap of half a second"
    assert verify.verify(whole).problems == ()
    compiled = sorted(path.name for path in (whole.folder / "compiled").iterdir())
    assert compiled == sorted({arm.tree for arm in study.arms}), "compile caches by code"


@pytest.mark.long
def test_a_few_steps_give_step_times_and_never_a_score(whole: Arena) -> None:
    name = hand_in(whole)
    [study] = tournament.plan_steps(whole, [name], 20)
    assert (study.seed_source, study.steps, study.blocks) == ("steps", 20, 2)
    run_study(whole, study)
    rows = compare_steps(whole.runs_of([study]), 20)
    assert [row.kind for row in rows] == ["baseline", "human", "submission"]
    assert all(row.trouble == "" and row.steps >= 18 for row in rows)
    assert rows[1].median < rows[0].median
    [scored] = tournament.assess(whole)
    assert scored.score.state == "pending"
    assert [a.id for a in tournament.waiting(whole)] == [name]
    assert verify.verify(whole).problems == ()
