"""Real workers score real files: honest ones exactly, the others not at all."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny import tiny_track, write_code

from patchrun.adapters import corpus
from patchrun.adapters.modelworker import Cap, ModelWorker, WorkerFault
from patchrun.core.errors import SetupError
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
from patchrun.services.training import base_job

V, T = 11, 8
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
        "batch": 8,
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


def score(folder: Path, text: str, blocks: Blocks, table: np.ndarray = TABLE, **options: Any) -> Scores:
    """Score the table model whose script is ``text``."""
    folder.mkdir(exist_ok=True)
    save_file({"table.weight": table}, folder / "final.safetensors")
    code = write_code(folder, text)
    settings = track(**options.pop("evidence", {}))
    job = base_job(settings, code, "none") | {"vocab_size": V}
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(ModelWorker(folder / name, job, wrapper="none"))
            for name in ("first", "second")
        )
        for worker in (first, second):
            worker.await_ready()
        models = Models(folder / "final.safetensors", options.pop("moments", {}))
        cap = options.pop("cap", Cap(20, "here"))
        return evaluator.score(
            settings, blocks, models, (first, second), 7, cap, options.pop("counted", None)
        )


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


def test_the_loss_is_the_mean_over_all_targets(tmp_path: Path, blocks: Blocks):
    scores = score(tmp_path, honest(), blocks)
    expected = -target_logprobs(TABLE[blocks.inputs], blocks.targets).mean()
    assert scores.loss == pytest.approx(expected, abs=1e-12)
    assert scores.moments == {}
    assert 0 < scores.seconds < 5


def test_blocks_that_do_not_count_are_scored_among_those_that_do(tmp_path: Path, blocks: Blocks):
    """A final round's tokens and the ordinary ones in one pass: two losses, and each again by stretches of the text."""
    other = cut_blocks((np.arange(330) % V).astype(np.uint16), T)
    both = join_blocks(other, blocks)
    assert both.count == other.count + blocks.count and (both.targets[: other.count] == other.targets).all()
    scores = score(tmp_path, honest(), both, counted=other.count)

    def losses(part: Blocks) -> np.ndarray:
        return -target_logprobs(TABLE[part.inputs], part.targets)

    assert scores.loss == pytest.approx(losses(other).mean(), abs=1e-12)
    assert scores.other_loss == pytest.approx(losses(blocks).mean(), abs=1e-12)
    expected = [part.mean() for part in np.array_split(losses(other), 16)]
    assert scores.parts == pytest.approx(expected, abs=1e-12) and len(scores.other_parts) == 16
    alone = score(tmp_path / "alone", honest(), blocks)
    assert (
        alone.loss == pytest.approx(scores.other_loss, abs=1e-12) and alone.parts == () == alone.other_parts
    )


def test_a_peek_is_seen_on_tokens_that_do_not_count_too(tmp_path: Path, blocks: Blocks):
    with pytest.raises(Disqualified, match="from its prefix alone"):
        text = honest(PEEK.replace("{v}", str(V)))
        both = join_blocks(blocks, blocks)
        score(tmp_path, text, both, counted=blocks.count)


def test_early_moments_are_scored_too(tmp_path: Path, blocks: Blocks):
    """Each against its floor, where it has one."""
    save_file({"table.weight": TABLE * 0}, tmp_path / "untrained.safetensors")
    save_file({"table.weight": TABLE / 10}, tmp_path / "early.safetensors")
    moments = {"first": (tmp_path / "untrained.safetensors", 2.3), "then": (tmp_path / "early.safetensors", None)}
    scores = score(tmp_path, honest(), blocks, moments=moments)
    rows = np.linspace(0, blocks.count - 1, 32).astype(int)
    expected = -target_logprobs(TABLE[blocks.inputs[rows]] / 10, blocks.targets[rows]).mean()
    assert scores.moments == pytest.approx({"first": np.log(V), "then": expected}, abs=1e-6)
    assert scores.loss == pytest.approx(
        -target_logprobs(TABLE[blocks.inputs], blocks.targets).mean(), abs=1e-12
    )


PEEK = "if ids.shape[1] > 1: x = x + 4 * F.one_hot(torch.cat([ids[:, 1:], ids[:, :1] * 0], 1), {v})"
REMEMBER = (
    "for row in ids.tolist():\n"
    "            for a, b in zip(row, row[1:]): self.seen[a, b] = self.seen.get((a, b), 0) + 1\n"
    "        counts = torch.zeros({v}, {v})\n"
    "        for (a, b), n in self.seen.items(): counts[a, b] = n\n"
    "        x = x + torch.log1p(counts)[ids]"
)
ACROSS_ROWS = "x = x + F.one_hot(ids, {v}).float().mean(0, keepdim=True)"
RANDOM = "x = x + torch.rand(())"
NOISE = "x = x + 0.01 * torch.randn(x.shape)"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (PEEK, "prefix alone"),
        ("if ids.shape[1] == {t}: x = x + 0.01 * F.one_hot(ids.roll(-1, 1), {v})", "prefix alone"),
        (REMEMBER, "changes by"),
        (ACROSS_ROWS, "changes by"),
        (NOISE, "changes by"),
    ],
)
def test_models_that_do_not_play_fair(tmp_path: Path, blocks: Blocks, more: str, said: str):
    with pytest.raises(Disqualified, match=said):
        text = honest(more.replace("{v}", str(V)).replace("{t}", str(T)))
        score(tmp_path, text, blocks)


def test_what_only_shifts_all_logits_changes_no_probability(tmp_path: Path, blocks: Blocks):
    scores = score(tmp_path, honest(RANDOM), blocks)
    assert scores.loss == pytest.approx(
        -target_logprobs(TABLE[blocks.inputs], blocks.targets).mean(), abs=1e-6
    )


def test_a_table_shows_at_an_early_moment(tmp_path: Path, blocks: Blocks):
    counts = 3 * np.roll(np.eye(V, dtype=np.float32), 3, axis=1)
    save_file({"table.weight": counts}, tmp_path / "early.safetensors")
    with pytest.raises(Disqualified, match=r"before training is 1\.\d+: an honest model is at 2\.3 or above there"):
        score(tmp_path, honest(), blocks, moments={"before training": (tmp_path / "early.safetensors", 2.3)})


def test_a_broken_answer_in_the_middle_ends_it_with_what_was_seen(tmp_path: Path, blocks: Blocks):
    more = "self.calls = getattr(self, 'calls', 0) + 1\n        if self.calls == 5: x = x * float('nan')"
    with pytest.raises(WorkerFault, match="not finite"):
        score(tmp_path, honest(more), blocks)


def test_one_worker_hangs_and_both_end(tmp_path: Path, blocks: Blocks):
    more = f"while ids.shape[1] < {T}: pass"
    with pytest.raises(WorkerFault, match="in the second looks"):
        score(tmp_path, honest(more), blocks, cap=Cap(0.01, "in the evaluation"))


def test_too_slow_an_evaluation(tmp_path: Path, blocks: Blocks):
    more = (
        "import time\n        end = time.process_time() + 0.2\n        while time.process_time() < end: pass"
    )
    with pytest.raises(WorkerFault, match=r"more than 0\.5 s of CPU in the evaluation"):
        score(tmp_path, honest(more), blocks, cap=Cap(0.5, "in the evaluation"))


def test_the_cap_is_a_multiple_of_the_baselines_time_with_a_floor():
    assert evaluator.evaluation_cap(track(), 4.0).cpu_seconds == 12.0
    assert evaluator.evaluation_cap(track(), 0.1).cpu_seconds == evaluator.FLOOR_CPU_S
    assert evaluator.evaluation_cap(track(), None).cpu_seconds == evaluator.FIRST_CPU_S
    assert "3 times the baseline's 4.00 s" in evaluator.evaluation_cap(track(), 4.0).why
