"""An arena of version 0.x, from before attempts and places were signed, still verifies and syncs.

`old_arena.bundle` was made by that version: four attempts (two accepted) without signatures, one whose attempt has none
and whose runs and ruling are signed for no place, a label, a transcript and a job.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from patchrun.adapters import process, signing
from patchrun.adapters.attempts import CHECKED
from patchrun.adapters.keys import key_file
from patchrun.adapters.signed import ATTEMPTS, SIGNED
from patchrun.adapters.store import Arena
from patchrun.services import standings, sync, tournament, verify
from tests.services.test_tournament import hand_in

BUNDLE = Path(__file__).with_name("old_arena.bundle")
KEY = "7482ab528794c6703244f871769c739a6d1f03412b1373b06a02e0b20bcd7c4e"
RUNNER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFGqUu1l1s/qlK9CSWIFia5aw9I1RdXoOoXhxoVD4DOd runner"


@pytest.fixture
def old(tmp_path: Path) -> Arena:
    folder = tmp_path / "old.git"
    assert process.run(("git", "clone", "--quiet", "--mirror", BUNDLE, folder)).ok
    arena = Arena.open(folder)
    key_file(arena.identity).parent.mkdir(parents=True)
    key_file(arena.identity).write_text(KEY + "\n")
    return arena


@pytest.fixture
def fresh(old: Arena, tmp_path: Path) -> Arena:
    """A machine that has the track and no result yet."""
    folder = tmp_path / "fresh.git"
    assert process.run(("git", "clone", "--quiet", "--mirror", old.repo.path, folder)).ok
    arena = Arena.open(folder)
    results = [
        name for name in arena.repo.refs("refs/patchrun/") if not name.startswith("refs/patchrun/human/")
    ]
    arena.repo.git("update-ref", "--stdin", input="".join(f"delete {name}\n" for name in results).encode())
    return arena


def test_it_verifies_and_its_results_are_stale(old: Arena) -> None:
    """How models are evaluated has changed since, so the digest of the track has: nothing is mixed."""
    assert verify.verify(old) == verify.Report(54, ()) and old.repo.refs(CHECKED) == {}
    assert len(old.attempts()) == 5 and len(old.runs()) == 35 and len(old.studies()) == 2
    rows = {row.agent: (row.valid, row.attempted) for row in standings.board(old).rows}
    assert rows == dict.fromkeys(("ada", "李雷", "bob", "eve", "org/model-1.5"), (0, 1))
    assert {one.score.state for one in tournament.assess(old) if one.attempt.accepted} == {"stale"}


def test_it_syncs_whole_and_goes_on(old: Arena, fresh: Arena) -> None:
    done = sync.sync(fresh, str(old.repo.path))
    assert (done.conflicts, done.notes, done.waiting) == ((), (), 0)
    assert verify.verify(fresh).problems == () and standings.board(fresh) == standings.board(old)
    hand_in(fresh, agent="ＡＤＡ")
    assert {one.agent for one in fresh.attempts()} == {"ada", "李雷", "bob", "eve", "org/model-1.5"}
    assert sync.sync(fresh, str(old.repo.path)).conflicts == ()


def test_where_keys_are_listed_it_is_shown_as_unsigned_until_somebody_vouches(
    old: Arena, fresh: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing.allow(old.identity, "runner", RUNNER)
    signing.allow(old.identity, "owner", signing.make_key(tmp_path / "owner", "owner"))
    arena = Arena.open(fresh.repo.path)
    done = sync.sync(arena, str(old.repo.path))
    assert "35 runs that no listed key signed were kept aside" in done.notes[0]
    assert verify.verify(arena).problems == () and len(arena.unsigned_attempts()) == 5
    monkeypatch.setenv(signing.KEY_VARIABLE, str(tmp_path / "owner"))
    owner = Arena.open(old.repo.path)
    owner.vouch(owner.list_unsigned((ATTEMPTS, *SIGNED)), "owner", tournament.now())
    assert owner.left_out() == 0 and owner.unsigned_attempts() == set() and len(owner.runs()) == 35
    assert verify.verify(owner).problems == ()
    sync.sync(arena, str(old.repo.path))
    assert arena.unsigned_attempts() == set() and len(arena.runs()) == 35
    assert verify.verify(arena).problems == ()
    assert standings.board(arena).rows == standings.board(owner).rows
