"""What is stored of attempts, studies, runs and verdicts: versioned JSON with sorted keys.

Machines write these and leaderboards read them by the hundred thousand, hence msgspec.
"""

from __future__ import annotations

import hashlib
from typing import Literal, TypeVar

import msgspec

from patchrun.core.errors import ArenaError
from patchrun.core.findings import Finding
from patchrun.core.selection import Span, parse_span

VERSION = 1

ArmKind = Literal["baseline", "human", "submission"]
Exit = Literal[
    "ok",
    "failed",
    "timed-out",
    "out-of-memory",
    "no-model",
    "bad-model",
    "disqualified",
    "stopped",
    "interrupted",
]
VerdictName = Literal[
    "rejected",
    "failed",
    "timed-out",
    "missed-target",
    "unproven",
    "stopped",
    "disqualified",
    "unscorable",
    "valid",
]
State = Literal["pending", "running", "done", "stale"]


class Attempt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A readable diff that was handed in, with its findings; ``sequence`` numbers an agent's on one record."""

    version: int = VERSION
    id: str
    track: str
    track_digest: str
    record: str  # "12" or "30..62"
    agent: str
    hint_tiers: tuple[int, ...] = ()
    accepted: bool
    patch_id: str = ""
    baseline_commit: str
    patched_tree: str = ""
    ast_digest: str = ""  # equal for trees whose Python is AST-equal: they share one study
    created: str  # ISO 8601, UTC
    sequence: int
    findings: tuple[Finding, ...] = ()
    onto: str = ""  # the submission whose tree the diff is against; none: the baseline

    @property
    def span(self) -> Span:
        return parse_span(self.record)


class Arm(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing that is trained: ``name`` is b12, h12 or the id of the first submission with this code."""

    name: str
    kind: ArmKind
    commit: str
    tree: str
    ast_digest: str


class Study(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The plan of all blocks that score the submissions among ``arms``; fixed before the first run.

    ``seeds[k]`` is the seed of block k, the same for every arm. ``generation`` counts re-measurements. ``final``: the
    final round that it belongs to, with ``picks``, the attempts that it scores there; such a study counts nowhere else.
    ``secret``: hex, made by the owner's key as seeds are and told to no run: a probe's tokens follow from it, or the
    permutation of ids under which scored runs read their data. A probe (see ``core.lossprobe``) has one block; its runs
    end at the first validation from ``steps`` on (None: at their end), and are never timed nor counted.
    """

    version: int = VERSION
    id: str
    track: str
    track_digest: str
    record: str
    generation: int = 0
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    seed_source: Literal["scoring", "public", "calibration", "steps", "final", "ablation", "probe"] = (
        "scoring"
    )
    steps: int | None = None  # runs are stopped after this step: step times are compared, they never count
    final: str = ""
    picks: tuple[str, ...] = ()
    secret: str = ""
    created: str

    @property
    def blocks(self) -> int:
        return len(self.seeds)


class Slot(msgspec.Struct, frozen=True, order=True, gc=False):
    """A place in a study: block, position inside the block, seed. Named ``b0p2s1337``."""

    block: int
    position: int
    seed: int

    @property
    def name(self) -> str:
        return f"b{self.block}p{self.position}s{self.seed}"


class CurvePoint(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A step line as printed by the script: for people, never evidence. ``ms`` is claimed, ``at`` arrived (s)."""

    step: int
    loss: float | None
    ms: float | None
    at: float


class Machine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a run took place; ``hardware_class`` is what must agree for times to be compared."""

    host: str
    cpu: str
    cores: int
    gpus: tuple[str, ...] = ()
    torch: str
    python: str
    kernel: str
    driver: str = ""
    hardware_class: str


class GpuState(msgspec.Struct, frozen=True):
    """One GPU at one moment: clocks in MHz, temperature in C, and why the driver holds its clocks down."""

    sm_mhz: float | None
    memory_mhz: float | None
    temperature: float | None
    reasons: tuple[str, ...] = ()


class Halt(msgspec.Struct, frozen=True, kw_only=True):
    """Why racing ended a run before its end: ``seen`` was above ``limit`` (seconds by the track's clock, or printed
    loss at ``fraction`` of the steps), which follows from the study's reference runs in ``blocks`` (see ``halting``).
    """

    quantity: Literal["time", "loss"]
    seen: float
    limit: float
    fraction: float | None = None
    blocks: tuple[int, ...]
    confidence: float


class Console(msgspec.Struct, frozen=True, gc=False):
    """What is kept of a run's console: ``complete`` where all step lines of its log came on it, in order.

    ``others``: the shapes (numbers as 0) of lines that are neither the log's nor a library's.
    """

    complete: bool
    others: tuple[str, ...] = ()


class Amount(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was used from the start signal until the first timed line (``lead``; None: not known), and until the end."""

    lead: float | None
    whole: float


class Work(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a run used, by counters that it cannot reach; None where this machine has no such counter.

    ``cpu``: CPU seconds of all its processes. ``joules``: energy of its GPUs. ``busy``: seconds in which its GPUs
    computed, summed over them.
    """

    cpu: Amount | None = None
    joules: Amount | None = None
    busy: Amount | None = None


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe saw: ``losses`` as printed, and the ``realised`` mean -log p of the ``tokens`` targets, in nats."""

    realised: float
    tokens: int
    losses: tuple[float, ...]


class Run(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One training of one arm with one seed on one machine.

    ``seconds`` is the number that counts (the least of ``repeats``, by the track's clock); ``loss`` is the
    evaluator's, or of the script's own log where that is the evidence, in nats per token; both None when there is
    none. ``reason`` says what was seen, also of an ok run. By the arrival clock ``claimed_seconds`` are the script's
    own, ``validation_seconds`` is what was taken off for each of ``validations``, ``lead_seconds`` passed between the
    start signal and the first timed line, ``console`` is what came on it, and ``work`` what was used. ``final``: the
    final round whose held-back tokens ``loss`` is of; ``validation_loss`` is then that of the same weights on the
    ordinary validation tokens, and ``parts`` and ``validation_parts`` the losses of stretches of either, in order.
    ``losses_at``: the loss of the model before its forwards of some numbers (1: untrained), on a part of the
    validation tokens.
    """

    version: int = VERSION
    study: str
    arm: str
    kind: ArmKind
    record: str
    block: int
    position: int
    seed: int
    exit: Exit
    reason: str = ""
    clock: str
    seconds: float | None = None
    repeats: tuple[float, ...] = ()
    wall_seconds: float | None = None
    loss: float | None = None
    final: str = ""
    validation_loss: float | None = None
    parts: tuple[float, ...] = ()
    validation_parts: tuple[float, ...] = ()
    losses_at: tuple[tuple[int, float], ...] = ()
    parameters: int | None = None
    model_sha256: str = ""
    evaluation_seconds: float | None = None
    claimed_seconds: float | None = None
    validation_seconds: float | None = None
    validations: int | None = None
    lead_seconds: float | None = None
    console: Console | None = None
    work: Work | None = None
    gpus_at_start: tuple[GpuState, ...] = ()
    gpus_at_end: tuple[GpuState, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    halt: Halt | None = None
    probe: Probe | None = None
    sandbox: str
    machine: Machine
    commit: str
    tree: str
    track_digest: str
    tool_version: str
    started: str

    @property
    def slot(self) -> Slot:
        return Slot(self.block, self.position, self.seed)


def drop_curve(run: Run) -> Run:
    """The run without its step lines."""
    return msgspec.structs.replace(run, curve=()) if run.curve else run


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What a person said of a submission: withdrawn by its maker, or disqualified by the owner."""

    version: int = VERSION
    submission: str
    ruling: Literal["withdrawn", "disqualified"]
    reason: str
    by: str
    created: str


class StopRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A submission arm that racing ended, and on what evidence: the first ``blocks`` blocks of its study.

    ``quantity``: loss, time or rank stop it; exit and proof only spare it the runs that its verdict does not need.
    So does ``probe``: what it says against the submission decides (see ``core.lossprobe``).
    ``rank`` is successive rejects: the worst of ``rivals``, the arms of ``group`` that were left.
    """

    version: int = VERSION
    study: str
    arm: str
    quantity: Literal["loss", "time", "exit", "proof", "rank", "probe"]
    reason: str
    confidence: float
    blocks: int
    track_digest: str
    created: str
    group: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A study's blocks as they were handed to a queue: where to ask for them. What the queue says is not stored."""

    version: int = VERSION
    study: str
    executor: Literal["slurm"]
    cluster: str
    job: str  # the queue's own number
    name: str
    blocks: tuple[int, ...]
    user: str
    host: str
    created: str


class FinalRound(msgspec.Struct, frozen=True, kw_only=True):
    """The owner's promise of a final round: its secrets by hash, made before the round and never changed.

    ``key_commitment``: SHA-256 of the key that makes its seeds (see ``adapters.keys``). ``tokens_digest``: HMAC-SHA256
    of the held-back shard under that key, so that a guess of the tokens cannot be tried before the key is revealed.
    ``source``: drawn by the key from texts that are held out, or given by the owner.
    """

    version: int = VERSION
    id: str
    track: str
    track_digest: str
    key_commitment: str
    tokens_digest: str
    tokens: int
    source: Literal["drawn", "given"]
    by: str
    created: str

    @property
    def expected_id(self) -> str:
        """The id that follows from all else."""
        parts = (self.track, self.track_digest, self.key_commitment, self.tokens_digest, self.tokens)
        return content_id("final", *parts, self.source, self.by, self.created)


class Reveal(msgspec.Struct, frozen=True, kw_only=True):
    """The key of a final round that is over, in hex; the shard lies beside it where it is small."""

    version: int = VERSION
    final: str
    key: str
    by: str
    created: str


T = TypeVar("T", bound=msgspec.Struct)
_encoder = msgspec.json.Encoder(order="sorted")


def encode(value: msgspec.Struct) -> bytes:
    """Indented JSON with sorted keys and a final newline."""
    return msgspec.json.format(_encoder.encode(value), indent=1) + b"\n"


def decode(data: bytes, kind: type[T], name: str = "result") -> T:
    """The value of ``kind``, which has a ``version``; ArenaError naming ``name`` when the bytes are not one of this."""
    try:
        value = msgspec.json.decode(data, type=kind, strict=True)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArenaError(f"{name}: not a {kind.__name__.lower()}: {error}") from None
    if value.version != VERSION:
        raise ArenaError(f"{name}: version {value.version}, this patchrun reads {VERSION}")
    return value


def content_id(*parts: object) -> str:
    """The id of what ``parts`` name: 20 hex digits of a SHA-256 over their length-prefixed texts."""
    digest = hashlib.sha256()
    for part in parts:
        text = str(part).encode()
        digest.update(f"{len(text)}:".encode() + text)
    return digest.hexdigest()[:20]
