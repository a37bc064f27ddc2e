"""What the validator here says of an attempt, beside what the attempt says of itself.

An attempt is a claim: whoever made it may have validated it with other rules, or not at all. Its own words stay as
they came; where they differ from ours both are kept, and ours count.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from patchrun.core.codes import make_finding
from patchrun.core.findings import Finding
from patchrun.core.results import VERSION, Attempt

JUDGED = "PR6"  # findings of a language model: asked once, where the patch was made
WEIGHTY = ("error", "review")


class Checked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The validator's answer on the diff that the commit ``attempt`` holds, under the track ``track_digest``."""

    version: int = VERSION
    attempt: str
    track_digest: str
    accepted: bool
    tree: str = ""
    patch_id: str = ""
    ast_digest: str = ""
    findings: tuple[Finding, ...] = ()
    tool_version: str
    created: str


def find_false_claim(attempt: Attempt, checked: Checked) -> str:
    """What an attempt says of its diff that is not so; empty where all of it is."""
    if attempt.accepted and attempt.patched_tree != checked.tree:
        return "its diff does not give its tree"
    if checked.ast_digest and attempt.ast_digest != checked.ast_digest:
        return "its digest of code is not that of its tree"
    if attempt.patch_id != checked.patch_id:
        return "its patch id is not that of its diff"
    return ""


def differs(attempt: Attempt, checked: Checked) -> bool:
    """The two do not agree on whether it passes, on what rejects or asks a person, or on what the diff gives."""
    return (
        attempt.accepted != checked.accepted
        or _weigh(attempt.findings) != _weigh(checked.findings)
        or bool(find_false_claim(attempt, checked))
    )


def apply_check(attempt: Attempt, checked: Checked) -> Attempt:
    """The attempt as it counts here: accepted on both sides, with our findings and its judge's.

    One that claims of its diff what is not so is rejected, whatever else it says.
    """
    judged = tuple(finding for finding in attempt.findings if finding.code.startswith(JUDGED))
    claim = find_false_claim(attempt, checked) if checked.accepted else ""
    false = (make_finding("PR120", claim),) if claim else ()
    accepted = attempt.accepted and checked.accepted and not claim
    return msgspec.structs.replace(attempt, accepted=accepted, findings=false + checked.findings + judged)


def _weigh(findings: Iterable[Finding]) -> set[Finding]:
    return {one for one in findings if one.severity in WEIGHTY and not one.code.startswith(JUDGED)}
