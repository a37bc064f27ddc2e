"""What a queue's task does, without a queue: real blocks on the tiny track, stored whole, counted once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from patchrun.adapters.gitrepo import GitRepo
from patchrun.adapters.store import RUNS, Arena, run_name
from patchrun.core import plan
from patchrun.core.errors import ArenaError, UsageError
from patchrun.core.results import Study
from patchrun.core.selection import Span
from patchrun.core.slurmjob import Order
from patchrun.services import blocktask, importer, tournament, verify
from patchrun.services.study import Options
from tests.conftest import change
from tests.services.test_tournament import fill, hand_in, made_up_run


@pytest.fixture
def study(tiny: Arena) -> Study:
    """The smallest study: one arm, two blocks."""
    arms = tournament.reference_arms(tiny, Span(3, 3))
    seeds = tiny.track.seeds.public[:2]
    planned = Study(
        id="one", track="tiny", track_digest=tiny.track.digest, record="3", arms=arms[1:], seeds=seeds,
        seed_source="public", created=tournament.now(),
    )  # fmt: skip
    tiny.add_study(planned)
    return planned


def order_of(arena: Arena, study: str, remote: str = "") -> Order:
    return Order(arena=str(arena.repo.path), remote=remote, study=study)


def start(order: Order, block: int, folder: Path) -> subprocess.Popen[bytes]:
    """The task as a batch script starts it."""
    words = [sys.executable, "-m", "patchrun", "block", "-"]
    environment = os.environ | {"SLURM_ARRAY_TASK_ID": str(block), "TMPDIR": str(folder)}
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             env=environment)  # fmt: skip
    child.stdin.write(msgspec.json.encode(order))
    child.stdin.close()
    child.stdin = None
    return child


def test_a_block_that_runs_twice_counts_once_and_one_that_is_stopped_leaves_nothing(
    tiny: Arena, study: Study, tmp_path: Path
) -> None:
    pushing = order_of(tiny, study.id, remote=f"file://{tiny.repo.path}")
    stopped = start(order_of(tiny, study.id), 1, tmp_path)
    twice = [start(order, 0, tmp_path) for order in (order_of(tiny, study.id), pushing)]
    while not any(tmp_path.glob("patchrun-block-*/*/b1p0s*/*")):  # its run has begun
        assert stopped.poll() is None, stopped.communicate()[0]
        time.sleep(0.05)
    stopped.send_signal(signal.SIGTERM)
    said = stopped.communicate(timeout=60)[0].decode()
    assert stopped.returncode == 1 and "nothing of this block is stored" in said
    for child in twice:
        said = child.communicate(timeout=200)[0].decode()
        assert child.returncode == 0 and "record 3 block 1" in said, said
    [run], [extra] = tiny.runs(), tiny.extra_runs()
    assert run_name(run) == run_name(extra) and run.exit == extra.exit == "ok" and run.loss == extra.loss
    assert verify.verify(tiny).problems == ()
    assert not list(tmp_path.glob("patchrun-block-*")) and not list(tmp_path.glob("patchrun-arena-*"))
    assert blocktask.do_block(pushing, 0), "nothing is missing any more"
    assert len(tiny.runs()) == 1 and len(tiny.extra_runs()) == 1


def test_orders_that_are_none(tiny: Arena, study: Study) -> None:
    for text in (b"", b"{", b"[]", b'{"study": 1}', b"\xff"):
        with pytest.raises(UsageError, match="not an order"):
            blocktask.read_order(text)
    order = order_of(tiny, study.id)
    assert blocktask.read_order(msgspec.json.encode(order)) == order
    with pytest.raises(UsageError, match="version 2"):
        blocktask.read_order(msgspec.json.encode(msgspec.structs.replace(order, version=2)))
    with pytest.raises(UsageError, match="has no block 2"):
        blocktask.do_block(order, 2)
    with pytest.raises(ArenaError, match="has no refs/patchrun/studies/none"):
        blocktask.do_block(msgspec.structs.replace(order, study="none"), 0)
    with pytest.raises(ArenaError, match="fetch failed"):
        blocktask.do_block(msgspec.structs.replace(order, remote="/nowhere"), 0)


@pytest.fixture
def apart(plain: Arena, tmp_path: Path) -> tuple[Arena, str, list[str]]:
    """An arena with a block that another, made before, does not have; the other's address; the block's refs."""
    plain.repo.git("clone", "--quiet", "--mirror", str(plain.repo.path), str(tmp_path / "other.git"))
    hand_in(plain, change("STEPS = 100", "STEPS = 60", 2))
    fill(
        plain,
        tournament.plan_waiting(plain)[0],
        {"baseline": 10.0, "human": 7.0, "submission": 8.0},
        blocks=range(1),
    )
    return plain, str(tmp_path / "other.git"), [RUNS + run_name(run) for run in plain.runs()]


def test_a_block_is_pushed_as_a_whole_or_not_at_all(apart) -> None:
    arena, other, refs = apart
    there = GitRepo(Path(other))
    arena.repo.git("push", "--quiet", other, f"{arena.repo.resolve(refs[0])}:{refs[1]}")
    before = there.refs()
    assert not blocktask.push(arena, other, refs), "one of them is there already"
    assert there.refs() == before
    for _ in range(2):  # also when the answer to the first was lost
        assert blocktask.push(arena, other, [refs[0], refs[2]])
    assert set(refs) <= set(there.refs())


def test_an_arena_that_takes_nothing_says_why(apart, monkeypatch: pytest.MonkeyPatch) -> None:
    arena, other, refs = apart
    monkeypatch.setattr(blocktask, "PUSH_WAIT_SECONDS", 0.0)
    hook = Path(other, "hooks", "pre-receive")
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho closed for tonight >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(ArenaError, match="takes no|does not take results"):
        blocktask.push(arena, other, refs)
    with pytest.raises(ArenaError, match="does not take results"):
        blocktask.push(arena, "/nowhere", refs)
    assert not set(refs) & set(GitRepo(Path(other)).refs())


def test_a_task_races_on_what_others_pushed_while_it_trained(plain: Arena, tmp_path: Path) -> None:
    """Each of two nodes has a block of its own only: with the other's the submission is lost, and that is pushed."""
    lost = hand_in(plain, change("STEPS = 100", "STEPS = 2", 2)).attempt.id
    [study] = tournament.plan_waiting(plain)
    plain.add_study(study)
    remote = str(tmp_path / "remote.git")
    plain.repo.git("clone", "--quiet", "--mirror", str(plain.repo.path), remote)
    there = Arena(GitRepo(Path(remote)))
    order = msgspec.structs.replace(order_of(plain, study.id, remote), race=True)
    for block in (2, 1, 0):
        with blocktask._open_arena(order) as node:
            forget_runs(node)
            made = [(made_up_run(plain, study, arm, slot, 7.0 + block / 10 + slot.position / 50,
                                 (4.5 if arm.name == lost else 2.9) + slot.seed * 1e-12), b"")
                    for arm, slot in plan.slots(study, block)]  # fmt: skip
            blocktask._keep(node, order, study, made, Options(race=True))
        assert len(there.stops()) == (block == 0), "a hole in front of its block says nothing yet"
    [stop] = there.stops()
    assert (stop.arm, stop.quantity, stop.blocks) == (lost, "loss", 3) and len(there.runs()) == 9
    assert verify.verify(there).problems == ()


def forget_runs(arena: Arena) -> None:
    """As if this node had fetched before any block was stored."""
    for ref in arena.repo.refs(RUNS):
        arena.repo.git("update-ref", "-d", ref)


def test_an_arena_of_another_track_has_no_such_study(
    tmp_path: Path, plain_track: Path, tiny: Arena, study: Study
) -> None:
    importer.init(tmp_path / "another", str(plain_track))
    with pytest.raises(ArenaError):
        blocktask.do_block(order_of(Arena.open(tmp_path / "another"), study.id), 0)
