"""A track as data: what `track.toml` and `records.toml` may say, read once and checked whole.

A track is a task with a target, a clock, a data set, hardware and a ladder of records. Every problem of
a manifest is reported in one error, each with file, key and, for unknown keys, the nearest known one.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from patchrun.core.errors import ManifestError, UsageError

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Strict(BaseModel):
    """Frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Target(Strict):
    """The loss (nats per token) that a run must reach."""

    loss: float = Field(gt=0)


class Rule(Strict):
    """When the runs of an arm reach the target.

    ``mean``: the mean loss over the blocks is at most the target. ``t-test``: one-sided one-sample t-test
    of mean loss <= target with p < ``alpha``, at the numbers of runs in ``looks``.
    """

    kind: Literal["mean", "t-test"]
    blocks: int = Field(ge=1)
    alpha: float | None = Field(default=None, gt=0, lt=1)
    looks: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Rule:
        if self.kind == "t-test" and (self.alpha is None or not self.looks):
            raise ValueError("a t-test rule needs alpha and looks")
        return self


class Clock(Strict):
    """Which seconds count.

    ``cpu``: CPU seconds of the run's process, read by the parent. ``arrival``: wall seconds between output
    lines, stamped on arrival. ``repeats``: each slot is trained this often with one seed and the minimum
    counts (only where runs are deterministic). ``warmup_runs``: discarded runs per arm before block 0.
    """

    source: Literal["cpu", "arrival"]
    repeats: int = Field(default=1, ge=1)
    warmup_runs: int = Field(default=0, ge=0)
    paired: bool = True


class Seeds(Strict):
    """Public seeds are for trying; scoring seeds are secret and derived from the owner's key."""

    public: tuple[int, ...] = Field(min_length=1)
    deterministic: bool
    threads: int = Field(default=1, ge=1)


class Limits(Strict):
    """What one run may use; wall seconds, MiB, counts. ``eval_cpu_factor`` is times the baseline's."""

    wall_seconds: float = Field(gt=0)
    memory_mb: int = Field(gt=0)
    file_mb: int = Field(gt=0)
    model_mb: float = Field(gt=0)
    parameters: int | None = Field(default=None, gt=0)
    log_mb: float = Field(default=16, gt=0)
    diff_kb: int = Field(default=1024, gt=0)
    eval_cpu_factor: float = Field(default=3, gt=0)
    processes: int = Field(default=0, ge=0)


class Hardware(Strict):
    """What one run needs."""

    device: Literal["cpu", "cuda"]
    gpus: int = Field(default=0, ge=0)
    gpu_model: str = ""


class Edit(Strict):
    """What a patch may touch.

    ``paths``: glob patterns of files that may change. ``new_paths``: of files that may be added.
    ``protected``: definitions compared as AST, ``file:qualified.name``. ``review``: the same, but a change is
    a finding for review. ``forbidden_calls``: dotted names that changed code may not use.
    """

    paths: tuple[str, ...] = Field(min_length=1)
    new_paths: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    review: tuple[str, ...] = ()
    forbidden_calls: tuple[str, ...] = ()


class Launch(Strict):
    """How the launcher starts the script; ``env`` is added to the listed environment."""

    script: str
    kind: Literal["python", "torchrun"] = "python"
    env: dict[str, str] = {}


class Evidence(Strict):
    """What the verdict rests on.

    ``model``: the saved model is scored by patchrun's evaluator. ``log``: the script validates itself, and
    the strictly parsed log, the protected regions and the arrival stamps bound the claim.
    ``tolerance``: largest difference of a log-probability between two looks at one position.
    ``min_loss_step0`` / ``min_loss_step1``: floors before training and after one optimizer step.
    """

    kind: Literal["model", "log"]
    vocab_size: int | None = None
    context: int | None = None
    batch: int = 32
    probes: int = 1024
    tolerance: float = 1e-4
    min_loss_step0: float | None = None
    min_loss_step1: float | None = None

    @model_validator(mode="after")
    def _complete(self) -> Evidence:
        if self.kind == "model" and (not self.vocab_size or not self.context):
            raise ValueError("evidence by model needs vocab_size and context")
        return self


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
    holdout_every: int = Field(default=20, ge=2)
    val_tokens: int = Field(default=0, ge=0)
    final_tokens: int = Field(default=0, ge=0)
    vocab_size: int = Field(default=0, ge=0)
    digests: dict[str, Sha256] = {}


class Track(Strict):
    """``track.toml``."""

    version: Literal[1]
    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
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

    @property
    def digest(self) -> str:
        """SHA-256 over all that decides a result: every key but the words for people."""
        rules = self.model_dump(mode="json", exclude={"title", "about"})
        return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()


class Place(Strict):
    """Where the files of a baseline or a solution lie in an upstream repository.

    ``tree``: ``paths`` (name in the arena: path upstream) at ``commit``. ``log``: the source embedded in the log
    ``log`` at ``commit``. ``files`` pins the SHA-256 of each resulting file. ``none``: ``reason`` says why.
    """

    kind: Literal["tree", "log", "none"]
    commit: str = ""
    paths: dict[str, str] = {}
    log: str = ""
    files: dict[str, Sha256] = {}
    reason: str = ""


class Measured(Strict):
    """Published figures: seconds and loss, mean and standard deviation over ``n`` runs."""

    n: int = Field(ge=1)
    seconds_mean: float = Field(gt=0)
    seconds_sd: float = Field(default=0, ge=0)
    loss_mean: float | None = None
    loss_sd: float | None = None


class Record(Strict):
    """One entry of a ladder: who, when, what, and where its code is."""

    number: int = Field(ge=1)
    date: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    by: str
    ai_system: str = ""
    summary: str
    steps: int | None = None
    patch: str = ""
    baseline: Place | None = None
    solution: Place | None = None
    published_seconds: float | None = None
    measured: Measured | None = None
    hazards: tuple[str, ...] = ()


class Base(Strict):
    """The folder of the code before record 1, and its figures."""

    folder: str = "base"
    steps: int | None = None
    measured: Measured | None = None


class Ladder(Strict):
    """``records.toml``: the records in order, from 1 without a gap."""

    version: Literal[1]
    upstream: str = ""
    base: Base = Base()
    record: tuple[Record, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> Ladder:
        numbers = [entry.number for entry in self.record]
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(f"records must be numbered 1..{len(numbers)} in order, got {numbers}")
        return self

    def get(self, number: int) -> Record:
        """Record ``number``; UsageError when the ladder has none."""
        if not 1 <= number <= len(self.record):
            raise UsageError(f"no record {number}", f"the ladder has records 1..{len(self.record)}")
        return self.record[number - 1]


def load_track(text: str, name: str = "track.toml") -> Track:
    """Read and check ``track.toml``; ManifestError names every problem."""
    return _load(Track, text, name)


def load_ladder(text: str, name: str = "records.toml") -> Ladder:
    """Read and check ``records.toml``; ManifestError names every problem."""
    return _load(Ladder, text, name)


def _load(model: type[Any], text: str, name: str) -> Any:
    try:
        return model.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ManifestError(f"{name}: not TOML: {error}") from None
    except ValidationError as error:
        problems = [f"{name}: {_problem(model, entry)}" for entry in error.errors(include_url=False)]
        raise ManifestError("\n".join(problems), f"mend {len(problems)} place(s) in {name}") from None


def _problem(model: type[BaseModel], entry: Any) -> str:
    key = ".".join(str(part) for part in entry["loc"]) or "(whole file)"
    if entry["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(entry["loc"][-1]), _known_keys(model, entry["loc"][:-1]), n=1)
        return f"{key}: unknown key" + (f"; did you mean {near[0]}?" if near else "")
    if entry["type"] == "missing":
        return f"{key}: missing"
    message = entry["msg"].removeprefix("Value error, ")
    return f"{key}: {message}" + ("" if isinstance(entry["input"], dict) else f", got {entry['input']!r}")


def _known_keys(model: Any, location: tuple[Any, ...]) -> list[str]:
    """The keys of the model at ``location`` inside ``model``."""
    for part in location:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        model = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return list(model.model_fields)
