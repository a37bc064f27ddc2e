"""How long it takes to read and rank an arena of 500, 1,000 and 2,000 stored runs, and `--help` beside click.

Run by hand (`python -m tests.bench.bench_arena`). The runs are made up and stored in bulk by `git fast-import`;
reading, scoring and ranking are real. Limits of the project: 1 s at 2,000 runs, growth linear; help at most 2.5 times.
"""

from __future__ import annotations

import gzip
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from patchrun.adapters import process
from patchrun.adapters.store import RUNS, Arena, run_name
from patchrun.core import plan, results
from patchrun.core.results import CurvePoint, Machine, Run, Study
from patchrun.core.selection import Span
from patchrun.faces import tables
from patchrun.services import importer, standings, tournament

TINY = Path(__file__).parents[1] / "tracks" / "tiny"
MACHINE = Machine(host="h", cpu="c", cores=2, torch="2", python="3", kernel="6", hardware_class="x")
LOG = gzip.compress(b"step:10/100 train_loss:3.0 train_time:12ms\n" * 20, mtime=0)
CURVE = tuple(CurvePoint(step, 3.0, 12.0, 0.1) for step in range(20))


def fill(arena: Arena, wanted: int) -> int:
    """Hand made-up submissions in and store their studies' runs, in bulk, until there are ``wanted``."""
    patch = next((TINY / "patches").glob("0001*")).read_text()
    count = 0
    while count < wanted:
        for index in range(10):
            diff = patch.replace("STEPS = 210", f"STEPS = {211 + count + index}").encode()
            tournament.hand_in(arena, diff, Span(1, 1), f"agent-{index}")
        for study in tournament.plan_waiting(arena):
            arena.add_study(study)
            count += store_runs(arena, study)
    return count


def store_runs(arena: Arena, study: Study) -> int:
    """Store a run for every slot of a study by one `git fast-import`."""
    runs = [
        made_up(study, arm, slot) for block in range(study.blocks) for arm, slot in plan.slots(study, block)
    ]
    arena.repo.git("fast-import", "--quiet", input=b"".join(commands(run) for run in runs))
    return len(runs)


def commands(run: Run) -> bytes:
    data = results.encode(run)
    files = b"".join(
        b"M 100644 inline %s\ndata %d\n%s\n" % (name, len(text), text)
        for name, text in ((b"run.json", data), (b"log.gz", LOG))
    )
    head = f"commit {RUNS}{run_name(run)}\ncommitter patchrun <patchrun@patchrun.invalid> 1767225600 +0000\ndata 0\n"
    return head.encode() + files + b"\n"


def made_up(study: Study, arm: results.Arm, slot: results.Slot) -> Run:
    base = {"baseline": 2.0, "human": 1.0}.get(arm.kind, 1.4)
    return Run(
        study=study.id, arm=arm.name, kind=arm.kind, record=study.record, block=slot.block, position=slot.position,
        seed=slot.seed, exit="ok", clock="cpu", seconds=base + slot.seed % 97 * 1e-4,
        loss=1.1 + slot.seed % 9973 * 1e-7,
        curve=CURVE, sandbox="seccomp", machine=MACHINE, commit=arm.commit, tree=arm.tree,
        track_digest=study.track_digest, tool_version="0", started="2026-01-01T00:00:00+00:00",
    )  # fmt: skip


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
            os.environ["XDG_DATA_HOME"] = name
            importer.init(Path(name) / "arena", str(TINY))
            arena = Arena.open(Path(name) / "arena")
            count = fill(arena, size)
            path = arena.repo.path

            def read(path: Path = path) -> None:
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
