"""Logs taken in: upstream's as facts, a user's own with their text, and the ladder that results."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from patchrun.adapters.gitrepo import PATCHRUN, GitRepo
from patchrun.adapters.store import Arena
from patchrun.core import trainlog
from patchrun.core.errors import ArenaError, PatchrunError, UsageError
from patchrun.core.trainlog import LogError
from patchrun.services import importer, ladderbook
from patchrun.services.upstream_logs import (
    INGESTS,
    ingest_logs,
    ingest_upstream,
    read_facts,
    read_ingests,
)
from tests.upstream_fixture import LOGS, Upstream, make_track, own_log, write_log


@pytest.fixture
def arena(tmp_path: Path, upstream: Upstream) -> Arena:
    track = make_track(tmp_path / "track", upstream)
    importer.init(tmp_path / "arena", str(track), str(upstream.repo.path))
    return Arena.open(tmp_path / "arena")


def test_all_logs_are_taken_in_and_labelled(arena: Arena, upstream: Upstream) -> None:
    ingest = ingest_upstream(arena, str(upstream.repo.path))
    assert (len(ingest.logs), ingest.unread, ingest.absent) == (18, (), ())
    labels = {
        fact.path.removeprefix(f"{LOGS}/"): (fact.record, fact.arm, fact.set_aside) for fact in ingest.logs
    }
    assert labels["05_Loaders/b c.txt"] == (5, "human", "")
    assert labels["07_Kernels/baseline/1.txt"] == (7, "baseline", "")
    assert labels["07_Kernels/this/copy.txt"][2].startswith("a copy of")
    assert labels["07_Kernels/this/h200.txt"][2] == "ran on NVIDIA H200"
    assert labels["91_Retimed/r.txt"][2] == "times an old record anew"
    assert ingest.commit == upstream.commits[-1]


def test_the_text_of_upstream_logs_is_not_stored(arena: Arena, upstream: Upstream) -> None:
    ingest_upstream(arena, str(upstream.repo.path))
    (commit,) = arena.repo.refs(INGESTS).values()
    assert list(arena.repo.files(commit)) == ["ingest.json"]
    assert b"train_time" not in arena.repo.read(f"{commit}:ingest.json")


def test_taking_in_twice_is_once(arena: Arena, upstream: Upstream) -> None:
    ingest_upstream(arena, str(upstream.repo.path))
    before = arena.repo.refs()
    ingest_upstream(arena, str(upstream.repo.path))
    assert arena.repo.refs() == before
    assert len(read_facts(arena)) == 18


def test_the_ladder_shows_what_the_logs_say(arena: Arena, upstream: Upstream) -> None:
    ingest_upstream(arena, str(upstream.repo.path))
    document = ladderbook.read(arena).document()
    last = document["rows"][-1]
    assert (last["seconds"]["n"], last["seconds"]["measured"]) == (4, 4.005)
    assert last["p_value"] == pytest.approx(0.003344, abs=1e-6)
    assert last["gain"]["seconds"] == pytest.approx(0.895)
    assert sum(last["set_aside"].values()) == 5
    assert [entry["records"] for entry in document["totals"]] == [5, 7]
    assert document["hazards"]["gain-within-noise"]
    assert set(document["rows"][0]) >= {"record", "date", "by", "ai_system", "summary", "seconds", "gain_seconds",
                                        "has_baseline", "has_human", "hazards"}  # fmt: skip


def test_a_log_that_a_partial_copy_lacks_is_listed(arena: Arena, upstream: Upstream, tmp_path: Path) -> None:
    copy = GitRepo(Path(shutil.copytree(upstream.repo.path, tmp_path / "copy.git")))
    oid = copy.resolve(f"{upstream.commits[-1]}:{LOGS}/90_Elsewhere/x.txt")
    (copy.path / "objects" / oid[:2] / oid[2:]).unlink()
    ingest = ingest_upstream(arena, str(copy.path))
    assert ingest.absent == (f"{LOGS}/90_Elsewhere/x.txt",)
    assert len(ingest.logs) == 17


def test_a_log_that_cannot_be_read_is_listed_with_its_line(
    arena: Arena, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainlog, "MAX_BYTES", 2500)
    ingest = ingest_upstream(arena, str(upstream.repo.path))
    assert ingest.unread
    assert all("MiB" in entry.reason for entry in ingest.unread)
    assert len(ingest.logs) + len(ingest.unread) == 18


def test_own_logs_are_kept_with_their_text(arena: Arena, tmp_path: Path) -> None:
    path = write_log(tmp_path / "mine.txt")
    ingest = ingest_logs(arena, [path], 7, "human")
    (fact,) = ingest.logs
    assert (fact.record, fact.arm, fact.set_aside, fact.seconds) == (7, "human", "", 4.0)
    (commit,) = arena.repo.refs(INGESTS).values()
    (name,) = [name for name in arena.repo.files(commit) if name.endswith(".gz")]
    assert gzip.decompress(arena.repo.read(f"{commit}:{name}")) == path.read_bytes()
    assert ladderbook.read(arena).rows[-1].measured.seconds == (4.0,)


def test_own_logs_of_other_code_do_not_count(arena: Arena, tmp_path: Path) -> None:
    ingest = ingest_logs(
        arena, [write_log(tmp_path / "a.txt"), write_log(tmp_path / "b.txt", number=8)], 7, "human"
    )
    assert [fact.set_aside for fact in ingest.logs] == ["", "ran other code"]
    assert (
        ingest_logs(arena, [write_log(tmp_path / "c.txt")], 7, "baseline").logs[0].set_aside
        == "ran other code"
    )


def test_the_same_log_counts_once(arena: Arena, tmp_path: Path) -> None:
    one, two = write_log(tmp_path / "a.txt"), write_log(tmp_path / "b.txt")
    ingest_logs(arena, [one], 7, "human")
    ingest_logs(arena, [two, write_log(tmp_path / "c.txt", loss=3.26)], 7, "human")
    assert len(read_ingests(arena)) == 2
    assert len(ladderbook.read(arena).rows[-1].measured.seconds) == 2


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (gzip.compress(b"x", mtime=0), "gzip"),
        (b"epoch 1 loss 3.2\n", "not a log"),
        (own_log()[:-60], "bad.txt:"),
    ],
)
def test_a_bad_log_stores_nothing(arena: Arena, tmp_path: Path, data: bytes, what: str) -> None:
    (tmp_path / "bad.txt").write_bytes(data)
    with pytest.raises(LogError) as caught:
        ingest_logs(arena, [write_log(tmp_path / "good.txt"), tmp_path / "bad.txt"], 7, "human")
    assert what in caught.value.message
    assert arena.repo.refs(INGESTS) == {}


def test_a_huge_log_is_refused_by_its_size(arena: Arena, tmp_path: Path) -> None:
    with (tmp_path / "huge.txt").open("wb") as file:
        file.truncate(200 * 2**20)
    with pytest.raises(LogError, match="200 MiB"):
        ingest_logs(arena, [tmp_path / "huge.txt"], 7, "human")


@pytest.mark.parametrize(
    ("number", "arm", "what"),
    [
        (1, "human", "record 1 has no baseline: no code before it"),
        (99, "human", "no record 99"),
        (7, "0123456789", "names no submission"),
    ],
)
def test_wrong_records_and_arms(arena: Arena, tmp_path: Path, number: int, arm: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        ingest_logs(arena, [write_log(tmp_path / "a.txt")], number, arm)
    assert what in caught.value.message


def test_a_log_file_that_is_not_there(arena: Arena, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere.txt"):
        ingest_logs(arena, [tmp_path / "nowhere.txt"], 7, "human")


def test_a_damaged_ingest_is_named(arena: Arena, tmp_path: Path) -> None:
    commit = arena.repo.commit(
        arena.repo.store_files({"ingest.json": b"{}"}), [], "x\n", PATCHRUN,
        "2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    arena.repo.create_refs({f"{INGESTS}abc": commit})
    with pytest.raises(ArenaError, match="refs/patchrun/ingest/abc"):
        read_facts(arena)


def test_a_track_without_an_upstream_takes_no_upstream_logs(plain: Arena, upstream: Upstream) -> None:
    with pytest.raises(PatchrunError, match="no upstream repository"):
        ingest_upstream(plain, str(upstream.repo.path))
    assert ladderbook.read(plain).document()["rows"][0]["gain_seconds"] == 3.0
