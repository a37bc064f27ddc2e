"""The arena's results: created once, read in bulk, shared between processes."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from patchrun.adapters.gitrepo import PATCHRUN
from patchrun.adapters.jobbook import add_job, read_jobs
from patchrun.adapters.store import ALSO, ATTEMPTS, MAIN, RUNS, SUBMISSIONS, Arena, group_by_study, run_name
from patchrun.core import results
from patchrun.core.errors import ArenaError, UsageError
from patchrun.core.results import Attempt, Job, Ruling
from patchrun.services import tournament
from tests.core.test_plan import run, study
from tests.services.test_tournament import hand_in

WHEN = "2026-01-02T03:04:05+00:00"


def attempt(arena: Arena, name: str = "a" * 20, **changes: object) -> Attempt:
    base = Attempt(id=name, track="plain", track_digest=arena.track.digest, record="1", agent="me", accepted=True,
                   baseline_commit=arena.baseline(1), created=WHEN, sequence=1)  # fmt: skip
    return msgspec.structs.replace(base, **changes)


def submission(arena: Arena) -> str:
    baseline = arena.baseline(1)
    return arena.repo.commit(arena.repo.tree_of(baseline), [baseline], "s\n", PATCHRUN, WHEN)


def test_an_attempt_and_its_submission_come_together(plain: Arena) -> None:
    commit = submission(plain)
    assert plain.add_attempt(attempt(plain), b"the diff \r\n\xff", commit)
    assert plain.attempts() == [attempt(plain)]
    assert plain.diff("a" * 20) == b"the diff \r\n\xff"
    assert plain.submission("a" * 20) == commit


def test_handing_in_twice_changes_nothing(plain: Arena) -> None:
    commit = submission(plain)
    assert plain.add_attempt(attempt(plain), b"first", commit)
    assert not plain.add_attempt(attempt(plain, agent="other"), b"second", commit)
    assert plain.attempts()[0].agent == "me" and plain.diff("a" * 20) == b"first"


def test_a_rejected_attempt_has_no_submission(plain: Arena) -> None:
    plain.add_attempt(attempt(plain, accepted=False), b"d", None)
    with pytest.raises(ArenaError):
        plain.submission("a" * 20)
    assert set(plain.repo.refs("refs/patchrun/attempts", "refs/patchrun/submissions")) == {
        ATTEMPTS + "a" * 20
    }


def test_ids_may_be_shortened(plain: Arena) -> None:
    for name in ("abcd1" + "0" * 15, "abcd2" + "0" * 15):
        plain.add_attempt(attempt(plain, name), b"d", None)
    assert plain.attempt("abcd1").id.startswith("abcd1")
    for short, problem in (
        ("abcd", "ambiguous"),
        ("ffff", "names no submission"),
        ("abc", "names no"),
        ("", "names no"),
    ):
        with pytest.raises(UsageError, match=problem):
            plain.attempt(short)


def test_attempts_come_oldest_first(plain: Arena) -> None:
    for name, when in (("1" * 20, "2026-03-01"), ("2" * 20, "2026-01-01"), ("3" * 20, "2026-02-01")):
        plain.add_attempt(attempt(plain, name, created=f"{when}T00:00:00+00:00"), b"d", None)
    assert [a.id[0] for a in plain.attempts()] == ["2", "3", "1"]


def test_the_first_run_of_a_slot_wins_and_a_later_one_is_kept_aside(plain: Arena) -> None:
    first, second = run("s1", "b5", "baseline", 0), run("s1", "b5", "baseline", 0)
    second = msgspec.structs.replace(second, seconds=3.0)
    assert plain.add_run(first, b"log one\n")
    assert not plain.add_run(second, b"log two\n")
    assert plain.runs() == [first] and plain.extra_runs() == [second]
    assert plain.log(first) == b"log one\n"
    assert plain.slots(study("s1")) == {"b5/s1-b0p0s1"} and plain.slots(study("s")) == set()


def test_one_of_many_writers_of_a_slot_wins(plain: Arena) -> None:
    runs = [msgspec.structs.replace(run("s1", "b5", "baseline", 0), seconds=float(n)) for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        won = list(pool.map(lambda one: plain.add_run(one, b""), runs))
    assert won.count(True) == 1
    assert len(plain.runs()) == 1 and len(plain.extra_runs()) == 5


def test_a_block_is_stored_as_a_whole_or_kept_aside_as_a_whole(plain: Arena) -> None:
    first, taken = run("s1", "b5", "baseline", 0), run("s1", "h5", "human", 0)
    assert plain.add_runs([(first, b"one"), (taken, b"two")])
    again = [msgspec.structs.replace(taken, seconds=3.0), run("s1", "b5", "baseline", 1)]
    assert not plain.add_runs([(one, b"late") for one in again])
    assert len(plain.runs()) == 2 and sorted(plain.extra_runs(), key=run_name) == sorted(again, key=run_name)
    assert not plain.add_runs([(one, b"late") for one in again]), "the very same ones once more"
    assert len(plain.extra_runs()) == 2


def test_what_was_handed_to_a_queue_is_known(plain: Arena) -> None:
    job = Job(study="s1", executor="slurm", cluster="", job="12", name="patchrun-x-s1", blocks=(0, 2), user="ada",
              host="login", created=WHEN)  # fmt: skip
    again = msgspec.structs.replace(job, created="2026-02-02T00:00:00+00:00")
    for one in (again, job, job):
        add_job(plain, one)
    assert read_jobs(plain) == [job, again], "a queue that starts anew counts from 1 again"


def test_who_holds_a_lock_is_known(plain: Arena) -> None:
    assert plain.holder("s1") is None
    with plain.lock("s1"):
        assert plain.holder("s1") == (os.getpid(), platform.node())
    assert plain.holder("s1") is None


def test_studies_and_rulings_survive(plain: Arena) -> None:
    hand_in(plain)
    [planned] = tournament.plan_waiting(plain)
    plain.add_study(planned)
    plain.add_study(msgspec.structs.replace(planned, generation=1))
    assert plain.studies() == [planned], "a plan is fixed once it is stored"
    ruling = Ruling(submission="a" * 20, ruling="withdrawn", reason="mine", by="me", created=WHEN)
    plain.add_ruling(ruling)
    assert plain.rulings() == [ruling]


def test_damage_is_named(plain: Arena) -> None:
    commit = plain.repo.commit(plain.repo.store_files({"other": b"x"}), [], "c\n", PATCHRUN, WHEN)
    plain.repo.create_refs({RUNS + "b1/s-b0p0s0": commit})
    with pytest.raises(ArenaError, match="refs/patchrun/runs/b1/s-b0p0s0 holds no run\n.*patchrun verify"):
        plain.runs()


def test_a_baseline_that_is_not_there(plain: Arena) -> None:
    with pytest.raises(UsageError, match="no record 9"):
        plain.baseline(9)
    plain.repo.git("update-ref", "-d", "refs/heads/baseline/2")
    with pytest.raises(UsageError, match="record 2 has no baseline"):
        Arena(plain.repo).baseline(2)


def test_a_lock_is_seen_by_others_and_ends(plain: Arena) -> None:
    waited: list[bool] = []
    with plain.lock("x"), (plain.folder / "locks" / "x").open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with plain.lock("x", lambda: waited.append(True)):
        pass
    assert not waited


def test_the_tracks_files_can_be_had_as_a_folder(plain: Arena) -> None:
    folder = plain.track_folder()
    assert (folder / "track.toml").read_text().startswith("version = 1")
    assert plain.track_folder() == folder


def test_runs_group_by_study_in_slot_order() -> None:
    runs = [run("s1", "b5", "baseline", 1), run("s2", "b5", "baseline", 0), run("s1", "b5", "baseline", 0)]
    grouped = group_by_study(runs)
    assert [r.block for r in grouped["s1"]] == [0, 1] and len(grouped["s2"]) == 1
    assert run_name(runs[0]) == "b5/s1-b1p0s1"


def test_submissions_survive_a_mirror_clone(plain: Arena, tmp_path) -> None:
    plain.add_attempt(attempt(plain), b"d", submission(plain))
    plain.repo.git("clone", "--quiet", "--mirror", str(plain.repo.path), str(tmp_path / "mirror.git"))
    mirror = Arena.open(tmp_path / "mirror.git")
    assert mirror.attempts() == plain.attempts()
    assert mirror.repo.refs(SUBMISSIONS) == plain.repo.refs(SUBMISSIONS)


def test_a_track_without_its_manifests_is_named(plain: Arena) -> None:
    tree = plain.repo.store_files({"arena.json": plain.repo.read(f"{MAIN}:arena.json")})
    commit = plain.repo.commit(tree, [], "bare\n", PATCHRUN, "2026-01-01T00:00:00Z")
    plain.repo.git("update-ref", MAIN, commit)
    bare = Arena.open(plain.repo.path)
    assert bare.identity == plain.identity
    with pytest.raises(ArenaError, match="has no refs/heads/main:track.toml"):
        _ = bare.track
    with pytest.raises(ArenaError, match="has no refs/heads/main:records.toml"):
        _ = bare.ladder


def test_the_runs_of_some_studies_and_of_no_others(plain: Arena) -> None:
    one, two = study("s1"), study("s12")
    made = [
        run(name, arm, "baseline", block)
        for name in ("s1", "s12", "s3")
        for arm in ("b5", "aa")
        for block in (0, 1)
    ]
    for each in made:
        plain.add_run(each, b"log")
    plain.add_run(made[0], b"again")  # goes to `extra`
    assert plain.runs_of([one]) == [each for each in plain.runs() if each.study == "s1"]
    assert plain.runs_of(iter([one, two])) == [each for each in plain.runs() if each.study != "s3"]
    assert plain.runs_of([]) == [] and plain.runs_of([study("s4")]) == []


def test_the_runs_of_a_study_are_those_that_count_of_several_versions(plain: Arena) -> None:
    mine = run("s1", "b5", "baseline", 0)
    theirs = msgspec.structs.replace(
        mine, started="2025-01-01", machine=msgspec.structs.replace(mine.machine, host="z")
    )
    plain.add_run(mine, b"log")
    tree = plain.repo.store_files({"run.json": results.encode(theirs), "log.gz": b""})
    commit = plain.repo.commit(tree, [], "theirs\n", PATCHRUN, WHEN)
    plain.repo.create_refs({f"{ALSO}runs/{run_name(mine)}/{commit[:12]}": commit})
    assert plain.runs_of([study("s1")]) == plain.runs() == [theirs]


@pytest.mark.parametrize("text", ["{", "{}", "[]", "null"])
def test_a_track_branch_that_names_no_key_is_said_to_be_broken(plain: Arena, text: str) -> None:
    files = {"arena.json": text.encode(), "track.toml": b"", "records.toml": b""}
    commit = plain.repo.commit(plain.repo.store_files(files), [], "broken\n", PATCHRUN, WHEN)
    plain.repo.git("update-ref", MAIN, commit)
    with pytest.raises(ArenaError, match="names no key"):
        _ = Arena.open(plain.repo.path).identity


def test_a_folder_of_the_track_that_cannot_be_made_is_an_error(plain: Arena, monkeypatch) -> None:
    plain.track_folder()
    shutil.rmtree(plain.folder / "track")
    monkeypatch.setattr(
        "pathlib.Path.rename", lambda *given: (_ for _ in ()).throw(OSError(28, "No space left"))
    )
    with pytest.raises(ArenaError, match="No space left"):
        plain.track_folder()
