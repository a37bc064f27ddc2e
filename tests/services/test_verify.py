"""Damage of every kind is found and named; what is whole passes."""

from __future__ import annotations

import os
import time

import msgspec
import pytest

from patchrun.adapters.gitrepo import PATCHRUN
from patchrun.adapters.jobbook import add_job
from patchrun.adapters.store import ATTEMPTS, RUNS, STUDIES, SUBMISSIONS, VERDICTS, Arena
from patchrun.core import results
from patchrun.core.results import Attempt, Job, Run
from patchrun.services import doctor, tournament, verify
from tests.adapters.test_leavings import make_deep
from tests.services.test_tournament import fill, hand_in

WHEN = "2026-01-02T03:04:05+00:00"


@pytest.fixture
def whole(plain: Arena) -> Arena:
    handed = hand_in(plain)
    fill(plain, tournament.plan_waiting(plain)[0], {"baseline": 10.0, "human": 7.0, "submission": 8.0})
    tournament.rule(plain, handed.attempt, "withdrawn", "mine", "ada")
    return plain


def forge(arena: Arena, ref: str, file: str, data: bytes, **more: bytes) -> None:
    """Put a ref where patchrun's own code would not."""
    tree = arena.repo.store_files(
        {file: data, **{name.replace("_", "."): text for name, text in more.items()}}
    )
    arena.repo.git("update-ref", ref, arena.repo.commit(tree, [], "forged\n", PATCHRUN, WHEN))


def one_problem(arena: Arena) -> str:
    problems = verify.verify(arena).problems
    assert len(problems) == 1, problems
    return problems[0]


def test_what_is_whole_passes(whole: Arena) -> None:
    report = verify.verify(whole)
    assert report.problems == () and report.refs == 1 + 4 + 2 + 1 + 15 + 1


def test_an_attempt_under_another_id(whole: Arena) -> None:
    attempt = whole.attempts()[0]
    data = whole.repo.read(f"{ATTEMPTS}{attempt.id}:attempt.json")
    forge(whole, ATTEMPTS + "f" * 20, "attempt.json", data, patch_diff=whole.diff(attempt.id))
    assert f"named {attempt.id} inside" in one_problem(whole)


def test_an_attempt_whose_agent_was_changed(whole: Arena) -> None:
    attempt = whole.attempts()[0]
    forged = msgspec.structs.replace(attempt, agent="mallory")
    forge(
        whole,
        ATTEMPTS + attempt.id,
        "attempt.json",
        results.encode(forged),
        patch_diff=whole.diff(attempt.id),
    )
    assert "its id does not follow from its content" in one_problem(whole)


def test_an_attempt_whose_diff_was_changed(whole: Arena) -> None:
    attempt = whole.attempts()[0]
    diff = whole.diff(attempt.id).replace(b"STEPS = 60", b"STEPS = 1")
    forge(whole, ATTEMPTS + attempt.id, "attempt.json", results.encode(attempt), patch_diff=diff)
    assert "its diff does not give its tree" in one_problem(whole)


def test_a_submission_with_another_tree(whole: Arena) -> None:
    attempt = whole.attempts()[0]
    forge(whole, SUBMISSIONS + attempt.id, "train.py", b"x = 1\n")
    assert "its tree is not the one that was validated" in one_problem(whole)


def test_a_submission_that_is_gone(whole: Arena) -> None:
    attempt = whole.attempts()[0]
    whole.repo.git("update-ref", "-d", SUBMISSIONS + attempt.id)
    assert "its submission is absent" in one_problem(whole)


def test_a_run_of_another_tree_seed_or_study(whole: Arena) -> None:
    run = next(run for run in whole.runs() if run.kind == "submission")
    name = next(ref for ref in whole.repo.refs(RUNS) if run.arm in ref)
    stored = results.decode(whole.repo.read(f"{name}:run.json"), Run)
    for changes, problem in (
        ({"tree": "0" * 40}, "another tree than its study plans"),
        ({"seed": 1}, "named"),
        ({"study": "s"}, "named"),
    ):
        forge(whole, name, "run.json", results.encode(msgspec.structs.replace(stored, **changes)))
        assert problem in one_problem(whole)


def test_a_seed_that_the_study_did_not_plan(whole: Arena) -> None:
    run = msgspec.structs.replace(whole.runs()[0], seed=5)
    forge(whole, f"{RUNS}{run.arm}/{run.study}-{run.slot.name}", "run.json", results.encode(run))
    assert "not a slot of its study" in one_problem(whole)


def test_results_that_cannot_be_read(whole: Arena) -> None:
    forge(whole, ATTEMPTS + "e" * 20, "attempt.json", b"{}", patch_diff=b"")
    forge(whole, STUDIES + "e" * 20, "other", b"")
    forge(whole, f"{VERDICTS}x/1", "ruling.json", b'{"version":1}')
    assert len(verify.verify(whole).problems) == 3


def test_an_object_that_is_gone(whole: Arena) -> None:
    oid = whole.repo.resolve(f"{ATTEMPTS}{whole.attempts()[0].id}:patch.diff")
    (whole.repo.path / "objects" / oid[:2] / oid[2:]).unlink()
    problems = verify.verify(whole).problems
    assert any("git fsck: missing blob" in problem for problem in problems)


@pytest.mark.parametrize("keep", [0, 20])
def test_an_object_that_is_damaged_is_named_and_the_others_are_checked(whole: Arena, keep: int) -> None:
    """As a full disk or a power cut leaves it."""
    attempt, study = whole.attempts()[0], whole.studies()[0]
    for spec in (f"{ATTEMPTS}{attempt.id}:attempt.json", f"{STUDIES}{study.id}:study.json"):
        oid = whole.repo.resolve(spec)
        path = whole.repo.path / "objects" / oid[:2] / oid[2:]
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:keep])
    forge(whole, f"{VERDICTS}x/1", "ruling.json", b'{"version":1}')
    problems = verify.verify(whole).problems
    named = {problem.split(": ")[0] for problem in problems if not problem.startswith(("git fsck", "stale"))}
    assert {ATTEMPTS + attempt.id, STUDIES + study.id, f"{VERDICTS}x/1"} <= named
    assert any(problem.startswith("git fsck: ") for problem in problems)


def test_stale_locks_are_found_and_mended(whole: Arena) -> None:
    lock = whole.repo.path / "refs" / "patchrun" / "runs" / "b1.lock"
    lock.touch()
    assert verify.verify(whole).problems == (), "a young lock may be somebody's"
    old = time.time() - 3600
    os.utime(lock, (old, old))
    assert "stale lock" in one_problem(whole)
    states = {check.name: check.state for check in doctor.examine(whole)}
    assert states["locks"] == "bad"
    assert {c.name: c.state for c in doctor.examine(whole, mend=True)}["locks"] == "ok"
    assert not lock.exists() and verify.verify(whole).problems == ()


def test_the_doctor_looks_at_everything_and_survives_what_it_finds(whole: Arena, home) -> None:
    next((home / "data").rglob("*.key")).unlink()
    checks = {check.name: check for check in doctor.examine(whole)}
    assert {"git", "torch", "cpus", "ruff", "sandbox", "data", "key", "disk", "locks", "gpus"} <= set(checks)
    assert checks["key"].state == "bad" and "not on this machine" in checks["key"].seen
    assert checks["git"].state == "ok"


def test_packing_keeps_every_result(whole: Arena) -> None:
    before = (whole.attempts(), whole.runs(), whole.studies(), whole.rulings())
    doctor.pack(whole)
    assert (whole.attempts(), whole.runs(), whole.studies(), whole.rulings()) == before
    assert verify.verify(whole).problems == ()
    assert isinstance(before[0][0], Attempt)


def test_packing_removes_what_dead_runs_left_however_deep(whole: Arena) -> None:
    for place in (whole.folder / "scratch" / "run-dead", whole.folder / "compiled" / "tree"):
        place.mkdir(parents=True)
        make_deep(place)
    os.utime(whole.folder / "scratch" / "run-dead", (0, 0))
    doctor.pack(whole)
    assert not (whole.folder / "scratch" / "run-dead").exists()
    assert not (whole.folder / "compiled").exists()


def test_a_job_of_a_study_that_is_not_there(whole: Arena) -> None:
    job = Job(study=whole.studies()[0].id, executor="slurm", cluster="", job="12", name="n", blocks=(0,), user="ada",
              host="login", created=WHEN)  # fmt: skip
    add_job(whole, job)
    assert verify.verify(whole).problems == ()
    add_job(whole, msgspec.structs.replace(job, study="absent"))
    assert "its study absent is absent" in one_problem(whole)


def test_a_study_whose_seeds_somebody_chose(whole: Arena) -> None:
    study = whole.studies()[0]
    chosen = msgspec.structs.replace(study, id="a" * 20, seeds=(1, 2, 3, 4, 5))
    forge(whole, STUDIES + chosen.id, "study.json", results.encode(chosen))
    assert "its seeds are not those that the owner's key gives" in one_problem(whole)


def test_many_loose_refs_are_a_note_that_gc_ends(plain: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    def look() -> doctor.Check:
        return next(check for check in doctor.examine(plain) if check.name == "packing")

    assert look().state == "ok"
    monkeypatch.setattr(doctor, "MANY_LOOSE", 3)
    hand_in(plain)
    assert look().state == "note" and look().hint == "patchrun gc packs them"
    doctor.pack(plain)
    assert look().state == "ok" and look().seen.startswith("0 ")
