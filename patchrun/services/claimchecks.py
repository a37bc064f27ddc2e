"""What attempts, submissions and studies must hold: what others said of their code, checked against the code."""

from __future__ import annotations

import re

from patchrun.adapters.finalrounds import FINALS
from patchrun.adapters.keys import find_key
from patchrun.adapters.store import ATTEMPTS, STUDIES, SUBMISSIONS
from patchrun.core import results
from patchrun.core.agentnames import find_problem
from patchrun.core.chains import attempt_id, check_link
from patchrun.core.errors import ArenaError
from patchrun.core.results import Attempt, Study, content_id
from patchrun.core.studyfaults import RANKED, expect_id, find_fault, judge_drawn
from patchrun.services.held import Held, require

TIERS = frozenset({1, 2, 3})
WHEN = re.compile(
    r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]{1,6})?(Z|\+00:00)\Z"
)


def check_attempt(held: Held, name: str, commit: str, data: bytes) -> None:
    """Its id follows from its content, and its diff gives its tree."""
    attempt = results.decode(data, Attempt, name)
    diff = held.ask.read(f"{commit}:patch.diff")
    content = attempt.patched_tree if attempt.accepted else content_id(diff.hex())
    baseline = held.tree_of(attempt.baseline_commit)
    parts = (
        attempt.track_digest,
        attempt.record,
        attempt.hint_tiers,
        baseline,
        content,
        attempt.agent,
        attempt.onto,
    )
    require(name == ATTEMPTS + attempt.id, f"named {attempt.id} inside")
    require(not (bad := find_problem(attempt.agent)), f"its agent's name {bad}")
    held.arena.ladder.get(attempt.span.last)
    require(str(attempt.span) == attempt.record, f"its record is written {attempt.record!r}")
    require(
        attempt.hint_tiers == tuple(sorted(set(attempt.hint_tiers) & TIERS)), "hint tiers that there are not"
    )
    require(bool(WHEN.match(attempt.created)), f"its time is written {attempt.created!r}")
    require(attempt.id == attempt_id(*parts), "its id does not follow from its content")
    require(held.arena.baseline(attempt.span.first) == attempt.baseline_commit, "made on another baseline")
    require(
        attempt.accepted == (SUBMISSIONS + attempt.id in held.known), "accepted, but its submission is absent"
    )
    ground = _check_onto(held, attempt) if attempt.onto else baseline
    if attempt.accepted:
        require(held.gives(ground, diff, attempt.patched_tree), "its diff does not give its tree")


def _check_onto(held: Held, attempt: Attempt) -> str:
    """The tree of the submission that an attempt builds on, which must be one that it could build on."""
    require(SUBMISSIONS + attempt.onto in held.known, f"builds on {attempt.onto}, which is absent")
    base = held.attempt(attempt.onto)
    if problem := check_link(attempt, base):
        raise ArenaError(problem)
    return base.patched_tree


def check_submission(held: Held, name: str, commit: str, data: bytes) -> None:
    """The commit of the tree that was validated, on what it builds on."""
    require(ATTEMPTS + name.removeprefix(SUBMISSIONS) in held.known, "has no attempt")
    attempt = held.attempt(name.removeprefix(SUBMISSIONS))
    head = data.decode("utf-8", "replace").split("\n\n", 1)[0].splitlines()
    require(f"tree {attempt.patched_tree}" in head, "its tree is not the one that was validated")
    parent = held.known.get(SUBMISSIONS + attempt.onto) if attempt.onto else attempt.baseline_commit
    require(
        [f"parent {parent}"] == [line for line in head if line.startswith("parent ")],
        "its parent is not the submission that it builds on"
        if attempt.onto
        else "its parent is not its baseline",
    )


def check_study(held: Held, name: str, commit: str, data: bytes) -> None:
    """A plan that may count (see ``core.studyfaults``), of arms that are here, under the id that follows."""
    study = results.decode(data, Study, name)
    require(name == STUDIES + study.id, f"named {study.id} inside")
    require((study.seed_source == "final") == bool(study.final), "is of a final round, or is not")
    require(not study.final or FINALS + study.final in held.known, f"its final round {study.final} is absent")
    for arm in study.arms:
        require(held.tree_of(arm.commit) == arm.tree, f"arm {arm.name} has another tree than its commit")
    require(bool(WHEN.match(study.created)), f"its time is written {study.created!r}")
    fault = find_fault(study, held.grounds)
    require(not fault, fault)
    if study.final and (key := find_key(held.final(study.final).key_commitment)):
        fault = judge_drawn(study, key)
        require(not fault, fault)
    if study.seed_source in (*RANKED, "probe"):
        _check_arms(held, study)
        require(study.id == expect_id(study), "its id does not follow from its content")


def _check_arms(held: Held, study: Study) -> None:
    """Each submission among the arms is there, to this record, and says the same of its code."""
    for arm in study.arms:
        if arm.kind == "submission":
            require(ATTEMPTS + arm.name in held.known, f"its submission {arm.name} is absent")
            attempt = held.attempt(arm.name)
            same = (attempt.accepted, attempt.record, attempt.track_digest) == (
                True,
                study.record,
                study.track_digest,
            )
            require(same, f"arm {arm.name} is no submission to record {study.record} of its track")
            code = (arm.tree, arm.ast_digest) == (attempt.patched_tree, attempt.ast_digest)
            require(code, f"arm {arm.name} is not the code of that submission")
