"""The state of the NVIDIA GPUs, by the driver's own tool: clocks, temperatures, why clocks are held down."""

from __future__ import annotations

from patchrun.adapters import process
from patchrun.adapters.machine import hardware_class
from patchrun.core.errors import SetupError
from patchrun.core.results import GpuState

QUERY_SECONDS = 30.0
STATE = "clocks.sm,clocks.mem,temperature.gpu,clocks_throttle_reasons.active"
REASONS = {
    0x1: "idle", 0x2: "application clocks", 0x4: "power cap", 0x8: "hardware slowdown", 0x10: "sync boost",
    0x20: "software thermal slowdown", 0x40: "hardware thermal slowdown", 0x80: "power brake",
    0x100: "display clocks",
}  # fmt: skip
THROTTLED = frozenset(
    {"hardware slowdown", "software thermal slowdown", "hardware thermal slowdown", "power brake"}
)


def read_states() -> tuple[GpuState, ...]:
    """The state of each GPU now, in the driver's order; none without the driver's tool."""
    return tuple(_read_state(line) for line in _query(STATE))


def driver_version() -> str:
    """The version of the driver, empty without its tool."""
    return next(iter(_query("driver_version")), "")


def gpu_class(gpus: tuple[str, ...], torch: str, driver: str) -> str:
    """What must agree for times on GPUs to be compared: count and model, torch, driver."""
    words = [hardware_class("", gpus)]
    words += [f"torch {torch}"] if torch else []
    words += [f"driver {driver}"] if driver else []
    return ", ".join(words)


def say_throttled(states: tuple[GpuState, ...]) -> str:
    """Which GPUs ran slowed down, and why; empty when none did."""
    held = [
        f"GPU {index}: {', '.join(sorted(bad))}"
        for index, state in enumerate(states)
        if (bad := THROTTLED & set(state.reasons))
    ]
    return f"throttled ({'; '.join(held)})" if held else ""


def _query(fields: str) -> list[str]:
    """The lines that the driver's tool answers, one a GPU; none where it is absent or fails."""
    argv = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    try:
        done = process.run(argv, timeout=QUERY_SECONDS)
    except SetupError:
        return []
    lines = done.stdout.decode("utf-8", "replace").splitlines() if done.ok else []
    return [line.strip() for line in lines if line.strip()]


def _read_state(line: str) -> GpuState:
    """One line; what the GPU does not tell (``[N/A]``) is None, and no reason."""
    words = [word.strip() for word in line.split(",")] + [""] * 4
    try:
        mask = int(words[3], 16)
    except ValueError:
        mask = 0
    reasons = tuple(name for bit, name in REASONS.items() if mask & bit)
    return GpuState(_number(words[0]), _number(words[1]), _number(words[2]), reasons)


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
