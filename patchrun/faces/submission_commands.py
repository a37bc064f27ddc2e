"""Commands that hand in, run and rule: validate, submit, run, rerun, withdraw, disqualify."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from patchrun.core.errors import SetupError, UnreadableDiff, UsageError
from patchrun.core.selection import Span
from patchrun.faces.how import How, measure, with_how, with_race_options
from patchrun.faces.judge_options import make_review, with_judge_options
from patchrun.faces.options import (
    SpanType,
    TiersType,
    current_user,
    echo_json,
    find_ground,
    format_option,
    onto_option,
    open_arena,
    say_doubts,
)
from patchrun.faces.plain_text import echo_plain
from patchrun.faces.queue_commands import show_scripts
from patchrun.faces.trials import try_seeds, try_steps

if TYPE_CHECKING:
    from patchrun.adapters.store import Arena
    from patchrun.services.assessment import Scored
    from patchrun.services.validator import Validation

strict_option = click.option(
    "--strict", is_flag=True, help="Refuse diffs whose form is spoiled instead of mending them."
)
steps_option = click.option(
    "--steps",
    type=click.IntRange(min=2),
    help="Stop each run after this step and compare step times: for trying, never counted.",
)


@click.command("validate")
@click.argument("diff")
@click.option("--record", "span", type=SpanType(), required=True, help="12, or a span 30..62.")
@onto_option
@strict_option
@with_judge_options
@format_option("text", "json", "sarif", "github")
@click.pass_obj
def validate_command(
    named: str | None, diff: str, span: Span, onto: str, strict: bool, form: str, **judging: Any
) -> int:
    """Say what is wrong with DIFF (a file, an edited checkout, or -); nothing is stored."""
    from patchrun.faces import findings_view
    from patchrun.services import intake, materials, validator

    arena = open_arena(named)
    arena.ladder.get(span.last)
    baseline, review = arena.baseline(span.first), make_review(arena, **judging)
    ground = find_ground(arena, span, None, onto)
    data = intake.read_diff(arena, diff, span, ground.commit if ground else None)
    try:
        if ground:
            from patchrun.services import tournament

            validation = tournament.validate(arena, data, span, ground, strict)
        else:
            track, find_limit = arena.track.at_record(span.first), partial(materials.find_limit, arena, span)
            validation = validator.validate(arena.repo, track, baseline, data, find_limit, strict)
        validation = review(validation, ground.span if ground else span)
    except UnreadableDiff as error:
        if form not in ("sarif", "github"):
            raise
        validation = validator.refuse(data, error)
    said = findings_view.render(
        validation, span.to_json(), arena.track.name, form, _sources(arena, validation)
    )
    (echo_plain if form in ("text", "github") else click.echo)(said)
    return 0 if validation.accepted else 1


def _sources(arena: Arena, validation: Validation) -> dict[str, str]:
    """Path -> patched text of the files that findings point at."""
    paths = {finding.path for finding in validation.findings if finding.path}
    if not validation.tree or not paths:
        return {}
    files = arena.repo.files(validation.tree)
    known = sorted(path for path in paths if path in files)
    blobs = arena.repo.read_many(files[path].oid for path in known)
    return {path: (data or b"").decode("utf-8", "replace") for path, data in zip(known, blobs, strict=True)}


@click.command("submit")
@click.argument("source", metavar="DIFF|DIR|PREDICTIONS.jsonl")
@click.option("--record", "span", type=SpanType(), help="12, or a span 30..62.")
@click.option("--agent", default=current_user, help="Who made the patch (default: you).")
@click.option(
    "--hint-tier", "tiers", type=TiersType(), default=(), help="Hints the agent had: 1,3; 0 is none."
)
@onto_option
@strict_option
@click.option(
    "--keep-going",
    is_flag=True,
    help="Of predictions: keep what cannot be read as a rejected attempt, instead of storing nothing.",
)
@click.option("--no-run", is_flag=True, help="Store it; `patchrun run --pending` measures it later.")
@click.option("--dry-run", is_flag=True, help="Say what it would take; store and run nothing.")
@steps_option
@with_race_options
@with_judge_options
@with_how
@format_option("text", "json")
@click.pass_obj
def submit_command(
    named: str | None,
    source: str,
    span: Span | None,
    agent: str,
    tiers: tuple[int, ...],
    onto: str,
    strict: bool,
    keep_going: bool,
    no_run: bool,
    dry_run: bool,
    steps: int | None,
    how: How,
    form: str,
    **judging: Any,
) -> int:
    """Validate, store, run, evaluate, score and rank a patch."""
    from patchrun.services import intake, tournament

    arena = open_arena(named)
    review = make_review(arena, **judging)
    handins = intake.read(arena, source, span, agent, onto)
    for handin in handins:
        arena.ladder.get(handin.span.last)
        arena.baseline(handin.span.first)
    if not keep_going:
        intake.check_readable(arena, handins, strict)
    if dry_run:
        return _show_cost(arena, handins, form, how, tiers)
    if not no_run:
        how.choose(arena).check()
    handed = [
        tournament.hand_in(
            arena,
            h.diff,
            h.span,
            h.agent,
            tiers,
            h.onto,
            strict=strict,
            keep_unreadable=keep_going,
            review=partial(review, span=h.span),
        )
        for h in handins
    ]
    say_doubts(arena, {one.attempt.agent for one in handed})
    for one in handed:
        known = "known already, " if one.known else ""
        state = "accepted" if one.attempt.accepted else "rejected"
        echo_plain(
            f"{one.attempt.id} {one.attempt.agent}, record {one.attempt.record}, attempt {one.attempt.sequence}: "
            f"{known}{state}", err=True,
        )  # fmt: skip
    rejected = {one.attempt.id: one.validation for one in handed if not one.attempt.accepted}
    if not no_run and not (steps and rejected):
        ids = [one.attempt.id for one in handed]
        try:
            if steps:
                return try_steps(arena, ids, steps, how, form)
            studies = tournament.resume(arena, ids) + tournament.plan_waiting(arena, ids)
            measure(arena, studies, how)
        except SetupError as error:
            if how.executor == "slurm":
                raise
            click.echo(f"patchrun: stored as pending: {_say_pending(error)}", err=True)
    return _show_results(arena, [one.attempt.id for one in handed], form, rejected)


def _say_pending(error: SetupError) -> str:
    """What is missing, and how to bring a stored submission to a machine that has it."""
    way = "`patchrun sync REMOTE` brings it to a machine that can, `patchrun run --pending` measures it there"
    return str(error) if "patchrun sync" in error.hint else f"{error}\n  {way}"


def _show_results(
    arena: Arena, ids: Sequence[str], form: str, rejected: Mapping[str, Validation] = MappingProxyType({})
) -> int:
    """Print the outcome of submissions, of those just ``rejected`` the offending lines; 1 when one did not pass."""
    from patchrun.core.picks import count_attempts
    from patchrun.faces import findings_view, tables
    from patchrun.services import standings, tournament

    everything = tournament.assess(arena)
    chosen = [scored for scored in everything if scored.attempt.id in set(ids)]
    tried = count_attempts(scored.attempt for scored in everything)
    counts = [tried[scored.attempt.agent, scored.attempt.record] for scored in chosen]
    if form == "json":
        documents = [
            tables.show_document(scored.attempt, scored.score, scored.runs, count)
            for scored, count in zip(chosen, counts, strict=True)
        ]
        echo_json(documents[0] if len(documents) == 1 else documents)
    else:
        for scored, count in zip(chosen, counts, strict=True):
            if found := rejected.get(scored.attempt.id):
                record, sources = scored.attempt.span.to_json(), _sources(arena, found)
                echo_plain(findings_view.render(found, record, arena.track.name, "text", sources))
            else:
                echo_plain(tables.show_text(scored.attempt, scored.score, scored.runs, count))
        echo_plain(standings.rank_lines(everything, chosen))
    return 0 if all(_passes(scored) for scored in chosen) else 1


def _passes(scored: Scored) -> bool:
    return scored.score.verdict in (None, "valid")


def _show_cost(arena: Arena, handins: Sequence[Any], form: str, how: How, tiers: tuple[int, ...]) -> int:
    from patchrun.faces import cells
    from patchrun.faces.cells import number
    from patchrun.services import cost, tournament

    grounds = [tournament.find_ground(arena, h.span, h.agent, h.onto) for h in handins]
    validations = [
        tournament.validate(arena, h.diff, h.span, g) for h, g in zip(handins, grounds, strict=True)
    ]
    spans = [ground.span for ground, v in zip(grounds, validations, strict=True) if v.accepted]
    rows = cost.estimate(arena, spans)
    hopeless = [row for row in rows if row.obstacle]
    if how.executor == "slurm":
        given = zip(handins, validations, grounds, strict=True)
        accepted = [
            tournament.describe(arena, v, h.diff, g, h.agent, tiers) for h, v, g in given if v.accepted
        ]
        show_scripts(arena, tournament.rehearse(arena, accepted), how, err=form == "json")
    if form == "json":
        rejected = len(handins) - len(spans)
        echo_json({"accepted": len(spans), "rejected": rejected, "studies": [row.to_json() for row in rows]})
    else:
        headers = ("record", "submissions", "runs", "training s", "about, wall s", "GPU-hours")
        table = [
            (r.record, str(r.submissions), str(r.runs), number(r.training_seconds, ".1f", "unknown"),
             number(r.wall_seconds, ".0f", "unknown"), number(r.gpu_hours, ".2f", "unknown"))
            for r in rows
        ]  # fmt: skip
        click.echo(f"{len(spans)} of {len(handins)} would be accepted; nothing was stored.")
        click.echo(cells.table(table, headers, align="lrrrrr"))
        for row in hopeless:
            click.echo(f"record {row.record} is unscorable: {row.obstacle}")
    return 0 if len(spans) == len(handins) and not hopeless else 1


@click.command("run")
@click.argument("ids", nargs=-1, metavar="[ID...]")
@click.option("--pending", is_flag=True, help="Everything that waits.")
@click.option(
    "--seeds", help="`public`, or some of the track's public seeds (1,2): for trying, never counted."
)
@steps_option
@with_race_options
@with_how
@format_option("text", "json")
@click.pass_obj
def run_command(
    named: str | None,
    ids: tuple[str, ...],
    pending: bool,
    seeds: str | None,
    steps: int | None,
    how: How,
    form: str,
) -> int:
    """Run what is missing of a study: safe to repeat, stop and resume."""
    from patchrun.services import tournament

    arena = open_arena(named)
    if bool(ids) == pending:
        raise UsageError("which submissions?", "name their ids, or say --pending")
    chosen = (
        [arena.attempt(name).id for name in ids] if ids else [a.id for a in arena.attempts() if a.accepted]
    )
    if seeds and steps:
        raise UsageError("--seeds and --steps are two kinds of trial", "choose one")
    if steps:
        return try_steps(arena, chosen, steps, how, form)
    if seeds:
        return try_seeds(arena, chosen, seeds, how, form)
    studies = tournament.resume(arena, chosen) + tournament.plan_waiting(arena, chosen)
    if not studies:
        click.echo("nothing is missing", err=True)
    measure(arena, studies, how)
    measured = tournament.covered(arena, studies) if pending else chosen
    return _show_results(arena, measured, form)


@click.command("rerun")
@click.argument("name", metavar="ID")
@with_how
@format_option("text", "json")
@click.pass_obj
def rerun_command(named: str | None, name: str, how: How, form: str) -> int:
    """Measure a submission again on new seeds; the new blocks add to the old ones."""
    from patchrun.services import tournament

    arena = open_arena(named)
    attempt = arena.attempt(name)
    measure(arena, [tournament.plan_rerun(arena, attempt)], how)
    return _show_results(arena, [attempt.id], form)


def _rule(named: str | None, name: str, ruling: str, reason: str, form: str) -> int:
    from patchrun.services import tournament

    arena = open_arena(named)
    attempt = arena.attempt(name)
    tournament.rule(arena, attempt, ruling, reason, current_user())
    if form == "json":
        echo_json({"id": attempt.id, "ruling": ruling, "reason": reason})
    else:
        echo_plain(f"{attempt.id} is {ruling}: {reason}")
    return 0


@click.command("withdraw")
@click.argument("name", metavar="ID")
@click.option("--reason", default="by its maker", show_default=True)
@format_option("text", "json")
@click.pass_obj
def withdraw_command(named: str | None, name: str, reason: str, form: str) -> int:
    """Take your own submission back: it stays visible and no longer counts."""
    return _rule(named, name, "withdrawn", reason, form)


@click.command("disqualify")
@click.argument("name", metavar="ID")
@click.option("--reason", required=True)
@format_option("text", "json")
@click.pass_obj
def disqualify_command(named: str | None, name: str, reason: str, form: str) -> int:
    """Take a submission out, for all to see."""
    return _rule(named, name, "disqualified", reason, form)
