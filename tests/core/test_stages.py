"""Stages as bytes: read as they were written, and named where they cannot be read."""

from __future__ import annotations

import msgspec
import pytest

from patchrun.core.errors import ArenaError
from patchrun.core.stages import VariantArm, decode_stage, encode_stage, full_arm
from tests.core.test_ablation import LEFT_OUT, PIECES, make_stage


def test_a_stage_is_read_as_it_was_written() -> None:
    stage = make_stage(LEFT_OUT, refused=((0,),))
    assert decode_stage(encode_stage(stage), "x") == stage
    for data in (b"", b"{}", b"[]", encode_stage(stage).replace(b'"purpose": "each"', b'"purpose": "luck"')):
        with pytest.raises(ArenaError, match="ref: not a stage"):
            decode_stage(data, "ref")
    with pytest.raises(ArenaError, match="version 2"):
        decode_stage(encode_stage(msgspec.structs.replace(stage, version=2)), "ref")


def test_the_whole_patch_is_the_arm_with_all_pieces() -> None:
    stage = make_stage(LEFT_OUT)
    assert full_arm(stage) == "full"
    shared = (VariantArm((), "b5"), VariantArm((0, 1, 2), "other"))
    assert full_arm(msgspec.structs.replace(stage, variants=shared)) == "other" and len(PIECES) == 3
