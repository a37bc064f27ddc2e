"""How much a patch brings in: the compressed size of the new files where the old ones are known (PR509).

Whatever a model could be made of has to be written down somewhere: in numbers, texts, names, comments, the order of
lines or the blanks at their ends. So all of it is measured by one figure. What the baseline says already costs next to
nothing, wherever it moves; what goes away gives no credit.
"""

from __future__ import annotations

import lzma
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from patchrun.core.codes import make_finding
from patchrun.core.findings import Finding
from patchrun.core.rules import FileChange

LEAST_LIMIT = 7600
TIMES_HUMAN = 3
FILTERS = ({
    "id": lzma.FILTER_LZMA1, "dict_size": 1 << 21, "lc": 3, "lp": 0, "pb": 0, "mode": lzma.MODE_NORMAL, "nice_len": 64,
    "mf": lzma.MF_BT4, "depth": 0,
},)  # fmt: skip

WINDOW = 2048
MOST_WINDOWS = 64
KNOWN = 1 << 14
LEAST_DENSE = 320
DENSE = 0.5
LEAST_DIGITS = 256
DIGITS = 0.15
LEAST_BLANKS = 160
RUN = re.compile(r"[A-Za-z0-9+/=_-]{120,}")
RUN_BITS = 3.5
NUMBER = re.compile(r"0[xX][0-9a-fA-F_]+|[0-9]+")
BITS_OF_DIGIT = math.log2(10)


class Window(NamedTuple):
    """Lines that a patch adds, one after the other, with their numbers in the patched file (1-based)."""

    numbers: tuple[int, ...]
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def heaviest(self) -> int:
        """The number of the line with the most bits by the entropy of its characters."""
        pairs = zip(self.lines, self.numbers, strict=True)
        return max(pairs, key=lambda pair: len(pair[0]) * entropy(pair[0]))[1]

    def __str__(self) -> str:
        return f"lines {self.numbers[0]} to {self.numbers[-1]}"


def pack(data: bytes) -> int:
    """The size in bytes of ``data`` as a raw LZMA stream with filters that never change."""
    return len(lzma.compress(data, lzma.FORMAT_RAW, filters=list(FILTERS)))


def measure(changes: Iterable[FileChange]) -> int:
    """Bytes that tell the new files to somebody who has the old ones: size(old + new) - size(old).

    The conditional form of the normalised compression distance (Cilibrasi and Vitanyi 2005, "Clustering by
    compression"). The name of a new file counts with its text.
    """
    ordered = sorted(changes, key=lambda change: change.path)
    old = b"".join(change.before or b"" for change in ordered)
    new = b"".join(_told(change) for change in ordered)
    return max(0, pack(old + new) - _pack_known(old))


def check_added(changes: Sequence[FileChange], size: int, limit: int) -> list[Finding]:
    """PR509 as an error where ``size``, the measure of all changes, is more than ``limit`` bytes."""
    if size <= limit:
        return []
    message = f"the patch brings in {size} bytes of information, and at most {limit} are allowed"
    heaviest = max(
        ((_cost(change, window), change.path, window) for change in changes for window in _windows(change)),
        default=None,
        key=lambda one: one[0],
    )
    hint = (
        "Say it in fewer words, and compute data instead of writing them down; comments and names count too."
    )
    if heaviest is None:
        return [make_finding("PR509", message, severity="error", hint=hint)]
    cost, path, window = heaviest
    message += f"; {window} weigh most, about {cost}"
    return [make_finding("PR509", message, path, window.heaviest, severity="error", hint=hint)]


def find_dense(change: FileChange) -> Iterator[Finding]:
    """PR509 for each stretch of added lines that looks like data: a long run, many digits, or what hardly packs."""
    windows = list(_windows(change))
    for window in windows:
        if told := _describe(change, window):
            yield make_finding("PR509", told, change.path, window.heaviest)
    if (blanks := _weigh_blanks(windows)) > LEAST_BLANKS:
        message = f"the blanks at the ends of added lines hold about {blanks} bytes"
        yield make_finding("PR509", message, change.path, windows[0].numbers[0])


def entropy(text: str) -> float:
    """Shannon's entropy of the characters of ``text``, bits each: -sum p log2 p; 0 for an empty text."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


@lru_cache(16)
def _pack_known(data: bytes) -> int:
    return pack(data)


def _told(change: FileChange) -> bytes:
    if change.after is None:
        return b""
    name = f"{change.path}\n".encode("utf-8", "surrogateescape") if change.added else b""
    return name + change.after


def _lines(data: bytes | None) -> list[str]:
    return (data or b"").decode("utf-8", "replace").split("\n")


def _windows(change: FileChange) -> Iterator[Window]:
    """The lines that the old file does not have, or has fewer times, in pieces; a line that is added again is left out.

    What stands between them does not part them: data between lines of the baseline are data too.
    """
    left = Counter(_lines(change.before))
    added: dict[str, int] = {}
    for number, line in enumerate(_lines(change.after), 1):
        left[line] -= 1
        if left[line] < 0:
            added.setdefault(line, number)
    size = max(WINDOW, sum(map(len, added)) // MOST_WINDOWS)
    piece: list[str] = []
    filled = 0
    for line in added:
        piece.append(line)
        filled += len(line) + 1
        if filled >= size:
            yield _join(piece, added)
            piece, filled = [], 0
    if piece:
        yield _join(piece, added)


def _join(piece: Sequence[str], numbers: Mapping[str, int]) -> Window:
    return Window(tuple(numbers[line] for line in piece), tuple(piece))


def _cost(change: FileChange, window: Window) -> int:
    """What a stretch weighs beside the first ``KNOWN`` bytes of the old file."""
    known = (change.before or b"")[:KNOWN]
    return pack(known + window.text.encode("utf-8", "surrogatepass")) - _pack_known(known)


def _describe(change: FileChange, window: Window) -> str | None:
    """Why a stretch of added lines looks like data, None where it does not."""
    text = window.text
    for run in RUN.findall(text):
        if entropy(run) > RUN_BITS:
            return f"{window}: {len(run)} characters in a run, {entropy(run):.1f} bits each"
    digits = int(sum(map(_bits, NUMBER.findall(text))) / 8)
    if digits > max(LEAST_DIGITS, DIGITS * len(text)):
        return f"{window}: about {digits} bytes of digits"
    if len(text) > LEAST_DENSE and (cost := _cost(change, window)) > max(
        LEAST_DENSE, DENSE * len(text.encode())
    ):
        return f"{window}: {len(text)} characters that pack into no fewer than {cost} bytes"
    return None


def _bits(number: str) -> float:
    return 4 * (len(number) - 2) if number[:2] in ("0x", "0X") else BITS_OF_DIGIT * len(number)


def _weigh_blanks(windows: Iterable[Window]) -> int:
    """The packed size of the blanks at the ends of lines."""
    lines = (line for window in windows for line in window.lines)
    ends = "\n".join(line[len(line.rstrip(" \t\f")) :] for line in lines)
    return pack(ends.encode()) if ends.strip("\n") else 0
