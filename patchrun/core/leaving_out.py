"""What a patch brings along that a run would never see: documents, logs, pictures and files beside the code.

Their sections are taken out of the diff before it is measured and applied. Taking one out can only make the patched
tree smaller, so it gives nobody anything; a file that the code names is left where it is, for the rules to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from patchrun.core.patch import MAIL
from patchrun.core.rules import is_sound_name, matches
from patchrun.core.sections import Section, read_sections

if TYPE_CHECKING:
    from patchrun.core.track import Edit

MOST_BYTES = 64 << 20  # of a diff, with all that is left out of it
DOCUMENTS = (".md", ".rst", ".txt", ".pdf", ".ipynb", ".csv", ".tsv", ".html")
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp")
HARMLESS = (".gitignore",)  # it steers git in a work tree, and there is none
LOGS = (".log", ".out", ".err", ".gz", ".zst", ".jsonl")


@dataclass(frozen=True)
class LeftOut:
    """A file whose section was taken out; ``text`` is what the patch adds there, for whoever wants its logs."""

    path: str
    kind: str
    text: str


def leave_out(data: bytes, files: Mapping[str, bytes], edit: Edit) -> tuple[bytes, tuple[LeftOut, ...]]:
    """``data`` without the sections of what a run would never see, and those files.

    ``files``: the baseline's content by path. What changes or adds a file that the track lets a patch change or add
    stays, and so does whatever carries a name that could steer git or Python.
    """
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    sections = list(read_sections(lines, 0))
    beside = [one for one in sections if _is_beside(one, files, edit)]
    if not beside:
        return data, ()
    words = _words_of_code(files, edit, (one for one in sections if one not in beside))
    left = {one.line: one for one in beside if not _is_named(one.names.target, words)}
    if not left:
        return data, ()
    kept = _without(lines, sections, left)
    told = tuple(
        LeftOut(one.names.target, _kind_of(one.names.target), _added_text(one)) for one in left.values()
    )
    text = "\n".join(kept)
    return (text if text.endswith("\n") else text + "\n").encode("utf-8", "surrogateescape"), told


def _is_beside(section: Section, files: Collection[str], edit: Edit) -> bool:
    names = section.names
    sound = is_sound_name(names.target) or names.target.endswith(HARMLESS)
    if not names.agree or not sound or any(_is_link(line) for line in section.header):
        return False
    if names.spelled & set(files):
        return (
            len(names.spelled) == 1
            and not matches(names.target, edit.paths)
            and bool(_document(names.target))
        )
    return not matches(names.target, (*edit.new_paths, *edit.paths))


def _is_link(line: str) -> bool:
    return line.startswith(("new file mode ", "new mode ")) and not line.rstrip("\r").endswith(
        ("100644", "100755")
    )


def _document(path: str) -> str:
    kinds = ((DOCUMENTS, "a document"), (PICTURES, "a picture"), (LOGS, "a log"))
    return next((kind for suffixes, kind in kinds if path.lower().endswith(suffixes)), "")


def _kind_of(path: str) -> str:
    return _document(path) or "a file that the track does not take"


def _words_of_code(files: Mapping[str, bytes], edit: Edit, kept: Iterable[Section]) -> str:
    """All text in which the patched code could name a file: more than it will hold, never less."""
    code = [data.decode("utf-8", "replace") for path, data in files.items() if matches(path, edit.paths)]
    added = [line for one in kept for line in one.hunks if line.startswith("+")]
    return "\n".join([*code, *added])


def _is_named(path: str, words: str) -> bool:
    """Whether the code spells the file's name, or imports what lies under the top of its path."""
    module = re.escape(path.split("/")[0].split(".")[0])
    imports = rf"^\+?\s*(?:from|import)\b[^\n]*\b{module}\b"
    return (
        path.rpartition("/")[2] in words
        or bool(module)
        and re.search(imports, words, re.MULTILINE) is not None
    )


def _without(lines: Sequence[str], sections: Sequence[Section], left: Collection[int]) -> Iterator[str]:
    """The lines but for those from a left section's first to the next section's, the start of a mail always kept."""
    starts = [one.line for one in sections]
    ends = dict(zip(starts, [*starts[1:], len(lines)], strict=True))
    gone: set[int] = set()
    for start in left:
        mails = (
            at for at in range(start, ends[start]) if MAIL.match(lines[at].encode("utf-8", "surrogateescape"))
        )
        gone.update(range(start, next(mails, ends[start])))
    return (line for at, line in enumerate(lines) if at not in gone)


def _added_text(section: Section) -> str:
    return "".join(f"{line[1:]}\n" for line in section.hunks if line.startswith("+"))
