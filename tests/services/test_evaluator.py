"""Graphs of real modules are scored: honest ones exactly, the others not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import as_model, export_text, open_interpreter
from tiny import tiny_track

from patchrun.adapters import corpus
from patchrun.adapters.interpreter import Cap, GraphFault, Interpreter
from patchrun.core.errors import SetupError
from patchrun.core.graph.values import BadGraph
from patchrun.core.track import Track
from patchrun.services import evaluator
from patchrun.services.evaluator import (
    Disqualified,
    Models,
    Scores,
    cut_blocks,
    join_blocks,
    read_blocks,
    target_logprobs,
)
from patchrun.services.probes import Blocks

V, T, BATCH = 11, 8, 8
HONEST = """
import torch
from torch import nn
from torch.nn import functional as F

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding({v}, {v})
        nn.init.normal_(self.table.weight, std={std})
        self.seen = {{}}

    def forward(self, ids):
        x = self.table(ids)
        {more}
        return x

def build_model():
    return Model()
"""


def honest(more: str = "pass", std: float = 0.02) -> str:
    return HONEST.format(v=V, more=more, std=std)


def track(**evidence: Any) -> Track:
    small = {
        "vocab_size": V,
        "context": T,
        "batch": BATCH,
        "probes": 40,
    }
    return tiny_track(evidence=small | evidence)


@pytest.fixture
def blocks() -> Blocks:
    """81 blocks from a chain in which the next token is usually the last one plus 3."""
    rng = np.random.default_rng(0)
    steps = np.where(rng.random(650) < 0.8, 3, rng.integers(V, size=650))
    return cut_blocks((np.cumsum(steps) % V).astype(np.uint16), T)


TABLE = np.random.default_rng(1).normal(size=(V, V)).astype(np.float32)


@pytest.fixture(scope="module")
def interpreter() -> Iterator[Interpreter]:
    with open_interpreter() as process:
        yield process


def score(
    interpreter: Interpreter,
    folder: Path,
    text: str,
    blocks: Blocks,
    table: np.ndarray = TABLE,
    **options: Any,
) -> Scores:
    """Score the table model whose script is ``text``; ``moments`` are tables with floors."""
    settings = track(**options.pop("evidence", {}))
    graph = export_text(text, BATCH, T, V)
    folder.mkdir(exist_ok=True)
    early = {
        when: (as_model({"table.weight": other}, folder), floor)
        for when, (other, floor) in options.pop("moments", {}).items()
    }
    models = Models(as_model({"table.weight": table}, folder), early)
    return evaluator.score(settings, graph, blocks, models, interpreter, **options)


def test_logprobs_against_a_worked_example():
    logits = np.array([[0.0, np.log(3.0)], [1000.0, 1000.0]], np.float32)
    assert target_logprobs(logits, np.array([1, 0])) == pytest.approx([np.log(0.75), np.log(0.5)], rel=1e-7)
    assert target_logprobs(logits, np.array([1, 0])).dtype == np.float64


def test_logprobs_of_a_very_unlikely_target_stay_finite():
    assert target_logprobs(np.array([0.0, 5000.0], np.float32), np.array(0)) == -5000.0


def test_blocks_tile_the_tokens_and_targets_are_one_further():
    blocks = cut_blocks(np.arange(12, dtype=np.uint16), 5)
    assert blocks.inputs.tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert blocks.targets.tolist() == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]


def test_the_last_block_needs_its_last_target():
    assert cut_blocks(np.arange(10, dtype=np.uint16), 5).count == 1
    assert cut_blocks(np.arange(11, dtype=np.uint16), 5).count == 2
    with pytest.raises(SetupError, match="5 validation tokens"):
        cut_blocks(np.arange(5, dtype=np.uint16), 5)


def test_tokens_outside_the_vocabulary(tmp_path: Path):
    corpus.write_shard(tmp_path / "val.bin", np.array([1, V, *[0] * 20], np.uint16))
    with pytest.raises(SetupError, match=f"token {V} in a vocabulary of {V}"):
        read_blocks(tmp_path / "val.bin", track())


def test_the_loss_is_the_mean_over_all_targets(interpreter: Interpreter, tmp_path: Path, blocks: Blocks):
    scores = score(interpreter, tmp_path, honest(), blocks)
    expected = -target_logprobs(TABLE[blocks.inputs], blocks.targets).mean()
    assert scores.loss == pytest.approx(expected, abs=1e-12)
    assert scores.moments == {}
    assert 0 < scores.seconds < 5


def test_the_loss_does_not_depend_on_who_shares_a_batch(
    interpreter: Interpreter, tmp_path: Path, blocks: Blocks
):
    assert len({score(interpreter, tmp_path, honest(), blocks).loss for _ in range(3)}) == 1


def test_blocks_that_do_not_count_are_scored_among_those_that_do(
    interpreter: Interpreter, tmp_path: Path, blocks: Blocks
):
    """A final round's tokens and the ordinary ones in one pass: two losses, and each again by stretches of the text."""
    other = cut_blocks((np.arange(330) % V).astype(np.uint16), T)
    both = join_blocks(other, blocks)
    assert both.count == other.count + blocks.count and (both.targets[: other.count] == other.targets).all()
    scores = score(interpreter, tmp_path, honest(), both, counted=other.count)

    def losses(part: Blocks) -> np.ndarray:
        return -target_logprobs(TABLE[part.inputs], part.targets)

    assert scores.loss == pytest.approx(losses(other).mean(), abs=1e-12)
    assert scores.other_loss == pytest.approx(losses(blocks).mean(), abs=1e-12)
    expected = [part.mean() for part in np.array_split(losses(other), 16)]
    assert scores.parts == pytest.approx(expected, abs=1e-12) and len(scores.other_parts) == 16
    alone = score(interpreter, tmp_path, honest(), blocks)
    assert alone.loss == pytest.approx(scores.other_loss, abs=1e-12)
    assert alone.parts == () == alone.other_parts


def test_early_moments_are_scored_by_the_same_graph(interpreter: Interpreter, tmp_path: Path, blocks: Blocks):
    scores = score(
        interpreter, tmp_path, honest(), blocks, moments={"early": (TABLE / 10, 2.0), "free": (TABLE, None)}
    )
    rows = np.linspace(0, blocks.count - 1, 32).astype(int)
    expected = -target_logprobs(TABLE[blocks.inputs[rows]] / 10, blocks.targets[rows]).mean()
    assert scores.moments["early"] == pytest.approx(expected, abs=1e-6)
    assert set(scores.moments) == {"early", "free"}


def test_a_table_at_an_early_moment_shows(interpreter: Interpreter, tmp_path: Path, blocks: Blocks):
    counts = 3 * np.roll(np.eye(V, dtype=np.float32), 3, axis=1)
    with pytest.raises(
        Disqualified, match=r"the loss after 1 update is [01]\.\d+: an honest model is at 2\.3"
    ):
        score(interpreter, tmp_path, honest(), blocks, moments={"after 1 update": (counts, 2.3)})


AHEAD = "torch.cat([ids[:, 1:], ids[:, :1] * 0], 1)"
SHOWN = "(%s[..., None] == torch.arange({v})).float()"


@pytest.mark.parametrize(
    "more",
    [
        f"x = x + 4 * {SHOWN % AHEAD}",
        f"x = x + 0.01 * {SHOWN % AHEAD}",
        f"x = x + {SHOWN % 'ids.roll(-1, 1)'} * (ids[:, :1] == 3)[..., None]",
        f"x = x + {SHOWN % 'ids'}.mean(0, keepdim=True)",
        f"x = x + {SHOWN % 'ids.roll(1, 0)'}",
        "x = x.flip(1).cumsum(1).flip(1)",
        "x = x - x.mean(1, keepdim=True)",
    ],
)
def test_models_that_do_not_play_fair(interpreter: Interpreter, tmp_path: Path, blocks: Blocks, more: str):
    with pytest.raises(Disqualified, match="when what follows and the other rows are replaced"):
        score(interpreter, tmp_path, honest(more.replace("{v}", str(V))), blocks)


def test_a_peek_is_seen_on_tokens_that_do_not_count_too(
    interpreter: Interpreter, tmp_path: Path, blocks: Blocks
):
    both = join_blocks(blocks, blocks)
    with pytest.raises(Disqualified):
        text = honest(f"x = x + 4 * {SHOWN % AHEAD}".replace("{v}", str(V)))
        score(interpreter, tmp_path, text, both, counted=blocks.count)


def test_what_shifts_all_logits_changes_no_probability(
    interpreter: Interpreter, tmp_path: Path, blocks: Blocks
):
    scores = score(interpreter, tmp_path, honest("x = x + ids.float().mean()"), blocks)
    expected = -target_logprobs(TABLE[blocks.inputs], blocks.targets).mean()
    assert scores.loss == pytest.approx(expected, abs=1e-6)


def test_logits_that_are_not_finite(interpreter: Interpreter, tmp_path: Path, blocks: Blocks):
    with pytest.raises(GraphFault, match="not finite"):
        score(interpreter, tmp_path, honest("x = x * float('inf')"), blocks)
    assert score(interpreter, tmp_path, honest(), blocks).loss > 0, (
        "the next model is computed by the same process"
    )


def test_a_model_of_other_shapes_or_names(interpreter: Interpreter, tmp_path: Path, blocks: Blocks):
    with pytest.raises(BadGraph, match=r"size mismatch for table.weight: \[3, 11\] is saved"):
        score(interpreter, tmp_path, honest(), blocks, TABLE[:3])


def test_too_slow_a_model(tmp_path: Path, blocks: Blocks):
    with (
        open_interpreter() as own,
        pytest.raises(GraphFault, match=r"more than 0\.1 s of CPU in the evaluation"),
    ):
        more = "for _ in range(40): x = torch.sin(x.repeat(1, 1, 5000))[..., :11] + x"
        score(own, tmp_path, honest(more), blocks, cap=Cap(0.1, "in the evaluation"))
