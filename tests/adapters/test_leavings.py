"""The one reader of what runs leave: hostile folders are read, refused, copied and removed, and nothing hangs."""

from __future__ import annotations

import ast
import os
import resource
import socket
import threading
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from patchrun.adapters import leavings
from patchrun.adapters.leavings import Limits, Missing, Refused

PACKAGE = Path(__file__).parents[2] / "patchrun"
WIDE = Limits(1 << 30, 100_000)
DEEP = 1500


def make_deep(
    folder: Path, depth: int = DEEP, name: str = "d", end: Callable[[], object] = lambda: None
) -> None:
    """Folders inside each other below ``folder``, with no path longer than one name."""
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(folder)
        for _ in range(depth):
            os.mkdir(name)  # noqa: PTH102 - a Path would be too long
            os.chdir(name)
        end()
    finally:
        os.fchdir(before)
        os.close(before)


def make_link_to_a_file(folder: Path) -> None:
    folder.with_name("secret").write_text("the owner's")
    (folder / "a.txt").symlink_to(folder.with_name("secret"))


def make_link_on_the_way(folder: Path) -> None:
    folder.with_name("elsewhere").mkdir()
    (folder.with_name("elsewhere") / "b").write_text("the owner's")
    (folder / "a.txt").symlink_to(folder.with_name("elsewhere"))


def make_socket(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "a.txt"))


def make_sparse(folder: Path) -> None:
    with (folder / "a.txt").open("wb") as file:
        file.truncate(1 << 40)


REFUSED = {
    "a link to a file": (make_link_to_a_file, "a.txt", "a link"),
    "a link to a device": (lambda f: (f / "a.txt").symlink_to("/dev/zero"), "a.txt", "a link"),
    "a link to what a process has open": (
        lambda f: (f / "a.txt").symlink_to("/proc/self/environ"),
        "a.txt",
        "a link",
    ),
    "a link to itself": (lambda f: (f / "a.txt").symlink_to("a.txt"), "a.txt", "a link"),
    "a folder": (lambda f: (f / "a.txt").mkdir(), "a.txt", "a folder"),
    "a pipe": (lambda f: os.mkfifo(f / "a.txt"), "a.txt", "a pipe"),
    "a socket": (make_socket, "a.txt", "a socket"),
    "a sparse file": (make_sparse, "a.txt", "1048576.00 MiB, 1 are allowed"),
    "a path out": (lambda f: None, "../secret", "leads out"),
    "an absolute path": (lambda f: None, "/etc/passwd", "leads out"),
    "a name that is too long": (lambda f: None, "n" * 300, "cannot be read"),
}


@pytest.mark.parametrize("make, name, words", REFUSED.values(), ids=REFUSED)
def test_what_is_no_plain_file_is_refused_unopened(
    tmp_path: Path, make: Callable, name: str, words: str
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    make(folder)
    with pytest.raises(Refused, match=words):
        leavings.read(folder, name, 1 << 20)


def test_a_link_on_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    make_link_on_the_way(tmp_path / "out")
    with pytest.raises((Missing, Refused)):
        leavings.read(tmp_path / "out", "a.txt/b", 100)
    assert [entry.kind for entry in leavings.walk(tmp_path / "out")] == ["a link"]


def test_the_folder_itself_may_have_been_swapped(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_text("x")
    (tmp_path / "out").symlink_to(tmp_path / "real")
    with pytest.raises((Missing, Refused)):
        leavings.read(tmp_path / "out", "a", 100)
    assert list(leavings.walk(tmp_path / "out")) == []
    leavings.remove(tmp_path / "out")
    assert (tmp_path / "real" / "a").read_text() == "x", "the link went, not what it leads to"
    assert not (tmp_path / "out").is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device nodes")
def test_a_device_is_not_opened(tmp_path: Path) -> None:
    os.mknod(tmp_path / "zero", 0o20666, os.makedev(1, 5))
    with pytest.raises(Refused, match="a device"):
        leavings.read(tmp_path, "zero", 100)


def test_plain_files_are_read_whole_or_from_their_beginning(tmp_path: Path) -> None:
    (tmp_path / "logs" / "id").mkdir(parents=True)
    (tmp_path / "logs" / "id" / "a.txt").write_bytes(b"x" * 100)
    assert leavings.read(tmp_path, PurePosixPath("logs/id/a.txt"), 100) == b"x" * 100
    assert leavings.read(tmp_path, "logs/id/a.txt", 7, cut=True) == b"x" * 7
    with pytest.raises(Missing):
        leavings.read(tmp_path, "logs/id/b.txt", 100)
    with pytest.raises(Missing):
        leavings.read(tmp_path / "not there", "a", 100)
    with pytest.raises(Missing):
        leavings.read(tmp_path, "logs/id/a.txt/b", 100)
    assert leavings.read(tmp_path, os.fsdecode(make_bad_name(tmp_path)), 10) == b"odd"


def make_bad_name(folder: Path) -> bytes:
    path = os.fsencode(folder) + b"/\xff\xfe\n\x1b[2J"
    with open(path, "wb") as file:  # noqa: PTH123 - no Path takes these bytes
        file.write(b"odd")
    return path.rpartition(b"/")[2]


def test_a_file_that_grows_while_it_is_read_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    ended = threading.Event()

    def grow() -> None:
        with path.open("ab", buffering=0) as file:
            while not ended.is_set():
                file.write(bytes(1 << 16))

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        for _ in range(20):
            assert len(leavings.read(tmp_path, "a", 1 << 20, cut=True)) <= 1 << 20
    finally:
        ended.set()
        thread.join()


def test_a_swap_for_a_link_never_shows_what_it_leads_to(tmp_path: Path) -> None:
    """A run that lives on swaps a file for a link as fast as it can; the reader never looks through it."""
    (tmp_path / "out").mkdir()
    (tmp_path / "secret").write_text("the owner's")
    path, ended = tmp_path / "out" / "a", threading.Event()

    def swap() -> None:
        while not ended.is_set():
            for make in (lambda to: to.write_text("mine"), lambda to: to.symlink_to(tmp_path / "secret")):
                other = path.with_name("b")
                make(other)
                other.replace(path)

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    try:
        for _ in range(2000):
            try:
                seen.add(leavings.read(tmp_path / "out", "a", 100))
            except (Missing, Refused):
                seen.add(None)
    finally:
        ended.set()
        thread.join()
    assert seen <= {b"mine", b"", None}


EXCESS = {
    "depth": (lambda f: make_deep(f), "too many folders: more than 64 inside each other"),
    "bytes": (lambda f: (f / "a").write_bytes(bytes(3 << 20)), "more than 2 MiB"),
    "files": (lambda f: [(f / f"{n}").touch() for n in range(30)], "more than 20 files"),
    "folders": (lambda f: [(f / f"{n}").mkdir() for n in range(30)], "more than 20 files"),
    "links": (lambda f: [(f / f"{n}").symlink_to("/") for n in range(30)], "more than 20 files"),
}


@pytest.mark.parametrize("make, words", EXCESS.values(), ids=EXCESS)
def test_too_much_is_said_in_words(tmp_path: Path, make: Callable, words: str) -> None:
    make(tmp_path)
    assert (
        leavings.find_excess(tmp_path, Limits(2 << 20, 20 if words.endswith("20 files") else 10_000)) == words
    )
    leavings.remove(tmp_path)
    assert not tmp_path.exists()


def test_what_honest_runs_leave_is_not_too_much(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a").write_bytes(bytes(1000))
    make_deep(tmp_path, 60)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    (tmp_path / "to nowhere").symlink_to("not there")
    make_bad_name(tmp_path)
    assert leavings.find_excess(tmp_path, Limits(1 << 20, 100)) == ""
    assert leavings.find_excess(tmp_path / "not there", Limits(1 << 20, 100)) == ""


def make_closed(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / name / "inner").mkdir(parents=True)
        (folder / name / "inner" / "file").write_text("x")
        (folder / name / "inner").chmod(0)
        (folder / name).chmod(0o400 if name == "a" else 0)


def make_everything(folder: Path) -> None:
    make_closed(folder)
    make_deep(folder, 300, "n" * 255, lambda: Path("file").write_text("x"))
    make_bad_name(folder)
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to(folder.parent)
    (folder / "loop").symlink_to("loop")
    for number in range(2000):
        (folder / f"{number}").touch()
    folder.chmod(0o500)


REMOVED = {
    "1,500 folders": make_deep,
    "5,000 folders": lambda folder: make_deep(folder, 5000),
    "folders that nobody may enter": make_closed,
    "two trees that meet on their way up": lambda f: [make_deep(f, 70, "d"), make_deep(f / "d", 70, "e")],
    "everything": make_everything,
    "nothing": lambda folder: None,
    "a plain file": lambda folder: (folder.rmdir(), folder.write_text("x")),
    "not there": lambda folder: folder.rmdir(),
}


@pytest.mark.parametrize("make", REMOVED.values(), ids=REMOVED)
def test_whatever_was_left_can_be_removed(tmp_path: Path, make: Callable) -> None:
    (tmp_path / "beside").write_text("stays")
    folder = tmp_path / "out"
    folder.mkdir()
    make(folder)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 8, limit[1]))
    try:
        leavings.remove(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["beside"]


def test_a_scratch_folder_goes_whatever_lies_in_it(tmp_path: Path) -> None:
    with pytest.raises(KeyError), leavings.scratch("x-", tmp_path) as folder:
        make_deep(folder)
        raise KeyError
    assert list(tmp_path.iterdir()) == []


class TestCopy:
    def test_files_and_folders_come_along_and_the_rest_stays(self, tmp_path: Path) -> None:
        source, target = tmp_path / "source", tmp_path / "target"
        (source / "a" / "b").mkdir(parents=True)
        (source / "a" / "b" / "run").write_bytes(b"1")
        (source / "a" / "b" / "run").chmod(0o4755)
        (source / "skip").mkdir()
        (source / "skip" / "x").touch()
        make_link_to_a_file(source)
        os.mkfifo(source / "pipe")
        leavings.copy(source, target, WIDE, lambda path: "skip" not in path.parts)
        assert sorted(str(entry.path) for entry in leavings.walk(target)) == ["a", "a/b", "a/b/run"]
        assert (target / "a" / "b" / "run").stat().st_mode & 0o7777 == 0o755
        assert (target / "a" / "b" / "run").stat().st_ino != (source / "a" / "b" / "run").stat().st_ino

    @pytest.mark.parametrize(
        "make", [make_sparse, make_deep, lambda f: [(f / f"{n}").touch() for n in range(99)]]
    )
    def test_too_much_is_refused(self, tmp_path: Path, make: Callable) -> None:
        source = tmp_path / "source"
        source.mkdir()
        make(source)
        with pytest.raises(Refused):
            leavings.copy(source, tmp_path / "target", Limits(1 << 20, 50))
        leavings.remove(tmp_path)


# Where a name may stand for what a run wrote; what is made and removed by patchrun alone is not in reach of runs.
RUNS_WRITE = {
    "adapters": ("logtail", "modelfile", "bwrap", "confined", "child"),
    "services": ("training", "runner", "logslot", "steptrial", "study", "blocktask", "checkout", "doctor"),
    "services/agents": ("tools", "workspace", "command", "filetools"),
}
OTHER_WAYS = {
    "rmtree", "TemporaryDirectory", "mkdtemp", "walk", "rglob", "glob", "iterdir", "scandir", "listdir", "read_bytes",
    "read_text", "readlink", "copyfile",
}  # fmt: skip
OWN = {  # function: why what it reads is no run's
    "trouble": "an empty folder of its own",
    "gpu_nodes": "/dev",
    "_require_readable": "names in folders of the machine", "_system": "links of the machine",
    "checkout": "a fresh folder", "diff_of_folder": "a repository of its own",
    "open_workspace": "TASK.md, before an agent starts",
    "_open_arena": "a clone of its own", "_look_at_packing": "refs", "leftovers": "names in the arena's own folder",
}  # fmt: skip


def other_ways(path: Path) -> list[str]:
    """``function: call`` for each call in a module that reads or removes files by another way than the one reader."""
    found = []
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef) and function.name not in OWN:
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
                    if node.func.attr in OTHER_WAYS and owner not in ("leavings", "ast"):
                        found.append(f"{function.name}: {node.func.attr}")
    return found


@pytest.mark.parametrize("module", [f"{room}/{name}" for room, names in RUNS_WRITE.items() for name in names])
def test_there_is_no_other_way_in(module: str) -> None:
    assert other_ways(PACKAGE / f"{module}.py") == []
