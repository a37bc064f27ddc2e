"""Findings: what the validator says of a patch, one value each."""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["error", "review", "warning", "info"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing said of a patch.

    ``error`` rejects; ``review`` asks a person; ``line`` is 1-based in the patched file, or in the diff
    where ``path`` is null.
    """

    code: str
    severity: Severity
    message: str
    path: str | None = None
    line: int | None = None
    hint: str = ""


def accepted(findings: tuple[Finding, ...] | list[Finding]) -> bool:
    """No finding rejects."""
    return all(finding.severity != "error" for finding in findings)
