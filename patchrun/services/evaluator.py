"""Score a saved model on tokens that its training never saw, and look whether it plays fair.

The model is a graph that was read as data; the interpreter, a process of patchrun's own, computes its logits and knows
no targets. The softmax stays here. With x the validation tokens and T the context, block k has inputs x[kT : kT + T]
and targets x[kT + 1 : kT + T + 1]; the loss is the mean over all targets of all whole blocks. Which blocks share a
batch, and where second looks fall (``services.probes``), is drawn from the system's secrets for each evaluation.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from patchrun.adapters.corpus import read_shard
from patchrun.adapters.interpreter import Cap, Interpreter
from patchrun.adapters.modelfile import ModelFile
from patchrun.core.errors import SetupError
from patchrun.core.graph.model import ModelGraph
from patchrun.core.track import Track
from patchrun.services.probes import Blocks, Look, plan_looks, seat_blocks

if TYPE_CHECKING:
    import numpy as np

START_BLOCKS = 32  # blocks that score a model at an early moment
PARTS = 16  # stretches that a slice of tokens is cut into, to see how much a loss depends on the text
CAP = Cap(120.0, "in the evaluation")  # of a graph whose operations are bounded already: it takes seconds


class Disqualified(Exception):
    """The model's answers cannot come from honest training; the message says what was seen."""


@dataclass(frozen=True)
class Models:
    """What to score: the finished training, and its early moments with their floors.

    ``moments``: when it was, in words -> the model and the least loss that it may have (None: any).
    """

    final: ModelFile
    moments: Mapping[str, tuple[ModelFile, float | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Scores:
    """Losses in nats per token; ``seconds`` is the CPU time of the interpreter for all of it.

    ``loss`` is that of the blocks that count, ``other_loss`` of those scored beside them; where there are such,
    ``parts`` and ``other_parts`` are the losses of ``PARTS`` stretches of either, as even as can be. ``moments`` as
    the models'.
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


def score(
    track: Track,
    graph: ModelGraph,
    blocks: Blocks,
    models: Models,
    interpreter: Interpreter,
    counted: int | None = None,
    cap: Cap = CAP,
) -> Scores:
    """Score ``models``, all of them by the same graph.

    ``counted``: only the first so many blocks count, the others are scored among them: a model that is asked cannot
    tell which are which. ``cap``: of each model's computation.

    Raises:
        BadGraph: a model's tensors are not those of the graph.
        GraphFault: a model could not be computed.
        Disqualified: a second look disagrees, or a model at an early moment knows too much.
    """
    import numpy as np

    rng = np.random.default_rng(secrets.randbits(128))
    evaluation = _Evaluation(track, graph, blocks, interpreter, cap, rng)
    moments = {when: evaluation.score_moment(when, *moment) for when, moment in models.moments.items()}
    table = evaluation.score_all(models.final)
    loss = -float(table[:counted].mean())
    if counted is None:
        return Scores(loss, moments, evaluation.seconds)
    other = table[counted:]
    parts = _cut(table[:counted]), _cut(other)
    return Scores(loss, moments, evaluation.seconds, -float(other.mean()), *parts)


def _cut(table: np.ndarray) -> tuple[float, ...]:
    """The losses of ``PARTS`` stretches of a table of log-probabilities, fewer where it has fewer blocks."""
    import numpy as np

    return tuple(-float(part.mean()) for part in np.array_split(table, min(PARTS, len(table))))


@dataclass
class _Evaluation:
    """What all calls share; ``seconds`` grows by what they use."""

    track: Track
    graph: ModelGraph
    blocks: Blocks
    interpreter: Interpreter
    cap: Cap
    rng: np.random.Generator
    seconds: float = 0.0

    def score_all(self, model: ModelFile) -> np.ndarray:
        """log-probability of every target, float64 [blocks, context], as the second looks confirm it."""
        import numpy as np

        evidence = self.track.evidence
        self._load(model)
        logits = np.empty((*self.blocks.targets.shape, self.interpreter.vocab_size), np.float32)
        table = np.empty(self.blocks.targets.shape)
        seats = seat_blocks(self.blocks.count, evidence.batch, self.rng)
        for rows in seats:
            logits[rows] = self.interpreter.logits(self.blocks.inputs[rows])
            table[rows] = target_logprobs(logits[rows], self.blocks.targets[rows])
        for look in plan_looks(self.blocks, seats, evidence.probes, evidence.batch, self.rng):
            self._compare(look, logits, table)
        self.seconds += self.interpreter.cpu_seconds
        return table

    def score_moment(self, when: str, model: ModelFile, floor: float | None) -> float:
        """The loss over some blocks from all of the text; Disqualified when it is below the floor."""
        import numpy as np

        self._load(model)
        batch = self.track.evidence.batch
        chosen = np.linspace(0, self.blocks.count - 1, min(START_BLOCKS, self.blocks.count)).astype(int)
        calls = [np.resize(chosen[at : at + batch], batch) for at in range(0, len(chosen), batch)]
        table = np.concatenate([self._take(rows) for rows in calls])[: len(chosen)]
        self.seconds += self.interpreter.cpu_seconds
        loss = -float(table.mean())
        if floor is not None and loss < floor:
            raise Disqualified(
                f"the loss {when} is {loss:.3f}: an honest model is at {floor:g} or above there"
            )
        return loss

    def _load(self, model: ModelFile) -> None:
        vocab_size = self.track.evidence.vocab_size
        assert vocab_size
        self.interpreter.load(self.graph, model, vocab_size)
        self.interpreter.limit(self.cap)

    def _take(self, rows: np.ndarray) -> np.ndarray:
        """log-probabilities of all targets of the blocks ``rows`` [batch, context]."""
        return target_logprobs(self.interpreter.logits(self.blocks.inputs[rows]), self.blocks.targets[rows])

    def _compare(self, look: Look, first: np.ndarray, table: np.ndarray) -> None:
        """Disqualified when a log-probability is further than the tolerance from the first look's, in ``table``.

        Logits that are the same to the bit, ``first``, need no softmax: those of honest graphs are.
        """
        import numpy as np

        logits = self.interpreter.logits(look.inputs)
        tolerance = self.track.evidence.tolerance
        for row, slot, cut in zip(look.rows, look.slots, look.cuts + 1, strict=True):
            if np.array_equal(logits[slot, :cut], first[row, :cut]):
                continue
            again = target_logprobs(logits[slot, :cut], self.blocks.targets[row, :cut])
            apart = np.abs(again - table[row, :cut])
            if (worst := float(apart.max())) > tolerance:
                place = int(apart.argmax())
                raise Disqualified(
                    f"a target's log-probability changes by {worst:.3g} when what follows and the other rows are "
                    f"replaced: {tolerance:g} is allowed (position {place}, {cut - 1 - place} before the cut)"
                )
