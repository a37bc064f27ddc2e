"""The importer of upstream code and logs, against a small real repository of our own in every shape."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from patchrun.adapters.gitrepo import PATCHRUN, GitRepo
from patchrun.adapters.store import Arena
from patchrun.core.errors import ArenaError, ManifestError, SetupError, UsageError
from patchrun.core.ladder import Ladder, load_ladder
from patchrun.services import importer
from patchrun.services.upstream import import_upstream
from patchrun.services.upstream_check import check_patches, verify_upstream
from tests.upstream_fixture import KERNELS, LOGS, Upstream, make_track, script


@pytest.fixture(scope="module")
def ladder(upstream: Upstream) -> Ladder:
    return load_ladder(upstream.records_toml)


@pytest.fixture
def track(tmp_path: Path, upstream: Upstream) -> Path:
    return make_track(tmp_path / "track", upstream)


@pytest.fixture
def arena(tmp_path: Path, track: Path, upstream: Upstream) -> Arena:
    importer.init(tmp_path / "arena", str(track), str(upstream.repo.path))
    return Arena.open(tmp_path / "arena")


def copy_of(upstream: Upstream, tmp_path: Path) -> Path:
    return Path(shutil.copytree(upstream.repo.path, tmp_path / "copy.git"))


def clone(source: Path, target: Path, *words: str) -> Path:
    argv = ["git", "clone", "--quiet", *words, f"file://{source}", str(target)]
    subprocess.run(argv, check=True, env={"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null"})
    return target


def files(arena: Arena, ref: str) -> dict[str, bytes]:
    return {path: arena.repo.read(entry.oid) for path, entry in arena.repo.files(ref).items()}


def test_every_baseline_and_human_patch_is_there_byte_for_byte(arena: Arena) -> None:
    assert {name.split("/")[-1] for name in arena.code if "baseline" in name} == set("34567")
    assert {name.split("/")[-1] for name in arena.code if "human" in name} == set("34567")
    assert files(arena, "refs/heads/baseline/5")["train_old.py"] == script(4).encode()
    assert files(arena, "refs/patchrun/human/5")["train_old.py"] == script(5).encode()
    assert files(arena, "refs/heads/baseline/6")["train.py"] == script(5).encode()
    assert files(arena, "refs/patchrun/human/7") == {
        "train.py": script(7).encode(),
        "triton_kernels.py": KERNELS.encode(),
        "run.sh": b"torchrun --standalone --nproc_per_node=8 train.py\n",
        "requirements.txt": b"torch==2.10\n",
    }
    assert files(arena, "refs/heads/baseline/3")["run.sh"].endswith(b"--steps 9\n")


def test_a_human_patch_is_a_commit_on_its_orphan_baseline(arena: Arena) -> None:
    assert arena.repo.resolve("refs/patchrun/human/7^") == arena.baseline(7)
    with pytest.raises(ArenaError):
        arena.repo.resolve("refs/heads/baseline/7^")
    said = arena.repo.read(arena.repo.resolve("refs/patchrun/human/4")).decode()
    assert "author Cy, Dee <" in said
    assert "record 4: Framed" in said


def test_run_sh_stays_executable(arena: Arena) -> None:
    modes = {path: entry.mode for path, entry in arena.repo.files("refs/heads/baseline/7").items()}
    assert modes == {"run.sh": "100755", "train.py": "100644", "requirements.txt": "100644"}


def test_the_reason_is_kept_where_there_is_no_baseline(
    upstream: Upstream, ladder: Ladder, repo: GitRepo
) -> None:
    report = import_upstream(repo, ladder, str(upstream.repo.path))
    assert (report.baselines, report.humans) == (5, 5)
    assert report.absent == {1: "no code before it", 2: "elsewhere"}
    assert repo.refs() == {}  # refs are the caller's, in one transaction


def test_the_same_import_gives_the_same_commits(upstream: Upstream, ladder: Ladder, tmp_path: Path) -> None:
    refs = [
        import_upstream(GitRepo.init(tmp_path / name), ladder, str(upstream.repo.path)).refs
        for name in ("a", "b")
    ]
    assert refs[0] == refs[1]


def test_clones_of_every_kind_serve(
    upstream: Upstream, ladder: Ladder, repo: GitRepo, tmp_path: Path
) -> None:
    with_files = clone(upstream.repo.path, tmp_path / "work")
    subprocess.run(["git", "-C", with_files, "worktree", "add", "-q", "../tree"], check=True)
    addresses = [with_files, with_files / ".git", tmp_path / "tree", f"file://{upstream.repo.path}"]
    refs = [import_upstream(repo, ladder, str(address)).refs for address in addresses]
    assert all(found == refs[0] for found in refs)


def test_a_partial_clone_fetches_what_it_lacks_or_names_it(
    upstream: Upstream, ladder: Ladder, repo: GitRepo, tmp_path: Path
) -> None:
    source = copy_of(upstream, tmp_path)
    GitRepo(source).git("config", "uploadpack.allowFilter", "true")
    GitRepo(source).git("config", "uploadpack.allowAnySHA1InWant", "true")
    partial = clone(source, tmp_path / "partial", "--bare", "--filter=blob:none")
    lonely = Path(shutil.copytree(partial, tmp_path / "lonely"))
    assert import_upstream(repo, ladder, str(partial)).baselines == 5
    shutil.rmtree(source)
    with pytest.raises(SetupError) as caught:
        import_upstream(repo, ladder, str(lonely))
    assert "record 2 solution: train_old.py at commit" in caught.value.message
    assert "partial" in caught.value.hint


def test_a_missing_blob_names_record_and_file(
    upstream: Upstream, ladder: Ladder, repo: GitRepo, tmp_path: Path
) -> None:
    copy = GitRepo(copy_of(upstream, tmp_path))
    oid = copy.resolve(f"{upstream.commits[-1]}:{LOGS}/04_Framed/a.txt")
    (copy.path / "objects" / oid[:2] / oid[2:]).unlink()
    with pytest.raises(SetupError) as caught:
        import_upstream(repo, ladder, str(copy.path))
    assert "record 4 solution" in caught.value.message
    assert f"{LOGS}/04_Framed/a.txt at commit {upstream.commits[-1][:12]}" in caught.value.message


def test_a_shallow_clone_is_recognised(
    upstream: Upstream, ladder: Ladder, repo: GitRepo, tmp_path: Path
) -> None:
    shallow = clone(upstream.repo.path, tmp_path / "shallow", "--depth=1")
    with pytest.raises(SetupError, match="shallow") as caught:
        import_upstream(repo, ladder, str(shallow))
    assert "--unshallow" in caught.value.hint


def test_an_old_clone_is_told_to_fetch(
    upstream: Upstream, ladder: Ladder, repo: GitRepo, tmp_path: Path
) -> None:
    old = GitRepo(copy_of(upstream, tmp_path))
    old.git("update-ref", "refs/heads/main", upstream.commits[-2])
    old.git("gc", "--quiet", "--prune=now")
    with pytest.raises(SetupError, match="older than the manifest") as caught:
        import_upstream(repo, ladder, str(old.path))
    assert "git fetch" in caught.value.hint


def test_a_file_that_differs_from_its_digest_is_named(
    upstream: Upstream, repo: GitRepo, tmp_path: Path
) -> None:
    text = upstream.records_toml.replace(ladder_digest(upstream), "0" * 64)
    with pytest.raises(SetupError) as caught:
        import_upstream(repo, load_ladder(text), str(upstream.repo.path))
    assert "record 7 solution: triton_kernels.py has SHA-256" in caught.value.message
    assert "altered" in caught.value.hint


def ladder_digest(upstream: Upstream) -> str:
    solution = load_ladder(upstream.records_toml).get(7).solution
    assert solution is not None
    return solution.files["triton_kernels.py"]


def test_a_log_that_is_none_is_named(upstream: Upstream, ladder: Ladder, repo: GitRepo) -> None:
    text = upstream.records_toml.replace(f"{LOGS}/04_Framed/a.txt'", "train.py'")
    with pytest.raises(SetupError, match=r"record 4 solution: train.py:1: no source closed by a rule"):
        import_upstream(repo, load_ladder(text), str(upstream.repo.path))


def test_a_manifest_that_pins_other_names_is_refused(upstream: Upstream, repo: GitRepo) -> None:
    text = upstream.records_toml.replace("script = 'train_old.py'", "script = 'other.py'")
    with pytest.raises(
        ManifestError, match=r"record 4 solution: files pins other names.*other.py, train_old.py"
    ):
        import_upstream(repo, load_ladder(text), str(upstream.repo.path))


@pytest.mark.parametrize("kind", ["missing", "plain", "file", "other", "address"])
def test_what_is_no_clone_is_said_plainly(kind: str, tmp_path: Path, ladder: Ladder, repo: GitRepo) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "file").write_text("x")
    other = GitRepo.init(tmp_path / "other")
    commit = other.commit(other.store_files({"a": b"1"}), [], "x\n", PATCHRUN, "2026-01-01T00:00:00+00:00")
    other.create_refs({"refs/heads/main": commit})
    place = "http://127.0.0.1:9/nothing.git" if kind == "address" else str(tmp_path / kind)
    words = {
        "missing": "no such folder",
        "plain": "not a git repository",
        "file": "no such folder",
        "other": "not a clone of made-up/upstream",
        "address": "cannot fetch http://127.0.0.1:9/nothing.git",
    }
    with pytest.raises((UsageError, SetupError)) as caught:
        import_upstream(repo, ladder, place)
    assert words[kind] in caught.value.message
    assert caught.value.hint


def test_init_leaves_nothing_half_made(tmp_path: Path, track: Path, upstream: Upstream) -> None:
    text = (track / "records.toml").read_text()
    (track / "records.toml").write_text(text.replace(ladder_digest(upstream), "0" * 64))
    with pytest.raises(SetupError):
        importer.init(tmp_path / "arena", str(track), str(upstream.repo.path))
    assert {path.name for path in tmp_path.iterdir()} == {"track"}
    with pytest.raises(UsageError, match="made-up/upstream"):
        importer.init(tmp_path / "arena", str(track))


def test_every_stored_patch_gives_its_tree(arena: Arena) -> None:
    count = check_patches(arena)
    assert (count.pairs, count.exact, count.empty, count.problems) == (5, 5, 1, ())


def test_the_full_check_compares_with_the_clone(arena: Arena, upstream: Upstream) -> None:
    report = verify_upstream(arena, str(upstream.repo.path))
    assert (report.baselines, report.humans, report.logs, report.unread, report.problems) == (5, 5, 18, 0, ())
    assert (report.arrivals.replayed, report.arrivals.refused) == (17, ())


def test_the_full_check_sees_an_altered_arena(arena: Arena, upstream: Upstream) -> None:
    repo = arena.repo
    forged = repo.store_files(
        files(arena, "refs/heads/baseline/5") | {"train_old.py": b"x = 1\n"}, ["run.sh"]
    )
    commit = repo.commit(forged, [], "forged\n", PATCHRUN, "2026-01-05T00:00:00+00:00")
    repo.git("update-ref", "refs/heads/baseline/5", commit)
    repo.git("update-ref", "-d", "refs/patchrun/human/3")
    report = verify_upstream(Arena.open(repo.path), str(upstream.repo.path))
    assert report.problems == (
        "refs/patchrun/human/3 is absent",
        "refs/heads/baseline/5: train_old.py differs from upstream",
    )
