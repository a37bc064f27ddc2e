"""The normal form of a diff: what tools and models spoil without changing what is meant is mended, purely, before git.

Only where exactly one outcome is possible; everything else is refused with its reason. What comes out is a diff that
git applies strictly, and policy looks at the tree that results.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from patchrun.core.edits import FileEdit, NoEdits, Refusal, begins_file, read_edits
from patchrun.core.placing import Placed, find_file, order, place_hunk

CONTEXT = 3
COLOUR = re.compile(r"\x1b\[[0-9;]*[mK]")
COLOURED = re.compile(r"\x1b\[[0-9;]*m(?:diff --git |--- |\+\+\+ |@@|\+|-)")
BEHIND_SIGN = re.compile(r"^(?:\x1b\[[0-9;]*[mK])*([ +-]?)(?:\x1b\[[0-9;]*[mK])*")
AT_END = re.compile(r"(?:\x1b\[[0-9;]*[mK])+([ \t]*)(?:\x1b\[[0-9;]*[mK])*$")
SET_IN = re.compile(r"([ \t]+|(?:> ?)+)(?:diff --git |--- |\*\*\* (?:Update|Add|Delete) File: )")
ENTITY = re.compile(r"&(?:lt|gt|amp|quot|#39|#x27);")
FENCE = re.compile(r"\s*(?:```|~~~)")
UNIFIED = "make it with `git diff` or `diff -u OLD NEW`"
OTHER_FORMS = (
    (re.compile(r"^\*{15}$", re.MULTILINE), "a context diff"),
    (re.compile(r"^\d+(?:,\d+)?[acd]\d+(?:,\d+)?$\n^[<>] ", re.MULTILINE), "a diff without context"),
)


@dataclass(frozen=True)
class Normal:
    """A diff that git can read: ``mends`` says what was mended, each once, in words."""

    diff: bytes
    mends: tuple[str, ...]


def normalise(diff: bytes, files: Mapping[str, bytes]) -> Normal:
    """Bring ``diff`` into normal form against ``files``, the baseline's content by path.

    Raises:
        Refusal: it has no meaning, or more than one.
    """
    text = _decode(diff)
    before = {path: _split(data) for path, data in files.items()}
    text, mends = _clean(text)
    try:
        return _rebuild(text, mends, before)
    except Refusal as refusal:
        if ENTITY.search(text) and (plain := _unescape(text)) is not None:
            try:
                return _rebuild(plain, [*mends, "HTML escapes"], before)
            except Refusal:
                raise refusal from None
        raise


def _rebuild(text: str, mends: Sequence[str], before: Mapping[str, Sequence[str]]) -> Normal:
    after = dict(before)
    told, sections, changed = list(mends), [], {}
    for edit in read_edits(text.split("\n")):
        path, renamed = find_file(edit, before.keys())
        told += ["file names"] if renamed else []
        changed.setdefault(path, []).append(edit)
    if not changed:
        raise _name_form(text)
    for path, edits in changed.items():
        section, more = _normalise_file(path, edits, after.get(path))
        sections.append(section)
        told += more
    return Normal("".join(sections).encode("utf-8", "surrogateescape"), tuple(dict.fromkeys(told)))


def _normalise_file(
    path: str, edits: Sequence[FileEdit], lines: Sequence[str] | None
) -> tuple[str, list[str]]:
    """The section of one file in normal form, and what was mended in it."""
    mends = ["several diffs of one file"] if len(edits) > 1 else []
    first = edits[0]
    if any(edit.deletes for edit in edits):
        return _delete(path, edits, lines), mends
    if first.creates or lines is None:
        return _create(path, edits, lines, mends), mends
    changes: list[Placed] = []
    for edit in edits:
        placed, more = _place(edit, lines, path)
        changes += [place.changes for place in order(placed, path)]
        mends += more
    kept = [place for place in order(changes, path) if place.hunk.lines]
    return _write_section(path, lines, kept), mends


def _place(edit: FileEdit, lines: Sequence[str], path: str) -> tuple[list[Placed], list[str]]:
    """The hunks of one section at their places, and what was mended in them."""
    placed, mends = [], []
    for hunk in edit.hunks:
        if hunk.start is not None and not hunk.counted:
            mends.append("the counts of @@ lines")
        place, more = place_hunk(hunk, lines, path)
        placed.append(place)
        mends += more
        if all(line.sign != " " for line in hunk.lines) and len(place.old) < len(lines):
            mends.append("lines without context")
    return placed, mends


def _create(path: str, edits: Sequence[FileEdit], lines: Sequence[str] | None, mends: list[str]) -> str:
    edit = edits[0]
    hunks = edit.hunks
    if len(edits) > 1 or len(hunks) > 1 or any(line.sign != "+" for hunk in hunks for line in hunk.lines):
        raise Refusal(
            f"{path} is not in this baseline, and the diff at line {edit.number} does not give it as a whole",
            "a new file is one hunk of added lines after `--- /dev/null`",
            edit.number,
        )
    new = [line.text for hunk in hunks for line in hunk.lines]
    head = f"diff --git {_name('a', path)} {_name('b', path)}\n"
    if lines is None:
        head += f"new file mode {edit.mode}\n--- /dev/null\n+++ {_name('b', path)}\n"
        return head + (f"@@ -0,0 +1,{len(new)} @@\n{_signed('+', new)}" if new else "")
    mends.append("a whole file given as new: it was compared with the one that is there")
    head += f"--- {_name('a', path)}\n+++ {_name('b', path)}\n"
    return (
        head
        + f"@@ -{min(1, len(lines))},{len(lines)} +1,{len(new)} @@\n{_signed('-', lines)}{_signed('+', new)}"
    )


def _delete(path: str, edits: Sequence[FileEdit], lines: Sequence[str] | None) -> str:
    if lines is None or len(edits) > 1:
        raise Refusal(f"the diff at line {edits[0].number} removes {path}, and does more or less than that",
                      "remove a file that is there, by one section", edits[0].number)  # fmt: skip
    head = f"diff --git {_name('a', path)} {_name('b', path)}\ndeleted file mode 100644\n"
    head += f"--- {_name('a', path)}\n+++ /dev/null\n"
    return head + (f"@@ -1,{len(lines)} +0,0 @@\n{_signed('-', lines)}" if lines else "")


def _write_section(path: str, lines: Sequence[str], placed: Sequence[Placed]) -> str:
    """Unified hunks with three lines of context, those that would touch in one."""
    out = [
        f"diff --git {_name('a', path)} {_name('b', path)}\n--- {_name('a', path)}\n+++ {_name('b', path)}\n"
    ]
    shift = 0
    for group in _group(placed):
        start = max(0, group[0].at - CONTEXT)
        end = min(len(lines), group[-1].end + CONTEXT)
        body, at = [], start
        for place in group:
            body += [(" ", line) for line in lines[at : place.at]]
            body += _body_of(place)
            at = place.end
        body += [(" ", line) for line in lines[at:end]]
        old, new = (sum(sign in signs for sign, _ in body) for signs in (" -", " +"))
        out.append(f"@@ -{start + (old > 0)},{old} +{start + shift + (new > 0)},{new} @@\n")
        out += [_signed(sign, [line]) for sign, line in body]
        shift += new - old
    return "".join(out)


def _group(placed: Iterable[Placed]) -> list[list[Placed]]:
    groups: list[list[Placed]] = []
    for place in placed:
        if groups and place.at - groups[-1][-1].end <= 2 * CONTEXT:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


def _body_of(place: Placed) -> list[tuple[str, str]]:
    """The signed lines of a placed hunk, its old ones as the file has them."""
    own = iter(place.old)
    return [(line.sign, line.text if line.sign == "+" else next(own)) for line in place.hunk.lines]


def _signed(sign: str, lines: Iterable[str]) -> str:
    return "".join(
        f"{sign}{line}" if line.endswith("\n") else f"{sign}{line}\n\\ No newline at end of file\n"
        for line in lines
    )


def _name(side: str, path: str) -> str:
    """A path with its side, quoted as git does where it must be."""
    whole = f"{side}/{path}"
    if re.search(r'[\x00-\x1f\x7f"\\]', whole):
        escaped = "".join(
            f"\\{ord(c):03o}" if c in '"\\' or ord(c) < 32 or ord(c) == 127 else c for c in whole
        )
        return f'"{escaped}"'
    return whole


def _decode(diff: bytes) -> str:
    return diff.decode("utf-8", "surrogateescape")


def _split(data: bytes) -> list[str]:
    """The lines of a file with their newlines."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    return [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _clean(text: str) -> tuple[str, list[str]]:
    """What spoils the text as a whole, taken away."""
    mends = []
    for name, clean in _CLEANERS:
        cleaned = clean(text)
        if cleaned != text:
            mends.append(name)
            text = cleaned
    return text, mends


def _take_mark(text: str) -> str:
    return text.removeprefix("\ufeff")


def _end_last_line(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def _take_returns(text: str) -> str:
    """CRLF throughout is one way to write lines; CRs in some of them mean something."""
    *lines, last = text.split("\n")
    if not lines or not all(line.endswith("\r") for line in lines):
        return text
    return "".join(line[:-1] + "\n" for line in lines) + last.removesuffix("\r")


def _take_colours(text: str) -> str:
    """The codes that git writes at the ends of lines and behind signs; one inside a line stays, and is seen."""
    if not COLOURED.search(text):
        return text
    return "\n".join(_take_colour(line) for line in text.split("\n"))


def _take_colour(line: str) -> str:
    bare = COLOUR.sub("", line)
    if bare.startswith(("diff --git ", "index ", "--- ", "+++ ", "@@", "new file", "deleted file")):
        return bare
    return AT_END.sub(r"\1", BEHIND_SIGN.sub(r"\1", line, count=1), count=1)


def _take_margin(text: str) -> str:
    """A diff that is indented or quoted as a whole: the same margin before each line from its first header on."""
    lines = text.split("\n")
    first = next((at for at, line in enumerate(lines) if begins_file(lines, at) or SET_IN.match(line)), None)
    if first is None or not (match := SET_IN.match(lines[first])):
        return text
    margin = match[1]
    return "\n".join([*lines[:first], *(_cut_margin(line, margin) for line in lines[first:])])


def _cut_margin(line: str, margin: str) -> str:
    bare = margin.rstrip()
    if line.startswith(margin):
        return line[len(margin) :]
    return line[len(bare) :] if line.rstrip() == bare or FENCE.match(line) else line


_CLEANERS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("a byte order mark", _take_mark),
    ("line ends in CRLF", _take_returns),
    ("the last newline", _end_last_line),
    ("colour codes", _take_colours),
    ("indentation or quotation marks before each line", _take_margin),
)


def _unescape(text: str) -> str | None:
    """The text without HTML escapes; None where some of its lines have what escaping would have changed."""
    lines = text.split("\n")
    signed = [
        line for line in lines if line.startswith((" ", "+", "-")) and not line.startswith(("--- ", "+++ "))
    ]
    if any(re.search(r"[<>]|&(?!(?:lt|gt|amp|quot|#39|#x27);)", line) for line in signed):
        return None
    return "\n".join(html.unescape(line) if ENTITY.search(line) else line for line in lines)


def _name_form(text: str) -> Refusal:
    for pattern, name in OTHER_FORMS:
        if pattern.search(text):
            return Refusal(f"it is {name}, not a unified one", UNIFIED)
    return NoEdits("no file header and no hunk in it", UNIFIED)
