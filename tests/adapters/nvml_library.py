"""A small NVML of our own, compiled by gcc: what the driver's library answers, by files that a test writes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from patchrun.adapters import nvml

SOURCE = r"""
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef int nvmlReturn_t;
typedef struct { int index; } *nvmlDevice_t;
typedef struct { unsigned int gpu, memory; } nvmlUtilization_t;
static int started;
static struct { int index; } devices[8] = {{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}};

static long ask(const char *name, int index) {
    char path[4096];
    long value = -1;
    snprintf(path, sizeof path, "%s/%s%d", FOLDER, name, index);
    FILE *file = fopen(path, "r");
    if (!file) return -1;
    if (fscanf(file, "%ld", &value) != 1) value = -1;
    fclose(file);
    return value;
}

nvmlReturn_t nvmlInit_v2(void) {
    long hang = ask("hang", 0);
    if (hang > 0) sleep(hang);
    started = ask("init", 0) < 0;
    return started ? 0 : 9; /* NVML_ERROR_DRIVER_NOT_LOADED */
}
nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count) {
    if (!started) return 1;
    *count = (unsigned int)ask("count", 0);
    return 0;
}
nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device) {
    if (!started || index >= (unsigned int)ask("count", 0)) return 2;
    *device = (nvmlDevice_t)&devices[index];
    return 0;
}
nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device) {
    if (!started || strncmp(uuid, "GPU-", 4) != 0) return 6;
    return nvmlDeviceGetHandleByIndex_v2((unsigned int)(uuid[4] - '0'), device);
}
nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t device, unsigned long long *energy) {
    long hang = ask("stall", device->index), value = ask("energy", device->index);
    if (hang > 0) sleep(hang);
    if (value < 0) return 3; /* NVML_ERROR_NOT_SUPPORTED */
    *energy = (unsigned long long)value;
    return 0;
}
nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *rates) {
    long value = ask("use", device->index);
    if (value < 0) return 3;
    rates->gpu = (unsigned int)value;
    rates->memory = 0;
    return 0;
}
"""


class FakeNvml:
    """The library's answers: one file a figure and GPU; a figure without a file is not supported."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def set(self, name: str, *values: int) -> None:
        for index, value in enumerate(values):
            fresh = self.folder / "fresh"
            fresh.write_text(str(value))
            fresh.replace(self.folder / f"{name}{index}")

    def unset(self, name: str) -> None:
        for path in self.folder.glob(f"{name}[0-9]"):
            path.unlink()


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, gpus: int = 2) -> FakeNvml:
    """Build it and put it in the driver's place, with ``gpus`` GPUs that count energy and use."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to compile a library with NVML's interface")
    folder.mkdir(exist_ok=True)
    source, library = folder / "nvml.c", folder / "libnvidia-ml.so.1"
    source.write_text(SOURCE)
    define = f'-DFOLDER="{folder}"'
    subprocess.run(["gcc", "-shared", "-fPIC", define, "-o", str(library), str(source)], check=True)
    monkeypatch.setattr(nvml, "LIBRARY", str(library))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    fake = FakeNvml(folder)
    fake.set("count", gpus)
    fake.set("energy", *[1_000_000 * (k + 1) for k in range(gpus)])
    fake.set("use", *[50] * gpus)
    return fake
