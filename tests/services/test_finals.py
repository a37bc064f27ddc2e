"""Final rounds: promised by hash, run once, scored apart, revealed. Runs are made up here, see ``test_final_runs``."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from patchrun.adapters import heldout
from patchrun.adapters.corpus import write_shard
from patchrun.adapters.finalrounds import FINALS, REVEALS
from patchrun.adapters.gitrepo import PATCHRUN
from patchrun.adapters.keys import commitment, key_file
from patchrun.adapters.store import STUDIES, Arena
from patchrun.core import plan, results
from patchrun.core.errors import SetupError, UsageError
from patchrun.core.results import FinalRound, Study
from patchrun.services import finals, standings, study, sync, tournament, verify
from patchrun.services.finals import Choice
from patchrun.services.ladderbook import local_samples
from tests.conftest import change
from tests.services.test_sync import other, remote  # noqa: F401 - a fixture
from tests.services.test_tournament import fill, hand_in, made_up_run
from tests.services.test_verify import WHEN, forge, one_problem

PICKS = Choice()
SECONDS = {"baseline": 10.0, "human": 7.0, "submission": 8.0}


def write_tokens(folder: Path, count: int = 100) -> Path:
    path = folder / f"tokens-{count}.bin"
    write_shard(path, np.arange(count) % 16)
    return path


@pytest.fixture
def final(plain: Arena, tmp_path: Path) -> FinalRound:
    return finals.commit(plain, "grace", write_tokens(tmp_path))


def measure(arena: Arena, *more: tuple[str, int]) -> list[str]:
    """Submissions of ada (and ``more``: agent, steps) to record 1 with valid ordinary scores."""
    ids = [
        hand_in(arena, change("STEPS = 100", f"STEPS = {n}", 2), agent=a).attempt.id
        for a, n in (("ada", 60), *more)
    ]
    for one in tournament.plan_waiting(arena):
        fill(arena, one, SECONDS)
    return ids


def fill_final(arena: Arena, one: Study, rises: dict[str, float], blocks: range | None = None) -> None:
    """Made-up runs of a round; ``rises``: by arm name or kind, the loss on held-back tokens less the ordinary one."""
    arena.add_study(one)
    for block in blocks or range(one.blocks):
        for arm, slot in plan.slots(one, block):
            rise = rises.get(arm.name, rises.get(arm.kind, 0.2))
            loss = 2.9 + slot.seed * 1e-12
            noise = [0.001 * ((k * 7 + len(arm.name)) % 5) for k in range(8)]
            run = made_up_run(
                arena, one, arm, slot, SECONDS[arm.kind] + 0.01 * ((block * 7 + slot.position * 3) % 5), loss + rise,
                final=one.final, validation_loss=loss, parts=tuple(loss + rise + x for x in noise),
                validation_parts=tuple(loss + x for x in noise[::-1]),
            )  # fmt: skip
            arena.add_run(run, b"log\n")


def plan_one(arena: Arena, final: FinalRound, choice: Choice = PICKS) -> Study:
    [one] = finals.plan_round(arena, final, choice).studies
    return one


def test_a_promise_binds_and_tells_nothing(plain: Arena, final: FinalRound, tmp_path: Path) -> None:
    assert plain.finals() == [final] and final.id == final.expected_id
    assert final.key_commitment != plain.identity, "another key than the scoring seeds'"
    key = bytes.fromhex(key_file(final.key_commitment).read_text().strip())
    assert commitment(key) == final.key_commitment
    data = write_tokens(tmp_path).read_bytes()
    assert heldout.digest_tokens(key, data) == final.tokens_digest and final.tokens == 100
    stored = plain.repo.read(f"{FINALS}{final.id}:final.json")
    assert key.hex().encode() not in stored
    assert list(plain.repo.files(plain.repo.resolve(FINALS + final.id))) == ["final.json"], (
        "no tokens in the arena"
    )
    assert verify.verify(plain).problems == ()


def test_two_promises_are_two(plain: Arena, final: FinalRound, tmp_path: Path) -> None:
    second = finals.commit(plain, "grace", write_tokens(tmp_path))
    assert second.key_commitment != final.key_commitment and second.tokens_digest != final.tokens_digest
    assert finals.find(plain) == second, "the latest"
    assert finals.find(plain, final.id[:8]) == final
    for name in ("zzzz", ""):
        with pytest.raises(UsageError, match=final.id):
            finals.find(plain, name)


def test_a_promise_that_cannot_be_made(plain: Arena, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no final round"):
        finals.find(plain)
    with pytest.raises(UsageError, match="--tokens FILE"):
        finals.commit(plain, "grace")
    with pytest.raises(UsageError, match="8 tokens, more than 8 are needed"):
        finals.commit(plain, "grace", write_tokens(tmp_path, 8))
    (tmp_path / "none.bin").write_bytes(b"no shard")
    with pytest.raises(SetupError, match="too short"):
        finals.commit(plain, "grace", tmp_path / "none.bin")
    assert plain.finals() == [] and not (heldout.held_out_file("x").parent).exists()


def test_a_promise_that_fails_leaves_no_key(plain: Arena, tmp_path: Path) -> None:
    home = key_file(plain.identity).parent
    (home.parent / "finals").write_text("in the way")
    with pytest.raises(SetupError, match="cannot keep the held-back tokens"):
        finals.commit(plain, "grace", write_tokens(tmp_path))
    assert [path.stem for path in home.iterdir()] == [plain.identity] and plain.finals() == []


def test_the_pick_of_each_agent_enters(plain: Arena, final: FinalRound) -> None:
    _, second, bob, slow = measure(plain, ("ada", 70), ("bob", 80), ("eve", 90))
    tournament.rule(plain, plain.attempt(slow), "disqualified", "it read the answers", "owner")
    planned = finals.plan_round(plain, final, Choice())
    [one] = planned.studies
    assert [arm.name for arm in one.arms] == ["b1", "h1", second, bob] and one.picks == (second, bob)
    assert planned.left_out == ("eve, record 1: disqualified",)
    assert plain.studies() != [] and one.id not in {s.id for s in plain.studies()}, "planning stores nothing"


def test_who_enters_can_be_chosen(plain: Arena, final: FinalRound) -> None:
    first, second, bob = measure(plain, ("ada", 70), ("bob", 80))

    def enters(**words: object) -> list[str]:
        studies = finals.plan_round(plain, final, Choice(**words)).studies
        return [name for one in studies for name in one.picks]

    assert enters(pick="first") == [first, bob]
    assert enters(agents=("bob",)) == [bob]
    assert enters(records=(2,)) == []
    assert enters(ids=(first[:8], second)) == [first, second]
    with pytest.raises(UsageError, match="no agent 'mallory'"):
        enters(agents=("mallory",))
    with pytest.raises(UsageError, match="no attempt"):
        enters(pick="mean")


def test_seeds_are_the_final_keys(plain: Arena, final: FinalRound) -> None:
    measure(plain)
    one = plan_one(plain, final)
    key = bytes.fromhex(key_file(final.key_commitment).read_text().strip())
    assert one.seeds == plan.derive_seeds(key, one.id, plain.track.rule.blocks)
    assert not set(one.seeds) & {seed for s in plain.studies() for seed in s.seeds}
    assert (one.seed_source, one.final) == ("final", final.id)


def test_a_round_never_touches_the_ordinary_scores(plain: Arena, final: FinalRound) -> None:
    [ada] = measure(plain)
    before = (tournament.assess(plain), standings.board(plain), standings.status(plain))
    fill_final(plain, plan_one(plain, final), {ada: 2.0})
    assert (tournament.assess(plain), standings.board(plain), standings.status(plain)) == before
    assert tournament.waiting(plain) == [] == tournament.resume(plain, [ada])
    assert tournament.plan_rerun(plain, plain.attempt(ada)).generation == 1
    losses = [loss for sample in local_samples(plain.runs()).values() for loss in sample.losses]
    assert len(losses) == 10 and max(losses) < 3, "losses on other tokens are none of the ladder's"


def test_the_rounds_own_table(plain: Arena, final: FinalRound) -> None:
    ada, bob = measure(plain, ("bob", 70))
    fill_final(plain, plan_one(plain, final), {bob: 0.6})
    found = finals.assess(plain, final)
    assert [(row.agent, row.score) for row in found.board.rows] == [
        ("ada", pytest.approx(2 / 3, abs=0.02)),
        ("bob", 0),
    ]
    assert {row.agent: row.score for row in found.ordinary.rows} == {
        "ada": pytest.approx(2 / 3, abs=0.02), "bob": pytest.approx(2 / 3, abs=0.02)
    }  # fmt: skip
    by_agent = {entry.attempt.agent: entry.found for entry in found.entries}
    assert by_agent["ada"].overfit is False and by_agent["bob"].overfit is True
    assert by_agent["bob"].score.verdict == "missed-target" and by_agent["bob"].ordinary.verdict == "valid"
    assert [entry.attempt.id for entry in found.entries] == [ada, bob]
    assert found.sandboxes == ("seccomp",)


def test_nothing_is_drawn_twice(plain: Arena, final: FinalRound) -> None:
    """A code that was run in a round is never planned again there, whoever asks and with whomever."""
    ada, _ = measure(plain, ("bob", 70))
    first = plan_one(plain, final, Choice(agents=("ada",)))
    fill_final(plain, first, {})
    rest = plan_one(plain, final)
    assert [arm.name for arm in rest.arms[2:]] != [ada] and ada not in rest.picks
    assert not set(rest.seeds) & set(first.seeds), "who comes later cannot know the seeds"
    fill_final(plain, rest, {})
    assert finals.plan_round(plain, final, Choice()).studies == ()
    assert finals.plan_round(plain, final, Choice(ids=(ada,))).studies == ()


def test_a_round_that_was_stopped_goes_on_as_planned(plain: Arena, final: FinalRound) -> None:
    ada, bob = measure(plain, ("bob", 70))
    one = plan_one(plain, final, Choice(agents=("ada",)))
    fill_final(plain, one, {}, range(2))
    again = finals.plan_round(plain, final, Choice(agents=("ada",))).studies
    assert again == (one,), "the stored plan, its n as it was"
    assert finals.assess(plain, final).entries[0].found.score.state == "running"
    with pytest.raises(UsageError, match="runs .* are missing"):
        finals.reveal(plain, final, "grace")
    assert {s.picks for s in finals.plan_round(plain, final, Choice()).studies} == {(ada,), (bob,)}


def test_a_crash_in_a_round_is_a_failed_arm(plain: Arena, final: FinalRound) -> None:
    [ada] = measure(plain)
    one = plan_one(plain, final)
    fill_final(plain, one, {}, range(4))
    for arm, slot in plan.slots(one, 4):
        run = made_up_run(plain, one, arm, slot, SECONDS[arm.kind], 3.1, final=one.final)
        if arm.name == ada:
            run = msgspec.structs.replace(run, exit="failed", reason="exit status 1", seconds=None, loss=None)
        plain.add_run(run, b"")
    found = finals.assess(plain, final).entries[0].found
    assert found.score.verdict == "failed" and "exit status 1" in found.score.reason
    assert found.ordinary.verdict == "valid"


def test_the_same_code_of_another_agent_has_the_same_result(plain: Arena, final: FinalRound) -> None:
    measure(plain)
    fill_final(plain, plan_one(plain, final), {})
    hand_in(plain, change("STEPS = 100", "STEPS = 60", 2), agent="bob")
    entries = finals.assess(plain, final).entries
    assert [entry.attempt.agent for entry in entries] == ["ada", "bob"]
    assert entries[0].found.score == entries[1].found.score
    assert finals.plan_round(plain, final, Choice()).studies == ()


def test_a_ruling_holds_in_the_round(plain: Arena, final: FinalRound) -> None:
    [ada] = measure(plain)
    fill_final(plain, plan_one(plain, final), {})
    tournament.rule(plain, plain.attempt(ada), "disqualified", "it read the answers", "owner")
    assert finals.assess(plain, final).entries[0].found.score.verdict == "disqualified"


def test_without_the_secrets_nothing_runs(plain: Arena, final: FinalRound) -> None:
    measure(plain)
    one = plan_one(plain, final)
    tokens, key = heldout.held_out_file(final.key_commitment), key_file(final.key_commitment)
    kept = tokens.read_bytes()
    for damage, said in (
        (lambda: tokens.write_bytes(kept[:-2] + b"\0\0"), "not the tokens"),
        (tokens.unlink, "read"),
    ):
        damage()
        for act in (lambda: finals.plan_round(plain, final, Choice()), lambda: study.run_study(plain, one)):
            with pytest.raises(SetupError, match=said):
                act()
    tokens.write_bytes(kept)
    key.unlink()
    with pytest.raises(SetupError, match="owner's key"):
        finals.plan_round(plain, final, Choice())
    assert [s for s in plain.studies() if s.final] == [], "nothing half-begun"


def test_a_round_of_another_track_is_refused(plain: Arena, final: FinalRound) -> None:
    with pytest.raises(UsageError, match="under another track"):
        finals.plan_round(plain, msgspec.structs.replace(final, track_digest="0"), Choice())


def test_at_the_end_all_can_check(plain: Arena, final: FinalRound) -> None:
    measure(plain)
    with pytest.raises(UsageError, match="nothing was run"):
        finals.reveal(plain, final, "grace")
    fill_final(plain, plan_one(plain, final), {})
    found = finals.reveal(plain, final, "grace")
    assert commitment(bytes.fromhex(found.key)) == final.key_commitment
    assert plain.reveals() == {final.id: found} and finals.assess(plain, final).reveal == found
    tokens = plain.repo.read(f"{REVEALS}{final.id}:held_out.bin")
    assert heldout.digest_tokens(bytes.fromhex(found.key), tokens) == final.tokens_digest
    assert verify.verify(plain).problems == ()
    with pytest.raises(UsageError, match="known already"):
        finals.reveal(plain, final, "grace")
    with pytest.raises(UsageError, match="are known"):
        finals.plan_round(plain, final, Choice())


@pytest.fixture
def over(plain: Arena, final: FinalRound) -> Arena:
    """An arena whose round is over."""
    measure(plain)
    fill_final(plain, plan_one(plain, final), {})
    finals.reveal(plain, final, "grace")
    return plain


def test_another_key_than_the_promised_one(over: Arena, final: FinalRound) -> None:
    lie = msgspec.structs.replace(over.reveals()[final.id], key="ab" * 32)
    forge(over, REVEALS + final.id, "reveal.json", results.encode(lie))
    assert "its key is not the one that was committed to" in one_problem(over)
    forge(
        over, REVEALS + final.id, "reveal.json", results.encode(msgspec.structs.replace(lie, key="not hex"))
    )
    assert "hex" in one_problem(over)


def test_other_tokens_than_the_promised_ones(over: Arena, final: FinalRound) -> None:
    data = results.encode(over.reveals()[final.id])
    files = {"reveal.json": data, "held_out.bin": b"easier ones"}
    commit = over.repo.commit(over.repo.store_files(files), [], "lie\n", PATCHRUN, WHEN)
    over.repo.git("update-ref", REVEALS + final.id, commit)
    assert "its tokens are not the ones that were committed to" in one_problem(over)


def test_seeds_that_the_owner_chose(over: Arena, final: FinalRound) -> None:
    """The owner could try seeds until they suit; the key says which they had to be."""
    one = next(s for s in over.studies() if s.final)
    lie = msgspec.structs.replace(one, id="f" * 20, seeds=(1, 2, 3, 4, 5))
    forge(over, STUDIES + lie.id, "study.json", results.encode(lie))
    found = "\n".join(verify.verify(over).problems)
    assert "its seeds are not those that the owner's key gives" in found, (
        "who has the key sees it before the end"
    )
    key_file(final.key_commitment).unlink()
    assert any("do not follow from its key" in problem for problem in verify.verify(over).problems)


def test_a_promise_changed_afterwards(over: Arena, final: FinalRound) -> None:
    lie = msgspec.structs.replace(final, tokens=7)
    forge(over, FINALS + final.id, "final.json", results.encode(lie))
    assert any("its id does not follow" in problem for problem in verify.verify(over).problems)


def test_a_study_of_no_known_round(plain: Arena, final: FinalRound) -> None:
    measure(plain)
    lost = msgspec.structs.replace(plan_one(plain, final), final="e" * 20)
    forge(plain, STUDIES + lost.id, "study.json", results.encode(lost))
    assert f"its final round {'e' * 20} is absent" in one_problem(plain)
    odd = msgspec.structs.replace(lost, final=final.id, seed_source="scoring")
    forge(plain, STUDIES + lost.id, "study.json", results.encode(odd))
    assert "is of a final round, or is not" in one_problem(plain)


def test_an_ordinary_run_that_claims_held_back_tokens(over: Arena) -> None:
    run = next(run for run in over.runs() if not run.final)
    lie = msgspec.structs.replace(run, final="f" * 20)
    forge(over, f"refs/patchrun/runs/{run.arm}/{run.study}-{run.slot.name}", "run.json", results.encode(lie))
    assert "its loss is on other tokens than its study is about" in one_problem(over)


def test_rounds_are_exchanged(over: Arena, other: Arena, final: FinalRound) -> None:  # noqa: F811
    sync.sync(over, remote(other))
    assert other.finals() == [final] and other.reveals() == over.reveals()
    assert finals.assess(other, final).board == finals.assess(over, final).board
