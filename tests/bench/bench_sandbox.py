"""What the sandbox adds to the start of a process: from the call to its end, groups and all, over bare python.

Run by hand (`python -m tests.bench.bench_sandbox [PAIRS]`): in turn bare and wrapped, PAIRS times. On a busy machine
the least of each says what the work itself takes; the median holds the waiting for a CPU too. Limit: 20 ms.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from patchrun.adapters import process, sandbox

WORDS = ("-I", "-S", "-c", "pass")


def time_start(name: str, place: Path) -> float:
    """Milliseconds for one python that does nothing."""
    began = time.perf_counter()
    room = sandbox.Room(place, sys.executable)
    wrapped = sandbox.wrap([sys.executable, *WORDS], name, room)
    done = process.run(wrapped.argv, env=sandbox.listed_environment(place / "home", 1, {}))
    wrapped.release()
    assert done.ok, done.errors
    return 1000 * (time.perf_counter() - began)


def main(pairs: int = 50) -> None:
    """Print both ways and the difference."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name in ("out", "home"):
            (place / name).mkdir()
        time_start("bwrap", place)  # what is looked up once a process
        samples = [(time_start("none", place), time_start("bwrap", place)) for _ in range(pairs)]
    bare, wrapped = ([sample[way] for sample in samples] for way in (0, 1))
    for word, pick in (("least", min), ("median", statistics.median)):
        print(
            f"{word} of n = {pairs}: bare {pick(bare):.1f} ms, sandboxed {pick(wrapped):.1f} ms, "
            f"difference {pick(wrapped) - pick(bare):.1f} ms (limit 20)"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
