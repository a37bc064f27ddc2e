"""Looking at and editing the files of a workspace, for an agent without a shell; nothing reaches outside the folder."""

from __future__ import annotations

from itertools import islice
from pathlib import Path, PurePosixPath

from patchrun.adapters import leavings, process
from patchrun.adapters.gitrepo import clean_environment
from patchrun.core.errors import PatchrunError

SHOWN_LINES = 600
SHOWN_CHARACTERS = 24_000
SHOWN_FILES = 200
LISTED = 10_000
LONGEST_LINE = 2_000
FILE_BYTES = 2 << 20
SEARCH_SECONDS = 10.0
LONGEST_PATTERN = 300
HIDDEN = {".git", ".patchrun"}
ONLY_READ = {"TASK.md", "ATTEMPTS.md", "hints"}


class ToolError(Exception):
    """Why a tool did not do what it was asked: words for the agent."""


def resolve(folder: Path, name: str, *, write: bool = False) -> Path:
    """The file or folder that ``name`` means inside ``folder``.

    Raises:
        ToolError: it would lead outside, through a link, into git's own files, or to what is only for reading.
    """
    pure = PurePosixPath(name)
    if not name.strip() or "\0" in name or len(name) > 400:
        raise ToolError("a path is needed, relative to the workspace, such as train.py")
    if pure.is_absolute() or ".." in pure.parts:
        raise ToolError(f"{name}: only paths inside the workspace, relative to it")
    if any(part.lower() in HIDDEN for part in pure.parts):
        raise ToolError(f"{name}: not part of the workspace")
    if write and (not pure.parts or pure.parts[0] in ONLY_READ):
        raise ToolError(f"{name}: is not part of the patch and stays as it is")
    path = folder
    for part in pure.parts:
        path = path / part
        if path.is_symlink():
            raise ToolError(f"{name}: leads through a symbolic link")
    return path


def view(folder: Path, name: str, first: int = 1, last: int | None = None) -> str:
    """The lines ``first`` to ``last`` of a file, numbered, or the files of a folder."""
    path = resolve(folder, name)
    if path.is_dir():
        return list_files(path, folder)
    lines = read_text(path, name).split("\n")
    end = min(last or len(lines), len(lines))
    if not 1 <= first <= end:
        raise ToolError(f"{name} has {len(lines)} lines: no lines {first} to {last or 'the end'}")
    shown: list[str] = []
    room = SHOWN_CHARACTERS
    for number in range(first, min(end, first + SHOWN_LINES - 1) + 1):
        line = f"{number:>5}  {shorten(lines[number - 1], LONGEST_LINE)}"
        if (room := room - len(line) - 1) < 0:
            break
        shown.append(line)
    reached = first + len(shown) - 1
    note = f"\n[{end - reached} more lines: view {name} from line {reached + 1}]" if reached < end else ""
    return "\n".join(shown) + note


def list_files(path: Path, folder: Path) -> str:
    """The files below ``path`` with their sizes, links as links."""
    shown = leavings.walk(path, wanted=lambda entry: not {*entry.parts} & (HIDDEN | {"__pycache__"}))
    listed = sorted(
        islice((entry for entry in shown if not entry.is_folder), LISTED), key=lambda entry: entry.path
    )
    found = []
    for entry in listed:
        size = f"{entry.facts.st_size} bytes" if entry.is_file else entry.kind
        found.append(f"{(path.relative_to(folder) / entry.path).as_posix()} ({size})")
    more = f"\n[{len(found) - SHOWN_FILES} more]" if len(found) > SHOWN_FILES else ""
    return "\n".join(found[:SHOWN_FILES]) + more or "no files"


def search(folder: Path, pattern: str, name: str = ".") -> str:
    """The lines that match a POSIX extended regular expression (git's grep: its time grows with the text only)."""
    path = resolve(folder, name)
    if not path.exists():
        raise ToolError(f"{name}: there is no such file or folder")
    if not pattern or len(pattern) > LONGEST_PATTERN or "\n" in pattern or "\0" in pattern:
        raise ToolError(f"a pattern of one line with at most {LONGEST_PATTERN} characters is needed")
    words = (
        "git",
        "-c",
        "core.attributesFile=/dev/null",
        "grep",
        "--no-index",
        "-I",
        "-n",
        "-E",
        "-e",
        pattern,
        "--",
    )
    try:
        done = process.run(
            [*words, f"./{path.relative_to(folder)}", *(f":(exclude){one}" for one in sorted(HIDDEN))],
            cwd=folder, env=clean_environment(), timeout=SEARCH_SECONDS,
        )  # fmt: skip
    except PatchrunError as error:
        raise ToolError(str(error)) from None
    if done.returncode > 1:
        raise ToolError(done.errors.splitlines()[0] if done.errors else "the search failed")
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return cut("\n".join(shorten(line, LONGEST_LINE) for line in lines)) or "no line matches"


def edit(folder: Path, name: str, old: str, new: str) -> str:
    """Replace the one occurrence of ``old`` by ``new``."""
    path = resolve(folder, name, write=True)
    text = read_text(path, name)
    if not old:
        raise ToolError("the old text is empty: give the exact text to replace")
    if (count := text.count(old)) != 1:
        hint = (
            "give more of its surroundings"
            if count
            else "copy it exactly, spaces and all, without line numbers"
        )
        raise ToolError(f"the old text occurs {count} times in {name}: {hint}")
    if old == new:
        raise ToolError("old and new text are the same")
    line = text[: text.index(old)].count("\n") + 1
    _write(path, name, text.replace(old, new))
    return f"{name}: replaced at line {line}"


def create(folder: Path, name: str, text: str) -> str:
    """Write a new file."""
    path = resolve(folder, name, write=True)
    if path.exists():
        raise ToolError(f"{name} exists: edit it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ToolError(f"{name}: {error.strerror}") from None
    _write(path, name, text)
    return f"{name}: written, {len(text.splitlines())} lines"


def read_text(path: Path, name: str) -> str:
    """The text of a regular file of at most 2 MiB, its line ends as they are."""
    try:
        return leavings.read(path.parent, path.name, FILE_BYTES).decode("utf-8")
    except leavings.Missing:
        raise ToolError(f"{name}: No such file or directory") from None
    except leavings.Refused as refused:
        raise ToolError(f"{name}: {refused}") from None
    except UnicodeDecodeError:
        raise ToolError(f"{name}: is not UTF-8 text") from None


def _write(path: Path, name: str, text: str) -> None:
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        raise ToolError("the new text cannot be written as UTF-8") from None
    if len(data) > FILE_BYTES:
        raise ToolError(f"{name}: would be larger than {FILE_BYTES >> 20} MiB")
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ToolError(f"{name}: {error.strerror}") from None


def cut(text: str, most: int = SHOWN_CHARACTERS) -> str:
    """At most ``most`` characters of a tool's answer: beginning and end, and how much is left out between."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"


def shorten(line: str, most: int) -> str:
    return line if len(line) <= most else f"{line[:most]} [{len(line) - most} characters more]"
