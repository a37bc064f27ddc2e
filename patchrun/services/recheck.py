"""Validate again, here, what others say was validated: an attempt's claims against the answer of our own validator."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from patchrun import __version__
from patchrun.adapters.signed import own_name
from patchrun.adapters.store import ALSO, ATTEMPTS, SUBMISSIONS, Arena
from patchrun.core import results
from patchrun.core.checked import Checked, apply_check, differs, find_false_claim
from patchrun.core.codes import make_finding
from patchrun.core.errors import UnreadableDiff
from patchrun.core.findings import Finding
from patchrun.core.leaving_out import MOST_BYTES
from patchrun.core.results import Attempt
from patchrun.core.versions import Version
from patchrun.services.validator import Validation, find_ruff

NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True)
class Rechecked:
    """What validating again gave: claims that are false, attempts that only their maker accepts, and other differences.

    ``refs``: answers that differ, staged and not created yet (name -> commit). ``answers``: by an attempt's commit.
    """

    false: tuple[str, ...]
    overruled: tuple[str, ...]
    others: tuple[str, ...]
    refs: Mapping[str, str]
    answers: Mapping[str, Checked]


def recheck(arena: Arena, found: Sequence[Version[Attempt]], known: Mapping[str, str] = NOTHING) -> Rechecked:
    """Our own answers on stored attempts; what was answered before is not validated again.

    ``known``: refs (name -> commit) that are not created yet, for what an attempt builds on.
    """
    own = [one for one in found if one.value.track_digest == arena.track.digest]
    answers = _find_answers(arena, own, known)
    refs: dict[str, str] = {}
    said: dict[str, list[str]] = {"false": [], "overruled": [], "others": []}
    for one in own:
        answer = answers[one.commit]
        if not differs(one.value, answer):
            continue
        kind, words = _describe_difference(one.value, answer)
        said[kind].append(f"{one.name}: {words}")
        if one.commit not in arena.answers:
            refs |= arena.stage_answer(one.value.id, answer)
    return Rechecked(*(tuple(each) for each in said.values()), refs, answers)


def _find_answers(
    arena: Arena, found: Sequence[Version[Attempt]], known: Mapping[str, str]
) -> dict[str, Checked]:
    """From refs, from the arena's own folder, else from the validator, on as many threads as there are cores."""
    wanted = [one for one in found if one.commit not in arena.answers]
    answers = arena.answers | arena.recall_answers([one.commit for one in wanted])
    fresh = [one for one in wanted if one.commit not in answers]
    if not fresh:
        return answers
    find_ruff()  # before there are threads (see `validator.validate`)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        made = list(pool.map(lambda one: _validate(arena, one, known), fresh))
    arena.remember_answers(made)
    return answers | {one.attempt: one for one in made}


def _validate(arena: Arena, one: Version[Attempt], known: Mapping[str, str]) -> Checked:
    """The validator's answer; a diff that could not have been submitted at all is one that rejects."""
    from patchrun.services.tournament import Ground, validate  # which asks this module before it plans

    attempt = one.value
    ground = Ground(attempt.span, attempt.baseline_commit)
    if attempt.onto:
        base = _find(arena, ATTEMPTS + attempt.onto, known)
        onto = results.decode(arena.repo.read(f"{base}:attempt.json"), Attempt, attempt.onto)
        ground = Ground(attempt.span, _find(arena, SUBMISSIONS + attempt.onto, known), onto)
    try:
        return describe_answer(
            one.commit, attempt, validate(arena, _read_diff(arena, one.commit), attempt.span, ground)
        )
    except UnreadableDiff as error:
        unread = make_finding("PR120", f"its diff cannot be read: {error.message}")
        return _describe(one.commit, attempt, accepted=False, findings=(unread,))


def _read_diff(arena: Arena, commit: str) -> bytes:
    """The diff as it was submitted, unless it is larger than any that could be."""
    [size] = arena.repo.sizes_of([f"{commit}:patch.diff"])
    if size is None or size > MOST_BYTES:
        raise UnreadableDiff("it is absent" if size is None else f"it has {size >> 10} kB, more than is read")
    return arena.repo.read(f"{commit}:patch.diff")


def _find(arena: Arena, ref: str, known: Mapping[str, str]) -> str:
    return known.get(ref) or arena.repo.resolve(ref)


def describe_answer(commit: str, attempt: Attempt, found: Validation) -> Checked:
    """What the validator found, as the answer on the attempt that ``commit`` holds."""
    facts = {"tree": found.tree or "", "patch_id": found.patch_id, "ast_digest": found.ast_digest}
    return _describe(commit, attempt, accepted=found.accepted, findings=tuple(found.findings), **facts)


def _describe(
    commit: str, attempt: Attempt, *, accepted: bool, findings: tuple[Finding, ...], **facts: str
) -> Checked:
    return Checked(
        attempt=commit, track_digest=attempt.track_digest, accepted=accepted, findings=findings, **facts,
        tool_version=__version__, created=datetime.now(UTC).isoformat(timespec="seconds"),
    )  # fmt: skip


def _describe_difference(attempt: Attempt, answer: Checked) -> tuple[str, str]:
    """Which of the differences it is (see ``Rechecked``), and in words."""
    claim = find_false_claim(attempt, answer)
    if claim and (answer.accepted or not attempt.accepted):
        return "false", claim
    codes = ", ".join(sorted({one.code for one in answer.findings if one.severity == "error"}))
    if attempt.accepted and not answer.accepted:
        return "overruled", f"accepted where it was made, rejected here by {codes}; it counts as rejected"
    if answer.accepted and not attempt.accepted:
        return "others", "rejected where it was made, and it would pass here; it counts as rejected"
    return "others", "its findings are not those that the validator has here; ours are shown too"


def read_attempts(arena: Arena, refs: Mapping[str, str]) -> list[Version[Attempt]]:
    """The attempts among ``refs`` (name -> commit), those of another version of a name included, under their refs."""
    own = {name: commit for name, commit in refs.items() if name.startswith((ATTEMPTS, f"{ALSO}attempts/"))}
    blobs = arena.repo.read_many(f"{commit}:attempt.json" for commit in own.values())
    return [
        Version(name, commit, results.decode(data or b"", Attempt, name))
        for (name, commit), data in zip(own.items(), blobs, strict=True)
    ]


def check_unknown(arena: Arena, attempts: Iterable[Attempt]) -> list[Attempt]:
    """The attempts as they count, once those are validated of which this arena does not know the answer yet.

    Asked before anything is planned or run: what came by a push or with a clone only its maker has validated.
    """
    asked = list(attempts)
    if not asked:
        return []
    refs = arena.repo.refs(*(ATTEMPTS + one.id for one in asked))
    done = recheck(arena, read_attempts(arena, refs))
    arena.add_answers(done.refs)
    by_id = {own_name(name).removeprefix(ATTEMPTS): commit for name, commit in refs.items()}
    return [_count(one, done.answers.get(by_id.get(one.id, ""))) for one in asked]


def _count(attempt: Attempt, answer: Checked | None) -> Attempt:
    return apply_check(attempt, answer) if answer and differs(attempt, answer) else attempt


def note_own(arena: Arena, attempt: Attempt, found: Validation) -> None:
    """Remember that this attempt was validated here, just now."""
    commit = arena.repo.resolve(ATTEMPTS + attempt.id)
    arena.remember_answers([describe_answer(commit, attempt, found)])
