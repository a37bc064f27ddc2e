"""validate, with real git and real ruff: the awkward diffs of the world, and what becomes of them."""

from __future__ import annotations

import dataclasses
import difflib
from pathlib import Path

import pytest
from msgspec.structs import replace

from patchrun.adapters.gitrepo import PATCHRUN, GitRepo
from patchrun.adapters.store import Arena
from patchrun.core.errors import UnreadableDiff
from patchrun.core.track import Guard, Track, load_track
from patchrun.services.validator import MOST_OF_ONE_CODE, Validation, validate
from tests.conftest import TRACK, change

SCRIPT = """\
import os

RATE = 1
STEPS = 100


def load():
    return 42


def step(rate):
    return rate * 2


def main():
    print(RATE, STEPS, load(), step(RATE), os.sep)


main()
"""
OTHER = "import json\n\nprint(json.dumps({}))\n"
FILES = {
    "train.py": SCRIPT.encode(),
    "other.py": OTHER.encode(),
    "README.md": b"one\n-- two\nthree\n",
    "my file.py": b"a = 1\n",
    "na\u00efve.py": b"a = 1\n",
    "dos.py": b"a = 1\r\nb = 2\r\n",
}
RULES = {
    "paths": ("train.py", "README.md", "my file.py", "na\u00efve.py", "dos.py", "end.py"),
    "new_paths": ("extra/*.py",),
    "protected": ("train.py:load",),
    "review": ("train.py:step",),
    "forbidden_calls": ("os.system",),
}


@pytest.fixture
def track() -> Track:
    track = load_track(TRACK)
    return replace(track, edit=replace(track.edit, **RULES))


@pytest.fixture
def baseline(repo: GitRepo) -> str:
    tree = repo.store_files({**FILES, "end.py": b"a = 1"})
    return repo.commit(tree, [], "baseline\n", PATCHRUN, "2026-01-01T00:00:00Z")


@pytest.fixture
def check(repo: GitRepo, track: Track, baseline: str):
    return lambda diff: validate(repo, track, baseline, diff if isinstance(diff, bytes) else diff.encode())


def edit(old: str, new: str, path: str = "train.py", source: str = SCRIPT) -> str:
    """A diff that replaces text in a file of the baseline."""
    assert old in source
    lines = difflib.unified_diff(
        source.splitlines(True), source.replace(old, new).splitlines(True), f"a/{path}", f"b/{path}"
    )
    return f"diff --git a/{path} b/{path}\n" + "".join(lines)


def mail(diff: str, number: int = 1) -> str:
    return (
        f"From {number:040x} Mon Sep 17 00:00:00 2001\nFrom: Ada <ada@example.org>\n"
        f"Date: Thu, 1 Jan 2026 00:00:00 +0000\nSubject: [PATCH {number}/2] Words\n\nMore words.\n---\n"
        f" train.py | 2 +-\n\n{diff}-- \n2.39.5\n\n"
    )


def new_file(path: str, text: str = "x = 1\n", mode: str = "100644") -> str:
    lines = text.splitlines()
    body = "".join(f"+{line}\n" for line in lines) + (
        "" if text.endswith("\n") else "\\ No newline at end of file\n"
    )
    count = f"1,{len(lines)}" if len(lines) != 1 else "1"
    header = f"diff --git a/{path} b/{path}\nnew file mode {mode}\n--- /dev/null\n+++ b/{path}\n"
    return f"{header}@@ -0,0 +{count} @@\n{body}"


def codes(validation: Validation) -> list[str]:
    return [finding.code for finding in validation.findings]


def read(repo: GitRepo, validation: Validation, path: str = "train.py") -> str:
    return repo.read(f"{validation.tree}:{path}").decode()


def test_an_honest_patch_is_accepted(check, repo: GitRepo, baseline: str) -> None:
    diff = edit("RATE = 1", "RATE = 2").encode()
    validation = check(diff)
    assert validation.accepted and validation.findings == ()
    assert read(repo, validation) == SCRIPT.replace("RATE = 1", "RATE = 2")
    assert dataclasses.astuple(validation.stats) == (1, 1, 1)
    assert validation.diff == diff
    assert validation.patch_id == repo.patch_id(diff) != ""
    assert len(validation.ast_digest) == 64


def test_nothing_becomes_a_ref(check, repo: GitRepo) -> None:
    before = repo.refs()
    check(edit("RATE = 1", "RATE = 2"))
    check(edit("RATE = 1", "RATE = ("))
    assert repo.refs() == before


def test_a_tree_may_stand_for_the_commit(repo: GitRepo, track: Track, baseline: str) -> None:
    diff = edit("RATE = 1", "RATE = 2").encode()
    one, other = (validate(repo, track, name, diff) for name in (baseline, repo.tree_of(baseline)))
    assert (one.tree, one.ast_digest) == (other.tree, other.ast_digest)


@pytest.mark.parametrize("diff", [b"", b"hello", b"\n\n", b"--- a/x\n+++ b/x\n"])
def test_what_cannot_be_read_raises(check, diff: bytes) -> None:
    with pytest.raises(UnreadableDiff):
        check(diff)


def test_a_diff_beyond_the_tracks_limit_raises(check, track: Track) -> None:
    with pytest.raises(UnreadableDiff, match="larger"):
        check(b"x" * (track.limits.diff_kb * 1024 + 1))


# What git says no to, in its words.


def test_a_hunk_that_does_not_fit_is_refused_with_file_and_hunk(check) -> None:
    validation = check(edit("RATE = 1", "RATE = 2").replace("-RATE = 1", "-RATE = 7"))
    (finding,) = validation.findings
    assert (finding.code, finding.line) == ("PR108", 7)
    assert "line 7 of the diff says 'RATE = 7', and line 3 of train.py is 'RATE = 1'" in finding.message
    assert "patch failed: train.py:1" in finding.message
    assert "train.py: patch does not apply" in finding.message
    assert "hunk #1, line 4 of the diff" in finding.message
    assert (validation.tree, validation.ast_digest, validation.accepted) == (None, "", False)


@pytest.mark.parametrize(
    ("diff", "words"),
    [
        (edit("RATE = 1", "RATE = 2").replace("train.py", "../train.py"), "../train.py"),
        (new_file("../train.py"), "invalid path"),
        (new_file("extra/../../x.py"), "invalid path"),
        (
            edit("RATE = 1", "RATE = 2").replace("a/train.py", "a//etc/x").replace("b/train.py", "b//etc/x"),
            "",
        ),
        (new_file(".git/config"), "invalid path"),
        (new_file(".GIT/config"), "invalid path"),
        (edit("RATE = 1", "RATE = 2").replace("train.py", "absent.py"), "does not exist"),
        (
            "diff --git a/end.py b/end.py\nindex 1111111..2222222 100644\nBinary files a/end.py and b/end.py differ\n",
            "binary",
        ),
        ("diff --git a/train.py b/train.py\n", ""),
    ],
)
def test_git_refuses(check, diff: str, words: str) -> None:
    validation = check(diff)
    finding = next(one for one in validation.findings if one.code == "PR108")
    assert words in finding.message and finding.message
    assert validation.tree is None


@pytest.mark.parametrize(
    ("spoiled", "mend"),
    [
        (edit("RATE = 1", "RATE = 2").replace("\n", "\r\n"), "line ends in CRLF"),
        (edit("RATE = 1", "RATE = 2").replace("@@ -1,6 +1,6", "@@ -1,60 +1,60"), "the counts of @@ lines"),
        (edit("RATE = 1", "RATE = 2") + edit("STEPS = 100", "STEPS = 9"), "several diffs of one file"),
        ("--- a/train.py\n+++ b/train.py\n@@ -3 +3 @@\n-RATE = 1\n+RATE = 2\n", "lines without context"),
    ],
)
def test_a_form_that_can_be_meant_in_one_way_is_mended(check, spoiled: str, mend: str) -> None:
    validation = check(spoiled)
    assert validation.accepted
    assert mend in validation.mended
    assert codes(validation) == ["PR112"] * len(validation.mended)


def test_an_absolute_path_changes_nothing_outside(check, tmp_path: Path) -> None:
    target = tmp_path / "outside.py"
    target.write_text("a = 1\n")
    validation = check(f"--- {target}\n+++ {target}\n@@ -1 +1 @@\n-a = 1\n+a = 2\n")
    assert not validation.accepted
    assert target.read_text() == "a = 1\n"


# What git takes, and the rules do not.


@pytest.mark.parametrize(
    ("diff", "expected"),
    [
        (edit("print(", "print (", "other.py", OTHER), ["PR201"]),
        ("diff --git a/train.py b/train.py\nold mode 100644\nnew mode 100755\n", ["PR111", "PR206"]),
        (new_file("extra/link.py", "/etc/passwd", "120000"), ["PR204"]),
        (new_file("torch.py"), ["PR202", "PR209"]),
        (new_file("numpy/__init__.py"), ["PR202", "PR209"]),
        (new_file("json.py"), ["PR202", "PR209"]),
        (new_file("sitecustomize.py"), ["PR202", "PR210"]),
        (new_file("conftest.py"), ["PR202", "PR210"]),
        (new_file("x.pth", "import os\n"), ["PR202", "PR210"]),
        (new_file(".gitattributes", "*.py filter=evil\n"), ["PR202", "PR207"]),
        (new_file(".gitmodules", "[submodule]\n"), ["PR202", "PR207"]),
        (new_file("Train.py"), ["PR202", "PR208"]),
        (
            "diff --git a/train.py b/main.py\nrename from train.py\nrename to main.py\n",
            ["PR202", "PR211", "PR402", "PR404"],
        ),
        ("diff --git a/train.py b/copy.py\ncopy from train.py\ncopy to copy.py\n", ["PR202", "PR209"]),
        (new_file("extra/x.py", "x = '\\x00'\n".replace("\\x00", "\0")), ["PR102", "PR203", "PR301"]),
    ],
)
def test_the_result_is_judged_whatever_the_diff_says(check, diff: str, expected: list[str]) -> None:
    validation = check(diff)
    assert sorted(codes(validation)) == expected
    assert not validation.accepted
    assert validation.tree


def test_a_submodule_is_rejected(check) -> None:
    diff = new_file("extra/lib.py", "Subproject commit " + "1" * 40 + "\n", "160000")
    assert codes(check(diff)) == ["PR205"]


def test_a_binary_patch_is_rejected(check, repo: GitRepo, baseline: str) -> None:
    tree = repo.store_files({**FILES, "end.py": b"a = 1", "extra/w.py": b"\0\1\2" * 50})
    assert "PR203" in codes(check(repo.diff(baseline, tree)))


def test_a_header_that_names_one_file_and_changes_another_is_rejected(check, repo: GitRepo) -> None:
    diff = edit("json.dumps({})", "json.dumps([])", "other.py", OTHER).replace(
        "diff --git a/other.py b/other.py", "diff --git a/train.py b/train.py"
    )
    validation = check(diff)
    assert "PR107" in codes(validation)
    assert not validation.accepted
    if validation.tree:
        assert "PR201" in codes(validation), "what changed in truth is judged as well"


def test_a_deleted_file_is_a_change(check) -> None:
    gone = "diff --git a/other.py b/other.py\ndeleted file mode 100644\n"
    gone += "--- a/other.py\n+++ /dev/null\n@@ -1,3 +0,0 @@\n"
    validation = check(gone + "".join(f"-{line}\n" for line in OTHER.splitlines()))
    assert codes(validation) == ["PR201"]
    assert "goes" in validation.findings[0].message


def test_a_patch_that_undoes_itself_is_empty(check) -> None:
    there, back = (
        edit("RATE = 1", "RATE = 2"),
        edit("RATE = 2", "RATE = 1", source=SCRIPT.replace("RATE = 1", "RATE = 2")),
    )
    validation = check(mail(there) + mail(back, 2))
    assert codes(validation) == ["PR111"]


# Shapes of diffs that are fine.

FASTER = edit("RATE = 1", "RATE = 2")
FASTER_SCRIPT = SCRIPT.replace("RATE = 1", "RATE = 2")
README = "one\n-- two\nthree\n"
NO_NEWLINE = "\\ No newline at end of file\n"
QUOTED = '"a/na\\303\\257ve.py"', '"b/na\\303\\257ve.py"'
ONE = "@@ -1 +1 @@\n-a = 1\n"


@pytest.mark.parametrize(
    ("diff", "path", "expected"),
    [
        (edit("-- two", "-- zwei", "README.md", README), "README.md", "one\n-- zwei\nthree\n"),
        (edit("one\n-- two\n", "one\n", "README.md", README), "README.md", "one\nthree\n"),
        (f"--- a/my file.py\t\n+++ b/my file.py\t\n{ONE}+a = 2\n", "my file.py", "a = 2\n"),
        (
            "diff --git {0} {1}\n--- {0}\n+++ {1}\n".format(*QUOTED) + f"{ONE}+a = 2\n",
            "na\u00efve.py",
            "a = 2\n",
        ),
        (f"--- a/end.py\n+++ b/end.py\n{ONE}{NO_NEWLINE}+a = 2\n{NO_NEWLINE}", "end.py", "a = 2"),
        (f"--- a/end.py\n+++ b/end.py\n{ONE}{NO_NEWLINE}+a = 1\n", "end.py", "a = 1\n"),
        (
            "--- a/dos.py\n+++ b/dos.py\n@@ -1,2 +1,2 @@\n-a = 1\r\n+a = 2\r\n b = 2\r\n",
            "dos.py",
            "a = 2\r\nb = 2\r\n",
        ),
        ("--- train.py\n+++ train.py\n" + FASTER.split("+++ b/train.py\n")[1], "train.py", FASTER_SCRIPT),
        (f"Dear all,\n\n```diff\n{FASTER}```\n\nYours\n", "train.py", FASTER_SCRIPT),
        (mail(FASTER), "train.py", FASTER_SCRIPT),
        (new_file("extra/more.py"), "extra/more.py", "x = 1\n"),
    ],
)
def test_it_is_accepted_and_gives_the_file(check, repo: GitRepo, diff: str, path: str, expected: str) -> None:
    validation = check(diff)
    assert codes(validation) == []
    assert repo.read(f"{validation.tree}:{path}").decode() == expected


def test_a_series_is_applied_mail_by_mail(check, repo: GitRepo) -> None:
    first = edit("RATE = 1", "RATE = 2")
    second = edit("RATE = 2", "RATE = 3", source=SCRIPT.replace("RATE = 1", "RATE = 2"))
    validation = check(mail(first) + mail(second, 2))
    assert codes(validation) == []
    assert read(repo, validation) == SCRIPT.replace("RATE = 1", "RATE = 3")
    assert dataclasses.astuple(validation.stats) == (1, 2, 2)


def test_the_mail_of_a_series_that_fails_is_named(check) -> None:
    good, bad = (
        edit("RATE = 1", "RATE = 2"),
        edit("STEPS = 100", "STEPS = 9").replace("-STEPS = 100", "-STEPS = 8"),
    )
    (finding,) = check(mail(good) + mail(bad, 2)).findings
    assert finding.message.startswith("mail 2 of 2: error: patch failed: train.py")


def test_two_diffs_that_change_one_line_are_rejected(check) -> None:
    found = check(edit("RATE = 1", "RATE = 2") + edit("RATE = 1", "RATE = 3"))
    assert codes(found) == ["PR105"]
    assert "overlap at line 3 of train.py" in found.findings[0].message


# What a run would never see.


def executable(diff: str) -> str:
    return diff.replace("--- a", "old mode 100644\nnew mode 100755\n--- a", 1)


def test_executable_bits_mean_nothing(check, repo: GitRepo) -> None:
    plain = check(edit("RATE = 1", "RATE = 2"))
    found = check(executable(edit("RATE = 1", "RATE = 2")))
    assert found.accepted
    assert found.tree == plain.tree, "the baseline's mode is kept"
    assert codes(found) == ["PR206"]
    new = check(edit("RATE = 1", "RATE = 2") + new_file("extra/run.py", mode="100755"))
    assert new.accepted
    assert repo.files(new.tree)["extra/run.py"].mode == "100644"


@pytest.mark.parametrize(
    "beside",
    [
        new_file("records/2026/log.txt", "step 1\n"),
        new_file("notes.md", "# what I tried\n"),
        new_file("records/2026/train.py", "x = 1\n"),
        new_file("docs/deep/er/loss.csv", "1,2\n"),
        new_file("sweep.sh", "true\n"),
        "diff --git a/.gitignore b/.gitignore\n--- a/.gitignore\n+++ b/.gitignore\n@@ -1 +1,2 @@\n *.pyc\n+logs\n",
        "diff --git a/a.png b/a.png\nnew file mode 100644\nindex 0000000..1111111\n"
        "Binary files /dev/null and b/a.png differ\n",
        "diff --git a/a.png b/a.png\nnew file mode 100644\nindex 0000000..1111111\nGIT binary patch\nliteral 8\n"
        "PcmV+l0002M0000000000\n\nliteral 0\nHcmV?d00001\n\n",
        "diff --git a/CHANGES.md b/CHANGES.md\n--- a/CHANGES.md\n+++ b/CHANGES.md\n@@ -1 +1 @@\n-old\n+new\n",
        new_file("records/big.log", "x" * 99 + "\n" * 20_000),
    ],
)  # fmt: skip
def test_what_a_run_would_never_see_is_left_out_and_named(check, beside: str) -> None:
    code = edit("RATE = 1", "RATE = 2")
    plain = check(code)
    for diff in (code + beside, beside + code):
        found = check(diff)
        assert found.accepted, found.findings
        assert found.tree == plain.tree
        assert codes(found) == ["PR113"]
        assert found.diff == diff.encode(), "the bytes as submitted are kept"


@pytest.mark.parametrize(
    ("beside", "code"),
    [
        (new_file("sitecustomize.py"), "PR210"),
        (new_file("random.py"), "PR209"),
        (new_file("json/__init__.py"), "PR209"),
        (new_file(".gitattributes", "* filter=x\n"), "PR207"),
        (new_file("fast.so", "x\n"), "PR210"),
        (new_file("link.txt", "/etc/passwd", "120000"), "PR204"),
        (new_file("sub", f"Subproject commit {'1' * 40}", mode="160000"), "PR205"),
        (edit("import json", "import  json", "other.py", OTHER), "PR201"),
        (new_file("weights.txt", "1 2 3\n"), "PR202"),
        (new_file("helper.py", "x = 1\n"), "PR202"),
    ],
)
def test_what_could_matter_is_not_left_out(check, beside: str, code: str) -> None:
    uses = edit(
        "    return rate * 2\n",
        "    import helper\n\n    return rate * helper.x * len(open('weights.txt').read())\n",
    )
    found = check(uses + beside)
    assert not found.accepted
    assert code in codes(found)


def test_a_header_that_names_a_document_and_changes_code_is_no_document(check) -> None:
    diff = edit("RATE = 1", "RATE = 2").replace(
        "diff --git a/train.py b/train.py", "diff --git a/notes.md b/notes.md"
    )
    found = check(edit("STEPS = 100", "STEPS = 9") + diff)
    assert not found.left
    assert not found.accepted


def test_the_limit_counts_what_is_kept(repo: GitRepo, track: Track, baseline: str) -> None:
    limited = replace(track, limits=replace(track.limits, diff_kb=1))
    code, log = edit("RATE = 1", "RATE = 2"), new_file("run.log", "x" * 5000 + "\n")
    assert validate(repo, limited, baseline, (code + log).encode()).accepted


# Offsets.


def test_a_hunk_at_an_offset_is_a_warning_at_the_line_where_it_landed(check) -> None:
    diff = edit("STEPS = 100", "STEPS = 9").replace("@@ -1,7 +1,7 @@", "@@ -4,7 +4,7 @@")
    assert "@@ -4,7" in diff
    validation = check(diff)
    assert [(one.code, one.path, one.line) for one in validation.findings] == [("PR109", "train.py", 1)]
    assert validation.accepted


def test_a_moved_hunk_that_fits_in_two_places_is_rejected(repo: GitRepo, track: Track) -> None:
    block = "x = 1\ny = 2\nz = 3\n"
    source = "import os\n" + block + "print(os.name)\n" + block + "print(os.sep)\n" + "a = 1\n" * 9 + block
    tree = repo.store_files({"train.py": source.encode()})
    hunk = "--- a/train.py\n+++ b/train.py\n@@ -{0},3 +{0},3 @@\n x = 1\n-y = 2\n+y = 5\n z = 3\n"
    exact = validate(repo, track, tree, hunk.format(6).encode())
    assert "PR110" not in codes(exact)
    assert read(repo, exact).split("\n")[6] == "y = 5"
    moved = validate(repo, track, tree, hunk.format(9).encode())
    (finding,) = (one for one in moved.findings if one.code == "PR110")
    assert "lines 2, 6, 19" in finding.message
    assert not moved.accepted


# Python.


def test_a_syntax_error_is_the_only_word_on_its_file(check) -> None:
    validation = check(edit("RATE = 1", "RATE = ("))
    (finding,) = validation.findings
    assert (finding.code, finding.path, finding.line) == ("PR301", "train.py", 3)
    assert validation.ast_digest == ""
    assert validation.tree


def test_an_undefined_name_rejects_and_an_unused_import_informs(check) -> None:
    validation = check(edit("import os\n", "import os\nimport sys\n\nprint(undefined)\n"))
    assert [(one.code, one.severity, one.line) for one in validation.findings] == [
        ("PR303", "error", 4), ("PR304", "info", 2),
    ]  # fmt: skip


def test_what_the_baseline_has_wrong_is_not_the_patchs_fault(repo: GitRepo, track: Track) -> None:
    source = "import sys\n\nprint(undefined)\nRATE = 1\n"
    tree = repo.store_files({"train.py": source.encode()})
    validation = validate(
        repo, track, tree, edit("RATE = 1", "import os\n\nRATE = 2", source=source).encode()
    )
    assert [(one.code, one.message.split()[1]) for one in validation.findings] == [("PR304", "`os`")]


def test_a_definition_that_goes_while_it_is_used_is_found_where_it_is_used(check) -> None:
    validation = check(edit("STEPS = 100\n", ""))
    (finding,) = validation.findings
    assert (finding.code, finding.line) == ("PR303", 15)


def test_track_rules(check) -> None:
    assert codes(check(edit("return 42", "return 43"))) == ["PR401"]
    assert codes(check(edit("rate * 2", "rate * 3"))) == ["PR404"]
    assert codes(check(edit("RATE = 1", "RATE = os.system('x')"))) == ["PR405", "PR503"]
    assert check(edit("rate * 2", "rate * 3")).accepted


def test_a_removed_file_takes_its_protected_definitions_along(check) -> None:
    lines = SCRIPT.splitlines()
    gone = f"--- a/train.py\n+++ /dev/null\n@@ -1,{len(lines)} +0,0 @@\n" + "".join(
        f"-{line}\n" for line in lines
    )
    assert sorted(codes(check(gone))) == ["PR211", "PR402", "PR404"]


def test_what_the_track_guards_is_compared_wherever_it_stands(
    repo: GitRepo, track: Track, baseline: str
) -> None:
    guard = Guard(name="calls", kind="call", match=("step",))
    guarded = replace(track, edit=replace(track.edit, guards=(guard,)))
    diff = edit("import os\n", "import os\nimport os.path\n")
    assert validate(repo, guarded, baseline, diff.encode()).accepted
    broken = validate(repo, guarded, baseline, edit("step(RATE)", "step(3)").encode())
    assert [(one.code, one.line) for one in broken.findings] == [("PR401", 16)]
    assert "guards as calls" in broken.findings[0].message


def test_integrity_findings_do_not_reject(check) -> None:
    validation = check(edit("RATE = 1", "RATE = 1\nos.environ['X'] = 'y'"))
    assert codes(validation) == ["PR508"]
    assert validation.accepted


def test_a_baseline_that_this_python_cannot_parse_is_for_a_person(repo: GitRepo, track: Track) -> None:
    tree = repo.store_files({"train.py": b"print 'old'\n"})
    diff = b"--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-print 'old'\n+print('new')\n"
    validation = validate(repo, track, tree, diff)
    assert [(one.code, one.severity) for one in validation.findings] == [("PR306", "review")]


# Digests.


def test_a_changed_comment_is_the_same_code_in_another_tree(check) -> None:
    one = check(edit("RATE = 1", "RATE = 2"))
    other = check(edit("RATE = 1\n", "RATE  =  (2)  # better\n"))
    assert one.tree != other.tree
    assert one.ast_digest == other.ast_digest
    assert check(edit("RATE = 1", "RATE = 3")).ast_digest != one.ast_digest


def test_files_that_are_not_python_count_by_their_bytes(check) -> None:
    readme = "one\n-- two\nthree\n"
    one, other = (check(edit("three", word, "README.md", readme)) for word in ("drei", "tres"))
    assert one.ast_digest != other.ast_digest


def test_a_new_file_counts(check) -> None:
    one = check(new_file("extra/a.py"))
    assert one.ast_digest != check(new_file("extra/b.py")).ast_digest
    assert one.ast_digest == check(new_file("extra/a.py", "x = 1  # one\n")).ast_digest


def test_the_digest_does_not_depend_on_how_the_files_were_read(
    repo: GitRepo, track: Track, baseline: str
) -> None:
    """A patched tree has the digest of the same tree reached from another baseline."""
    there = validate(repo, track, baseline, edit("RATE = 1", "RATE = 2").encode())
    elsewhere = repo.store_files({**FILES, "end.py": b"a = 1", "train.py": b"# nothing yet\n"})
    assert there.tree
    again = validate(repo, track, elsewhere, repo.diff(elsewhere, there.tree))
    assert again.tree == there.tree
    assert again.ast_digest == there.ast_digest


# Bounds.


def test_many_findings_of_a_code_are_cut_with_a_count(check) -> None:
    names = "".join(f"print(undefined_{number})\n" for number in range(100))
    validation = check(edit("import os\n", f"import os\n{names}"))
    found = [one for one in validation.findings if one.code == "PR303"]
    assert len(found) == MOST_OF_ONE_CODE + 1
    assert "75 more" in found[-1].message


def test_findings_come_worst_first_and_once(check) -> None:
    diff = edit(
        "import os\n", "import os\nimport sys\nimport subprocess\nprint(undefined)\nsubprocess.run('x')\n"
    )
    severities = [one.severity for one in check(diff).findings]
    assert severities == sorted(severities, key=("error", "review", "warning", "info").index)


@pytest.mark.parametrize(
    "text",
    ["x = " + "(" * 5000, "x = " + "-" * 3000 + "1", "x = 1" + " + 1" * 3000, "x = " + "[" * 150 + "]" * 150],
)
def test_deep_nesting_is_answered_not_crashed_on(check, text: str) -> None:
    validation = check(edit("RATE = 1", f"RATE = 1\n{text}"))
    assert validation.accepted is (text.count("[") == 150)


def test_the_users_git_settings_change_nothing(
    repo: GitRepo, track: Track, baseline: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text(
        "[apply]\n\twhitespace = fix\n\tignoreWhitespace = change\n[core]\n\tautocrlf = true\n"
    )
    (tmp_path / ".gitattributes").write_text("*.py text eol=crlf\n")
    diff = edit("RATE = 1", "RATE = 2   ").encode()
    expected = validate(repo, track, baseline, diff).tree
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.chdir(tmp_path)
    assert validate(repo, track, baseline, diff).tree == expected
    assert b"RATE = 2   \n" in repo.read(f"{expected}:train.py")


def test_the_human_patches_of_a_ladder_are_accepted(plain: Arena) -> None:
    for number, diff in ((1, change("RATE = 1", "RATE = 2", 1)),):
        validation = validate(plain.repo, plain.track, plain.baseline(number), diff)
        assert validation.accepted
        assert validation.tree == plain.repo.tree_of(plain.human(number))
