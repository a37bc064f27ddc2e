"""How long it takes to read and rank an arena of 500, 1,000 and 2,000 stored runs, and `--help` beside click.

Run by hand (`python -m tests.bench.bench_arena`). The runs are made up and stored in bulk by `git fast-import`;
reading, scoring and ranking are real, and nothing is remembered. Limits of the project: 1 s at 2,000 runs, growth
linear; help at most 2.5 times.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from patchrun.adapters import process
from patchrun.adapters.store import Arena
from patchrun.faces import tables
from patchrun.services import standings
from tests.bench import synthetic


def seconds(work: Callable[[], object], rounds: int) -> float:
    """Median wall seconds of ``rounds`` calls."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def measure_arenas() -> None:
    """Print the time to a rendered leaderboard at three sizes, as a library call on a newly opened arena."""
    took = {}
    for size in (500, 1000, 2000):
        with tempfile.TemporaryDirectory() as name:
            arena = synthetic.make(Path(name), size)
            count, path = len(arena.runs()), arena.repo.path

            def read(path: Path = path) -> None:
                shutil.rmtree(path / "patchrun" / "remembered", ignore_errors=True)
                tables.render_leaderboard(standings.board(Arena.open(path)))

            took[size] = seconds(read, 5)
            print(f"leaderboard over {count} stored runs: {took[size]:.2f} s (median of 5)")
    print(f"2,000 runs / 500 runs: {took[2000] / took[500]:.2f} (linear is 4); limit at 2,000: 1 s")


def measure_help(rounds: int = 15) -> None:
    """Print `patchrun --help` over `import click`, interleaved."""
    pair = ([sys.executable, "-c", "import click"], [sys.executable, "-m", "patchrun", "--help"])
    ratios = [
        seconds(lambda: process.run(pair[1]), 1) / seconds(lambda: process.run(pair[0]), 1)
        for _ in range(rounds)
    ]
    print(f"patchrun --help / import click: {statistics.median(ratios):.2f} (median of {rounds}, limit 2.5)")


def main() -> None:
    """Print all lines."""
    measure_help()
    measure_arenas()


if __name__ == "__main__":
    main()
