"""What is kept of a training log: where it lies, its digest and its figures, and whether it counts for its record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from patchrun.core.ladder import Ladder, Record
from patchrun.core.results import VERSION
from patchrun.core.track import Hardware
from patchrun.core.trainlog import TrainLog

Side = Literal["human", "baseline", "other"]


class LogFact(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one log.

    ``digest``: SHA-256 of its bytes. ``arm``: human, baseline, the id of a submission, or other. ``set_aside`` says
    why it does not count, empty where it does. ``seconds`` are the script's own (training only), ``loss`` is in nats
    per token; both None for an unfinished run, ``seconds`` also where the log has no times.
    """

    path: str
    digest: str
    record: int | None
    arm: str
    set_aside: str = ""
    code: str = ""
    gpus: int = 0
    gpu: str = ""
    torch: str = ""
    cuda: str = ""
    driver: str = ""
    steps: int
    reached: int
    seconds: float | None = None
    loss: float | None = None
    restart: int | None = None
    memory_mib: int | None = None

    @property
    def counts(self) -> bool:
        return not self.set_aside

    @property
    def hardware_class(self) -> str:
        """What must agree for two logs' times to be compared: GPU count and model, torch, driver."""
        return f"{self.gpus}x{self.gpu} torch {self.torch} driver {self.driver}"


class Unread(msgspec.Struct, frozen=True):
    """A log that could not be read, and why."""

    path: str
    reason: str


class Ingest(msgspec.Struct, frozen=True, kw_only=True):
    """One taking-in of logs. ``absent``: paths that a partial copy lacks."""

    version: int = VERSION
    source: Literal["upstream", "own"]
    commit: str = ""
    logs: tuple[LogFact, ...]
    unread: tuple[Unread, ...] = ()
    absent: tuple[str, ...] = ()


def state_fact(
    log: TrainLog, path: str, digest: str, *, record: int | None, arm: str, hardware: Hardware
) -> LogFact:
    """The figures of ``log``, set aside where the run is unfinished or ran on other hardware."""
    gpus = log.environment.gpus
    models = sorted(set(gpus))
    return LogFact(
        path=path,
        digest=digest,
        record=record,
        arm=arm,
        set_aside=_trouble(log, hardware),
        code=log.code_digest,
        gpus=len(gpus),
        gpu=", ".join(models),
        torch=log.environment.torch,
        cuda=log.environment.cuda,
        driver=log.environment.driver,
        steps=log.steps,
        reached=log.reached,
        seconds=log.seconds,
        loss=log.loss,
        restart=log.restart,
        memory_mib=log.memory_mib,
    )


def _trouble(log: TrainLog, hardware: Hardware) -> str:
    """Why a log cannot be compared with others on ``hardware``; empty when it can."""
    if not log.finished:
        return f"unfinished: no validation at step {log.steps}, the last step is {log.reached}"
    gpus = log.environment.gpus
    if log.form == "llm.c":
        return ""
    if hardware.gpus and len(gpus) != hardware.gpus:
        return (
            f"ran on {len(gpus)} GPU, not {hardware.gpus}" if len(gpus) == 1 else f"ran on {len(gpus)} GPUs"
        )
    if hardware.gpu_model and set(gpus) != {hardware.gpu_model}:
        return f"ran on {', '.join(sorted(set(gpus)))}"
    return ""


class LogLabeller:
    """Says for each log of an upstream repository which record and arm it belongs to; copies are set aside."""

    def __init__(self, ladder: Ladder, hardware: Hardware) -> None:
        self.hardware = hardware
        self.retimed = ladder.upstream.retimed if ladder.upstream else ()
        self.records = {
            folder: record for record in ladder.record if record.logs for folder in record.logs.folders
        }
        self.seen: dict[str, str] = {}

    def label(self, log: TrainLog, path: str, digest: str) -> LogFact:
        record = self.records.get(self._folder(path))
        arm = _arm_of(log, record)
        number = record.number if record else None
        fact = state_fact(log, path, digest, record=number, arm=arm, hardware=self.hardware)
        return msgspec.structs.replace(fact, set_aside=self._set_aside(fact))

    def _folder(self, path: str) -> str:
        """The listed folder that holds ``path``, else empty."""
        parts = path.split("/")
        prefixes = ("/".join(parts[:end]) for end in range(len(parts) - 1, 0, -1))
        return next((prefix for prefix in prefixes if prefix in self.records), "")

    def _set_aside(self, fact: LogFact) -> str:
        first = self.seen.setdefault(fact.digest, fact.path)
        if fact.record is None:
            is_retiming = any(fact.path.startswith(f"{folder}/") for folder in self.retimed)
            return "times an old record anew" if is_retiming else "belongs to no record"
        if first != fact.path and self._folder(first):
            return f"a copy of {first}"
        return fact.set_aside or ("ran other code" if fact.arm == "other" else "")


def _arm_of(log: TrainLog, record: Record | None) -> Side:
    if record is None or record.logs is None:
        return "other"
    if log.code_digest in record.logs.code or (log.form == "llm.c" and not record.logs.code):
        return "human"
    return "baseline" if log.code_digest in record.logs.baseline_code else "other"


def ran_code(log: TrainLog, code: Mapping[str, bytes]) -> bool:
    """The log embeds a script of ``code`` (file by path), and of the further files those that it embeds."""
    modules_agree = all(code.get(name) == data for name, data in log.modules.items())
    return modules_agree and log.script in code.values()


def counted(facts: Iterable[LogFact], number: int, arm: str) -> list[LogFact]:
    """The facts of one record's arm that count."""
    return [fact for fact in facts if fact.record == number and fact.arm == arm and fact.counts]
