"""``make bench``: every benchmark in turn, each prints its ratios and limits."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from tests.bench import bench_arena, bench_runner, bench_sandbox, bench_statistics, bench_validate  # noqa: E402

if __name__ == "__main__":
    for benchmark in (bench_validate, bench_arena, bench_statistics, bench_sandbox, bench_runner):
        print(f"== {benchmark.__name__.removeprefix('tests.bench.')}", flush=True)
        benchmark.main()
