"""What a patch may do to the files of a tree."""

from __future__ import annotations

import pytest

from patchrun.core.findings import Finding
from patchrun.core.rules import FileChange, check_changes, matches
from patchrun.core.track import Edit

EDIT = Edit(paths=("train.py", "lib/*.py"), new_paths=("extra/*.py", "**/*.py", "*.txt", "*.so", "lib/**"))
KEPT = ("train.py", "data.py", "lib/a.py", "README.md")
MODES = {"file": "100644", "script": "100755", "link": "120000", "module": "160000", "none": "000000"}


def change(
    path: str = "train.py",
    old: str = "file",
    new: str = "file",
    before: bytes = b"a\n",
    after: bytes = b"b\n",
) -> FileChange:
    return FileChange(
        path, MODES[old], MODES[new], None if old == "none" else before, None if new == "none" else after
    )


def added(path: str, after: bytes = b"b\n", mode: str = "file") -> FileChange:
    return change(path, "none", mode, after=after)


def check(*changes: FileChange, kept: tuple[str, ...] = KEPT, edit: Edit = EDIT) -> list[Finding]:
    return check_changes(changes, kept, edit, "train.py", lambda name: name in ("torch", "triton"))


def codes(*changes: FileChange, **rest: object) -> list[str]:
    return [finding.code for finding in check(*changes, **rest)]


def test_no_change_at_all_is_rejected() -> None:
    assert codes() == ["PR111"]


def test_an_editable_file_may_change() -> None:
    assert codes(change(), change("lib/a.py")) == []


def test_another_file_may_neither_change_nor_go() -> None:
    changed, gone = check(change("data.py"), change("README.md", new="none"))
    assert (changed.code, changed.path) == ("PR201", "data.py")
    assert "train.py, lib/*.py" in changed.message
    assert (gone.code, gone.message.startswith("README.md goes")) == ("PR201", True)


def test_the_launched_script_may_not_go_even_where_it_is_editable() -> None:
    assert codes(change(new="none")) == ["PR211"]
    assert codes(change(new="none"), added("main.py")) == ["PR211"], "nor be renamed"


def test_another_editable_file_may_go() -> None:
    assert codes(change("lib/a.py", new="none")) == []


def test_a_new_file_needs_a_pattern_of_its_own() -> None:
    assert codes(added("extra/more.py")) == []
    assert codes(added("notes.md")) == ["PR202"]
    only = Edit(paths=("*",), new_paths=())
    assert codes(added("helper.py"), edit=only) == ["PR202"], "edit.paths does not allow new files"


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("train.py", "train.py", True),
        ("a/train.py", "train.py", False),
        ("a/b.py", "*.py", False),
        ("a/b.py", "a/*.py", True),
        ("a/b/c.py", "a/*.py", False),
        ("a/b/c.py", "a/**/*.py", True),
        ("a/c.py", "a/**/*.py", True),
        ("a/b/c.py", "**", True),
        ("a.py", "[ab].py", True),
        ("A.py", "a.py", False),
        ("a.pyc", "a.py", False),
        ("", "a.py", False),
    ],
)
def test_patterns(path: str, pattern: str, fits: bool) -> None:
    assert matches(path, [pattern]) is fits
    assert not matches(path, [])


@pytest.mark.parametrize(
    ("one", "code"),
    [
        (added("extra/x.py", mode="link"), "PR204"),
        (change(new="link"), "PR204"),
        (added("lib/sub", mode="module"), "PR205"),
        (added("x.txt", after=b"a\0b"), "PR203"),
        (change(after=b"a\0b"), "PR203"),
    ],
)
def test_only_plain_text_files_come_in(one: FileChange, code: str) -> None:
    assert codes(one) == [code]


def test_a_file_that_was_executable_or_binary_may_stay_so() -> None:
    assert codes(change(old="script", new="script")) == []
    assert codes(change(before=b"\0", after=b"\0\0")) == []


@pytest.mark.parametrize(
    "name",
    [".gitattributes", ".gitmodules", ".gitignore", ".GIT", ".Git/config", "lib/.gitattributes", "git~1", "GIT~2/x",
     ".git ", ".git.", ".g\u200cit", ".git::$INDEX_ALLOCATION/x", ".gitconfig", "gitmod~1"],
)  # fmt: skip
def test_files_that_steer_git_are_rejected_in_every_spelling(name: str) -> None:
    assert "PR207" in codes(added(name))


def test_changing_a_git_file_of_the_baseline_is_rejected_too() -> None:
    everything = Edit(paths=("**",), new_paths=())
    assert codes(change(".gitattributes"), edit=everything) == ["PR207"]


@pytest.mark.parametrize(
    "name",
    ["sitecustomize.py", "usercustomize.py", "conftest.py", "evil.pth", "lib/__pycache__/a.cpython-311.pyc", "a.pyc",
     "fast.so", "fast.pyd", "x.egg-info/entry_points.txt", "y.dist-info/METADATA", "SiteCustomize.py", "weights.pt"],
)  # fmt: skip
def test_files_that_run_by_themselves_or_are_no_source_are_rejected(name: str) -> None:
    assert "PR210" in codes(added(name))


@pytest.mark.parametrize(
    "name",
    ["torch.py", "torch/__init__.py", "triton/x.py", "random.py", "json/__init__.py", "os.py", "torch/data.txt",
     "math.so"],
)  # fmt: skip
def test_a_new_name_that_scripts_import_is_rejected(name: str) -> None:
    assert "PR209" in codes(added(name))


@pytest.mark.parametrize("name", ["extra/torch.py", "lib/random.py", "torch.txt", "helpers.py"])
def test_names_that_shadow_nothing_are_fine(name: str) -> None:
    assert "PR209" not in codes(added(name))


def test_a_folder_that_the_baseline_has_is_no_new_shadow() -> None:
    assert codes(added("triton/more.py"), kept=(*KEPT, "triton/a.py")) == []


@pytest.mark.parametrize(
    ("name", "other"),
    [("Train.py", "train.py"), ("LIB/b.py", "lib"), ("lib/A.py", "lib/a.py"), ("re\u0301adme.py", "r\u00e9adme.py"),
     ("STRASSE.py", "straße.py")],
)  # fmt: skip
def test_names_that_collide_on_some_file_system_are_rejected(name: str, other: str) -> None:
    found = [
        one for one in check(added(name), kept=(*KEPT, "r\u00e9adme.py", "straße.py")) if one.code == "PR208"
    ]
    assert len(found) == 1
    assert other in found[0].message


def test_two_new_files_may_collide_with_each_other() -> None:
    assert codes(added("extra/x.py"), added("extra/X.py")) == ["PR208"]


def test_changing_the_case_of_a_name_is_a_removal_and_an_addition() -> None:
    assert codes(change("lib/a.py", new="none"), added("lib/A.py")) == []


@pytest.mark.parametrize("name", ["-rf.py", "a\tb.py", "a\nb.py", "dir\\x.py", "end .py ", "x./y.py", " x.py", "~x.py",
                                  "re\u0301sume.py", "a" * 300 + ".py"])  # fmt: skip
def test_odd_names_are_rejected(name: str) -> None:
    assert "PR212" in codes(added(name))


def test_names_with_spaces_dots_and_accents_are_not_odd() -> None:
    assert codes(added("extra/my file-2.v1_résumé.py")) == []
