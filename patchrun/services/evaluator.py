"""Score a saved model on tokens that its training never saw, and look whether it plays fair.

Two fresh workers load the candidate's code and weights and return logits for token blocks; the targets and the
softmax stay here, and no code of the candidate's is imported here. With x the validation tokens and T the context,
block k has inputs x[kT : kT + T] and targets x[kT + 1 : kT + T + 1]; the loss is the mean over all targets of all
whole blocks. The first worker scores every block. The second one gets other calls (``services.probes``) and must
agree on each target's log-probability; before, it scores the model at early moments, which must not know much yet.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from patchrun.adapters.corpus import read_shard
from patchrun.adapters.modelworker import Cap, ModelWorker
from patchrun.core.errors import SetupError
from patchrun.core.track import Track
from patchrun.services.probes import Blocks, Look, batches, plan_looks

if TYPE_CHECKING:
    import numpy as np

START_BLOCKS = 32  # blocks that score a model at an early moment
PARTS = 16  # stretches that a slice of tokens is cut into, to see how much a loss depends on the text
LOAD_CPU_S = 60.0
FLOOR_CPU_S = 2.0  # below this much evaluation CPU nobody is refused: a short pass is mostly noise
FIRST_CPU_S = 120.0  # the cap while the baseline's figure is not known


class Disqualified(Exception):
    """The model's answers cannot come from honest training; the message says what was seen."""


@dataclass(frozen=True)
class Models:
    """Paths of the weights to score: of the finished training, and of its early moments with their floors.

    ``moments``: when it was, in words -> the weights and the least loss that they may have (None: any).
    """

    final: Path
    moments: Mapping[str, tuple[Path, float | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Scores:
    """Losses in nats per token; ``seconds`` is the CPU time of the first worker's pass; ``moments`` as the models'.

    ``loss`` is that of the blocks that count, ``other_loss`` of those scored beside them; where there are such,
    ``parts`` and ``other_parts`` are the losses of ``PARTS`` stretches of either, as even as can be.
    """

    loss: float
    moments: Mapping[str, float]
    seconds: float
    other_loss: float | None = None
    parts: tuple[float, ...] = ()
    other_parts: tuple[float, ...] = ()


def cut_blocks(tokens: np.ndarray, context: int) -> Blocks:
    """The whole blocks of ``context`` tokens with their targets; SetupError when there is not even one."""
    count = (len(tokens) - 1) // context
    if count < 1:
        raise SetupError(
            f"{len(tokens)} validation tokens are fewer than one block of {context} and its target"
        )
    inputs, targets = tokens[: count * context], tokens[1 : count * context + 1]
    return Blocks(inputs.reshape(count, context), targets.reshape(count, context))


def read_blocks(val_file: Path, track: Track) -> Blocks:
    """The blocks of a validation shard, by the track's context; SetupError for tokens outside its vocabulary."""
    assert track.evidence.context and track.evidence.vocab_size
    tokens = read_shard(val_file)
    if len(tokens) and int(tokens.max()) >= track.evidence.vocab_size:
        raise SetupError(f"{val_file}: token {tokens.max()} in a vocabulary of {track.evidence.vocab_size}")
    return cut_blocks(tokens, track.evidence.context)


def join_blocks(first: Blocks, second: Blocks) -> Blocks:
    """The blocks of both, those of ``first`` before those of ``second``."""
    import numpy as np

    inputs = np.concatenate([first.inputs, second.inputs])
    return Blocks(inputs, np.concatenate([first.targets, second.targets]))


def target_logprobs(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """log softmax(logits)[target] in float64: logits [..., V], targets [...] -> [...]."""
    import numpy as np

    wide = logits.astype(np.float64)
    wide -= wide.max(axis=-1, keepdims=True)
    chosen = np.take_along_axis(wide, targets.astype(np.int64)[..., None], axis=-1)[..., 0]
    np.exp(wide, out=wide)
    return chosen - np.log(wide.sum(axis=-1))


def evaluation_cap(track: Track, baseline_seconds: float | None) -> Cap:
    """How much CPU one pass over the blocks may take: a multiple of what the baseline's model took."""
    if baseline_seconds is None:
        return Cap(FIRST_CPU_S, "in the evaluation")
    factor = track.limits.eval_cpu_factor
    why = f"in the evaluation ({factor:g} times the baseline's {baseline_seconds:.2f} s, {FLOOR_CPU_S:g} s at least)"
    return Cap(max(FLOOR_CPU_S, factor * baseline_seconds), why)


def score(
    track: Track,
    blocks: Blocks,
    models: Models,
    workers: tuple[ModelWorker, ModelWorker],
    seed: int,
    cap: Cap,
    counted: int | None = None,
) -> Scores:
    """Score ``models`` with two workers that have loaded nothing yet, both at once.

    ``counted``: only the first so many blocks count, the others are scored among them: a model that is asked cannot
    tell which are which.

    Raises:
        WorkerFault: the candidate's code or model did not answer as it should.
        Disqualified: a second look disagrees, or an untrained model knows too much.
    """
    evaluation = _Evaluation(track, blocks, models, seed, cap)
    with ThreadPoolExecutor(2) as pool:
        first, second = (
            pool.submit(evaluation.score_all, workers[0]),
            pool.submit(evaluation.look_again, workers[1]),
        )
        try:
            moments, looks = second.result()
            table, seconds = first.result()
        except BaseException:
            for worker in workers:
                worker.kill()
            raise
    for look, logprobs in looks:
        compare(look, table, logprobs, track.evidence.tolerance)
    loss = -float(table[:counted].mean())
    if counted is None:
        return Scores(loss, moments, seconds)
    other = table[counted:]
    return Scores(loss, moments, seconds, -float(other.mean()), _cut(table[:counted]), _cut(other))


def _cut(table: np.ndarray) -> tuple[float, ...]:
    """The losses of ``PARTS`` stretches of a table of log-probabilities, fewer where it has fewer blocks."""
    import numpy as np

    return tuple(-float(part.mean()) for part in np.array_split(table, min(PARTS, len(table))))


def compare(look: Look, table: np.ndarray, logprobs: np.ndarray, tolerance: float) -> None:
    """Disqualified when a second look is further than ``tolerance`` from the first one, ``table``."""
    apart = look.disagreement(table, logprobs)
    if (worst := float(apart.max())) > tolerance:
        raise Disqualified(
            f"a target's log-probability changes by {worst:.3g} when it is scored {look.way}: {tolerance:g} is "
            f"allowed, and {int((apart > tolerance).sum())} of {apart.size} in this call change by more"
        )


@dataclass(frozen=True)
class _Evaluation:
    """What the calls of both workers share."""

    track: Track
    blocks: Blocks
    models: Models
    seed: int
    cap: Cap

    def score_all(self, worker: ModelWorker) -> tuple[np.ndarray, float]:
        """log-probability of every target, float64 [blocks, context], and the CPU seconds it took.

        The order is shuffled by the seed, so that neighbours in the text are no neighbours in a call.
        """
        import numpy as np

        self._load(worker, self.models.final)
        worker.limit(self.cap)
        table = np.empty(self.blocks.targets.shape)
        order = np.random.default_rng(self.seed).permutation(self.blocks.count)
        for rows in batches(order, self.track.evidence.batch):
            table[rows] = self._take(worker, Look(rows, 0, self.blocks.context - 1))
        return table, worker.cpu_seconds

    def look_again(self, worker: ModelWorker) -> tuple[dict[str, float], list[tuple[Look, np.ndarray]]]:
        """The losses of the early moments, then what secret second looks showed."""
        import numpy as np

        evidence = self.track.evidence
        moments = {}
        for when, (weights, floor) in self.models.moments.items():
            self._load(worker, weights)
            moments[when] = self._start_loss(worker, when, floor)
        self._load(worker, self.models.final)
        worker.limit(Cap(3 * self.cap.cpu_seconds + FLOOR_CPU_S, "in the second looks"))
        rng = np.random.default_rng(secrets.randbits(128))
        looks = plan_looks(self.blocks.count, self.blocks.context, evidence.probes, evidence.batch, rng)
        return moments, [(look, self._take(worker, look)) for look in looks]

    def _load(self, worker: ModelWorker, weights: Path) -> None:
        worker.limit(Cap(LOAD_CPU_S, "while the model was loaded"))
        worker.load(weights, self.seed)

    def _start_loss(self, worker: ModelWorker, when: str, floor: float | None) -> float:
        """The loss over some blocks from all of the text; Disqualified when it is below ``floor``."""
        import numpy as np

        worker.limit(self.cap)
        rows = np.linspace(0, self.blocks.count - 1, min(START_BLOCKS, self.blocks.count)).astype(int)
        looks = [Look(part, 0, self.blocks.context - 1) for part in batches(rows, self.track.evidence.batch)]
        loss = -float(np.concatenate([self._take(worker, look) for look in looks]).mean())
        if floor is not None and loss < floor:
            raise Disqualified(f"the loss {when} is {loss:.3f}: an honest model is at {floor:g} or above there")
        return loss

    def _take(self, worker: ModelWorker, look: Look) -> np.ndarray:
        """log-probabilities of the look's targets [rows, last - first + 1]."""
        logits = worker.logits(look.inputs(self.blocks))[:, look.first :]
        return target_logprobs(logits, look.targets(self.blocks))
