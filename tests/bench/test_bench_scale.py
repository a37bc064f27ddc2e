"""The works that are measured do what they say, on an arena of one study; and what is left out is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchrun.adapters.store import RUNS, Arena
from tests.bench import bench_scale, synthetic


@pytest.fixture
def arena(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Arena:
    """An arena and two copies that lack its last study, as a measurement finds them."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    arena = synthetic.make(tmp_path, 1)
    for copy in ("copy.git", "behind.git"):
        arena.repo.git("clone", "--quiet", "--mirror", str(arena.repo.path), str(tmp_path / copy))
    synthetic.grow(arena, 1, first=1_000_000)
    return arena


def test_both_ways_of_sync_bring_one_study(arena: Arena, tmp_path: Path) -> None:
    there, behind = (Arena.open(tmp_path / name) for name in ("copy.git", "behind.git"))
    assert len(there.studies()) == len(behind.studies()) == 1 and len(arena.studies()) == 2
    bench_scale.WORK["sync, one study to send"](arena)()
    bench_scale.WORK["sync, one study to receive"](arena)()
    assert there.repo.refs(RUNS) == behind.repo.refs(RUNS) == arena.repo.refs(RUNS)
    bench_scale.WORK["sync, nothing new"](arena)()
    bench_scale.WORK["verify"](arena)()


def test_the_report_leaves_nothing_behind(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, pages = set(tmp_path.iterdir()), []
    write = bench_scale.write_site
    monkeypatch.setattr(bench_scale, "write_site", lambda *given: pages.append(write(*given).pages))
    bench_scale.WORK["report"](arena)()
    assert pages[0] > 2 * synthetic.SHARING and set(tmp_path.iterdir()) == before


def test_what_would_take_too_long_is_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[int, list[str]]] = []

    def measure(runs: int, works: list[str]) -> dict[str, dict[str, float]]:
        asked.append((runs, works))
        return {
            work: {"wall": runs / (4 if work == "verify" else 4000), "cpu": 1.0, "memory": 9.0}
            for work in works
        }

    monkeypatch.setattr(bench_scale, "measure_size", measure)
    bench_scale.main([1000, 10_000, 100_000])
    said = capsys.readouterr().out
    every = list(bench_scale.WORK)
    rest = [work for work in every if work != "verify"]
    assert asked == [(1000, every), (10_000, rest), (100_000, rest)]
    assert "left out at 10,000 runs, for more than 1200 s are expected: verify" in said
    assert "left out at 100,000 runs" in said and "left out at 1,000" not in said
    assert "| verify" in said and "250 s (1 s CPU, 9 MB)" in said and "| left out" in said


def test_every_work_can_be_done_and_leaves_a_whole_arena(arena: Arena) -> None:
    for name, prepare in bench_scale.WORK.items():
        prepare(arena)()
        assert name != "leaderboard, cold" or (arena.folder / "values.sqlite").is_file()
    assert len(arena.attempts()) > 2 * synthetic.SHARING
