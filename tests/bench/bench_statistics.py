"""How long the leaderboard and the ratings take, and how that grows with the agents.

Run by hand (`python tests/bench/bench_statistics.py`). Limits of the project: 1,000 replicates over 100 agents x 88
records x 3 blocks under 2 s, 10 times the agents at most 12 times the time, ratings of 200 agents under 1 s.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault(
    "OPENBLAS_NUM_THREADS", "1"
)  # small systems of equations: threads only wait for each other
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from builders import SUBMISSION, make_attempt, make_run, make_study, make_track

from patchrun.core.leaderboard import rank
from patchrun.core.picks import Entry
from patchrun.core.rating import rate
from patchrun.core.results import Run
from patchrun.core.scoring import score

RECORDS, BLOCKS = 88, 3


def draw_runs(random: np.random.Generator) -> list[Run]:
    """Three blocks of three arms."""
    means = {"baseline": 10.0, "human": 8.0, "submission": 10.0 - 2 * random.uniform()}
    return [
        make_run(kind, block, float(random.normal(mean, 0.1)), float(random.normal(3.7, 0.01)))
        for kind, mean in means.items() for block in range(BLOCKS)
    ]  # fmt: skip


def make_entries(agents: int) -> list[Entry]:
    """Scored attempts of every agent on every record; 500 different studies are shared out among them."""
    random = np.random.default_rng(1)
    track, study = make_track(rule={"kind": "mean", "blocks": BLOCKS}), make_study(blocks=BLOCKS)
    scores = [score(track, study, draw_runs(random), SUBMISSION) for _ in range(500)]
    return [
        (make_attempt(f"agent{a}", str(n)), scores[int(random.integers(500))])
        for a in range(agents) for n in range(1, RECORDS + 1)
    ]  # fmt: skip


def measure(work: Callable[[], object], rounds: int = 3) -> float:
    """The least wall seconds of some rounds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Print the seconds and the ratio."""
    few, many = make_entries(100), make_entries(1000)
    measure(lambda: rank(few), rounds=1)
    one, ten = measure(lambda: rank(few)), measure(lambda: rank(many))
    random = np.random.default_rng(2)
    upper = np.triu(random.uniform(size=(RECORDS, 200, 200)) < 0.5, 1).astype(float)
    lower = np.tril(1 - upper.transpose(0, 2, 1), -1)
    names = [str(k) for k in range(200)]
    rating = measure(lambda: rate(names, upper + lower, replicates=100))
    print(
        f"leaderboard, 100 agents x {RECORDS} records x {BLOCKS} blocks, 1,000 replicates: {one:.2f} s (limit 2)"
    )
    print(f"leaderboard, 1,000 agents: {ten:.2f} s, {ten / one:.1f} times that of 100 (limit 12)")
    print(f"ratings of 200 agents, 100 replicates: {rating:.2f} s (limit 1)")


if __name__ == "__main__":
    main()
