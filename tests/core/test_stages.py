"""Stages as bytes: read as they were written, and named where they cannot be read."""

from __future__ import annotations

import msgspec
import pytest

from patchrun.core.errors import ArenaError
from patchrun.core.results import decode, encode
from patchrun.core.stages import Stage, VariantArm, full_arm
from tests.core.test_ablation import LEFT_OUT, PIECES, make_stage


def test_a_stage_is_read_as_it_was_written() -> None:
    stage = make_stage(LEFT_OUT, refused=((0,),))
    assert decode(encode(stage), Stage, "x") == stage
    for data in (b"", b"{}", b"[]", encode(stage).replace(b'"purpose": "each"', b'"purpose": "luck"')):
        with pytest.raises(ArenaError, match="ref: not a stage"):
            decode(data, Stage, "ref")
    with pytest.raises(ArenaError, match="version 2"):
        decode(encode(msgspec.structs.replace(stage, version=2)), Stage, "ref")


def test_the_whole_patch_is_the_arm_with_all_pieces() -> None:
    stage = make_stage(LEFT_OUT)
    assert full_arm(stage) == "full"
    shared = (VariantArm((), "b5"), VariantArm((0, 1, 2), "other"))
    assert full_arm(msgspec.structs.replace(stage, variants=shared)) == "other" and len(PIECES) == 3
