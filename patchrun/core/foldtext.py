"""The text that an expression of literals makes: joined, formatted, cut or replaced, as far as it can be told unrun."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

HOLE = "\0"  # stands for a part of the text that is only known at run time
MOST = 2000
DEPTH = 12
FIELD = re.compile(r"\{(\w*)\}")
PLAIN_METHODS = frozenset({
    "strip", "lstrip", "rstrip", "lower", "upper", "casefold", "title", "capitalize", "swapcase",
    "removeprefix", "removesuffix", "replace",
})  # fmt: skip
PATH_MAKERS = frozenset({
    "os.path.join", "posixpath.join", "Path", "pathlib.Path", "PurePath", "pathlib.PurePath",
})  # fmt: skip


def fold_text(node: ast.AST, depth: int = DEPTH) -> str | None:
    """The text, with ``HOLE`` for each part that is not literal; None where nothing of it is text."""
    if depth <= 0:
        return None
    match node:
        case ast.Constant(value=str(text)):
            return text[:MOST]
        case ast.Constant(value=bytes(data)):
            return data[:MOST].decode("utf-8", "replace")
        case ast.JoinedStr(values=values):
            return _join("", [_fold_field(value, depth - 1) for value in values])
        case ast.BinOp(op=ast.Add()):
            return _fold_sum(node, depth - 1)
        case ast.BinOp(left=left, op=ast.Mod(), right=right):
            return _fold_percent(left, right, depth - 1)
        case ast.BinOp(left=left, op=ast.Div(), right=right):  # pathlib's way to join
            return _fold_parts("/", [left, right], depth - 1)
        case ast.Subscript(value=value, slice=part):
            return _fold_slice(value, part, depth - 1)
        case ast.Call():
            return _fold_call(node, depth - 1)
    return None


def is_whole(text: str | None) -> bool:
    """Whether a folded text has no part that is unknown."""
    return text is not None and HOLE not in text


def _join(glue: str, parts: Sequence[str | None]) -> str:
    return glue.join(HOLE if part is None else part for part in parts)[:MOST]


def _fold_parts(glue: str, nodes: Sequence[ast.AST], depth: int) -> str | None:
    parts = [fold_text(node, depth) for node in nodes]
    return _join(glue, parts) if any(part is not None for part in parts) else None


def _fold_field(node: ast.AST, depth: int) -> str | None:
    if isinstance(node, ast.FormattedValue):
        plain = node.conversion == -1 and node.format_spec is None
        return fold_text(node.value, depth) if plain else None
    return fold_text(node, depth)


def _fold_sum(node: ast.AST, depth: int) -> str | None:
    terms = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and len(terms) < MOST:
        terms.append(node.right)
        node = node.left
    return _fold_parts("", [node, *reversed(terms)], depth)


def _fold_percent(left: ast.AST, right: ast.AST, depth: int) -> str | None:
    text = fold_text(left, depth)
    if text is None:
        return None
    values = list(right.elts if isinstance(right, ast.Tuple) else [right])
    pieces = text.split("%s")
    parts = [fold_text(value, depth) for value in values][: len(pieces) - 1]
    parts += [None] * (len(pieces) - 1 - len(parts))
    return _join("", [piece for pair in zip(pieces, [*parts, ""], strict=True) for piece in pair])


def _fold_slice(value: ast.AST, part: ast.AST, depth: int) -> str | None:
    text = fold_text(value, depth)
    if not is_whole(text) or not isinstance(part, ast.Slice):
        return None
    try:
        bounds = [
            None if one is None else ast.literal_eval(one) for one in (part.lower, part.upper, part.step)
        ]
        return text[slice(*bounds)] if text is not None else None
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def _fold_call(node: ast.Call, depth: int) -> str | None:
    if _spell(node.func) in PATH_MAKERS:
        return _fold_parts("/", node.args, depth)
    match node:
        case ast.Call(func=ast.Name(id="str"), args=[value], keywords=[]):
            return fold_text(value, depth)
        case ast.Call(func=ast.Attribute(value=value, attr="decode" | "encode")):
            return fold_text(value, depth)
        case ast.Call(func=ast.Attribute(value=value, attr="join"), args=[ast.Tuple() | ast.List() as parts]):
            glue = fold_text(value, depth)
            return None if glue is None else _fold_parts(glue, parts.elts, depth)
        case ast.Call(func=ast.Attribute(value=value, attr="format")):
            return _fold_format(value, node, depth)
        case ast.Call(func=ast.Attribute(value=value, attr=name), args=args) if name in PLAIN_METHODS:
            return _fold_method(value, name, args, depth)
    return None


def _fold_format(value: ast.AST, node: ast.Call, depth: int) -> str | None:
    text = fold_text(value, depth)
    if text is None:
        return None
    given = {str(at): fold_text(argument, depth) for at, argument in enumerate(node.args)}
    given |= {word.arg: fold_text(word.value, depth) for word in node.keywords if word.arg}
    at = iter(range(MOST))
    return FIELD.sub(lambda field: given.get(field[1] or str(next(at))) or HOLE, text)[:MOST]


def _fold_method(value: ast.AST, name: str, args: Sequence[ast.AST], depth: int) -> str | None:
    texts = [fold_text(one, depth) for one in (value, *args)]
    whole = [text[: MOST // 10] for text in texts if text is not None and is_whole(text)]
    if len(whole) != len(texts):
        return None
    try:
        return str(getattr(str, name)(*whole))[:MOST]
    except TypeError:
        return None


def _spell(node: ast.AST) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""
