"""Signatures by real ssh keys, checked by real git: what counts, what does not, and what cannot be forged."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from patchrun.adapters import signing
from patchrun.adapters.gitrepo import PATCHRUN
from patchrun.adapters.store import RUNS, Arena, run_name
from patchrun.core import results
from patchrun.core.errors import SetupError, UsageError
from patchrun.services import standings, tournament, verify
from tests.services.test_tournament import fill, hand_in

WHEN = "2026-01-02T03:04:05+00:00"
TIMES = {"baseline": 10.0, "human": 7.0, "submission": 8.0}


@pytest.fixture
def key(tmp_path: Path) -> Path:
    signing.make_key(tmp_path / "runner", "runner")
    return tmp_path / "runner"


def public(key: Path) -> str:
    return key.with_name(key.name + ".pub").read_text()


def reopen(arena: Arena) -> Arena:
    return Arena.open(arena.repo.path)


@pytest.fixture
def signed(plain: Arena, key: Path, monkeypatch: pytest.MonkeyPatch) -> Arena:
    """An arena whose one study was run with a key that the owner lists."""
    monkeypatch.setenv(signing.KEY_VARIABLE, str(key))
    hand_in(plain)
    fill(plain, tournament.plan_waiting(plain)[0], TIMES)
    signing.allow(plain.identity, "runner", public(key))
    monkeypatch.delenv(signing.KEY_VARIABLE)
    return reopen(plain)


def test_without_a_list_everything_counts(plain: Arena) -> None:
    hand_in(plain)
    fill(plain, tournament.plan_waiting(plain)[0], TIMES)
    assert len(plain.runs()) == 15 and plain.left_out() == 0 and plain.signatures is None


def test_what_a_listed_key_signed_counts(signed: Arena) -> None:
    assert len(signed.runs()) == 15 and signed.left_out() == 0
    refs = signed.repo.refs(RUNS)
    assert signed.signatures and set(signed.signatures.read(refs).values()) == {"runner"}
    assert verify.verify(signed).problems == ()


def test_what_cannot_be_remembered_is_checked_each_time(signed: Arena, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert signed.signatures
    signed.signatures.memory = tmp_path / "file" / "memory.json"
    refs = signed.repo.refs(RUNS)
    for _ in range(2):
        assert set(signed.signatures.read(refs).values()) == {"runner"}


def test_unsigned_runs_do_not_count_once_there_is_a_list(plain: Arena, key: Path) -> None:
    hand_in(plain)
    fill(plain, tournament.plan_waiting(plain)[0], TIMES)
    before = standings.board(plain).rows[0].score
    signing.allow(plain.identity, "runner", public(key))
    arena = reopen(plain)
    assert before and arena.runs() == [] and arena.left_out() == 15
    [scored] = tournament.assess(arena)
    assert scored.score.verdict is None and scored.score.fsr is None


def test_another_key_does_not_count(signed: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signing.make_key(tmp_path / "mallory", "runner")
    monkeypatch.setenv(signing.KEY_VARIABLE, str(tmp_path / "mallory"))
    arena = reopen(signed)
    tournament.rule(arena, arena.attempts()[0], "disqualified", "I say so", "mallory")
    assert arena.rulings() == [] and arena.left_out() == 1


def test_a_signature_does_not_pass_to_another_content(signed: Arena) -> None:
    """The signed commit's words and signature over another tree: git hashes what was signed."""
    run = signed.runs()[0]
    ref = RUNS + run_name(run)
    commit = signed.repo.resolve(ref)
    forged = results.encode(msgspec.structs.replace(run, seconds=0.5))
    tree = signed.repo.store_files({"run.json": forged, "log.gz": signed.repo.read(f"{commit}:log.gz")})
    text = signed.repo.read(commit).decode().replace(signed.repo.tree_of(commit), tree)
    fake = signed.repo.git(
        "hash-object", "-t", "commit", "-w", "--stdin", input=text.encode()
    ).stdout.decode()
    assert "gpgsig" in text and signed.signatures
    assert signed.signatures.read_pairs([(ref, commit), (ref, fake.strip())]) == {(ref, commit): "runner"}


def test_what_was_checked_is_remembered_and_a_damaged_memory_is_made_again(signed: Arena) -> None:
    assert signed.signatures and len(signed.runs()) == 15
    memory = signed.signatures.memory
    assert memory.is_file()
    memory.write_text("{")
    assert len(reopen(signed).runs()) == 15


def test_a_new_list_is_asked_anew(signed: Arena) -> None:
    assert len(signed.runs()) == 15
    signing.signers_file(signed.identity).write_text("")
    assert reopen(signed).runs() == []


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no key at"):
        signing.signing_key({signing.KEY_VARIABLE: str(tmp_path / "nothing")})
    assert signing.signing_key({}) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [("a b", None), ("", None), ('x"', None), ("me", "not a key"), ("me", ""), ("me", "ssh-ed25519 AAAA")],
)  # fmt: skip
def test_what_is_no_name_or_key_is_not_listed(plain: Arena, key: Path, name: str, text: str | None) -> None:
    with pytest.raises(UsageError):
        signing.allow(plain.identity, name, public(key) if text is None else text)
    assert signing.listed(plain.identity) == []


def test_a_key_is_listed_once_and_others_beside_it(plain: Arena, key: Path, tmp_path: Path) -> None:
    other = signing.make_key(tmp_path / "other", "other")
    for name, text in (("one", public(key)), ("one", public(key)), ("two", other)):
        signing.allow(plain.identity, name, text)
    lines = signing.listed(plain.identity)
    assert [line.split()[0] for line in lines] == ["one", "two"] and all(
        'namespaces="git"' in line for line in lines
    )


def test_a_key_is_never_overwritten(key: Path) -> None:
    before = key.read_bytes()
    with pytest.raises(UsageError, match="exists"):
        signing.make_key(key, "again")
    assert key.read_bytes() == before and key.stat().st_mode & 0o77 == 0


def test_commits_without_a_key_stay_what_they_were(plain: Arena) -> None:
    tree = plain.repo.store_files({"a": b"1"})
    made = [plain.repo.commit(tree, [], "words\n", PATCHRUN, WHEN) for _ in range(2)]
    assert made[0] == made[1] and b"gpgsig" not in plain.repo.read(made[0])


def test_many_are_checked_on_every_cpu_with_the_same_answer(
    signed: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = signed.repo.store_files({"a": b""})
    unsigned = signed.repo.commit(tree, [], "w\n", PATCHRUN, "2026-01-01T00:00:00+00:00")
    refs = {**signed.repo.refs(RUNS), f"{RUNS}b1/unsigned-b0p0s0": unsigned}
    assert signed.signatures
    signed.signatures.memory.unlink(missing_ok=True)
    alone = signed.signatures.read(refs)
    signed.signatures.memory.unlink()
    started: list[tuple[str, ...]] = []
    git = signed.repo.git
    monkeypatch.setattr(
        signed.repo, "git", lambda *words, **more: started.append(words) or git(*words, **more)
    )
    monkeypatch.setattr(signing, "FEW", 4)
    monkeypatch.setattr(signing.os, "sched_getaffinity", lambda pid: {0, 1, 2})
    assert signed.signatures.read(refs) == alone and len(alone) == 15
    assert sum("log" in words for words in started) == 3
