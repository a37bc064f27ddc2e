"""Which files a patch may change, decided on the patched tree alone: findings PR111 and PR2xx."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from patchrun.core.codes import make_finding
from patchrun.core.findings import Finding

if TYPE_CHECKING:
    from patchrun.core.track import Edit

PLAIN, EXECUTABLE, SYMLINK, SUBMODULE, ABSENT = "100644", "100755", "120000", "160000", "000000"
STARTED_BY_PYTHON = frozenset(
    {"sitecustomize.py", "usercustomize.py", "conftest.py", "pyvenv.cfg", "__pycache__"}
)
COMPILED = (
    ".pth", "._pth", ".pyc", ".pyo", ".so", ".pyd", ".dll", ".dylib", ".a", ".o", ".egg", ".egg-link", ".egg-info",
    ".dist-info", ".pt", ".bin", ".safetensors", ".npy", ".npz", ".pkl",
)  # fmt: skip
IGNORED_BY_HFS = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
LONGEST_PATH = 200


@dataclass(frozen=True)
class FileChange:
    """One file that differs: modes are git's octal texts, contents None where the file is absent."""

    path: str
    old_mode: str
    new_mode: str
    before: bytes | None
    after: bytes | None

    @property
    def added(self) -> bool:
        return self.old_mode == ABSENT

    @property
    def removed(self) -> bool:
        return self.new_mode == ABSENT

    @property
    def text(self) -> bytes | None:
        """The content after the change, None unless it is a plain file."""
        return self.after if self.new_mode in (PLAIN, EXECUTABLE) else None

    @property
    def top(self) -> str:
        return self.path.split("/")[0]

    @property
    def module(self) -> str:
        """The name under which the top folder or file could be imported."""
        return self.top.split(".")[0]


def check_changes(
    changes: Sequence[FileChange],
    kept: Iterable[str],
    edit: Edit,
    script: str,
    is_importable: Callable[[str], bool],
) -> list[Finding]:
    """Every PR2xx of the changed files, PR111 when there are none.

    ``kept`` are all paths of the baseline; ``is_importable`` tells whether a script could import a module of
    that name from elsewhere (the standard library is known here).
    """
    if not changes:
        return [make_finding("PR111", "the patch leaves every file as it is")]
    kept = set(kept)
    findings: list[Finding] = []
    for change in changes:
        findings += [
            *_check_allowed(change, edit, script),
            *_check_kind(change),
            *_check_name(change),
            *_check_shadow(change, kept, is_importable),
        ]
    return findings + _check_collisions(changes, kept)


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Whether a path fits one glob: ``*`` stays inside a folder, ``**`` is any number of folders."""
    return any(_fits(path.split("/"), pattern.split("/")) for pattern in patterns)


def _fits(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_fits(parts[skip:], patterns[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and _fits(parts[1:], patterns[1:])


def is_sound_name(path: str) -> bool:
    """Whether a new file's path can steer neither git nor Python, whatever the file holds."""
    change = FileChange(path, ABSENT, PLAIN, None, b"")
    return not any(_check_name(change)) and change.module not in sys.stdlib_module_names


def _check_allowed(change: FileChange, edit: Edit, script: str) -> Iterator[Finding]:
    if change.added:
        if not matches(change.path, edit.new_paths):
            yield make_finding("PR202", f"{change.path} is new", change.path)
        return
    if change.path == script and change.removed:
        yield make_finding("PR211", f"{script} is the script that is launched, and it goes", script)
    if not matches(change.path, edit.paths):
        verb = "goes" if change.removed else "changes"
        yield make_finding("PR201", f"{change.path} {verb}; editable: {', '.join(edit.paths)}", change.path)


def _check_kind(change: FileChange) -> Iterator[Finding]:
    path, mode = change.path, change.new_mode
    if mode == SYMLINK:
        yield make_finding("PR204", f"{path} becomes a symbolic link", path)
    elif mode == SUBMODULE:
        yield make_finding("PR205", f"{path} becomes a submodule", path)
    if change.after and b"\0" in change.after and b"\0" not in (change.before or b""):
        yield make_finding("PR203", f"{path} becomes binary", path)


def _check_name(change: FileChange) -> Iterator[Finding]:
    path = change.path
    parts = path.split("/")
    if any(_steers_git(part) for part in parts):
        yield make_finding("PR207", f"{path} steers git, or may be taken for .git", path)
    if any(part.casefold() in STARTED_BY_PYTHON or part.casefold().endswith(COMPILED) for part in parts):
        yield make_finding(
            "PR210", f"{path} is loaded without being imported by name, or is not source", path
        )
    if change.added and (len(path) > LONGEST_PATH or any(_is_odd(part) for part in parts)):
        yield make_finding("PR212", f"{path} is not a plain name", path)


def _steers_git(part: str) -> bool:
    """Whether git, or git on another file system, takes the name for one of its own files."""
    name = IGNORED_BY_HFS.sub("", part).casefold().split(":")[0].rstrip(". ")
    return name.startswith(".git") or re.match(r"g[a-z0-9]*~[0-9]", name) is not None


def _is_odd(part: str) -> bool:
    return (
        part in ("", ".", "..")
        or not part.isprintable()
        or "\\" in part
        or part.startswith(("-", " ", "~"))
        or part.endswith((" ", "."))
        or part != unicodedata.normalize("NFC", part)
    )


def _check_shadow(
    change: FileChange, kept: Collection[str], is_importable: Callable[[str], bool]
) -> Iterator[Finding]:
    """A new top-level name from which Python would import instead of from where it did."""
    if not change.added or any(path.split("/")[0] == change.top for path in kept):
        return
    is_module = "/" in change.path or change.top.endswith((".py", ".pyc", ".so", ".pyd"))
    if is_module and (change.module in sys.stdlib_module_names or is_importable(change.module)):
        yield make_finding(
            "PR209", f"{change.path} takes the place of the module {change.module}", change.path
        )


def _check_collisions(changes: Iterable[FileChange], kept: Collection[str]) -> list[Finding]:
    removed = {change.path for change in changes if change.removed}
    added = {change.path for change in changes if change.added}
    if not added:
        return []
    spelled: dict[str, str] = {}
    findings = []
    for path in [*sorted(set(kept) - removed), *sorted(added)]:
        parts = path.split("/")
        for name in ("/".join(parts[:length]) for length in range(len(parts), 0, -1)):
            first = spelled.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
            if first != name and path in added:
                findings.append(make_finding("PR208", f"{path} collides with {first}", path))
                break
    return findings
