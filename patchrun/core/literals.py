"""Large and dense literals: the shape in which weights or code could ride along in a patch (PR509)."""

from __future__ import annotations

import ast
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

MOST_NUMBERS = 64
LONGEST_TEXT = 4000
LONGEST_RUN = 120
DENSE_TEXT = 512
RUN_BITS = 3.5
TEXT_BITS = 5.2
MOST_INTEGER_BITS = 128
MOST_DATA = 20_000
LONGEST_NAME = 64
BYTES_PER_NUMBER = 8
Displays = ast.List | ast.Tuple | ast.Set | ast.Dict


def find_large_literals(old: Sequence[ast.AST], new: Sequence[ast.AST]) -> Iterator[tuple[int, str]]:
    """(line, what it is) of each large literal in the nodes ``new`` that ``old`` lacks, and of too much data in all."""
    known = Counter(key for key, _, _ in _large(old))
    for key, line, message in _large(new):
        known[key] -= 1
        if known[key] < 0:
            yield line, message
    grown = _weigh(new) - _weigh(old)
    if grown > MOST_DATA:
        line = min(node.lineno for node in new if isinstance(node, ast.Constant))
        yield line, f"the patch adds about {grown} bytes of literal data"


def entropy(text: str) -> float:
    """Shannon's entropy of the characters of ``text``, bits each: -sum p log2 p; 0 for an empty text."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def describe_text(text: str) -> str | None:
    """Why a text looks like data: its length, a long dense run without spaces, or its entropy; None if it does not."""
    run = max(re.split(r"\s+", text), key=len)
    if len(text) > LONGEST_TEXT:
        return f"{len(text)} characters"
    if len(run) > LONGEST_RUN and entropy(run) > RUN_BITS:
        return f"{len(run)} characters in a run, {entropy(run):.1f} bits each"
    if len(text) > DENSE_TEXT and entropy(text) > TEXT_BITS:
        return f"{len(text)} characters of {entropy(text):.1f} bits"
    return None


def _large(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, int, str]]:
    """(what tells it from others, line, description) of each large literal, the outermost of nested ones."""
    inside: set[int] = set()
    for node in nodes:
        if isinstance(node, Displays) and id(node) not in inside:
            parts = list(ast.walk(node))
            inside |= set(map(id, parts))
            numbers = sum(
                isinstance(one, ast.Constant) and isinstance(one.value, int | float) for one in parts
            )
            if numbers >= MOST_NUMBERS:
                yield f"numbers {numbers}", node.lineno, f"a literal of {numbers} numbers"
        elif isinstance(node, ast.Constant) and (told := _describe(node.value)):
            yield f"{told} {hash(node.value)}", node.lineno, told
        elif longest := _longest_name(node):
            yield f"name {longest}", node.lineno, f"a name of {len(longest)} characters"


def _longest_name(node: ast.AST) -> str:
    """A name in the node itself that is long enough to carry data, else ""."""
    named = (getattr(node, field, None) for field in ("id", "attr", "name", "arg", "asname"))
    names = [name for name in named if isinstance(name, str) and len(name) > LONGEST_NAME]
    return max(names, key=len, default="") if hasattr(node, "lineno") else ""


def _describe(value: object) -> str | None:
    if isinstance(value, str | bytes):
        kind = type(value).__name__
        told = describe_text(value if isinstance(value, str) else value.decode("latin-1"))
        return told and f"a {kind} literal of {told}"
    if isinstance(value, int) and value.bit_length() > MOST_INTEGER_BITS:
        return f"an integer literal of {value.bit_length()} bits"
    return None


def _weigh(nodes: Iterable[ast.AST]) -> int:
    """The size of all literals: characters of texts, 8 for each number with a fraction."""
    values = [node.value for node in nodes if isinstance(node, ast.Constant)]
    texts = sum(len(value) for value in values if isinstance(value, str | bytes))
    return texts + BYTES_PER_NUMBER * sum(isinstance(value, float) for value in values)
