"""Names of pages, and words of strangers made safe to show. A page's name never holds what a stranger wrote."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from patchrun.core.results import content_id
from patchrun.core.selection import parse_span

if TYPE_CHECKING:
    from markupsafe import Markup

HEX = re.compile(r"[0-9a-f]{8,64}")
# What draws nothing or turns the reading order, and what UTF-8 cannot hold: shown by its number instead.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def submission_page(attempt_id: str) -> str:
    """``submission/<id>.html``; the hash of an id that is none."""
    return f"submission/{attempt_id if HEX.fullmatch(attempt_id) else content_id(attempt_id)}.html"


def agent_page(agent: str) -> str:
    """``agent/<hash of the name>.html``."""
    return f"agent/{content_id('agent', agent)}.html"


def record_page(record: str | int) -> str:
    """``record/12.html``, of a span ``record/30-62.html``; UsageError for what is neither."""
    return f"record/{str(parse_span(str(record))).replace('..', '-')}.html"


def reveal(text: str) -> str:
    """``text`` with each invisible, reordering or unwritable character shown by its number."""
    return HIDDEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text)


def cut(text: object, most: int, *, end: bool = False) -> Markup:
    """``text`` escaped and revealed, its start (or its ``end``) of at most ``most`` bytes of markup, and an ellipsis.

    What is written counts, not what was given: one character of a stranger's may take fourteen bytes.
    """
    from markupsafe import Markup, escape

    plain = str(text)
    length = min(len(plain), most)
    while True:
        piece = plain[len(plain) - length :] if end else plain[:length]
        shown = escape(reveal(piece))
        size = len(shown.encode("utf-8", "replace"))
        if size <= most:
            break
        length = min(length - 1, length * most // size)
    if length == len(plain):
        return shown
    return Markup("…") + shown if end else shown + Markup("…")
