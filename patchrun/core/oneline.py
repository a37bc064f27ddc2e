"""What strangers say, as one line: reasons, quotes, names."""

from __future__ import annotations


def shorten(text: str, most: int) -> str:
    """``text`` on one line without control characters, cut to ``most`` characters."""
    words = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return words if len(words) <= most else words[: most - 3] + "..."
