"""How long the site of 500, 1,000 and 2,000 submissions takes, and how large its pages are.

Run by hand (`python -m tests.bench.bench_report`). Attempts and runs are made up and stored in bulk; reading, scoring,
drawing and writing are real. Limits of the project: no page over 500 KB; growth linear.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from patchrun.adapters.store import Arena
from patchrun.faces.report.gather import gather
from patchrun.faces.report.write import Written, write_site
from patchrun.services import importer
from tests.bench.synthetic import TINY
from tests.crowd import gather_crowd

SIZES = (500, 1000, 2000)


def build(folder: Path, count: int) -> tuple[Written, float, float, int]:
    """The site of a crowd of ``count``: what was written, seconds to read and to write, runs."""
    importer.init(folder / "arena", str(TINY))
    arena = Arena.open(folder / "arena")
    patches = sorted((TINY / "patches").iterdir())
    for record, patch in enumerate(patches, 1):
        gather_crowd(arena, patch.read_bytes(), count // len(patches), agents=count // 10, record=record)
    began = time.perf_counter()
    site = gather(Arena.open(folder / "arena"))
    read = time.perf_counter() - began
    written = write_site(site, folder / "site")
    return written, read, time.perf_counter() - began - read, site.runs


def main(sizes: tuple[int, ...] = SIZES) -> None:
    """Print a line a size."""
    for count in sizes:
        with tempfile.TemporaryDirectory() as name:
            os.environ["XDG_DATA_HOME"] = name
            written, read, wrote, runs = build(Path(name), count)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{count} submissions, {runs} runs: read {read:.1f} s, written {wrote:.1f} s; {written.pages} pages, "
            f"{written.total / 1e6:.0f} MB, the largest {written.largest / 1e3:.0f} KB; {memory:.0f} MB of memory"
        )


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or SIZES)
