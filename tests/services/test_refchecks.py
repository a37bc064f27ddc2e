"""A forged ref of any kind is named by `verify`, and `sync` takes nothing of an arena that holds one."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from patchrun.adapters import process
from patchrun.adapters.gitrepo import PATCHRUN
from patchrun.adapters.labels import LABELS, label_name
from patchrun.adapters.store import (
    ALSO,
    ATTEMPTS,
    EXTRA,
    RESULTS,
    RUNS,
    STOPS,
    STUDIES,
    SUBMISSIONS,
    VERDICTS,
    Arena,
    run_name,
)
from patchrun.adapters.transcripts import TRANSCRIPTS
from patchrun.core import results
from patchrun.core.changelabel import ChangeLabel
from patchrun.core.errors import ArenaError
from patchrun.core.results import Console, CurvePoint, Ruling, Study
from patchrun.core.transcripts import Transcript, transcript_id
from patchrun.services import held, refchecks, sync, tournament, verify
from tests.conftest import change
from tests.services.test_tournament import fill, hand_in
from tests.services.test_verify import WHEN, forge

TIMES = {"baseline": 10.0, "human": 7.0, "submission": 8.0}
NOBODY = "f" * 20
EMPTY_TURNS = gzip.compress(b"[]", mtime=0)


@pytest.fixture
def whole(plain: Arena) -> Arena:
    hand_in(plain)
    fill(plain, tournament.plan_waiting(plain)[0], TIMES)
    return plain


def label(subject: str, **changes: object) -> ChangeLabel:
    made = ChangeLabel(
        subject=subject, diff_sha256="0" * 64, source="human", by="ada", depth="Shallow", provenance="Imported",
        reason="fewer steps", rubric="r", created=WHEN,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def put_label(arena: Arena, made: ChangeLabel, name: str = "") -> None:
    forge(arena, LABELS + (name or label_name(made)), "label.json", results.encode(made))


def label_of_nothing(arena: Arena) -> str:
    put_label(arena, label(NOBODY))
    return f"{NOBODY} is not here"


def label_of_a_human_patch_that_is_not_there(arena: Arena) -> str:
    put_label(arena, label("h9"))
    return "h9 is not here"


def label_under_another_name(arena: Arena) -> str:
    put_label(arena, label("h1"), "h1/000000000000")
    return "inside"


def ruling_of_another(arena: Arena) -> str:
    made = Ruling(submission=arena.attempts()[0].id, ruling="disqualified", reason="x", by="m", created=WHEN)
    forge(arena, f"{VERDICTS}{NOBODY}/0123456789ab", "ruling.json", results.encode(made))
    return f"about {made.submission} inside"


def extra_run_of_another_slot(arena: Arena) -> str:
    run = arena.runs()[0]
    moved = msgspec.structs.replace(run, block=4)
    forge(arena, f"{EXTRA}{run_name(run)}-01234567", "run.json", results.encode(moved))
    return f"named {run_name(moved)} inside"


def version_that_is_not_its_commit(arena: Arena) -> str:
    run = arena.runs()[0]
    ref = f"{ALSO}runs/{run_name(run)}/000000000000"
    forge(arena, ref, "run.json", results.encode(run))
    return "not named by its content"


def version_of_another_tree(arena: Arena) -> str:
    run = msgspec.structs.replace(arena.runs()[0], tree="0" * 40)
    tree = arena.repo.store_files({"run.json": results.encode(run), "log.gz": gzip.compress(b"")})
    commit = arena.repo.commit(tree, [], "forged\n", PATCHRUN, WHEN)
    arena.repo.git("update-ref", f"{ALSO}runs/{run_name(run)}/{commit[:12]}", commit)
    return "trained another tree than its study plans"


def run_on_other_tokens(arena: Arena) -> str:
    run = msgspec.structs.replace(arena.runs()[0], final="a" * 20)
    forge(arena, RUNS + run_name(run), "run.json", results.encode(run))
    return "its loss is on other tokens than its study is about"


def stop_without_reason_in_the_runs(arena: Arena) -> str:
    study = arena.studies()[0]
    arm = study.arms[-1].name
    made = results.StopRecord(
        study=study.id, arm=arm, quantity="time", reason="too slow", confidence=0.99, blocks=2,
        track_digest=study.track_digest, created=WHEN,
    )  # fmt: skip
    forge(arena, f"{STOPS}{study.id}/{arm}", "stop.json", results.encode(made))
    return "its study's runs do not end that arm"


def study_of_a_final_round_that_is_not_there(arena: Arena) -> str:
    study: Study = msgspec.structs.replace(
        arena.studies()[0], id="b" * 20, seed_source="final", final="c" * 20
    )
    forge(arena, STUDIES + study.id, "study.json", results.encode(study))
    return f"its final round {'c' * 20} is absent"


def transcript(arena: Arena, **changes: object) -> Transcript:
    attempt = arena.attempts()[0]
    one = Transcript(
        id=transcript_id("s" * 20, 1, WHEN), search="s" * 20, number=1, track=attempt.track,
        track_digest=attempt.track_digest, record=attempt.record, agent=attempt.agent, kind="command",
        hint_tiers=attempt.hint_tiers, scaffold="flat", outcome="proposed", submission=attempt.id, wall_seconds=1.0,
        created=WHEN,
    )  # fmt: skip
    return msgspec.structs.replace(one, **changes)


def put_transcript(arena: Arena, one: Transcript, turns: bytes = EMPTY_TURNS) -> None:
    tree = arena.repo.store_files({"transcript.json": results.encode(one), "turns.json.gz": turns})
    arena.repo.git(
        "update-ref", TRANSCRIPTS + one.id, arena.repo.commit(tree, [], "forged\n", PATCHRUN, WHEN)
    )


def transcript_of_another_agent(arena: Arena) -> str:
    put_transcript(arena, transcript(arena, agent="mallory"))
    return "its submission is another agent's"


def transcript_of_a_submission_that_is_not_there(arena: Arena) -> str:
    put_transcript(arena, transcript(arena, submission=NOBODY))
    return f"its submission {NOBODY} is absent"


def transcript_with_a_chosen_id(arena: Arena) -> str:
    put_transcript(arena, transcript(arena, id="d" * 20))
    return "its id does not follow"


def transcript_that_cannot_be_unpacked(arena: Arena) -> str:
    put_transcript(arena, transcript(arena), EMPTY_TURNS[:10] + b"\xff" * 20)
    return "while decompressing"


def transcript_without_a_bottom(arena: Arena) -> str:
    put_transcript(arena, transcript(arena), gzip.compress(b"[" * 1_000_000))
    return "recursion"


def run_before_the_first_block(arena: Arena) -> str:
    study = arena.studies()[0]
    run = msgspec.structs.replace(arena.runs()[0], block=-1, seed=study.seeds[-1])
    forge(arena, RUNS + run_name(run), "run.json", results.encode(run))
    return "not a slot of its study"


def run_whose_lines_say_otherwise(arena: Arena) -> str:
    """An arrival clock's run that states less than its own lines took."""
    points = [(0, 5.0, 0, 1.0), (1, None, 4000, 5.0), (2, None, 8000, 9.0), (2, 3.0, 8000, 10.0)]
    run = msgspec.structs.replace(
        arena.runs()[0], clock="arrival", seconds=2.0, claimed_seconds=2.0, validation_seconds=1.0, lead_seconds=1.0,
        console=Console(True), curve=tuple(CurvePoint(*point) for point in points),
    )  # fmt: skip
    forge(arena, RUNS + run_name(run), "run.json", results.encode(run))
    return "its lines give 8.00 s, not the 2.00 s that it states"


def submission_that_is_text_like_a_commit(arena: Arena) -> str:
    [name] = arena.repo.refs(SUBMISSIONS)
    arena.repo.git("update-ref", name, arena.repo.write_blob(arena.repo.read(name)))
    return "holds no commit"


FORGERIES: tuple[Callable[[Arena], str], ...] = (
    label_of_nothing, label_of_a_human_patch_that_is_not_there, label_under_another_name, ruling_of_another,
    extra_run_of_another_slot, version_that_is_not_its_commit, version_of_another_tree, run_on_other_tokens,
    stop_without_reason_in_the_runs, study_of_a_final_round_that_is_not_there, transcript_of_another_agent,
    transcript_of_a_submission_that_is_not_there, transcript_with_a_chosen_id, run_before_the_first_block,
    run_whose_lines_say_otherwise,
    submission_that_is_text_like_a_commit, transcript_that_cannot_be_unpacked, transcript_without_a_bottom,
)  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.__name__)
def test_a_forgery_is_named_and_not_taken_over(
    whole: Arena, tmp_path: Path, forgery: Callable[[Arena], str]
) -> None:
    whole.repo.git("clone", "--quiet", "--mirror", str(whole.repo.path), str(tmp_path / "other.git"))
    other = Arena.open(tmp_path / "other.git")
    words = forgery(other)
    [problem] = verify.verify(other).problems
    assert words in problem
    if forgery in (
        run_on_other_tokens,
        run_whose_lines_say_otherwise,
    ):  # under a name that is taken here: another version of it
        words = words[:20]
    before = whole.repo.refs(RESULTS)
    with pytest.raises(ArenaError, match="does not verify") as refused:
        sync.sync(whole, str(other.repo.path))
    assert words in str(refused.value) and whole.repo.refs(RESULTS) == before


def test_sound_ones_of_the_same_kinds_pass(whole: Arena) -> None:
    put_label(whole, label("h1"))
    put_label(whole, label(whole.attempts()[0].id))
    put_transcript(whole, transcript(whole))
    assert verify.verify(whole).problems == ()


def test_every_kind_that_is_checked_is_exchanged_and_nothing_else() -> None:
    checked = {prefix.removeprefix(RESULTS).strip("/") for prefix in refchecks._CHECKS}
    assert set(sync.KINDS) - {"also"} == checked
    assert set(refchecks._FILES) == set(refchecks._CHECKS) and ATTEMPTS in refchecks._CHECKS


def test_problems_come_in_order_however_the_refs_are_shared_out(
    whole: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    for forgery in FORGERIES[:8]:
        forgery(whole)
    refs = whole.repo.refs(RESULTS)
    together = refchecks.problems_of(whole, refs, refs)
    assert len(together) == 8
    monkeypatch.setattr(refchecks, "CHUNK", 1)
    assert refchecks.problems_of(whole, refs, refs) == together
    for name in refs:  # each alone
        assert refchecks.problems_of(whole, {name: refs[name]}, refs) == [
            one for one in together if one.startswith(f"{name}: ")
        ]


def test_more_refs_take_no_more_processes(plain: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    """Except for diffs that say in their own words what git would say in others."""
    started: list[tuple[str, ...]] = []
    spawn = process.spawn
    monkeypatch.setattr(
        process, "spawn", lambda argv, **more: started.append(tuple(argv)) or spawn(argv, **more)
    )
    counts = []
    for number in (60, 70, 80):
        hand_in(plain, change("STEPS = 100", f"STEPS = {number}", 2))
        fill(plain, tournament.plan_waiting(plain)[0], TIMES)
        refs = plain.repo.refs(RESULTS)
        del started[:]
        assert refchecks.problems_of(plain, refs, refs) == []
        counts.append(len(started))
    assert counts[0] == counts[1] == counts[2] <= 8


def test_labels_are_asked_for_together_and_one_that_git_cannot_read_spoils_no_other(
    whole: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    for subject in ("h1", "h2", whole.attempts()[0].id):
        put_label(whole, label(subject))
    refs = whole.repo.refs(LABELS)
    asked: list[int] = []
    read = held.read_signers
    monkeypatch.setattr(
        held,
        "read_signers",
        lambda repo, identity, some: asked.append(len(some)) or read(repo, identity, some),
    )
    assert refchecks.problems_of(whole, refs, whole.repo.refs(RESULTS)) == [] and asked == [3]
    bad = {**refs, f"{LABELS}h1/{'0' * 12}": "0" * 40}
    [problem] = refchecks.problems_of(whole, bad, whole.repo.refs(RESULTS))
    assert problem.startswith(f"{LABELS}h1/{'0' * 12}: ") and asked == [3, 4, 1, 1, 1, 1]


def test_ctrl_c_ends_a_check_at_once(whole: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def interrupt(arena: Arena, known: held.Known, prefix: str, refs: dict[str, str]) -> list[str]:
        begun.append(prefix)
        time.sleep(0.05)
        raise KeyboardInterrupt

    monkeypatch.setattr(refchecks, "CHUNK", 1)
    monkeypatch.setattr(refchecks, "_check_some", interrupt)
    refs = whole.repo.refs(RESULTS)
    with pytest.raises(KeyboardInterrupt):
        refchecks.problems_of(whole, refs, refs)
    assert len(begun) < len(refs) / 2
