"""What runs and waits, on a machine without Slurm; a real cluster is in tests/services/test_slurm.py."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from patchrun.adapters.jobbook import add_job
from patchrun.adapters.store import Arena
from patchrun.core.results import Job
from patchrun.services import tournament
from tests.services.test_tournament import fill
from tests.shell import Shell

LOCAL = ["--record", "1", "--agent", "ada"]


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Slurm; the file where settings for one would lie."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(str(shutil.which("git")))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "patchrun").mkdir(parents=True)
    return tmp_path / "config" / "patchrun" / "slurm.toml"


def refs_of_results(arena: Arena) -> list[str]:
    return [ref for ref in arena.repo.refs("refs/patchrun/") if "/human/" not in ref]


def test_without_slurm_nothing_is_stored(shell: Shell, plain: Arena, diff: str) -> None:
    shell("submit", diff, *LOCAL, "--executor", "slurm", code=2)
    assert "no Slurm on this machine: sbatch, squeue, scancel not found" in shell.err
    assert "--executor local" in shell.err and refs_of_results(plain) == []
    name = shell.json("submit", diff, *LOCAL, "--no-run", "--executor", "slurm")["id"]
    for words in (["run", name], ["run", "--pending"], ["tournament"], ["run", name, "--seeds", "public"]):
        shell(*words, "--executor", "slurm", code=2)
        assert "no Slurm on this machine" in shell.err
    assert plain.studies() == []


def test_wrong_settings_are_named_and_nothing_is_stored(
    shell: Shell, plain: Arena, diff: str, settings: Path
) -> None:
    settings.write_text('partitoin = "gpu"\nretries = "often"\n')
    for words in (["submit", diff, *LOCAL], ["submit", diff, *LOCAL, "--dry-run"]):
        shell(*words, "--executor", "slurm", code=2)
        assert f"{settings}: partitoin: unknown key; did you mean partition?" in shell.err
        assert f"{settings}: retries: " in shell.err
    assert refs_of_results(plain) == []
    shell("submit", diff, *LOCAL, "--dry-run")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--no-wait"], "--no-wait and --retries are for a queue"),
        (["--retries", "1"], "--no-wait and --retries are for a queue"),
        (["--executor", "slurm", "--jobs", "0"], "at least one task at once"),
        (["--executor", "slurm", "--retries", "-1"], "Invalid value"),
        (["--executor", "pbs"], "Invalid value"),
    ],
)
def test_options_that_an_executor_has_not(
    shell: Shell, plain: Arena, diff: str, words: list[str], problem: str
) -> None:
    shell("submit", diff, *LOCAL, *words, code=2)
    assert problem in shell.err and refs_of_results(plain) == []


def test_a_dry_run_shows_the_script_and_stores_nothing(
    shell: Shell, plain: Arena, diff: str, settings: Path
) -> None:
    settings.write_text('partition = "night"\n[track.plain]\nlimit = 3\n')
    text = shell("submit", diff, *LOCAL, "--dry-run", "--executor", "slurm")
    assert "#SBATCH --partition=night\n" in text and "#SBATCH --array=0-4%3\n" in text
    assert "exec " in text and "-m patchrun block - <<" in text and "nothing was stored" in text
    assert "#SBATCH --array=0-4%2\n" in shell(
        "submit", diff, *LOCAL, "--dry-run", "--executor", "slurm", "--jobs", "2"
    )
    assert refs_of_results(plain) == []
    document = shell.json("submit", diff, *LOCAL, "--dry-run", "--executor", "slurm")
    assert document["accepted"] == 1 and "#SBATCH" in shell.err
    shell("submit", diff, *LOCAL, "--no-run")
    planned = tournament.plan_waiting(plain)[0].id
    assert planned in text, "the study that it would be"
    assert planned in shell("tournament", "--dry-run", "--executor", "slurm") and plain.studies() == []


def test_what_was_handed_in_elsewhere_is_shown_here(shell: Shell, plain: Arena, diff: str) -> None:
    name = shell.json("submit", diff, *LOCAL, "--no-run")["id"]
    [study] = tournament.plan_waiting(plain)
    plain.add_study(study)
    assert shell.json("status")["rows"][0]["queue"] is None
    add_job(plain, Job(study=study.id, executor="slurm", cluster="", job="4711", name="n", blocks=(0, 1), user="eve",
            host="login-3", created="2026-01-02T00:00:00+00:00")
    )  # fmt: skip
    said = shell.json("status", name)["rows"][0]["queue"]
    assert said.startswith("slurm 4711, handed in by eve on login-3: no Slurm on this machine")
    assert "slurm 4711" in shell("status")
    shell("cancel", name, code=2)
    assert "no Slurm on this machine" in shell.err
    fill(plain, study, {"baseline": 10.0, "human": 7.0, "submission": 8.5})
    assert shell.json("status", name)["rows"][0]["queue"] is None, "it is done"


def test_nothing_to_cancel_and_nothing_printed(shell: Shell, diff: str) -> None:
    name = shell.json("submit", diff, *LOCAL, "--no-run")["id"]
    shell("cancel", name, code=2)
    assert "nothing waits in a queue or runs" in shell.err and "patchrun withdraw" in shell.err
    shell("tasks", name, code=2)
    assert "no task" in shell.err and shell.json("tasks", name) == {}
    shell("cancel", "ffffff", code=2)


def test_a_block_needs_its_number_and_an_order(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID", raising=False)
    (tmp_path / "order").write_text("{}")
    shell("block", str(tmp_path / "order"), code=2)
    assert "which block?" in shell.err
    shell("block", str(tmp_path / "order"), "--block", "0", code=2)
    assert "not an order" in shell.err
    assert "\n  block " not in shell("--help"), "it is not for people"
