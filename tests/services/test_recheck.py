"""What others say was validated is validated again: lenient, false and unreadable claims, and honest ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from patchrun.adapters.attempts import CHECKED
from patchrun.adapters.gitrepo import PATCHRUN
from patchrun.adapters.store import ALSO, ATTEMPTS, SUBMISSIONS, Arena
from patchrun.core import chains, results
from patchrun.core.errors import ArenaError
from patchrun.core.results import Attempt
from patchrun.services import recheck, standings, sync, tournament, verify
from tests.conftest import change
from tests.services.test_tournament import FASTER, fill, hand_in
from tests.services.test_verify import WHEN

TIMES = {"baseline": 10.0, "human": 7.0, "submission": 5.0}
PROTECTED = change("    return 42", "    return 43", 6)


@pytest.fixture
def other(plain: Arena, tmp_path: Path) -> Arena:
    plain.repo.git("clone", "--quiet", "--mirror", str(plain.repo.path), str(tmp_path / "other.git"))
    return Arena.open(tmp_path / "other.git")


def put(arena: Arena, diff: bytes, agent: str = "eve", **claims: object) -> Attempt:
    """An attempt as a patched or lenient patchrun stores it: every id follows, only its claims are its own."""
    ground = tournament.find_ground(arena, tournament.Span(1, 1))
    found = tournament.validate(arena, diff, ground.span)
    made = tournament.describe(arena, found, diff, ground, agent, ())
    tree = found.tree or ""
    made = msgspec.structs.replace(made, accepted=True, findings=(), patched_tree=tree)
    made = msgspec.structs.replace(made, **claims)
    parts = (made.track_digest, made.record, made.hint_tiers, arena.repo.tree_of(made.baseline_commit))
    content = made.patched_tree if made.accepted else results.content_id(diff.hex())
    made = msgspec.structs.replace(made, id=chains.attempt_id(*parts, content, made.agent, made.onto))
    commit = None
    if made.accepted:
        commit = arena.repo.commit(made.patched_tree, [made.baseline_commit], f"{made.id}\n", PATCHRUN, WHEN)
    stored = arena.repo.store_files({"attempt.json": results.encode(made), "patch.diff": diff})
    refs = {ATTEMPTS + made.id: arena.repo.commit(stored, [], "lenient\n", PATCHRUN, WHEN)}
    arena.repo.create_refs(refs | ({SUBMISSIONS + made.id: commit} if commit else {}))
    return made


def new_file(path: str, mode: str = "100644", text: str = "x = 1") -> bytes:
    """A diff that adds a file of one line."""
    end = "\\ No newline at end of file\n" if mode == "120000" else ""
    head = f"diff --git a/{path} b/{path}\nnew file mode {mode}\n--- /dev/null\n+++ b/{path}\n"
    return f"{head}@@ -0,0 +1 @@\n+{text}\n{end}".encode()


LENIENT = {
    "a protected function": PROTECTED,
    "a syntax error": change("STEPS = 100", "STEPS = (", 2),
    "a file that runs by itself": new_file("sitecustomize.py"),
    "a file that steers git": new_file(".gitattributes", text="* text"),
    "a link": new_file("extra/link.py", "120000", "/etc/passwd"),
    "hidden text": change("STEPS = 100", "STEPS = 60  # \u202e", 2),
}


@pytest.mark.parametrize("diff", LENIENT.values(), ids=LENIENT)
def test_what_a_lenient_arena_accepted_comes_in_and_counts_as_rejected(
    plain: Arena, other: Arena, diff: bytes
) -> None:
    lenient = put(other, diff)
    before = other.repo.read(f"{ATTEMPTS}{lenient.id}:attempt.json")
    done = sync.sync(plain, str(other.repo.path))
    assert len(done.received) == 2
    assert any("accepted where it was made, rejected here" in note for note in done.notes)
    assert plain.repo.read(f"{ATTEMPTS}{lenient.id}:attempt.json") == before, "nothing is rewritten"
    [counted] = plain.attempts()
    assert not counted.accepted and any(one.severity == "error" for one in counted.findings)
    assert plain.received(lenient.id).accepted and plain.attempt(lenient.id) == counted
    assert tournament.plan_waiting(plain) == []
    assert tournament.assess(plain)[0].score.verdict == "rejected"
    report = verify.verify(plain)
    assert report.problems == () and len(report.notes) == 1
    assert sync.sync(plain, str(other.repo.path)) == sync.Exchange((), (), ())


def test_an_arena_that_has_it_already_is_told_once_and_counts_it_no_more(plain: Arena) -> None:
    lenient = put(plain, PROTECTED)
    assert plain.attempt(lenient.id).accepted
    [problem] = verify.verify(plain).problems
    assert "accepted where it was made, rejected here by PR4" in problem
    plain = Arena.open(plain.repo.path)
    assert not plain.attempt(lenient.id).accepted and len(plain.repo.refs(CHECKED)) == 1
    again = verify.verify(plain)
    assert again.problems == () and len(again.notes) == 1


def test_what_was_pushed_is_validated_before_it_is_planned(plain: Arena) -> None:
    honest = hand_in(plain).attempt
    put(plain, PROTECTED)
    planned = tournament.plan_waiting(plain)
    assert [arm.name for study in planned for arm in study.arms if arm.kind == "submission"] == [honest.id]


def test_a_result_of_a_lenient_attempt_is_no_result_any_more(plain: Arena, other: Arena) -> None:
    lenient = put(other, PROTECTED)
    arms = (*tournament.reference_arms(other, lenient.span), tournament.submission_arm(other, lenient))
    fill(other, tournament._name(other, lenient.span, arms, _seeds(other, arms)), TIMES)
    assert standings.board(other).rows[0].score == 1
    sync.sync(plain, str(other.repo.path))
    assert standings.board(plain).rows[0].score == 0
    assert tournament.assess(plain)[0].score.verdict == "rejected"


def _seeds(arena: Arena, arms: tuple[results.Arm, ...]) -> tuple[int, ...]:
    from patchrun.core import plan

    name = plan.study_id(arena.track.digest, "1", arms, 0, "scoring")
    return plan.derive_seeds(arena.owner_key or b"", name, 5)


def digest_of_another(arena: Arena) -> tuple[dict[str, object], str]:
    return {"ast_digest": hand_in(arena).attempt.ast_digest}, "its digest of code is not that of its tree"


def no_digest(arena: Arena) -> tuple[dict[str, object], str]:
    return {"ast_digest": ""}, "its digest of code is not that of its tree"


def digest_of_the_baseline(arena: Arena) -> tuple[dict[str, object], str]:
    return {"ast_digest": arena.repo.tree_of(arena.baseline(1))}, "its digest of code is not that of its tree"


def patch_id_of_another(arena: Arena) -> tuple[dict[str, object], str]:
    return {"patch_id": hand_in(arena).attempt.patch_id}, "its patch id is not that of its diff"


def tree_of_the_human(arena: Arena) -> tuple[dict[str, object], str]:
    return {"patched_tree": arena.repo.tree_of(arena.human(1) or "")}, "its diff does not give its tree"


def a_record_that_is_not_there(arena: Arena) -> tuple[dict[str, object], str]:
    return {"record": "1..9"}, "no record 9"


def a_record_in_other_words(arena: Arena) -> tuple[dict[str, object], str]:
    return {"record": "01"}, "its record is written '01'"


def hints_that_there_are_not(arena: Arena) -> tuple[dict[str, object], str]:
    return {"hint_tiers": (7,)}, "hint tiers that there are not"


def a_time_before_all_others(arena: Arena) -> tuple[dict[str, object], str]:
    return {"created": "!"}, "its time is written '!'"


def a_name_that_is_none(arena: Arena) -> tuple[dict[str, object], str]:
    return {"agent": "ada\x1b[2J"}, "its agent's name holds a control character"


def a_name_of_three_hundred(arena: Arena) -> tuple[dict[str, object], str]:
    return {"agent": "a" * 300}, "its agent's name has 300 characters"


def another_baseline(arena: Arena) -> tuple[dict[str, object], str]:
    return {"baseline_commit": arena.human(1) or ""}, "made on another baseline"


CLAIMS = (
    digest_of_another, no_digest, digest_of_the_baseline, patch_id_of_another, tree_of_the_human,
    a_record_that_is_not_there, a_record_in_other_words, hints_that_there_are_not, a_time_before_all_others,
    a_name_that_is_none, a_name_of_three_hundred, another_baseline,
)  # fmt: skip


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.__name__)
def test_a_false_claim_is_named_and_not_taken_over(
    plain: Arena, other: Arena, claim: Callable[[Arena], tuple[dict[str, object], str]]
) -> None:
    claims, words = claim(other)
    put(other, change("STEPS = 100", "STEPS = 99", 2), **claims)
    assert any(words in problem for problem in verify.verify(other).problems)
    with pytest.raises(ArenaError, match="does not verify") as refused:
        sync.sync(plain, str(other.repo.path))
    assert words in str(refused.value) and plain.attempts() == []


def test_a_digest_of_another_earns_nothing_where_it_is(plain: Arena) -> None:
    """A trivial patch that claims the digest of a fast one: never planned, never scored by that one's runs."""
    fast = hand_in(plain, agent="ada").attempt
    fill(plain, tournament.plan_waiting(plain)[0], TIMES)
    trivial = put(plain, change("STEPS = 100", "STEPS = 99", 2), ast_digest=fast.ast_digest)
    assert verify.verify(plain).problems
    scored = {one.attempt.id: one for one in tournament.assess(Arena.open(plain.repo.path))}
    assert scored[trivial.id].score.verdict == "rejected" and scored[fast.id].score.verdict == "valid"


def test_findings_as_received_and_as_found_here_are_both_kept(plain: Arena, other: Arena) -> None:
    flagged = change("STEPS = 100", "STEPS = eval('60')", 2)
    ours = tournament.validate(plain, flagged, tournament.Span(1, 1)).findings
    assert [one.severity for one in ours if one.severity == "review"]
    silent = put(other, flagged)
    sync.sync(plain, str(other.repo.path))
    assert plain.received(silent.id).findings == () and set(plain.attempt(silent.id).findings) == set(ours)
    assert plain.attempt(silent.id).accepted


def test_what_the_judge_said_stays(plain: Arena, other: Arena) -> None:
    from patchrun.core.codes import make_finding

    judged = make_finding("PR601", "odd", severity="review")
    one = put(other, FASTER, findings=(judged,))
    sync.sync(plain, str(other.repo.path))
    assert plain.repo.refs(CHECKED) == {} and plain.attempt(one.id).findings == (judged,)


def test_another_version_of_an_attempt_is_validated_too(plain: Arena, other: Arena) -> None:
    """Of one id, made before ours, with no findings: what it hides is found here."""
    flagged = change("STEPS = 100", "STEPS = eval('60')", 2)
    mine = hand_in(plain, flagged, agent="eve").attempt
    put(other, flagged, created="2020-01-01T00:00:00+00:00")
    tree = other.repo.tree_of(f"{ATTEMPTS}{mine.id}")
    commit = other.repo.commit(tree, [], "lenient\n", PATCHRUN, WHEN)
    plain.repo.git("fetch", "--quiet", str(other.repo.path), f"+{ATTEMPTS}{mine.id}:refs/heads/theirs")
    plain.repo.create_refs({f"{ALSO}attempts/{mine.id}/{commit[:12]}": commit})
    verify.verify(plain)
    [counted] = Arena.open(plain.repo.path).attempts()
    assert counted.created.startswith("2020") and set(counted.findings) == set(mine.findings) != set()


HONEST = {
    "fewer steps": FASTER,
    "a comment": change("STEPS = 100", "STEPS = 60  # fewer", 2),
    "another rate": change("RATE = 1", "RATE = 3", 1),
    "a name": change("RATE = 1", "RATE = FAST = 2", 1),
    "a print": change("    print(RATE, STEPS, load())", "    print(STEPS, RATE, load())", 10),
    "a mail": b"Subject: faster\n\n" + FASTER,
    "not python": change("STEPS = 100", "STEPS = (", 2),
    "a protected function, rejected there too": PROTECTED,
    "with review": change("STEPS = 100", "STEPS = eval('60')", 2),
    "unicode": change("STEPS = 100", "STEPS = 60  # d\u00e9j\u00e0 vu \u674e", 2),
}


def test_honest_attempts_of_all_kinds_come_in_as_they_are(plain: Arena, other: Arena) -> None:
    for name, diff in HONEST.items():
        hand_in(other, diff, agent=name)
    done = sync.sync(plain, str(other.repo.path))
    assert done.notes == () and plain.repo.refs(CHECKED) == {}
    assert plain.attempts() == other.attempts() and len(plain.attempts()) == len(HONEST)
    assert verify.verify(plain).problems == verify.verify(other).problems == ()


def test_what_was_made_here_or_validated_once_is_not_validated_again(
    plain: Arena, other: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in(plain, agent="ada")
    hand_in(other, PROTECTED, agent="bob")
    asked: list[str] = []
    validate = recheck._validate
    monkeypatch.setattr(
        recheck, "_validate", lambda *given: asked.append(given[1].value.agent) or validate(*given)
    )
    sync.sync(plain, str(other.repo.path))
    assert asked == ["bob"]
    verify.verify(plain)
    tournament.plan_waiting(plain)
    assert asked == ["bob"]


def test_many_attempts_come_over_several_syncs_with_what_they_build_on(
    plain: Arena, other: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "MOST_ATTEMPTS", 3)
    for count in range(60, 68):
        hand_in(other, change("STEPS = 100", f"STEPS = {count}", 2))
    fill(other, tournament.plan_waiting(other)[0], TIMES)
    counts, waiting = [], []
    for _ in range(4):
        done = sync.sync(plain, str(other.repo.path))
        counts.append(len(plain.attempts()))
        waiting.append(done.waiting)
        assert verify.verify(plain).problems == ()
    assert counts == [3, 6, 8, 8] and waiting[0] > waiting[1] > waiting[2] == 0
    assert standings.board(plain) == standings.board(other)


def test_a_diff_beyond_the_tracks_limit_counts_as_rejected(plain: Arena, other: Arena) -> None:
    huge = FASTER + b"# " + b"x" * (plain.track.limits.diff_kb * 1024 + 1)
    attempt = hand_in(other).attempt
    tree = other.repo.store_files({"attempt.json": results.encode(attempt), "patch.diff": huge})
    commit = other.repo.commit(tree, [], "huge\n", PATCHRUN, WHEN)
    other.repo.git("update-ref", ATTEMPTS + attempt.id, commit)
    [note] = sync.sync(plain, str(other.repo.path)).notes
    assert "rejected here by PR120" in note and not plain.attempt(attempt.id).accepted
