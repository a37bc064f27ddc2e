"""Large and dense literals: the shape in which weights or code could ride along in a patch (PR509)."""

from __future__ import annotations

import ast
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator

MOST_NUMBERS = 64
LONGEST_TEXT = 4000
LONGEST_RUN = 120
DENSE_TEXT = 512
RUN_BITS = 3.5
TEXT_BITS = 5.2
MOST_INTEGER_BITS = 128
MOST_DATA = 20_000
BYTES_PER_NUMBER = 8
Displays = ast.List | ast.Tuple | ast.Set | ast.Dict


def find_large_literals(old: Iterable[ast.stmt], new: Iterable[ast.stmt]) -> Iterator[tuple[int, str]]:
    """(line, what it is) of each large literal in ``new`` that ``old`` lacks, and of too much literal data in all."""
    old, new = list(old), list(new)
    known = Counter(key for key, _, _ in _large(old))
    for key, line, message in _large(new):
        known[key] -= 1
        if known[key] < 0:
            yield line, message
    grown = _weigh(new) - _weigh(old)
    if grown > MOST_DATA:
        yield new[0].lineno, f"the patch adds about {grown} bytes of literal data"


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


def _large(statements: Iterable[ast.AST]) -> Iterator[tuple[str, int, str]]:
    """(what tells it from others, line, description) of each large literal."""
    stack = list(statements)
    while stack:
        node = stack.pop()
        if isinstance(node, Displays) and (numbers := _count_numbers(node)) >= MOST_NUMBERS:
            yield f"numbers {numbers}", node.lineno, f"a literal of {numbers} numbers"
            continue
        if isinstance(node, ast.Constant) and (told := _describe(node.value)):
            yield repr(node.value)[:200] if told else "", node.lineno, told
        stack += ast.iter_child_nodes(node)


def _describe(value: object) -> str | None:
    if isinstance(value, str | bytes):
        kind = type(value).__name__
        told = describe_text(value if isinstance(value, str) else value.decode("latin-1"))
        return told and f"a {kind} literal of {told}"
    if isinstance(value, int) and value.bit_length() > MOST_INTEGER_BITS:
        return f"an integer literal of {value.bit_length()} bits"
    return None


def _count_numbers(node: ast.AST) -> int:
    return sum(
        isinstance(inner, ast.Constant) and isinstance(inner.value, int | float) for inner in ast.walk(node)
    )


def _weigh(statements: Iterable[ast.AST]) -> int:
    """The size of all literals: characters of texts, 8 for each number beyond the small ones."""
    total = 0
    for node in (node for statement in statements for node in ast.walk(statement)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            total += len(node.value)
        elif isinstance(node, ast.Constant) and isinstance(node.value, float):
            total += BYTES_PER_NUMBER
    return total
