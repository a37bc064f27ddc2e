"""Whose word a submission rests on: signed or not, what it said of itself, and what strangers said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from patchrun.core.oneline import shorten

if TYPE_CHECKING:
    from patchrun.adapters.store import Arena
    from patchrun.core.results import Attempt, Ruling


def trust_document(arena: Arena, attempt: Attempt) -> dict[str, Any]:
    """``signed`` is null where no keys are listed, ``received`` null where the validator here says the same."""
    received = arena.received(attempt.id)
    differs = (received.accepted, received.findings) != (attempt.accepted, attempt.findings)
    own = {"accepted": received.accepted, "findings": msgspec.to_builtins(received.findings)}
    return {
        "signed": attempt.id not in arena.unsigned_attempts() if arena.signatures else None,
        "received": own if differs else None,
        "strange_rulings": [msgspec.to_builtins(ruling) for ruling in _find_strange(arena, attempt)],
    }


def trust_text(arena: Arena, attempt: Attempt) -> str:
    """A line for each thing that a reader should know; empty where there is none."""
    found = trust_document(arena, attempt)
    lines = (
        ["no listed key signed this attempt: it is shown, and not measured"]
        if found["signed"] is False
        else []
    )
    if found["received"]:
        state = "accepted" if found["received"]["accepted"] else "rejected"
        codes = ", ".join(sorted({one["code"] for one in found["received"]["findings"]})) or "no findings"
        lines.append(f"{state} where it was made, with {codes}; what counts is what the validator here found")
    lines += [
        f"{ruling.ruling} by {shorten(ruling.by, 40)}, whose key is not listed: not applied "
        f"({shorten(ruling.reason, 120)})"
        for ruling in _find_strange(arena, attempt)
    ]
    return "\n".join(lines)


def _find_strange(arena: Arena, attempt: Attempt) -> list[Ruling]:
    return [ruling for ruling in arena.strange_rulings() if ruling.submission == attempt.id]
