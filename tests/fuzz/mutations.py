"""Inputs for fuzzing: something whole, with pieces cut, doubled, swapped and put in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("PATCHRUN_FUZZ_EXAMPLES", "60"))
SLOWEST = timedelta(seconds=10)  # a bound on one example, wide enough for a crowded machine

ODD = (
    b"", b"\0", b"\r", b"\r\n", b"\n\n\n", b"\xff\xfe",
    "\u202e\u200b\u00e9".encode(), b"9" * 5000, b"-1", b"1e999", b"nan",
    b"[" * 3000, b"{" * 3000, b'"' * 99, b"\\", b" " * 5000, b"x" * 70_000,
)  # fmt: skip


def budget(share: float = 1.0) -> settings:
    """The examples of one test: 60, or as many as PATCHRUN_FUZZ_EXAMPLES says; ``share`` of them where each is slow."""
    return settings(
        max_examples=max(1, int(share * EXAMPLES)),
        deadline=SLOWEST,
        suppress_health_check=list(HealthCheck),
        derandomize=EXAMPLES <= 60,
        database=None,
    )


@st.composite
def mutated(draw: st.DrawFn, base: bytes, words: Sequence[bytes] = ()) -> bytes:
    """``base`` after up to eight edits; what is put in comes from ``words``, ODD, or ``base`` itself."""
    data = base
    for _ in range(draw(st.integers(0, 8))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.one_of(st.just(start), st.integers(start, min(len(data), start + 200))))
        data = data[:start] + draw(_pieces(base, words)) + data[end:]
    return data


def _pieces(base: bytes, words: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    lines = base.splitlines(keepends=True)
    return st.one_of(st.sampled_from([*words, *ODD]), st.sampled_from(lines or [b""]), st.binary(max_size=20))
