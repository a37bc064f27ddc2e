"""A forged ref of any kind is named by `verify`, and `sync` takes nothing of an arena that holds one."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from patchrun.adapters import objects, process
from patchrun.adapters.gitrepo import PATCHRUN
from patchrun.adapters.jobbook import add_job
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
from patchrun.core import plan, results
from patchrun.core.changelabel import ChangeLabel
from patchrun.core.errors import ArenaError
from patchrun.core.results import Console, CurvePoint, Ruling, Study
from patchrun.core.selection import Span
from patchrun.core.studyfaults import expect_id
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


CARRIERS = ("attempts", "studies", "runs", "verdicts", "labels", "jobs", "transcripts")


@pytest.mark.parametrize("way", ["a file", "a folder", "a parent"])
def test_results_that_carry_more_than_themselves_are_named(whole: Arena, way: str) -> None:
    """The content is sound, and beside it rides something that nobody asked for."""
    fill_kinds(whole)
    blob, names = whole.repo.write_blob(b"validation text"), []
    for kind in CARRIERS:
        name, commit = next(iter(whole.repo.refs(f"{RESULTS}{kind}/").items()))
        entries = {path: (entry.mode, entry.oid) for path, entry in whole.repo.files(commit).items()}
        more = {"a file": "val.bin", "a folder": "deep/val.bin"}.get(way)
        tree = whole.repo.write_tree(entries | ({more: ("100644", blob)} if more else {}))
        parents = [] if more else [whole.repo.commit(tree, [], "hidden\n", PATCHRUN, WHEN)]
        whole.repo.git("update-ref", name, whole.repo.commit(tree, parents, "forged\n", PATCHRUN, WHEN))
        names.append(name)
    words = "a history of its own" if way == "a parent" else "which is no part of it"
    problems = verify.verify(whole).problems
    assert sorted(problem.partition(": ")[0] for problem in problems) == sorted(names)
    assert all(words in problem for problem in problems)


def fill_kinds(arena: Arena) -> None:
    """A sound result of each kind that is small."""
    attempt, study = arena.attempts()[0], arena.studies()[0]
    tournament.rule(arena, attempt, "withdrawn", "mine", "ada")
    put_label(arena, label("h1"))
    put_transcript(arena, transcript(arena))
    job = results.Job(study=study.id, executor="slurm", cluster="", job="12", name="n", blocks=(0,), user="ada",
                      host="login", created=WHEN)  # fmt: skip
    add_job(arena, job)


TRICKS = (
    ("also/human/1/{commit}", "is a version of nothing that has versions"),
    ("also/also/runs/x/{commit}/{commit}", "is a version of nothing that has versions"),
    ("also/foo/x/{commit}", "is a version of nothing that has versions"),
    ("also/runs/b1/nobody-b0p0s0/{commit}", "is a version of a name that is not there"),
    ("also/attempts/" + "e" * 20 + "/{commit}", "is a version of a name that is not there"),
    ("foo/x", "is of no kind that an arena holds"),
    ("run/x", "is of no kind that an arena holds"),
    ("also/{run}/000000000000", "not named by its content"),
)  # fmt: skip


@pytest.mark.parametrize(("ref", "words"), TRICKS)
def test_names_that_no_result_has_are_named(whole: Arena, ref: str, words: str) -> None:
    name, commit = next(iter(whole.repo.refs(RUNS).items()))
    ref = RESULTS + ref.format(commit=commit[:12], run=name.removeprefix(RESULTS))
    whole.repo.git("update-ref", ref, commit)
    problems = [problem for problem in verify.verify(whole).problems if problem.startswith(f"{ref}: {words}")]
    assert problems


def test_an_object_that_swells_is_named_and_not_read(whole: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "LARGEST", 100_000)
    name, commit = next(iter(whole.repo.refs(RUNS).items()))
    swollen = whole.repo.read(f"{commit}:run.json").rstrip() + b" " * 200_000
    forge(whole, name, "run.json", swollen, log_gz=b"")
    problems = verify.verify(whole).problems
    assert len(problems) == 1 and "no result is so large" in problems[0]


def study_with(arena: Arena, **changes: object) -> tuple[str, Study]:
    made = msgspec.structs.replace(arena.studies()[0], **changes)
    made = msgspec.structs.replace(made, id=expect_id(made))
    return STUDIES + made.id, made


def arm_with_the_digest_of_another(arena: Arena) -> tuple[str, Study]:
    slow = hand_in(arena, change("STEPS = 100", "STEPS = 99", 2), agent="eve").attempt
    fast = arena.studies()[0].arms
    arm = msgspec.structs.replace(tournament.submission_arm(arena, slow), ast_digest=fast[-1].ast_digest)
    return with_seeds(arena, *study_with(arena, arms=(*fast[:2], arm)))


def arm_of_an_attempt_that_is_not_there(arena: Arena) -> tuple[str, Study]:
    arms = arena.studies()[0].arms
    return with_seeds(
        arena, *study_with(arena, arms=(*arms[:2], msgspec.structs.replace(arms[-1], name=NOBODY)))
    )


def arm_of_another_record(arena: Arena) -> tuple[str, Study]:
    two = tournament.reference_arms(arena, Span(2, 2))
    return with_seeds(arena, *study_with(arena, record="2", arms=(*two, arena.studies()[0].arms[-1])))


def empty_study(arena: Arena) -> tuple[str, Study]:
    return study_with(arena, generation=1, seeds=())


def made_up_seeds(arena: Arena) -> tuple[str, Study]:
    return study_with(arena, generation=1, seeds=(1, 2, 3, 4, 5))


def another_commit_as_human(arena: Arena) -> tuple[str, Study]:
    arms = arena.studies()[0].arms
    slow = msgspec.structs.replace(arms[1], commit=arms[0].commit, tree=arms[0].tree, ast_digest=arms[0].tree)
    return with_seeds(arena, *study_with(arena, arms=(arms[0], slow, arms[2])))


def an_id_that_does_not_follow(arena: Arena) -> tuple[str, Study]:
    made = msgspec.structs.replace(arena.studies()[0], id="a" * 20)
    return with_seeds(arena, STUDIES + made.id, made)


def with_seeds(arena: Arena, name: str, made: Study) -> tuple[str, Study]:
    seeds = plan.derive_seeds(arena.owner_key or b"", made.id, 5)
    return name, msgspec.structs.replace(made, seeds=seeds)


STUDIES_FORGED = {
    empty_study: "has no blocks", made_up_seeds: "its seeds are not those",
    another_commit_as_human: "arm h1 is not the real",
    arm_with_the_digest_of_another: "is not the code of that submission",
    arm_of_an_attempt_that_is_not_there: f"its submission {NOBODY} is absent",
    arm_of_another_record: "is no submission to record 2", an_id_that_does_not_follow: "its id does not follow",
}  # fmt: skip


@pytest.mark.parametrize(
    ("forged", "words"), STUDIES_FORGED.items(), ids=lambda one: getattr(one, "__name__", "")
)
def test_a_forged_study_is_named_and_not_taken_over(
    whole: Arena, tmp_path: Path, forged: Callable[[Arena], tuple[str, Study]], words: str
) -> None:
    whole.repo.git("clone", "--quiet", "--mirror", str(whole.repo.path), str(tmp_path / "other.git"))
    other = Arena.open(tmp_path / "other.git")
    name, made = forged(other)
    forge(other, name, "study.json", results.encode(made))
    assert [words in problem for problem in verify.verify(other).problems if problem.startswith(name)] == [
        True
    ]
    with pytest.raises(ArenaError, match="does not verify") as refused:
        sync.sync(whole, str(other.repo.path))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "forged", [empty_study, made_up_seeds, another_commit_as_human], ids=lambda one: one.__name__
)
def test_a_forged_study_hides_nothing_where_it_was_pushed(
    plain: Arena, forged: Callable[[Arena], tuple[str, Study]]
) -> None:
    """A shared arena takes every push: what counts is read as if the study were not there."""
    attempt = hand_in(plain).attempt
    [planned] = tournament.plan_waiting(plain)
    taken = {"empty_study": (), "made_up_seeds": (1, 2, 3, 4, 5)}.get(forged.__name__, planned.seeds)
    arms = planned.arms
    if forged is another_commit_as_human:
        arms = (arms[0], msgspec.structs.replace(arms[1], commit=arms[0].commit, tree=arms[0].tree), arms[2])
    forge(plain, STUDIES + planned.id, "study.json",
          results.encode(msgspec.structs.replace(planned, seeds=taken, arms=arms)))  # fmt: skip
    arena = Arena.open(plain.repo.path)
    assert arena.studies() == [] and tournament.plan_waiting(arena)[0].id == planned.id
    fill(arena, planned, TIMES)
    arena = Arena.open(plain.repo.path)
    assert arena.studies() == [planned] and tournament.assess(arena)[0].score.verdict == "valid"
    assert arena.attempt(attempt.id) and tournament.plan_waiting(arena) == []
