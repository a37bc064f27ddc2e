"""Training logs of the speedrun's scripts, read strictly: every line is of a known kind or an error names it.

Three forms exist. ``llm.c``: lines ``s:N tel:X`` (validation) and ``s:N trl:X`` (training), no code, no times.
``framed``: a rule of 100 equals signs, the source, a rule. ``plain``: the source from the first line, one newline
that ``print`` added, a rule; further files follow the script under a headline of their own. After the source come
the environment, a rule, and the steps (some scripts put their data loaders between two more rules).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from patchrun.core.errors import PatchrunError

MAX_BYTES = 64 * 2**20  # the largest known log of a record has 0.8 MB
RULE = "=" * 100

_MODULE = re.compile(rb"\n\n-{40}\n# ([A-Za-z_][A-Za-z0-9_]*\.py)\n-{40}\n\n")
_STEP = re.compile(
    r"step:(\d+)/(\d+) (?:(val|train)_loss:(\S+) )?train_time:(\d+)ms step_avg:(?:nan|\d+\.\d+)ms"
)
_LLMC = re.compile(r"s:(\d+) (tel|trl):(\d+\.\d+)(?: lr:\S+ norm:\S+)?")
_ENVIRONMENT = re.compile(
    r"Running [Pp]ython (?P<python>\S+).*"
    r"|Running [Pp]y[Tt]orch (?P<torch>\S+) compiled for CUDA (?P<cuda>\S+)"
    r"|Running Triton version (?P<triton>\S+)"
    r"|\|.* Driver Version: (?P<driver>\S+) .*\|"
    r"|\|\s+\d+\s+(?P<gpu>NVIDIA .*?)\s+(?:On|Off)\s+\|.*\|"
    r"|[|+].*[|+]|\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\s*|nvidia-smi:|RUN_ID=\S+|\s*"
)
_NOTE = re.compile(
    r"(?P<warmup>Compiling model and warming up kernels .*|Sampling steps \[[\d, ]+\] for warmup|Resetting Model)"
    r"|peak memory (?:allocated|consumption): (?P<memory>\d+) MiB(?: reserved: \d+ MiB)?"
    r"|(?:Training|Validation) DataLoader: total number of tokens: \d+ across \d+ files"
    r"|(?:Training|Validation) dataloader files: \[.*\]"
    r"|Created \d+ gradient buckets|Bucket \d+: \d+ params, [\d.]+ MB|Registering bucketed gradient hooks\.\.\."
    r"|[\w.]+: torch\.Size\(\[[\d, ]*\]\) torch\.\w+ \S+ \S+|Model parameters:"
    r"|\s*(?:Total|Embedding|Non-embedding) parameters: [\d,]+|\s*"
)


class LogError(PatchrunError):
    """A log that cannot be read; ``line`` is 1-based, 0 where the file as a whole is wrong."""

    def __init__(self, name: str, line: int, what: str, text: str = "") -> None:
        where = f"{name}:{line}" if line else name
        excerpt = f": {text[:80]!r}" if text else ""
        super().__init__(f"{where}: {what}{excerpt}", "give a whole log as the training script wrote it")
        self.line = line


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """What a log says of its machine; ``gpus`` has one model name for each GPU listed."""

    python: str = ""
    torch: str = ""
    cuda: str = ""
    triton: str = ""
    driver: str = ""
    gpus: tuple[str, ...] = ()


class Validation(msgspec.Struct, frozen=True):
    """A validation: loss in nats per token, training seconds until then (None where the log has no times)."""

    step: int
    loss: float
    seconds: float | None


class TrainLog(msgspec.Struct, frozen=True, kw_only=True):
    """One run as its script logged it.

    ``code`` is the embedded source, byte for byte (``script``, then ``modules`` by name, are its parts).
    ``steps`` were planned, ``reached`` is the last one printed. ``restart`` is the step at which the clock
    was set back to zero, as scripts did before the timing rule changed. ``warmup`` holds the untimed warm-up's lines,
    ``lines`` all that stand after the source.
    """

    form: Literal["llm.c", "framed", "plain"]
    code: bytes
    script: bytes
    modules: dict[str, bytes]
    environment: Environment
    steps: int
    reached: int
    validations: tuple[Validation, ...]
    restart: int | None = None
    warmup: tuple[str, ...] = ()
    memory_mib: int | None = None
    lines: tuple[str, ...] = ()

    @property
    def finished(self) -> bool:
        return bool(self.validations) and self.validations[-1].step == self.steps

    @property
    def loss(self) -> float | None:
        """The last validation's loss, None for an unfinished run."""
        return self.validations[-1].loss if self.finished else None

    @property
    def seconds(self) -> float | None:
        """The training seconds at the last validation, None for an unfinished run."""
        return self.validations[-1].seconds if self.finished else None

    @property
    def code_digest(self) -> str:
        """SHA-256 of the embedded source, empty where there is none."""
        return hashlib.sha256(self.code).hexdigest() if self.code else ""


def parse_log(data: bytes, name: str = "log", source: bytes | None = None) -> TrainLog:
    """Read a log of any form.

    ``source``: what the embedded source must be; then nothing inside it can pass for a step line. Raises
    LogError that names the line of whatever is not understood.
    """
    _check_bytes(data, name)
    if re.match(rb"s:\d+ t[er]l:", data):
        return _parse_llmc(data, name)
    form, code, rest, line = _cut_code(data, name, source)
    script, *found = _MODULE.split(code)
    modules = {found[i].decode(): found[i + 1] for i in range(0, len(found), 2)}
    after = tuple(rest.decode().removesuffix("\n").split("\n"))
    lines = enumerate(after, start=line)
    environment, line = _parse_environment(lines, name)
    run = _parse_run(lines, name, line)
    return TrainLog(
        form=form, code=code, script=script, modules=modules, environment=environment, lines=after, **run
    )


def is_step_line(line: str) -> bool:
    """Whether a line of a log that was read strictly is one of its step lines."""
    return line.startswith("step:") or bool(_LLMC.fullmatch(line))


def _check_bytes(data: bytes, name: str) -> None:
    """Refuse what cannot be a log before looking at lines."""
    if not data:
        raise LogError(name, 0, "the log is empty")
    if len(data) > MAX_BYTES:
        raise LogError(name, 0, f"{len(data) / 2**20:.0f} MiB, a log has at most {MAX_BYTES // 2**20}")
    if data.startswith(b"\x1f\x8b"):
        raise LogError(name, 0, "gzip data (profiler traces end in .gz), not a log")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise LogError(name, data.count(b"\n", 0, error.start) + 1, "not UTF-8") from None
    for byte, what in ((b"\0", "a NUL byte"), (b"\r", "a carriage return")):
        if byte in data:
            raise LogError(name, data.count(b"\n", 0, data.index(byte)) + 1, what)


def _cut_code(
    data: bytes, name: str, source: bytes | None
) -> tuple[Literal["framed", "plain"], bytes, bytes, int]:
    """The form, the embedded source, what follows its closing rule, and the line number at which that begins."""
    rule = RULE.encode() + b"\n"
    framed = data.startswith(rule)
    start = len(rule) if framed else 0
    if source is not None:
        end = start + len(source)
        if data[start:end] != source:
            raise LogError(name, 1, "the embedded source is not the source that was run")
    else:
        end = data.find(b"\n" + rule, start)
        if end < 0:
            raise LogError(
                name, 1, "no source closed by a rule of 100 equals signs, so not a log", _first(data)
            )
        end += framed  # framed: the newline is the source's own; plain: print added it
    closing = rule if framed else b"\n" + rule
    if data[end : end + len(closing)] != closing:
        raise LogError(
            name, data.count(b"\n", 0, end) + 1, "expected a rule of 100 equals signs after the source"
        )
    after = end + len(closing)
    return "framed" if framed else "plain", data[start:end], data[after:], data.count(b"\n", 0, after) + 1


def _first(data: bytes) -> str:
    return data.split(b"\n", 1)[0].decode()


def _parse_environment(lines: Iterator[tuple[int, str]], name: str) -> tuple[Environment, int]:
    """Consume the lines up to and with the next rule; the environment and the number of that line."""
    seen: dict[str, str] = {}
    gpus: list[str] = []
    number = 0
    for number, line in lines:
        if line == RULE:
            return Environment(**seen, gpus=tuple(gpus)), number
        match = _ENVIRONMENT.fullmatch(line)
        if not match:
            raise LogError(name, number, "not a line of the environment", line)
        found = {key: value for key, value in match.groupdict().items() if value is not None}
        gpus += [found.pop("gpu")] if "gpu" in found else []
        seen.update(found)
    raise LogError(name, number, "the log ends inside the environment")


def _parse_run(lines: Iterator[tuple[int, str]], name: str, number: int) -> dict[str, object]:
    """The fields of a TrainLog that come from the steps and the notes around them, after line ``number``."""
    course = _Course(name)
    warmup: list[str] = []
    memory: int | None = None
    for number, line in lines:
        if line.startswith("step:"):
            course.add(number, line)
        elif line != RULE or course.started:
            note = None if course.running else _NOTE.fullmatch(line)
            if not note:
                raise LogError(name, number, "not a line that a training script writes", line)
            warmup += [note["warmup"]] if note["warmup"] else []
            memory = int(note["memory"]) if note["memory"] else memory
    return {**course.result(number), "warmup": tuple(warmup), "memory_mib": memory}


class _Course:
    """The step lines of one run, checked as they come."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps = 0
        self.reached = -1
        self.clock = 0
        self.restart: int | None = None
        self.validations: list[Validation] = []

    @property
    def started(self) -> bool:
        return self.reached >= 0

    @property
    def running(self) -> bool:
        """Between the first step and the last validation."""
        return self.started and not (self.validations and self.validations[-1].step == self.steps)

    def add(self, number: int, line: str) -> None:
        match = _STEP.fullmatch(line)
        if not match:
            raise LogError(self.name, number, "not a step line", line)
        step, steps, clock = int(match[1]), int(match[2]), int(match[5])
        self._check(number, line, step, steps)
        if clock < self.clock:
            if self.restart is not None:
                raise LogError(self.name, number, "the clock runs backwards", line)
            self.restart = step
        self.reached, self.steps, self.clock = step, steps, clock
        if match[3]:
            loss = self._loss(number, match[4], line)
            if match[3] == "val":
                self.validations.append(Validation(step, loss, clock / 1000))

    def _check(self, number: int, line: str, step: int, steps: int) -> None:
        if self.started and steps != self.steps:
            raise LogError(self.name, number, f"{steps} steps in all, but {self.steps} before", line)
        if not self.reached <= step <= min(self.reached + 1, steps):
            raise LogError(self.name, number, f"step {step} of {steps} after step {self.reached}", line)
        if self.validations and self.validations[-1].step == self.steps:
            raise LogError(self.name, number, "a step after the last validation", line)

    def _loss(self, number: int, text: str, line: str) -> float:
        if not re.fullmatch(r"\d+\.\d+", text) or float(text) <= 0:
            raise LogError(self.name, number, "the loss is not a positive number", line)
        return float(text)

    def result(self, number: int) -> dict[str, object]:
        if not self.started:
            raise LogError(self.name, number, "the log ends before the first step")
        return {
            "steps": self.steps,
            "reached": self.reached,
            "validations": tuple(self.validations),
            "restart": self.restart,
        }


def _parse_llmc(data: bytes, name: str) -> TrainLog:
    """Training and validation losses only: the planned steps are the last validation's."""
    validations: list[Validation] = []
    reached = 0
    lines = data.decode().removesuffix("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        match = _LLMC.fullmatch(line)
        if not match:
            raise LogError(name, number, "not a line of an llm.c log", line)
        step = int(match[1])
        if not reached <= step <= reached + 1:
            raise LogError(name, number, f"step {step} after step {reached}", line)
        reached = step
        if match[2] == "tel":
            validations.append(Validation(step, float(match[3]), None))
    return TrainLog(
        form="llm.c",
        code=b"",
        script=b"",
        modules={},
        environment=Environment(),
        steps=reached,
        reached=reached,
        validations=tuple(validations),
        lines=tuple(lines),
    )
