"""Building on one's own last valid submission, on real git: what is stored, scored, shown, refused and verified."""

from __future__ import annotations

import difflib
import json
import shutil

import msgspec
import pytest
from click.testing import CliRunner

from patchrun.adapters.store import ATTEMPTS, SUBMISSIONS, Arena
from patchrun.core.chains import check_link
from patchrun.core.errors import UnreadableDiff, UsageError
from patchrun.core.selection import Span
from patchrun.faces.cli import cli
from patchrun.services import chains, checkout, refchecks, standings, sync, tournament, verify
from patchrun.services.tournament import Ground, Handed
from tests.conftest import SCRIPT, change
from tests.services.test_tournament import FASTER, ONE, TWO, fill, hand_in

PATCHED = SCRIPT.replace("STEPS = 100", "STEPS = 60")


def _diff(text: str, old: str, new: str) -> bytes:
    lines = difflib.unified_diff(
        text.splitlines(keepends=True),
        text.replace(old, new).splitlines(keepends=True),
        "a/train.py",
        "b/train.py",
    )
    return "".join(lines).encode()


NEXT = _diff(PATCHED, "STEPS = 60", "STEPS = 50")


def build(arena: Arena, base: Handed, span: Span = ONE, agent: str = "ada", diff: bytes = NEXT) -> Handed:
    """A link that takes ten more steps off."""
    return tournament.hand_in(arena, diff, span, agent, onto=base.attempt.id)


@pytest.fixture
def base(plain: Arena) -> Handed:
    """A valid submission of ada's on record 1."""
    handed = hand_in(plain)
    fill(plain, tournament.plan_waiting(plain)[0], {"baseline": 10.0, "human": 7.0, "submission": 8.0})
    return handed


def test_a_link_is_a_commit_on_the_submission_that_it_builds_on(plain: Arena, base: Handed) -> None:
    link = build(plain, base, TWO)
    assert link.attempt.accepted and link.attempt.onto == base.attempt.id and link.attempt.record == "1..2"
    commit = plain.repo.python.commit(plain.submission(link.attempt.id))
    assert [p.hexsha for p in commit.parents] == [plain.submission(base.attempt.id)]
    assert commit.trailers_dict["Onto"] == [base.attempt.id] and commit.trailers_dict["Record"] == ["1..2"]
    assert "STEPS = 50" in plain.repo.read(f"{commit.hexsha}:train.py").decode()
    assert link.attempt.baseline_commit == plain.baseline(1)


def test_a_chain_is_scored_from_its_first_baseline_to_its_last_human_code(plain: Arena, base: Handed) -> None:
    link = build(plain, base, TWO)
    [study] = tournament.plan_waiting(plain)
    assert [arm.name for arm in study.arms] == ["b1", "h2", link.attempt.id]
    fill(plain, study, {"baseline": 10.0, "human": 5.0, "submission": 7.0})
    one = next(one for one in tournament.assess(plain) if one.attempt.id == link.attempt.id)
    assert one.score.verdict == "valid" and one.score.fsr == pytest.approx(0.6, abs=0.02)
    assert [x.attempt.id for x in chains.list_chain(plain, link.attempt.id)] == [
        base.attempt.id,
        link.attempt.id,
    ]
    assert {row["id"]: row["onto"] for row in standings.status(plain)}[link.attempt.id] == base.attempt.id


def test_the_same_link_twice_is_one_and_without_a_base_it_is_another(plain: Arena, base: Handed) -> None:
    first, again = build(plain, base), build(plain, base)
    assert again.known and again.attempt.id == first.attempt.id
    alone = tournament.hand_in(plain, _diff(SCRIPT, "STEPS = 100", "STEPS = 50"), ONE, "ada")
    assert alone.attempt.patched_tree == first.attempt.patched_tree
    assert alone.attempt.id != first.attempt.id
    assert len(tournament.plan_waiting(plain)[0].arms) == 3, "the same code is measured once"


def test_last_is_the_last_valid_one(plain: Arena, base: Handed) -> None:
    hand_in(plain, change("STEPS = 100", "STEPS = 70", 2))
    assert tournament.find_ground(plain, ONE, "ada", "last").onto == base.attempt
    with pytest.raises(UsageError, match="bob has no valid submission"):
        tournament.find_ground(plain, ONE, "bob", "last")


def test_refusals_store_nothing(plain: Arena, base: Handed) -> None:
    waits = hand_in(plain, change("STEPS = 100", "STEPS = 70", 2))
    before = plain.repo.refs()
    with pytest.raises(UsageError, match="bob builds on submissions of their own"):
        build(plain, base, agent="bob")
    with pytest.raises(UsageError, match="pending, and only a valid"):
        build(plain, waits)
    with pytest.raises(UsageError, match="names no submission"):
        tournament.hand_in(plain, NEXT, ONE, "ada", onto="feedbeef")
    with pytest.raises(UsageError, match="no record 3"):
        tournament.hand_in(plain, NEXT, Span(1, 3), "ada", onto=base.attempt.id)
    back = _diff(PATCHED, "STEPS = 60", "STEPS = 100")
    with pytest.raises(UnreadableDiff, match="with the chain below it, the diff is empty"):
        tournament.hand_in(plain, back, ONE, "ada", onto=base.attempt.id)
    assert plain.repo.refs() == before


def test_a_diff_against_the_baseline_is_rejected_on_a_chain(plain: Arena, base: Handed) -> None:
    handed = tournament.hand_in(plain, FASTER, ONE, "ada", onto=base.attempt.id)
    assert not handed.attempt.accepted
    assert verify.verify(plain).problems == ()


def test_what_is_not_allowed_at_once_is_not_allowed_bit_by_bit(plain: Arena, base: Handed) -> None:
    """The whole chain goes through the validator, whose limit of size holds for it as one patch."""
    tail = "\n" * 6 + "WORDS = 0\n"
    link = build(plain, base, diff=_diff(PATCHED, "load())\n", "load())\n" + tail + "# more" * 100 + "\n"))
    commit = plain.submission(link.attempt.id)
    text = plain.repo.read(f"{commit}:train.py").decode()
    more = _diff(text, "RATE = 1", "RATE = 3" + "  # words" * 40)
    ground = Ground(ONE, commit, link.attempt)
    assert len(more) < 1024 and tournament.validate(plain, more, ONE, ground).accepted
    limits = msgspec.structs.replace(plain.track.limits, diff_kb=1)
    plain.__dict__["track"] = msgspec.structs.replace(plain.track, limits=limits)
    with pytest.raises(UnreadableDiff, match="with the chain below it, the diff is larger than the 1 KiB"):
        tournament.validate(plain, more, ONE, ground)


def test_the_code_of_a_disqualified_link_does_not_come_back(plain: Arena, base: Handed) -> None:
    link = build(plain, base)
    tournament.rule(plain, base.attempt, "disqualified", "it read the answer", "owner")
    scores = {one.attempt.id: one.score for one in tournament.assess(plain)}
    assert scores[link.attempt.id].verdict == "disqualified"
    assert f"built on {base.attempt.id}" in scores[link.attempt.id].reason
    assert tournament.plan_waiting(plain) == []
    with pytest.raises(UsageError, match="disqualified, and only a valid"):
        tournament.hand_in(plain, NEXT, ONE, "ada", onto=base.attempt.id)


def test_verify_checks_the_links(plain: Arena, base: Handed) -> None:
    link = build(plain, base, TWO)
    assert verify.verify(plain).problems == ()
    refs = plain.repo.refs("refs/patchrun/")
    known = {name: oid for name, oid in refs.items() if base.attempt.id not in name}
    found = refchecks.problems_of(
        plain, {ATTEMPTS + link.attempt.id: refs[ATTEMPTS + link.attempt.id]}, known
    )
    assert len(found) == 1 and "is absent" in found[0]
    moved = plain.repo.commit(
        link.attempt.patched_tree, [plain.baseline(1)], "another parent\n", tournament.Author("ada", "a@b.invalid"),
        "2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    [problem] = refchecks.problems_of(plain, {SUBMISSIONS + link.attempt.id: moved}, refs)
    assert "parent is not the submission that it builds on" in problem
    stolen = msgspec.structs.replace(base.attempt, agent="eve")
    assert "another agent's" in check_link(link.attempt, stolen)


def test_chains_travel(plain: Arena, base: Handed, tmp_path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(plain.repo.path.parent, copy)
    link = build(plain, base, TWO)
    found = sync.sync(Arena.open(copy), str(plain.repo.path))
    assert any(link.attempt.id in name for name in found.received) and not found.conflicts
    assert Arena.open(copy).attempt(link.attempt.id).onto == base.attempt.id


def test_a_checkout_of_a_chain_holds_the_code_that_is_built_on(plain: Arena, base: Handed, tmp_path) -> None:
    ground = tournament.find_ground(plain, TWO, "ada", base.attempt.id)
    checkout.checkout(plain, TWO, tmp_path / "work", ground=ground)
    script = tmp_path / "work" / "train.py"
    assert "STEPS = 60" in script.read_text()
    page = (tmp_path / "work" / "TASK.md").read_text()
    assert f"--record 2 --onto {base.attempt.id}" in page and "over baseline 1" in page
    script.write_text(script.read_text().replace("STEPS = 60", "STEPS = 50"))
    diff = checkout.diff_of_folder(plain, TWO, tmp_path / "work", ground.commit)
    assert b"-STEPS = 60" in diff and b"+STEPS = 50" in diff


def call(arena: Arena, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["-C", str(arena.repo.path.parent), *words], standalone_mode=False)
    if done.exception:
        raise done.exception
    return done.return_value, done.stdout


def test_the_command_line_builds_shows_and_plots(plain: Arena, base: Handed, tmp_path) -> None:
    diff = tmp_path / "next.diff"
    diff.write_bytes(NEXT)
    name = base.attempt.id
    assert call(plain, "validate", str(diff), "--record", "2", "--onto", name)[0] == 0
    code, text = call(
        plain, "submit", str(diff), "--record", "2", "--onto", name, "--agent", "ada", "--no-run", "--format", "json"
    )  # fmt: skip
    made = json.loads(text)
    assert (code, made["record"], made["onto"]) == (0, "1..2", name)
    fill(plain, tournament.plan_waiting(plain)[0], {"baseline": 10.0, "human": 5.0, "submission": 7.0})
    text = call(plain, "show", made["id"])[1]
    assert "Chain of 2 links from baseline 1" in text and f"built on    {name}" in text
    shown = json.loads(call(plain, "show", made["id"], "--format", "json")[1])
    assert [link["id"] for link in shown["chain"]] == [name, made["id"]]
    points = json.loads(call(plain, "frontier", "--format", "json")[1])["points"]
    assert [(p["id"], p["attempts"], p["improved"]) for p in points] == [
        (name, 1, True),
        (made["id"], 2, True),
    ]
    assert points[0]["speedup"] == pytest.approx(1.25, abs=0.01)
    assert points[1]["machine_seconds"] == pytest.approx(5 * 8 + 5 * 7, rel=0.01) and points[1]["usd"] is None
    for over in ("time", "cost", "usd"):
        assert "ada, baseline 1" in call(plain, "frontier", "--over", over)[1]
    lines = call(plain, "frontier", "--format", "csv")[1].splitlines()
    assert lines[0].startswith("agent,from,at,") and len(lines) == 3
    with pytest.raises(UsageError, match="no agent 'eve'"):
        call(plain, "frontier", "--agent", "eve")


def test_a_dry_run_on_a_chain_stores_nothing_and_counts_the_span(
    plain: Arena, base: Handed, tmp_path
) -> None:
    diff = tmp_path / "next.diff"
    diff.write_bytes(NEXT)
    before = plain.repo.refs()
    words = ("submit", str(diff), "--record", "2", "--onto", base.attempt.id, "--agent", "ada", "--dry-run")
    code, text = call(plain, *words, "--format", "json")
    assert code == 0 and json.loads(text)["studies"][0]["record"] == "1..2"
    assert plain.repo.refs() == before


def test_predictions_may_name_what_they_build_on(plain: Arena, base: Handed, tmp_path) -> None:
    patch = NEXT.decode()
    path = tmp_path / "p.jsonl"
    line = {"record": 2, "agent": "ada", "patch": patch, "onto": base.attempt.id}
    path.write_text(json.dumps(line) + "\n")
    made = json.loads(call(plain, "submit", str(path), "--no-run", "--format", "json")[1])
    assert made["onto"] == base.attempt.id
    with pytest.raises(UsageError, match="leave --record and --onto out"):
        call(plain, "submit", str(path), "--onto", base.attempt.id)
    path.write_text(json.dumps(line | {"agent": "bob"}) + "\n")
    with pytest.raises(UsageError, match="bob builds on"):
        call(plain, "submit", str(path), "--no-run")
