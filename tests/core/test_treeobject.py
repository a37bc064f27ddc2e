"""Trees are read only where git would write them again as they are."""

from __future__ import annotations

import pytest

from patchrun.core.treeobject import list_changes, read_entries

ID = {letter: letter * 40 for letter in "abc"}


def row(mode: str, name: str, oid: str = "a") -> bytes:
    return f"{mode} {name}\0".encode() + bytes.fromhex(ID[oid])


def test_entries_in_git_s_order() -> None:
    data = row("100644", "a.py") + row("40000", "a", "b") + row("100755", "a0") + row("120000", "link", "c")
    assert read_entries(data, 40) == {
        b"a.py": (b"100644", ID["a"]), b"a": (b"40000", ID["b"]), b"a0": (b"100755", ID["a"]),
        b"link": (b"120000", ID["c"]),
    }  # fmt: skip
    assert read_entries(b"100644 a\0" + bytes(32), 64) == {b"a": (b"100644", "0" * 64)}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        row("100664", "a.py"),
        row("040000", "sub"),
        row("0100644", "a.py"),
        row("100644", "b") + row("100644", "a"),
        row("100644", "a") + row("100644", "a"),
        row("100644", "a") + row("40000", "a"),
        row("40000", "a") + row("100644", "a.py"),
        row("100644", ""),
        row("100644", "sub/a.py"),
        row("100644", "a.py")[:-1],
        row("100644", "a.py")[:6],
        row("100644", "a.py") + b"x",
    ],
    ids=("empty", "mode", "padded", "padded file", "order", "twice", "file and folder", "folder first", "no name",
         "slash", "short", "cut", "tail"),
)  # fmt: skip
def test_what_git_would_write_otherwise_is_not_read(data: bytes) -> None:
    assert read_entries(data, 40) is None


def test_changes_of_plain_files_and_folders() -> None:
    before = {b"same": (b"120000", ID["a"]), b"x.py": (b"100644", ID["a"]), b"sub": (b"40000", ID["a"]),
              b"gone": (b"40000", ID["b"])}  # fmt: skip
    after = {b"same": (b"120000", ID["a"]), b"x.py": (b"100755", ID["a"]), b"sub": (b"40000", ID["b"]),
             b"new": (b"40000", ID["c"]), b"y-1.py": (b"100644", ID["a"])}  # fmt: skip
    found = list_changes(before, after)
    assert found is not None
    assert sorted(map(str, found)) == sorted(map(str, [(ID["a"], ID["b"]), (ID["b"], None), (None, ID["c"])]))
    assert list_changes(before, before) == [] and list_changes({}, {}) == []


@pytest.mark.parametrize(
    "name", [".git", ".gitattributes", "git~1", "a b", "..", "-x", "a\\b", "caf\u00e9", "a:b"]
)
def test_changes_under_names_that_mean_something_are_not_plain(name: str) -> None:
    entries = {name.encode(): (b"100644", ID["a"])}
    assert list_changes({}, entries) is None and list_changes(entries, {}) is None
    assert list_changes(entries, entries) == []


@pytest.mark.parametrize("mode", [b"120000", b"160000"])
def test_links_and_submodules_are_not_plain(mode: bytes) -> None:
    assert list_changes({b"a": (b"100644", ID["a"])}, {b"a": (mode, ID["a"])}) is None
    assert list_changes({}, {b"a": (mode, ID["a"])}) is None


def test_a_file_that_becomes_a_folder_is_not_plain() -> None:
    assert list_changes({b"a": (b"100644", ID["a"])}, {b"a": (b"40000", ID["b"])}) is None
