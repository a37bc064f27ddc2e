"""What the tests of power cuts record: ``python -m tests.powercut_scenes ROOT SCENE [--unsynced]``.

After each act it says which refs are stored now, as a user would conclude from the command's end.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from patchrun.adapters import durable, gitrepo
from patchrun.adapters.store import Arena
from patchrun.core import plan
from patchrun.faces import cli
from patchrun.services import tournament
from tests.conftest import change
from tests.powercut import REPORTED
from tests.services.test_tournament import made_up_run

DIFF = change("STEPS = 100", "STEPS = 61", 2)
HAND_IN = ("--record", "1", "--agent", "eve", "--no-run")


def report(arena: Arena) -> None:
    for ref, oid in arena.repo.refs("refs/heads/", "refs/patchrun/").items():
        os.access(f"{REPORTED}{ref} {oid}", os.F_OK)


def command(*words: str) -> None:
    outcome = cli.run(words)
    assert outcome == 0, outcome


def submit(root: Path) -> None:
    command("-C", str(root / "arena"), "submit", str(root / "one.diff"), *HAND_IN)


def runs(root: Path) -> None:
    """A study's plan, a run by itself, a block at once."""
    arena = Arena.open(root / "arena")
    [study] = tournament.plan_waiting(arena)
    arena.add_study(study)
    report(arena)
    made = [
        (made_up_run(arena, study, arm, slot, 9.0, 2.9), f"log of {slot.name}\n".encode() * 99)
        for block in range(2)
        for arm, slot in plan.slots(study, block)
    ]
    arena.add_run(*made[0])
    report(arena)
    arena.add_runs(made[3:])


def sync(root: Path) -> None:
    command("-C", str(root / "arena"), "sync", str(root / "other.git"))


def gc(root: Path) -> None:
    command("-C", str(root / "arena"), "gc")


def final(root: Path) -> None:
    command("-C", str(root / "arena"), "final", "commit", "--tokens", str(root / "tokens"))


SCENES = {"submit": submit, "runs": runs, "sync": sync, "gc": gc, "final": final}


def main(root: Path, scene: str, *options: str) -> None:
    if "--unsynced" in options:  # git's own ways: it syncs neither loose objects nor refs
        durable.sync_disk = lambda path: None
        gitrepo.PINNED = (*gitrepo.PINNED, "-c", "core.fsync=none")
    SCENES[scene](root)
    report(Arena.open(root / "arena"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
