"""A stage of an ablation as it is stored: one study, and which of its arms is which pieces of the patch."""

from __future__ import annotations

from typing import Literal

import msgspec

from patchrun.core.pieces import Piece
from patchrun.core.results import VERSION


class VariantArm(msgspec.Struct, frozen=True):
    """The arm that stands for the baseline with these pieces (by index); AST-equal variants share one."""

    pieces: tuple[int, ...]
    arm: str


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One study of an ablation, as stored: its pieces, what its arms are, and subsets that are no code.

    ``purpose``: each (every piece left out and put on alone), greedy or delta (subsets of the search).
    """

    version: int = VERSION
    submission: str
    track_digest: str
    number: int
    purpose: Literal["each", "greedy", "delta"]
    study: str
    pieces: tuple[Piece, ...]
    variants: tuple[VariantArm, ...]
    refused: tuple[tuple[int, ...], ...] = ()
    created: str


def full_arm(stage: Stage) -> str:
    """The arm of the whole patch."""
    return next(one.arm for one in stage.variants if len(one.pieces) == len(stage.pieces))
