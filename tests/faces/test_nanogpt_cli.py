"""The real ladder's commands on a machine without GPUs, with an upstream repository of our own."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest

from patchrun.adapters import bwrap, machine
from patchrun.adapters.gitrepo import PATCHRUN, GitRepo
from patchrun.adapters.store import Arena
from patchrun.services import importer
from tests.shell import Shell
from tests.upstream_fixture import KERNELS, Upstream, make_track, own_log, script, write_log


@pytest.fixture
def track(tmp_path: Path, upstream: Upstream) -> Path:
    return make_track(tmp_path / "track", upstream)


@pytest.fixture
def arena(tmp_path: Path, track: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Arena:
    """An arena on a machine whose PATH has git and no driver, uv or data."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(str(shutil.which("git")))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("DATA_PATH", str(tmp_path))
    monkeypatch.setenv("PATCHRUN_CACHE", str(tmp_path / "cache"))
    forget_the_machine()
    importer.init(tmp_path / "arena", str(track), str(upstream.repo.path))
    yield Arena.open(tmp_path / "arena")
    forget_the_machine()


def forget_the_machine() -> None:
    """What was looked up once under another PATH."""
    machine.list_gpus.cache_clear()
    bwrap.trouble.cache_clear()


@pytest.fixture
def shell(arena: Arena, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(arena, capsys)


@pytest.fixture
def diff(tmp_path: Path, arena: Arena) -> str:
    """The human patch of record 7 and a line more."""
    patched = arena.repo.diff(arena.baseline(7), arena.human(7))
    path = tmp_path / "d.diff"
    path.write_bytes(patched.replace(b"+VERSION = 7\n", b"+VERSION = 70\n"))
    return str(path)


def test_submit_stores_it_as_pending_and_says_once_what_is_missing(shell: Shell, diff: str) -> None:
    document = shell.json("submit", diff, "--record", "7", "--agent", "ada")
    assert (document["state"], document["verdict"], document["runs"]) == ("pending", None, [])
    assert shell.err.count("stored as pending: this machine cannot run record 7:") == 1
    for missing in ("0 GPUs, the code trains on 8", "the record needs 2.10.0", "module attention_by_hand cannot be",
                    "no training shards"):  # fmt: skip
        assert shell.err.count(missing) == 1, shell.err
    assert shell.err.count("`patchrun sync REMOTE`") == 1
    assert shell.err.count("`patchrun run --pending`") == 1
    assert "Traceback" not in shell.err


def test_run_gives_the_same_message_and_exit_2(shell: Shell, diff: str) -> None:
    name = shell.json("submit", diff, "--record", "7", "--no-run")["id"]
    shell("submit", diff, "--record", "7")
    told = shell.err.split("stored as pending: ")[1].split("ada")[0]
    for words in (
        ["run", name],
        ["run", "--pending"],
        ["run", name, "--steps", "20"],
        ["run", name, "--seeds", "1"],
    ):
        shell(*words, code=2)
        assert shell.err == f"patchrun: {told}"
    assert shell.json("status", name)["rows"][0]["state"] == "pending"


def test_a_submission_travels_by_sync(shell: Shell, diff: str, arena: Arena, tmp_path: Path) -> None:
    shell("submit", diff, "--record", "7")
    there = tmp_path / "there"
    subprocess.run([tmp_path / "bin" / "git", "clone", "-q", "--mirror", arena.repo.path, there], check=True)
    for name in GitRepo(there).refs("refs/patchrun/attempts/", "refs/patchrun/submissions/"):
        GitRepo(there).git("update-ref", "-d", name)
    shell("sync", str(there))
    assert [attempt.record for attempt in Arena.open(there).attempts()] == ["7"]


def test_doctor_lists_what_the_record_needs(shell: Shell) -> None:
    checks = {check["name"]: check for check in shell.json("doctor", "--record", "7", code=2)["checks"]}
    seen = checks["record 7"]
    assert seen["state"] == "bad"
    for word in (
        "0 GPUs",
        "torch",
        "numpy",
        "attention_by_hand",
        "no training shards",
        "pip install uv",
        "--build",
    ):
        assert word in seen["seen"]
    assert "lacks: 0 GPUs" in shell("doctor", "--record", "7", code=2)


def test_an_environment_that_cannot_be_built_is_said(shell: Shell) -> None:
    checks = {
        check["name"]: check for check in shell.json("doctor", "--record", "7", "--build", code=2)["checks"]
    }
    assert checks["record 7"]["state"] == "bad"
    assert "built with uv, which is not here" in checks["record 7"]["seen"]


def test_a_record_that_changed_only_its_environment_is_unscorable_before_any_run(
    shell: Shell, tmp_path: Path, arena: Arena
) -> None:
    text = script(5).replace("VERSION = 5", "VERSION = 6")
    old, new = ({"train.py": code.encode()} for code in (script(5), text))
    repo = arena.repo
    (tmp_path / "six.diff").write_bytes(repo.diff(repo.store_files(old), repo.store_files(new)))
    words = ["submit", str(tmp_path / "six.diff"), "--record", "6"]
    document = shell.json(*words, code=1)
    assert (document["state"], document["verdict"]) == ("done", "unscorable")
    assert "changed only its environment" in document["reason"]
    assert "stored as pending" not in shell.err, "nothing was tried"
    shell("run", "--pending")
    assert "nothing is missing" in shell.err
    assert "unscorable" in shell("status")
    assert "record 6 is unscorable" in shell(*words, "--dry-run", code=1)


def test_what_a_study_would_take_at_most(shell: Shell, diff: str) -> None:
    [study] = shell.json("submit", diff, "--record", "7", "--dry-run")["studies"]
    assert (study["runs"], study["obstacle"]) == (9, "")
    assert study["gpu_hours"] == pytest.approx(8 * study["wall_seconds"] / 3600, rel=1e-3)


def test_a_submission_with_logs_shows_their_score_and_its_source(
    shell: Shell, diff: str, upstream: Upstream, tmp_path: Path
) -> None:
    name = shell.json("submit", diff, "--record", "7", "--no-run")["id"]
    assert shell.json("show", name)["time_source"] is None
    shell("ingest", "--upstream", str(upstream.repo.path))
    logs = [
        str(write_log(tmp_path / f"{k}.txt", 70, 3.2765 + k / 1e4, ms))
        for k, ms in enumerate((4300, 4310, 4290, 4305))
    ]
    assert "4 logs, 4 count" in shell("ingest", *logs, "--record", "7", "--arm", name)
    document = shell.json("show", name)
    assert (document["time_source"], document["state"]) == ("logs", "pending")
    assert document["logs"]["source"] == "logs"
    assert document["logs"]["runs"] == {"baseline": 3, "human": 4, name: 4}
    assert document["logs"]["verdict"] == "valid"
    assert document["logs"]["fsr"] == pytest.approx(0.67, abs=0.02)
    text = shell("show", name)
    assert "From logs (the scripts' own clocks, not ranked): valid" in text
    assert "8xNVIDIA H100 80GB HBM3" in text and "FSR 0.6" in text


def test_verify_covers_what_was_ingested(shell: Shell, arena: Arena, tmp_path: Path) -> None:
    log = str(write_log(tmp_path / "a.txt"))
    shell("ingest", log, "--record", "7", "--arm", "human")
    assert "0 problems" in shell("verify")
    ((name, commit),) = arena.repo.refs("refs/patchrun/ingest/").items()
    blob = arena.repo.read(f"{commit}:ingest.json")
    tree = arena.repo.store_files({"ingest.json": blob.replace(b"4.0", b"3.0")})
    forged = arena.repo.commit(tree, [], "forged\n", PATCHRUN, "2026-01-01T00:00:00+00:00")
    arena.repo.git("update-ref", name, forged)
    assert "its name does not follow from its content" in shell("verify", code=1)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("missing", "no such folder"),
        ("not a repository", "not a git repository"),
        ("another", "not a clone of made-up/upstream"),
        ("shallow", "is a shallow clone"),
        ("network", "cannot fetch http://127.0.0.1:9/x.git"),
        ("altered", "record 7 solution: triton_kernels.py has SHA-256"),
        ("missing blob", "record 7 solution: triton_kernels.py at commit"),
    ],
)
def test_an_upstream_that_will_not_do_is_exit_2_and_nothing_half_made(
    damage: str,
    said: str,
    tmp_path: Path,
    track: Path,
    upstream: Upstream,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = damage_clone(damage, tmp_path, track, upstream)
    outside = Shell(None, capsys)
    outside("init", str(tmp_path / "made"), "--track", str(track), "--upstream", source, code=2)
    assert said in outside.err and "Traceback" not in outside.err
    assert not list(tmp_path.glob("*made*")) and not list(tmp_path.glob(".made*"))


def damage_clone(damage: str, folder: Path, track: Path, upstream: Upstream) -> str:
    place = folder / "source"
    match damage:
        case "missing":
            return str(place)
        case "network":
            return "http://127.0.0.1:9/x.git"
        case "not a repository":
            place.mkdir()
        case "another":
            GitRepo.init(place)
        case "shallow":
            words = ["git", "clone", "-q", "--depth=1", f"file://{upstream.repo.path}", str(place)]
            subprocess.run(words, check=True)
        case "altered":
            text = (track / "records.toml").read_text()
            import hashlib

            (track / "records.toml").write_text(
                text.replace(hashlib.sha256(KERNELS.encode()).hexdigest(), "0" * 64)
            )
            return str(upstream.repo.path)
        case "missing blob":
            shutil.copytree(upstream.repo.path, place)
            oid = upstream.repo.resolve(f"{upstream.commits[-1]}:triton_kernels.py")
            (place / "objects" / oid[:2] / oid[2:]).unlink()
    return str(place)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cut", "cut.txt:"),
        ("other", "not a log"),
        ("gz", "gzip data"),
        ("empty", "the log is empty"),
        ("huge", "200 MiB"),
        ("absent", "No such file"),
    ],
)
def test_a_log_that_will_not_do_is_exit_2_and_stores_nothing(
    name: str, said: str, shell: Shell, arena: Arena, tmp_path: Path
) -> None:
    good = own_log()
    path = tmp_path / f"{name}.txt"
    if name == "huge":
        with path.open("wb") as file:
            file.truncate(200 * 2**20)
    elif name != "absent":
        contents = {"cut": good[:-90], "other": b"epoch 1\n", "gz": gzip.compress(good), "empty": b""}
        path.write_bytes(contents[name])
    shell("ingest", str(path), "--record", "7", "--arm", "human", code=2)
    assert said in shell.err and "Traceback" not in shell.err
    assert arena.repo.refs("refs/patchrun/ingest/") == {}


def test_a_record_without_a_baseline_says_why(shell: Shell, diff: str) -> None:
    for words in (["submit", diff], ["validate", diff], ["doctor"]):
        out = shell(*words, "--record", "1", code=2)
        assert "record 1 has no baseline: no code before it" in shell.err + out


def test_the_control_group_is_tabled_with_the_meaning_of_its_codes(shell: Shell) -> None:
    rows = {row["record"]: row for row in shell.json("control")}
    assert all(row["exact"] for row in rows.values())
    assert (rows[6]["files"], rows[7]["accepted"]) == (0, True)
    page = shell("control", "--format", "markdown")
    assert page.startswith("# The control group")
    assert "| no file changes |" in page
    assert "5 of 5 exact" in page
    for code in {code.split()[1] for row in rows.values() for code in row["findings"]}:
        assert f"- {code} " in page
