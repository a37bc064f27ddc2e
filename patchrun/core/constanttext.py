"""Texts that are put together from constants: ``"s" + "vd"``, ``"".join(["s", "vd"])``, ``"dvs"[::-1]``."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

LONGEST = 200
DEEPEST = 12
METHODS = frozenset({
    "casefold", "capitalize", "decode", "encode", "lower", "lstrip", "removeprefix", "removesuffix",
    "replace", "rstrip", "strip", "swapcase", "title", "upper",
})  # fmt: skip


def fold_text(node: ast.AST, texts: Mapping[str, str], depth: int = 0) -> str | None:
    """The short text that an expression of constants gives, None for any other; ``texts``: what names hold."""
    if depth > DEEPEST:
        return None
    text = _fold(node, texts, depth + 1)
    return text if text is not None and len(text) <= LONGEST else None


def read_texts(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Name -> text for every name that ``nodes``, all nodes of some code, assign just once, a text of constants."""
    values: dict[str, str | None] = {}
    times: Counter[str] = Counter()
    for node in nodes:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                values[name] = fold_text(value, {})
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            times[node.id] += 1
    return {name: text for name, text in values.items() if text is not None and times[name] == 1}


def _fold(node: ast.AST, texts: Mapping[str, str], depth: int) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Constant(value=bytes(data)):
            return data.decode("latin-1")
        case ast.Name(id=name):
            return texts.get(name)
        case ast.NamedExpr(value=value):
            return fold_text(value, texts, depth)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _join("", fold_all([left, right], texts, depth))
        case ast.BinOp(left=left, op=ast.Mod(), right=right):
            parts = right.elts if isinstance(right, ast.Tuple) else [right]
            return _fill(fold_text(left, texts, depth), "%s", fold_all(parts, texts, depth))
        case ast.JoinedStr(values=values):
            return _join("", fold_all(values, texts, depth))
        case ast.FormattedValue(value=value, format_spec=None):
            return fold_text(value, texts, depth)
        case ast.Subscript(value=value, slice=ast.Slice() as cut):
            return _slice(fold_text(value, texts, depth), cut)
        case ast.Call():
            return _call(node, texts, depth)
    return None


def fold_all(nodes: Sequence[ast.AST], texts: Mapping[str, str], depth: int = 0) -> list[str] | None:
    """The texts of several expressions, None unless each is one."""
    parts: list[str] = []
    for node in nodes:
        if (text := fold_text(node, texts, depth)) is None:
            return None
        parts.append(text)
    return parts


def _call(node: ast.Call, texts: Mapping[str, str], depth: int) -> str | None:
    match node:
        case ast.Call(func=ast.Name(id="chr"), args=[ast.Constant(value=int(code))]):
            return chr(code) if 0 <= code < 0x110000 else None
        case ast.Call(func=ast.Name(id="str"), args=[value, *_]):
            return fold_text(value, texts, depth)
        case ast.Call(func=ast.Name(id="reversed"), args=[value]):
            return (fold_text(value, texts, depth) or "")[::-1] or None
        case ast.Call(func=ast.Attribute(value=value, attr="join"), args=[parts]):
            items = parts.elts if isinstance(parts, ast.List | ast.Tuple) else None
            found = fold_all(items, texts, depth) if items else list(fold_text(parts, texts, depth) or "")
            return _join(fold_text(value, texts, depth), found)
        case ast.Call(func=ast.Attribute(value=value, attr="format"), args=args):
            return _fill(fold_text(value, texts, depth), "{}", fold_all(args, texts, depth))
        case ast.Call(func=ast.Attribute(value=value, attr=method), args=args) if method in METHODS:
            return _apply(fold_text(value, texts, depth), method, fold_all(args, texts, depth))
    return None


def _join(between: str | None, parts: Sequence[str] | None) -> str | None:
    return None if between is None or not parts else between.join(parts)


def _apply(text: str | None, method: str, args: Sequence[str] | None) -> str | None:
    """A method of ``text``; None where Python would raise, or where the result is long."""
    if text is None or args is None or sum(map(len, args)) > LONGEST:
        return None
    if method in ("encode", "decode"):
        return text
    try:
        return getattr(text, method)(*args)
    except (TypeError, ValueError, LookupError, AttributeError):
        return None


def _fill(text: str | None, place: str, parts: Sequence[str] | None) -> str | None:
    """``text`` with each ``place`` (%s or {}) filled in turn; None where there are others, or their number differs."""
    pieces = text.split(place) if text is not None and parts is not None else []
    if len(pieces) != len(parts or ()) + 1 or any(mark in piece for piece in pieces for mark in "%{}"):
        return None
    return "".join(piece + part for piece, part in zip(pieces, [*(parts or ()), ""], strict=True))


def _slice(text: str | None, cut: ast.Slice) -> str | None:
    ends = [_whole(end) for end in (cut.lower, cut.upper, cut.step)]
    if text is None or "?" in ends or ends[2] == 0:
        return None
    return text[slice(*ends)]


def _whole(node: ast.AST | None) -> int | str | None:
    """A whole number or nothing; "?" for what cannot be told."""
    match node:
        case None:
            return None
        case ast.Constant(value=int(number)):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(number))):
            return -number
    return "?"
