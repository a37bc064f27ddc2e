"""Figures of a run by the moment, from counters that the test turns."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from patchrun.adapters import workmeter
from patchrun.adapters.nvml import Gpus
from patchrun.adapters.workmeter import Sampler, WorkMeter
from patchrun.core.results import Work
from tests.adapters.nvml_library import install


def test_the_amounts_are_differences_from_the_start_signal() -> None:
    counter = [100.0]
    with WorkMeter(lambda: counter[0], None) as meter:
        counter[0] = 103.0
        time.sleep(0.3)
        lead = time.monotonic() - meter.began
        time.sleep(0.3)
        counter[0] = 110.0
    found = meter.work(lead).cpu
    assert found is not None and (found.lead, found.whole) == (3.0, 10.0)
    assert meter.work(None).cpu == workmeter.Amount(None, 10.0)
    assert (meter.work(lead).joules, meter.work(lead).busy) == (None, None)


def test_a_counter_that_falls_back_is_taken_at_its_highest() -> None:
    values = iter([0.0, 5.0, 2.0, 2.0])
    last = [2.0]

    def read() -> float:
        last[0] = next(values, last[0])
        return last[0]

    with WorkMeter(read, None) as meter:
        time.sleep(0.5)
    found = meter.work(None).cpu
    assert found is not None and found.whole == 5.0


def test_moments_between_samples_lie_on_a_line() -> None:
    points = [(10.0, 0.0), (12.0, 4.0), (14.0, 4.0)]
    found = [workmeter._interpolate(points, moment) for moment in (9.0, 10.0, 11.0, 12.0, 13.0, 99.0)]
    assert found == [0.0, 0.0, 2.0, 4.0, 4.0, 4.0]


def test_energy_and_use_of_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = install(tmp_path / "nvml", monkeypatch)
    with WorkMeter(lambda: 0.0, Gpus.open) as meter:
        fake.set("energy", 1_500_000, 2_500_000)
        time.sleep(0.5)
        lead = time.monotonic() - meter.began
        fake.set("use", 0, 0)
        time.sleep(0.5)
        fake.set("energy", 4_000_000, 2_500_000)
    work = meter.work(lead)
    assert work.joules is not None and work.busy is not None
    assert (work.joules.lead, work.joules.whole) == (1000.0, 3500.0)
    assert work.busy.lead is not None and 0.2 < work.busy.lead <= work.busy.whole < lead + 0.3


def test_a_figure_that_fails_once_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = install(tmp_path / "nvml", monkeypatch)
    with WorkMeter(lambda: 1.0, Gpus.open) as meter:
        fake.unset("energy")
        time.sleep(0.3)
    work = meter.work(0.1)
    assert work.joules is None and work.busy is not None and work.cpu is not None


def test_without_a_driver_there_is_no_figure() -> None:
    with WorkMeter(lambda: 1.0, lambda: None) as meter:
        pass
    assert meter.work(0.1) == Work(cpu=workmeter.Amount(0.0, 0.0))


@pytest.mark.parametrize("where", ["hang", "stall"])
def test_a_driver_that_hangs_has_a_time_limit(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its first call, or in the middle of the run: the run goes on, and the figures are unknown."""
    monkeypatch.setattr(workmeter, "PATIENCE_SECONDS", 0.3)
    fake = install(tmp_path / "nvml", monkeypatch)
    if where == "hang":
        fake.set("hang", 4)
    with WorkMeter(lambda: 1.0, Gpus.open) as meter:
        if where == "stall":
            fake.set("stall", 4, 4)
            time.sleep(0.4)
    work = meter.work(0.1)
    assert (work.joules, work.busy) == (None, None)
    assert work.cpu is not None


def test_a_sampler_ends_with_its_last_sample() -> None:
    seen: list[int] = []
    sampler = Sampler(lambda: lambda: (float(len(seen) or seen.append(1) or 0),))
    sampler.start()
    sampler.finish()
    assert not sampler.thread.is_alive()
    assert threading.active_count() < 50 and len(sampler.samples) >= 2
