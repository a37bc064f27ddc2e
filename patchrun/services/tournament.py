"""The main job: a diff goes in, a study is planned and run, a scored submission comes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from patchrun.adapters.gitrepo import Author
from patchrun.adapters.keys import load_key
from patchrun.adapters.store import Arena, group_by_study
from patchrun.core import agentnames, chains, plan, progress, racejudge
from patchrun.core.errors import UnreadableDiff, UsageError
from patchrun.core.results import Arm, Attempt, Ruling, Run, Study, content_id
from patchrun.core.selection import Span
from patchrun.core.track import Track
from patchrun.services import lossprobe, materials, recheck, validator
from patchrun.services.assessment import Covering, Scored, assess, covers, find_rulings, say_stopped
from patchrun.services.outlook import Outlook
from patchrun.services.validator import Validation


@dataclass(frozen=True)
class Handed:
    """A diff that was handed in; ``known`` when the same content had been handed in before."""

    attempt: Attempt
    validation: Validation
    known: bool


def now() -> str:
    """The time as ISO 8601 in UTC, to the microsecond: it orders an agent's attempts."""
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class Ground:
    """What a diff is made against: ``commit``, a baseline's or that of the submission that it builds on.

    ``span`` is what it is scored over.
    """

    span: Span
    commit: str
    onto: Attempt | None = None


def find_ground(arena: Arena, span: Span, agent: str | None = None, onto: str = "") -> Ground:
    """The baseline of ``span``, or with ``onto`` (an id, or `last`: the agent's last valid one) a submission.

    Raises:
        UsageError: no such record or submission, or one that ``agent`` (None: anyone) cannot build on.
    """
    arena.ladder.get(span.last)
    if not onto:
        return Ground(span, arena.baseline(span.first))
    if onto == "last":
        base = _find_last_valid(arena, agent)
    else:
        [base] = assess(arena, ids=[arena.attempt(onto).id])
    chains.check_base(base.attempt, base.score, agent, arena.track.digest)
    return Ground(
        chains.extend_span(span, base.attempt.span), arena.submission(base.attempt.id), base.attempt
    )


def _find_last_valid(arena: Arena, agent: str | None) -> Scored:
    own = [one.id for one in arena.attempts() if agentnames.is_same(one.agent, agent or "")]
    found = [one for one in assess(arena, ids=own) if one.score.is_valid]
    if not found:
        raise UsageError(
            f"{agent or 'nobody in particular'} has no valid submission to build on", "name one by its id"
        )
    return found[-1]


def validate(
    arena: Arena, diff: bytes, span: Span, ground: Ground | None = None, strict: bool = False
) -> Validation:
    """Findings on a diff against the baseline of ``span``, or against ``ground``; nothing is stored under a ref."""
    ground = ground or find_ground(arena, span)
    track = arena.track.at_record(ground.span.first)
    find_limit = partial(materials.find_limit, arena, ground.span)
    found = validator.validate(arena.repo, track, ground.commit, diff, find_limit, strict)
    if ground.onto is None or found.tree is None:
        return found
    return _validate_whole(arena, found, ground)


def _validate_whole(arena: Arena, found: Validation, ground: Ground) -> Validation:
    """A chain must pass as one patch too: what is not allowed at once is not allowed bit by bit."""
    baseline, track = arena.baseline(ground.span.first), arena.track.at_record(ground.span.first)
    try:
        diff, find_limit = (
            arena.repo.diff(baseline, found.tree),
            partial(materials.find_limit, arena, ground.span),
        )
        whole = validator.validate(arena.repo, track, baseline, diff, find_limit)
    except UnreadableDiff as error:
        raise UnreadableDiff(f"with the chain below it, {error.message}", error.hint) from None
    more = tuple(finding for finding in whole.findings if finding not in found.findings)
    return replace(found, findings=found.findings + more)


def hand_in(
    arena: Arena,
    diff: bytes,
    span: Span,
    agent: str,
    tiers: tuple[int, ...] = (),
    onto: str = "",
    *,
    strict: bool = False,
    keep_unreadable: bool = False,
    also: Callable[[Attempt], Mapping[str, str]] = lambda attempt: {},
    review: Callable[[Validation], Validation] = lambda validation: validation,
) -> Handed:
    """Validate a diff and keep it as an attempt, and as a submission if it was accepted.

    ``onto``: the agent's own valid submission that the diff is against (see ``find_ground``). ``also`` names more refs
    of the same act (name -> commit), created in the same transaction. ``review`` may add findings before anything
    is stored (see ``services.judge``). ``strict``: nothing is mended in the diff's form. ``keep_unreadable``: what is
    no diff is kept as a rejected attempt.

    Raises:
        UsageError: no such record, a name that is none, or nothing that can be built on.
        UnreadableDiff: the bytes are not a diff; nothing is stored (unless ``keep_unreadable``).
    """
    agent = settle_agent(arena, agent)
    author = Author(agent, f"{content_id(agent)[:12]}@agents.patchrun.invalid")
    ground = find_ground(arena, span, agent, onto)
    try:
        validation = review(validate(arena, diff, span, ground, strict))
    except UnreadableDiff as error:
        if not keep_unreadable:
            raise
        validation = validator.refuse(diff, error)
    attempt = describe(arena, validation, diff, ground, agent, tiers)
    submission = _commit(arena, attempt, validation, author, ground) if validation.accepted else None
    fresh = arena.add_attempt(attempt, diff, submission, also(attempt))
    if fresh:
        recheck.note_own(arena, attempt, validation)
    return Handed(attempt if fresh else arena.attempt(attempt.id), validation, known=not fresh)


def settle_agent(arena: Arena, agent: str) -> str:
    """The agent's name as the arena spells it: two spellings of one name are one competitor.

    Raises:
        UsageError: it names nobody (see ``agentnames.check_name``).
    """
    name = agentnames.check_name(agent)
    return agentnames.settle_name(name, (attempt.agent for attempt in arena.attempts()))


def describe(
    arena: Arena, validation: Validation, diff: bytes, ground: Ground, agent: str, tiers: tuple[int, ...]
) -> Attempt:
    """The attempt that handing this in makes, with the hints of what it builds on; nothing is stored."""
    span, onto = ground.span, ground.onto.id if ground.onto else ""
    tiers = chains.join_tiers(tiers, ground.onto.hint_tiers if ground.onto else ())
    baseline = arena.baseline(span.first)
    content = validation.tree if validation.accepted else content_id(diff.hex())
    tree = arena.repo.tree_of(baseline)
    earlier = [a for a in arena.attempts() if a.agent == agent and a.record == str(span)]
    return Attempt(
        id=chains.attempt_id(arena.track.digest, span, tiers, tree, content or "", agent, onto),
        track=arena.track.name,
        track_digest=arena.track.digest,
        record=str(span),
        agent=agent,
        hint_tiers=tiers,
        accepted=validation.accepted,
        patch_id=validation.patch_id,
        baseline_commit=baseline,
        patched_tree=validation.tree or "",
        ast_digest=validation.ast_digest,
        created=now(),
        sequence=len(earlier) + 1,
        findings=tuple(validation.findings),
        onto=onto,
    )


def _commit(arena: Arena, attempt: Attempt, validation: Validation, author: Author, ground: Ground) -> str:
    """The submission's commit: it depends on what makes its id alone, so it is the same in every arena."""
    tiers = ",".join(str(tier) for tier in attempt.hint_tiers) or "0"
    message = (
        f"{attempt.agent}: record {attempt.record}\n\n"
        f"Agent: {attempt.agent}\nRecord: {attempt.record}\nTrack: {attempt.track}\n"
        f"Hint-tiers: {tiers}\nSubmission: {attempt.id}\n"
    ) + (f"Onto: {attempt.onto}\n" if attempt.onto else "")
    assert validation.tree
    when = arena.repo.python.commit(ground.commit).committed_datetime.isoformat()
    return arena.repo.commit(validation.tree, [ground.commit], message, author, when)


def waiting(arena: Arena, ids: Iterable[str] | None = None) -> list[Attempt]:
    """Accepted attempts under the present track that no study covers and that can be scored, oldest first."""
    attempts = arena.attempts()
    withdrawn = find_rulings(arena, attempts)
    covering, outlook = Covering(arena.studies()), Outlook(arena)
    chosen = None if ids is None else set(ids)
    unsigned = arena.unsigned_attempts()
    found = [
        attempt for attempt in attempts
        if attempt.accepted and attempt.track_digest == arena.track.digest and attempt.id not in withdrawn
        and (chosen is None or attempt.id in chosen) and attempt.id not in unsigned
        and not covering.of(attempt)
        and not outlook.obstacle(attempt.span)
    ]  # fmt: skip
    return [attempt for attempt in recheck.check_unknown(arena, found) if attempt.accepted]


def plan_studies(
    arena: Arena,
    attempts: Sequence[Attempt],
    *,
    generation: int = 0,
    public_seeds: Sequence[int] = (),
    steps: int | None = None,
) -> list[Study]:
    """One study a record for the attempts, which share its baseline and human runs; nothing is stored.

    ``public_seeds`` makes studies for trying: shown, never counted; with ``steps`` their runs stop after that step.

    Raises:
        SetupError: scoring seeds are asked for and the owner's key is not here.
    """
    records: dict[str, dict[str, Attempt]] = {}
    for attempt in attempts:
        records.setdefault(attempt.record, {}).setdefault(attempt.ast_digest, attempt)
    return [
        _plan(arena, list(by_code.values()), generation, tuple(public_seeds), steps)
        for by_code in records.values()
    ]


def plan_waiting(arena: Arena, ids: Iterable[str] | None = None) -> list[Study]:
    """The studies that submissions without one need; those to one record share it."""
    return plan_studies(arena, waiting(arena, ids))


def resume(arena: Arena, ids: Iterable[str]) -> list[Study]:
    """Stored studies of these submissions that still lack runs, or a probe that can be made here."""
    chosen = set(ids)
    found = [attempt for attempt in arena.attempts() if attempt.accepted and attempt.id in chosen]
    attempts = [attempt for attempt in recheck.check_unknown(arena, found) if attempt.accepted]
    runs, ended = group_by_study(arena.runs()), racejudge.ended_arms(arena.stops())
    studies = arena.studies()
    lacking = lossprobe.find_lacking(arena, studies)
    return [
        study for study in studies
        if any(covers(study, attempt) for attempt in attempts)
        and (
            not progress.is_settled(arena.track, study, runs.get(study.id, []), ended.get(study.id, ()))
            or study.id in lacking
        )
    ]  # fmt: skip


def covered(arena: Arena, studies: Sequence[Study]) -> list[str]:
    """The ids of the attempts that these studies score."""
    return [a.id for a in arena.attempts() if a.accepted and any(covers(study, a) for study in studies)]


def plan_trial(arena: Arena, ids: Iterable[str], seeds: str) -> list[Study]:
    """Studies on public seeds (``public`` for all, or some of them as ``1,2``): shown, never counted.

    Raises:
        UsageError: a seed is not one of the track's public seeds.
    """
    public = arena.track.seeds.public
    words = [word.strip() for word in seeds.split(",")]
    chosen = public if seeds == "public" else tuple(int(word) for word in words if word.isdecimal())
    if not set(chosen) <= set(public) or (seeds != "public" and len(chosen) != len(words)):
        known = ",".join(map(str, public))
        raise UsageError(
            f"not public seeds of track {arena.track.name}: {seeds}", f"choose from {known}, or `public`"
        )
    wanted = set(ids)
    return plan_studies(
        arena, [a for a in arena.attempts() if a.id in wanted and a.accepted], public_seeds=chosen
    )


def plan_steps(arena: Arena, ids: Iterable[str], steps: int) -> list[Study]:
    """Studies whose runs stop after ``steps`` steps, two blocks in mirrored order: step times, never a score."""
    wanted = set(ids)
    chosen = [a for a in arena.attempts() if a.id in wanted and a.accepted]
    return plan_studies(arena, chosen, public_seeds=arena.track.seeds.public[:2], steps=steps)


def _plan(
    arena: Arena, attempts: list[Attempt], generation: int, public: tuple[int, ...], steps: int | None
) -> Study:
    span = attempts[0].span
    arms = (*reference_arms(arena, span), *(submission_arm(arena, attempt) for attempt in attempts))
    source = "steps" if steps else "public" if public else "scoring"
    words = f"{source}{steps or ''}{public or ''}"
    name = plan.study_id(arena.track.digest, str(span), arms, generation, words)
    seeds = public or plan.derive_seeds(load_key(arena.identity), name, Outlook(arena).blocks(span))
    counts = source == "scoring"
    return Study(
        id=name,
        track=arena.track.name,
        track_digest=arena.track.digest,
        record=str(span),
        generation=generation,
        arms=arms,
        seeds=seeds,
        seed_source=source,
        steps=steps,
        secret=permute_secret(arena.track, span, load_key(arena.identity), name) if counts else "",
        created=now(),
    )


def permute_secret(track: Track, span: Span, key: bytes, study: str) -> str:
    """The secret from which the permutation of ids in a study's scored runs follows; empty where there is none."""
    relabels = track.probe is not None and span.last < track.probe.relabel_before
    return plan.derive_secret(key, study) if relabels else ""


def rehearse(arena: Arena, attempts: Sequence[Attempt]) -> list[Study]:
    """The studies that attempts would get if they were handed in: without seeds and commits, nothing is stored."""
    arms: dict[Span, dict[str, Arm]] = {}
    for one in attempts:
        tree, digest = one.patched_tree, one.ast_digest
        arm = Arm(name=one.id, kind="submission", commit=tree, tree=tree, ast_digest=digest)
        arms.setdefault(one.span, {}).setdefault(digest, arm)
    outlook = Outlook(arena)
    return [
        _name(arena, span, (*reference_arms(arena, span), *own.values()), (0,) * outlook.blocks(span))
        for span, own in arms.items() if not outlook.obstacle(span)
    ]  # fmt: skip


def _name(arena: Arena, span: Span, arms: tuple[Arm, ...], seeds: tuple[int, ...]) -> Study:
    name = plan.study_id(arena.track.digest, str(span), arms, 0, "scoring")
    return Study(
        id=name, track=arena.track.name, track_digest=arena.track.digest, record=str(span), arms=arms, seeds=seeds,
        created=now(),
    )  # fmt: skip


def reference_arms(arena: Arena, span: Span) -> tuple[Arm, ...]:
    """The baseline arm of a span and, where the record has one, its human arm."""
    found = [(f"b{span.first}", "baseline", arena.baseline(span.first))]
    if human := arena.human(span.last):
        found.append((f"h{span.last}", "human", human))
    return tuple(
        Arm(name=name, kind=kind, commit=commit, tree=(tree := arena.repo.tree_of(commit)), ast_digest=tree)
        for name, kind, commit in found
    )


def submission_arm(arena: Arena, attempt: Attempt) -> Arm:
    return Arm(
        name=attempt.id,
        kind="submission",
        commit=arena.submission(attempt.id),
        tree=attempt.patched_tree,
        ast_digest=attempt.ast_digest,
    )


def plan_rerun(arena: Arena, attempt: Attempt) -> Study:
    """The next generation of a submission's study: the same arms on new seeds, blocks that add to the old ones.

    Raises:
        UsageError: the submission was rejected, or nothing was measured yet.
    """
    if not attempt.accepted:
        raise UsageError(
            f"{attempt.id} was rejected: there is nothing to measure", "`patchrun show` says why"
        )
    if not any(covers(study, attempt) for study in arena.studies()):
        raise UsageError(f"{attempt.id} has no study yet", f"measure it first: `patchrun run {attempt.id}`")
    stops = arena.stops()
    if any(say_stopped(stops, study, attempt) for study in arena.studies()):
        raise UsageError(
            f"racing stopped {attempt.id}", "a stop stays; `patchrun show` says on what evidence"
        )
    return plan_again(arena, [attempt])


def plan_again(arena: Arena, attempts: Sequence[Attempt]) -> Study:
    """One study of the next generation for measured submissions to one record: they share its reference runs."""
    generations = [
        study.generation for study in arena.studies() if any(covers(study, attempt) for attempt in attempts)
    ]
    return plan_studies(arena, attempts, generation=max(generations) + 1)[0]


def rule(arena: Arena, attempt: Attempt, ruling: str, reason: str, by: str) -> Ruling:
    """Withdraw or disqualify a submission, for all to see, with the reason."""
    if not reason.strip():
        raise UsageError("a reason is needed", "say what was seen: --reason TEXT")
    agentnames.check_words(reason, "the reason")
    agentnames.check_words(by, "the name of who rules")
    value = Ruling(submission=attempt.id, ruling=ruling, reason=reason, by=by, created=now())
    arena.add_ruling(value)
    return value


def stored_runs(arena: Arena, attempt: Attempt) -> list[Run]:
    """The runs of every study of a submission, as they were stored: its own and the reference arms'.

    Runs of its ablation are not among them.
    """
    arms = {
        study: arm for study in arena.studies()
        if study.seed_source != "ablation" and (arm := plan.find_arm(study, attempt.record, attempt.ast_digest))
    }  # fmt: skip
    runs = group_by_study(arena.runs_of(arms))
    return [
        run for study, arm in arms.items() for run in runs.get(study.id, [])
        if run.kind != "submission" or run.arm == arm.name
    ]  # fmt: skip
