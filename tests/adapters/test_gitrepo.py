"""The one place that talks to git, against real git."""

from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from patchrun.adapters import gitrefs, gitrepo, process
from patchrun.adapters.gitrepo import PATCHRUN, Author, GitRepo, RefExists, clean_environment, hash_blob
from patchrun.core.errors import ArenaError

WHEN = "2026-01-02T03:04:05+00:00"
DIFF = b"""\
diff --git a/a.py b/a.py
--- a/a.py
+++ b/a.py
@@ -1,3 +1,3 @@
 one
-two
+zwei
 three
"""


@pytest.fixture
def tree(repo: GitRepo) -> str:
    return repo.store_files(
        {"a.py": b"one\ntwo\nthree\n", "sub/b c.txt": b"\0binary\n", "run.sh": b"x\n"}, ["run.sh"]
    )


def test_trees_and_blobs_come_back_as_stored(repo: GitRepo, tree: str) -> None:
    files = repo.files(tree)
    assert {path: entry.mode for path, entry in files.items()} == {
        "a.py": "100644", "run.sh": "100755", "sub/b c.txt": "100644",
    }  # fmt: skip
    assert repo.read(files["sub/b c.txt"].oid) == b"\0binary\n"
    assert repo.read(f"{tree}:sub/b c.txt") == b"\0binary\n"


def test_read_many_keeps_order_and_says_what_is_absent(repo: GitRepo, tree: str) -> None:
    assert repo.read_many([f"{tree}:run.sh", f"{tree}:none", f"{tree}:a.py", "0" * 40]) == [
        b"x\n", None, b"one\ntwo\nthree\n", None,
    ]  # fmt: skip
    assert repo.read_many([]) == []


def test_reading_what_is_absent_is_an_error(repo: GitRepo) -> None:
    with pytest.raises(ArenaError, match="has no refs/heads/none"):
        repo.read("refs/heads/none")
    with pytest.raises(ArenaError, match="has no refs/heads/none"):
        repo.resolve("refs/heads/none")


def test_apply_gives_the_patched_tree(repo: GitRepo, tree: str) -> None:
    applied = repo.apply(tree, DIFF)
    assert applied.tree and not applied.refusal and applied.offsets == ()
    assert repo.read(f"{applied.tree}:a.py") == b"one\nzwei\nthree\n"
    assert [(c.path, c.status) for c in repo.changes(tree, applied.tree)] == [("a.py", "M")]


@pytest.mark.parametrize("there", [True, False])
def test_the_index_lies_in_memory_where_there_is_such_a_folder(
    repo: GitRepo, tree: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    memory = tmp_path / "memory"
    if there:
        memory.mkdir()
    monkeypatch.setattr(gitrepo, "MEMORY", memory)
    with repo._index(tree) as env:
        index = Path(env["GIT_INDEX_FILE"])
        assert index.is_file()
        assert index.is_relative_to(memory) == there
    assert not index.parent.exists()
    assert repo.apply(tree, DIFF).tree


def test_apply_refuses_in_gits_words(repo: GitRepo, tree: str) -> None:
    applied = repo.apply(tree, DIFF.replace(b"-two", b"-drei"))
    assert applied.tree is None
    assert "patch failed: a.py:1" in applied.refusal and "patch does not apply" in applied.refusal


def test_apply_reports_offsets(repo: GitRepo) -> None:
    tree = repo.store_files({"a.py": b"zero\nnil\n" + b"one\ntwo\nthree\n"})
    applied = repo.apply(tree, DIFF.replace(b"@@ -1,3 +1,3 @@", b"@@ -2,3 +2,3 @@"))
    assert applied.tree
    assert applied.offsets == ("Hunk #1 succeeded at 3 (offset 1 line).",)


def test_diff_applies_back(repo: GitRepo, tree: str) -> None:
    other = repo.store_files({"a.py": b"one\ntwo\nthree", "new/c.bin": b"\0\1\2"})
    assert repo.apply(tree, repo.diff(tree, other)).tree == other


def test_changes_see_every_kind(repo: GitRepo, tree: str) -> None:
    files = {path: (entry.mode, entry.oid) for path, entry in repo.files(tree).items()}
    target = repo.write_blob(b"/etc/passwd")
    files["a.py"] = ("120000", target)
    files["run.sh"] = ("100644", files["run.sh"][1])
    files["naïve\tname"] = ("100644", target)
    del files["sub/b c.txt"]
    found = {c.path: (c.status, c.new_mode) for c in repo.changes(tree, repo.write_tree(files))}
    assert found == {
        "a.py": ("T", "120000"), "run.sh": ("M", "100644"), "naïve\tname": ("A", "100644"),
        "sub/b c.txt": ("D", "000000"),
    }  # fmt: skip


def test_commits_are_the_same_for_the_same_words(repo: GitRepo, tree: str) -> None:
    first = repo.commit(tree, [], "words\n", Author("Ada", "ada@example.invalid"), WHEN)
    assert first == repo.commit(tree, [], "words\n", Author("Ada", "ada@example.invalid"), WHEN)
    assert repo.tree_of(first) == tree
    found = repo.python.commit(first)
    assert (found.author.name, found.committer.name) == ("Ada", "patchrun")
    assert found.authored_datetime.isoformat() == WHEN


@pytest.mark.parametrize("name", ["", "  ", "a<b>", "two\nlines", "nul\0"])
def test_names_git_cannot_keep_are_refused(name: str) -> None:
    with pytest.raises(ArenaError, match="not a name"):
        Author(name, "x@example.invalid")


def test_refs_are_created_all_or_none(repo: GitRepo, tree: str) -> None:
    commit = repo.commit(tree, [], "c\n", PATCHRUN, WHEN)
    repo.create_refs({"refs/x/1": commit})
    with pytest.raises(RefExists):
        repo.create_refs({"refs/x/2": commit, "refs/x/1": commit})
    assert repo.refs("refs/x/") == {"refs/x/1": commit}


def test_a_ref_to_nothing_is_refused(repo: GitRepo) -> None:
    with pytest.raises(ArenaError, match="cannot write refs"):
        repo.create_refs({"refs/x/1": "1" * 40})
    assert repo.refs() == {}


def test_one_of_many_writers_wins(repo: GitRepo, tree: str) -> None:
    commits = [repo.commit(tree, [], f"{n}\n", PATCHRUN, WHEN) for n in range(8)]

    def create(commit: str) -> bool:
        try:
            repo.create_refs({"refs/x/slot": commit, f"refs/x/{commit}": commit})
        except RefExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = [commit for commit, made in zip(commits, pool.map(create, commits), strict=True) if made]
    assert len(won) == 1
    assert repo.refs("refs/x/") == {"refs/x/slot": won[0], f"refs/x/{won[0]}": won[0]}


def test_a_lock_that_stays_is_named(repo: GitRepo, tree: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patchrun.adapters.gitrefs.LOCK_TRIES", 2)
    commit = repo.commit(tree, [], "c\n", PATCHRUN, WHEN)
    lock = repo.path / "refs" / "x" / "1.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    with pytest.raises(ArenaError, match="stays taken.*\n.*doctor"):
        repo.create_refs({"refs/x/1": commit})


def test_export_writes_plain_files_only(repo: GitRepo, tree: str, tmp_path: Path) -> None:
    files = {path: (entry.mode, entry.oid) for path, entry in repo.files(tree).items()}
    files["link"] = ("120000", repo.write_blob(b"/etc/passwd"))
    files[".gitattributes"] = ("100644", repo.write_blob(b"* export-ignore eol=crlf ident\n"))
    repo.export(repo.write_tree(files), tmp_path / "out")
    assert (tmp_path / "out/a.py").read_bytes() == b"one\ntwo\nthree\n"
    assert (tmp_path / "out/run.sh").stat().st_mode & 0o777 == 0o755
    assert not (tmp_path / "out/link").exists()


def overwrite(repo: GitRepo, oid: str, content: bytes, kind: bytes = b"blob") -> None:
    """Put another content under an object's name, as someone with a hand in the arena's files could."""
    path = repo.path / "objects" / oid[:2] / oid[2:]
    path.chmod(0o644)
    path.write_bytes(zlib.compress(kind + b" %d\0" % len(content) + content))


def test_what_is_exported_is_what_its_ids_say(repo: GitRepo, tree: str, tmp_path: Path) -> None:
    """git hands out a loose object without a look at its hash: who swaps a file after the check gets no run."""
    oid = repo.files(tree)["a.py"].oid
    overwrite(repo, oid, b"import os\n")
    assert repo.read(f"{tree}:a.py") == b"import os\n", "git itself does not notice"
    with pytest.raises(ArenaError, match=f"a.py is not the content {oid}"):
        repo.export(tree, tmp_path / "out")
    assert not (tmp_path / "out" / "a.py").exists()


def test_a_file_that_is_gone_is_not_exported_as_an_empty_one(
    repo: GitRepo, tree: str, tmp_path: Path
) -> None:
    oid = repo.files(tree)["a.py"].oid
    (repo.path / "objects" / oid[:2] / oid[2:]).unlink()
    with pytest.raises(ArenaError, match="a.py is not the content"):
        repo.export(tree, tmp_path / "out")


def test_a_tree_is_rebuilt_from_its_entries(repo: GitRepo, tree: str) -> None:
    """git looks at the hash of the tree that is asked for, not at those of the folders in it."""
    assert repo.rebuild_tree(tree) == tree
    other = repo.store_files({"sub/b c.txt": b"evil\n"})
    raw = repo.git("cat-file", "tree", f"{other}:sub").stdout
    overwrite(repo, repo.resolve(f"{tree}:sub"), raw, b"tree")
    assert repo.files(tree)["sub/b c.txt"].oid == repo.write_blob(b"evil\n"), "git itself does not notice"
    assert repo.rebuild_tree(tree) != tree


@pytest.mark.parametrize("data", [b"", b"x = 1\n", bytes(range(256))])
def test_ids_of_files_are_gits(repo: GitRepo, data: bytes) -> None:
    assert hash_blob(data, 40) == repo.write_blob(data)
    assert len(hash_blob(data, 64)) == 64


def test_a_users_settings_change_nothing(
    repo: GitRepo, tree: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text("[apply]\n whitespace = fix\n[core]\n autocrlf = true\n[user]\n name = Mallory\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2001-01-01T00:00:00")
    applied = repo.apply(tree, DIFF.replace(b"+zwei", b"+zwei  "))
    assert applied.tree and repo.read(f"{applied.tree}:a.py") == b"one\nzwei  \nthree\n"
    assert not any(key.startswith("GIT_AUTHOR") for key in clean_environment())


def test_patch_ids(repo: GitRepo) -> None:
    assert len(repo.patch_id(DIFF)) == 40
    assert repo.patch_id(DIFF) != repo.patch_id(DIFF.replace(b"zwei", b"deux"))
    assert repo.patch_id(b"no diff here") == ""


def test_init_where_it_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArenaError, match="cannot make a repository"):
        GitRepo.init(tmp_path / "file" / "repo")


def test_the_repository_passes_fsck(repo: GitRepo, tree: str) -> None:
    repo.create_refs({"refs/x/1": repo.commit(tree, [], "c\n", PATCHRUN, WHEN)})
    done = process.run(["git", "-C", repo.path, "fsck", "--strict", "--full"], env=clean_environment())
    assert done.ok and not done.stdout


def test_changes_of_many_pairs_are_those_of_each(repo: GitRepo) -> None:
    one = repo.store_files({"a.py": b"1\n", "ä b.py": b"2\n", "dir/c.py": b"3\n"})
    two = repo.store_files({"a.py": b"1\n", "ä b.py": b"4\n", "new\nline.py": b"5\n"}, executable=["a.py"])
    none = repo.store_files({})
    pairs = [(one, two), (two, two), (none, one), (one, none)]
    assert repo.changes_of(pairs) == [repo.changes(*pair) for pair in pairs]
    assert [len(found) for found in repo.changes_of(pairs)] == [4, 0, 3, 3] and repo.changes_of([]) == []


def test_trees_of_many_commits(repo: GitRepo) -> None:
    trees = [repo.store_files({"a": data}) for data in (b"1", b"2")]
    commits = [repo.commit(tree, [], "w\n", PATCHRUN, WHEN) for tree in trees]
    assert repo.trees_of(commits) == dict(zip(commits, trees, strict=True)) and repo.trees_of([]) == {}
    with pytest.raises(ArenaError, match="has no 1111"):
        repo.trees_of([commits[0], "1" * 40])


def test_flat_and_deep_trees_are_gits(repo: GitRepo, tmp_path: Path) -> None:
    flat = {"b": b"1", "a-b": b"", "a b\n": b"\xff\x00", "a": b"2"}
    for files in (flat, flat | {"a.d/x": b"3"}):
        tree = repo.store_files(files, executable=["b"])
        assert {path: repo.read(entry.oid) for path, entry in repo.files(tree).items()} == files
        assert [path for path, entry in repo.files(tree).items() if entry.mode == "100755"] == ["b"]
        assert repo.rebuild_tree(tree) == tree
    assert repo.git("fsck", "--strict", check=False).ok
    assert repo.write_blobs([]) == [] and len(repo.write_blobs([b"x", b"y", b"x"])) == 3


def test_refs_by_more_names_than_one_command_line_holds(
    repo: GitRepo, tree: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repo.commit(tree, [], "words\n", PATCHRUN, WHEN)
    names = [f"refs/heads/{group}/{k}-{part}" for group in "ab" for k in range(3) for part in "xy"]
    repo.create_refs(dict.fromkeys(names, commit))
    monkeypatch.setattr(gitrefs, "ARGUMENTS", 2)
    assert set(repo.refs()) == set(names)
    wanted = ("refs/heads/a/0-*", "refs/heads/a/0-x", "refs/heads/b/", "refs/heads/none/*")
    assert set(repo.refs(*wanted)) == {*names[:2], *names[6:]}


def test_a_command_that_answers_while_it_runs(repo: GitRepo, tree: str) -> None:
    child = repo.start("cat-file", "--batch-check")
    try:
        child.stdin.write(f"{tree}\n".encode())
        child.stdin.flush()
        assert child.stdout.readline().startswith(f"{tree} tree ".encode()) and child.poll() is None
    finally:
        process.end_group(child)


def test_a_stream_is_what_reading_at_once_gives(repo: GitRepo) -> None:
    blobs = repo.write_blobs([b"", b"two\n", b"\x00" * 100_000])
    tree = repo.store_files({"a b": b"x\n"})
    specs = [*blobs, f"{tree}:a b", f"{tree}:none", "1" * 40]
    assert list(repo.stream(specs)) == repo.read_many(specs) and list(repo.stream([])) == []


def test_a_stream_that_is_left_leaves_no_process(repo: GitRepo) -> None:
    [blob] = repo.write_blobs([b"x" * 10_000])
    before = set(Path("/proc").iterdir())
    stream = repo.stream([blob] * 1000)
    assert next(stream) == b"x" * 10_000
    child = next(folder for folder in set(Path("/proc").iterdir()) - before if is_git(folder))
    stream.close()
    assert not is_git(child)


def is_git(folder: Path) -> bool:
    try:
        return b"cat-file" in (folder / "cmdline").read_bytes()
    except OSError:
        return False


def test_a_stream_of_a_damaged_object_ends_with_an_error(repo: GitRepo) -> None:
    [blob] = repo.write_blobs([b"whole"])
    path = repo.path / "objects" / blob[:2] / blob[2:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(ArenaError, match="cannot read all"):
        list(repo.stream([blob]))
