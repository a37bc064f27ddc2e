"""What a signature is for: the ref, arena, track and plan that the signed commit names in its last lines.

git's signature covers a commit: its tree, its date and its message. A commit can be put under any name in any arena,
so its message says where it belongs, and elsewhere its signature counts for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from patchrun.core.results import VERSION

KEYS = ("Patchrun-Ref", "Patchrun-Arena", "Patchrun-Track", "Patchrun-Plan")


@dataclass(frozen=True)
class Binding:
    """``ref``: the whole name. ``arena``: the commitment to its owner's key. ``plan``: a study's id, or empty."""

    ref: str
    arena: str
    track: str
    plan: str = ""


def write_binding(binding: Binding) -> str:
    """The last paragraph of a commit's message."""
    values = (binding.ref, binding.arena, binding.track, binding.plan or "none")
    return "\n" + "".join(f"{key}: {value}\n" for key, value in zip(KEYS, values, strict=True))


def read_binding(commit: bytes) -> Binding | None:
    """What a commit object names; None where its message does not end so.

    Only the end counts: text of others further up (a reason, a name) cannot pass for it.
    """
    message = commit.partition(b"\n\n")[2].decode("utf-8", "replace")
    lines = message.removesuffix("\n").split("\n")[-len(KEYS) - 1 :]
    if len(lines) != len(KEYS) + 1 or lines[0]:
        return None
    pairs = [line.partition(": ") for line in lines[1:]]
    if tuple(key for key, _, _ in pairs) != KEYS:
        return None
    ref, arena, track, plan = (value for _, _, value in pairs)
    return Binding(ref, arena, track, "" if plan == "none" else plan)


class Vouch(msgspec.Struct, frozen=True, kw_only=True):
    """A listed key's word for results that carry no signature of their own: ref -> commit of each.

    For what was stored before keys were listed, or before signatures named their place, and for attempts of people
    who have no key.
    """

    version: int = VERSION
    refs: dict[str, str]
    by: str
    created: str
