"""What the runner costs in CPU time over the same script run bare with the same seed.

Run by hand (`python tests/bench/bench_runner.py [PAIRS] [STEPS]`): the pocket base script trains STEPS steps (650 take
about 20 s) PAIRS times each way, in mirrored order on one CPU. Counted is everything: start-up, warm-up and end of the
child and, for the runner, the parent's own CPU time too. Both must save the same weights. Limit of the project: 1.02.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from patchrun.adapters import corpus, cputime
from patchrun.adapters.child import Child
from patchrun.adapters.homes import cache_home
from patchrun.adapters.sandbox import listed_environment
from patchrun.core.track import Track, load_track
from patchrun.services.training import MODEL, Plan, Training

POCKET = Path(__file__).parents[2] / "baselines" / "pocket"
SEED = 1


@dataclass(frozen=True)
class Sample:
    """One training: all CPU seconds, those on the clock, and the digest of the weights."""

    total: float
    clocked: float | None
    weights: str


@dataclass(frozen=True)
class Contest:
    """The same training either way, each in a fresh folder."""

    track: Track
    data: Path
    steps: int
    cpu: int
    scratch: Path

    def place(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.scratch))

    def run_bare(self) -> Sample:
        """``python train_gpt.py``, as by hand."""
        place = self.place()
        extra = {
            "PATCHRUN_DATA": str(self.data), "PATCHRUN_OUT": str(place),
            "PATCHRUN_STEPS": str(self.steps), "PATCHRUN_SEED": str(SEED),
        }  # fmt: skip
        argv = [sys.executable, "-s", "-B", str(POCKET / "base" / self.track.launch.script)]
        with Child(argv, listed_environment(place, 1, extra), place, lambda: False) as child:
            cputime.pin(child.pid, self.cpu)
            said = b"".join(data for _, data in child.watch(time.monotonic() + 600))
            assert child.status == 0, said.decode()
            assert child.cpu_seconds is not None
            return Sample(child.cpu_seconds, None, digest(place / MODEL))

    def run_under_runner(self) -> Sample:
        """The same through patchrun's launcher, filter and clock."""
        place = self.place() / "run"
        plan = Plan(
            self.track, POCKET / "base", self.data, place, SEED, "seccomp", cpu=self.cpu, steps=self.steps
        )
        own = time.process_time()
        with Training(plan) as training:
            cputime.pin(training.child.pid, self.cpu)
            training.await_ready()
            trained = training.train()
            assert trained.exit == "ok", trained.reason
            assert training.child.cpu_seconds is not None
            total = training.child.cpu_seconds + time.process_time() - own
            return Sample(total, trained.seconds, digest(trained.model))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_in_turn(ways: list[Callable[[], Sample]], pairs: int) -> list[list[Sample]]:
    """``pairs`` samples of each way, the order turned from pair to pair."""
    samples: list[list[Sample]] = [[] for _ in ways]
    for pair in range(pairs):
        order = range(len(ways))
        for way in order if pair % 2 == 0 else reversed(order):
            samples[way].append(ways[way]())
    return samples


def main() -> None:
    """Print each way's CPU seconds and the ratio."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 650
    track = load_track((POCKET / "track.toml").read_text())
    data = corpus.prepare(track.data, cache_home(), POCKET)
    with tempfile.TemporaryDirectory() as scratch:
        cpu = max(os.sched_getaffinity(0))
        contest = Contest(track, data.train_dir, steps, cpu, Path(scratch))
        bare, ours = run_in_turn([contest.run_bare, contest.run_under_runner], pairs)
    assert len({sample.weights for sample in bare + ours}) == 1, "the two ways trained different weights"
    for label, samples in (("bare", bare), ("through the runner", ours)):
        totals = [sample.total for sample in samples]
        print(
            f"{label:20} {statistics.median(totals):6.2f} s of CPU "
            f"(median of {pairs}, {min(totals):.2f} to {max(totals):.2f})"
        )
    ratios = [our.total / their.total for our, their in zip(ours, bare, strict=True)]
    print(f"on the clock         {statistics.median(sample.clocked or 0 for sample in ours):6.2f} s")
    print(
        f"runner / bare: {statistics.median(ratios):.3f} (median of {pairs} pairs, limit 1.02), same weights"
    )


if __name__ == "__main__":
    main()
