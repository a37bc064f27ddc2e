"""Energy and use of the NVIDIA GPUs, by the driver's library (NVML) itself: counters that no run can set back.

Called through ctypes: the few functions that are needed have been stable since Volta (2017), and the driver brings the
library. A call may hang with the driver; whoever calls does so in a thread that can be given up (see ``workmeter``).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from typing import Any

LIBRARY = "libnvidia-ml.so.1"
SUCCESS = 0


class _Utilization(ctypes.Structure):
    """nvmlUtilization_t: percent of the last sample period in which a kernel ran, and memory was moved."""

    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class Gpus:
    """The GPUs that runs of this process see; ``open`` gives None without a driver."""

    def __init__(self, library: ctypes.CDLL, handles: Sequence[ctypes.c_void_p]) -> None:
        self.library, self.handles = library, tuple(handles)

    @classmethod
    def open(cls, visible: str | None = None) -> Gpus | None:
        """The GPUs that ``visible`` names as CUDA_VISIBLE_DEVICES does (None: as that variable says)."""
        try:
            loaded = ctypes.CDLL(LIBRARY)
            if loaded.nvmlInit_v2() != SUCCESS:
                return None
            handles = _find_handles(
                loaded, os.environ.get("CUDA_VISIBLE_DEVICES") if visible is None else visible
            )
        except (OSError, AttributeError):  # no such library, or one that lacks a function
            return None
        return cls(loaded, handles) if handles else None

    def joules(self) -> float | None:
        """Energy since the driver was loaded, all GPUs together; None where one of them does not count it."""
        return self._sum(
            "nvmlDeviceGetTotalEnergyConsumption", ctypes.c_ulonglong, lambda mj: mj.value / 1000
        )

    def use(self) -> float | None:
        """How many GPUs compute just now: their use in the last sample period, summed; None where one cannot tell."""
        return self._sum("nvmlDeviceGetUtilizationRates", _Utilization, lambda rates: rates.gpu / 100)

    def _sum(self, name: str, kind: Any, read: Callable[[Any], float]) -> float | None:
        total = 0.0
        for handle in self.handles:
            value = kind()
            function = getattr(self.library, name, None)
            if function is None or function(handle, ctypes.byref(value)) != SUCCESS:
                return None
            total += read(value)
        return total


def _find_handles(library: ctypes.CDLL, visible: str | None) -> list[ctypes.c_void_p]:
    if visible is None:
        count = ctypes.c_uint()
        if library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != SUCCESS:
            return []
        names = [str(index) for index in range(count.value)]
    else:
        names = [name.strip() for name in visible.split(",") if name.strip()]
    handles = []
    for name in names:
        handle = ctypes.c_void_p()
        if name.isdecimal():
            status = library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(int(name)), ctypes.byref(handle))
        else:
            status = library.nvmlDeviceGetHandleByUUID(name.encode(), ctypes.byref(handle))
        if status != SUCCESS:  # as CUDA does: what follows a name that is none is not seen
            break
        handles.append(handle)
    return handles
