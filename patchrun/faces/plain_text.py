"""Text from strangers on its way to a terminal: what could steer it is spelled out."""

from __future__ import annotations

import re
import sys
from typing import Any

import click

_CONTROL = re.compile(r"[^\n\t -~]")


def spell(text: str) -> str:
    """``text`` with every character that is not printable, newlines and tabs apart, as an escape: ESC is ``\\x1b``."""
    return _CONTROL.sub(_spell_one, text)


def _spell_one(match: re.Match[str]) -> str:
    char = match[0]
    return char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii")


def decode_spelled(data: bytes) -> str:
    """Bytes as text that cannot steer a terminal; what is not UTF-8 is spelled too."""
    return spell(data.decode("utf-8", "backslashreplace"))


def echo_plain(text: str, err: bool = False, end: str = "\n") -> None:
    """Print ``text`` spelled; what the output's encoding lacks becomes an escape as well."""
    encoding = getattr(sys.stderr if err else sys.stdout, "encoding", None) or "utf-8"
    click.echo(spell(text).encode(encoding, "backslashreplace").decode(encoding) + end, err=err, nl=False)


def markdown_cell(value: Any) -> Any:
    """Text as one cell of a Markdown table: no new column, no line end, no markup, no link of a stranger's."""
    if not isinstance(value, str):
        return value
    line = " ".join(value.split()) if "\n" in value or "\r" in value else value
    return re.sub(r"[\\`*<|]", r"\\\g<0>", line).replace("](", "]\\(")
