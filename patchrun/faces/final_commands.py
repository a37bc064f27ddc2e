"""The final round: commit to its secrets, run the picks on them, show where they stand, reveal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from patchrun.core.errors import UsageError
from patchrun.faces import cells
from patchrun.faces.how import with_run_options
from patchrun.faces.options import SetType, current_user, echo_json, format_option, open_arena
from patchrun.faces.plain_text import echo_plain

if TYPE_CHECKING:
    from patchrun.services.finals import Planned

round_option = click.option("--round", "short", metavar="ID", help="Which final round (default: the latest).")


@click.group("final", invoke_without_command=True)
@round_option
@format_option("text", "json")
@click.pass_context
def final_command(context: click.Context, short: str | None, form: str) -> int:
    """The round on secret seeds and held-back tokens; alone it shows where the latest one stands.

    \b
        patchrun final commit      before the last submissions: makes the secrets, binds the arena to them by hash
        patchrun final run         afterwards: the pick of each agent, beside baseline and human code
        patchrun final             its own table, with the ordinary scores beside
        patchrun final reveal      at the end: now everybody can check what was promised
        patchrun final check       by anybody: draw the tokens again with the revealed key
    """
    return 0 if context.invoked_subcommand else _show(context.obj, short, form)


@final_command.command("commit")
@click.option(
    "--tokens", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A token shard of your own (else drawn from texts that the track holds out).",
)  # fmt: skip
@click.option("--by", default=current_user, help="Who promises this (default: you).")
@format_option("text", "json")
@click.pass_obj
def commit_command(named: str | None, tokens: Path | None, by: str, form: str) -> int:
    """Make a round's secret seeds and tokens, keep them outside the arena, commit to them by hash."""
    from patchrun.adapters.heldout import held_out_file
    from patchrun.adapters.keys import key_file
    from patchrun.faces import final_tables
    from patchrun.services import finals

    final = finals.commit(open_arena(named), by, tokens)
    places = [str(key_file(final.key_commitment)), str(held_out_file(final.key_commitment))]
    if form == "json":
        echo_json(final_tables.final_document(final, None) | {"files": places})
    else:
        echo_plain(final_tables.final_text(final, None))
        click.echo("Keep these two files, and show them to nobody before the round is over:")
        click.echo("".join(f"  {place}\n" for place in places), nl=False)
    return 0


@final_command.command("run")
@click.argument("ids", nargs=-1, metavar="[ID...]")
@round_option
@click.option("--agents", help="Picks of these agents only: ada,bob.")
@click.option("--records", type=SetType(), help="Picks on these records only: 2-6,9.")
@click.option(
    "--pick", type=click.Choice(["last", "first", "best"]), default="last", show_default=True,
    help="Which attempt of an agent on a record enters.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would run; store and run nothing.")
@with_run_options
@format_option("text", "json")
@click.pass_obj
def run_command(
    named: str | None,
    ids: tuple[str, ...],
    short: str | None,
    agents: str | None,
    records: tuple[int, ...] | None,
    pick: str,
    dry_run: bool,
    jobs: int,
    sandbox: str,
    form: str,
) -> int:
    """Run the valid picks (or these IDs) on the round's seeds and tokens: safe to repeat, stop and resume."""
    from patchrun.faces.how import How, measure
    from patchrun.services import finals

    if ids and (agents or records):
        raise UsageError("ids name submissions already", "leave --agents and --records out")
    arena = open_arena(named)
    for number in records or ():
        arena.ladder.get(number)
    names = tuple(dict.fromkeys(name.strip() for name in agents.split(","))) if agents else ()
    planned = finals.plan_round(arena, finals.find(arena, short), finals.Choice(pick, names, records, ids))
    for line in planned.left_out:
        echo_plain(f"not in the round: {line}", err=True)
    if dry_run:
        return _show_plan(planned, form)
    if not planned.studies:
        click.echo("nothing is missing", err=True)
    measure(arena, planned.studies, How(jobs=jobs, sandbox=sandbox))
    return _show(named, short, form)


def _show_plan(planned: Planned, form: str) -> int:
    rows = []
    for study in planned.studies:
        submissions = sum(arm.kind == "submission" for arm in study.arms)
        rows.append((study.record, submissions, study.blocks, len(study.arms) * study.blocks))
    if form == "json":
        names = ("record", "submissions", "blocks", "runs")
        studies = [dict(zip(names, row, strict=True)) for row in rows]
        echo_json({"studies": studies, "left_out": list(planned.left_out)})
    else:
        click.echo(cells.table(rows, ("record", "submissions", "blocks", "runs"), align="rrrr"))
        click.echo("Nothing was stored or run.")
    return 0


@final_command.command("show")
@round_option
@format_option("text", "json")
@click.pass_obj
def show_command(named: str | None, short: str | None, form: str) -> int:
    """The round's own table: ranks, FSR there and in ordinary studies, losses, and who fitted the validation tokens."""
    return _show(named, short, form)


@final_command.command("reveal")
@round_option
@click.option("--by", default=current_user, help="Who reveals (default: you).")
@format_option("text", "json")
@click.pass_obj
def reveal_command(named: str | None, short: str | None, by: str, form: str) -> int:
    """End the round: put its key (and tokens, where few) into the arena; `patchrun verify` checks them from then on."""
    from patchrun.faces import final_tables
    from patchrun.services import finals

    arena = open_arena(named)
    final = finals.find(arena, short)
    reveal = finals.reveal(arena, final, by)
    if form == "json":
        echo_json(final_tables.final_document(final, reveal))
    else:
        echo_plain(final_tables.final_text(final, reveal))
        click.echo(f"Its key is {reveal.key}; `patchrun verify` checks key, tokens and seeds.")
    return 0


@final_command.command("check")
@round_option
@format_option("text", "json")
@click.pass_obj
def check_command(named: str | None, short: str | None, form: str) -> int:
    """Of a round that was revealed: draw its tokens again from the texts; `patchrun verify` checks all the rest."""
    from patchrun.services import finals

    arena = open_arena(named)
    final = finals.find(arena, short)
    holds = finals.check_drawn(arena, final)
    said = {
        True: "the key draws the promised tokens from the track's texts",
        False: "the key draws other tokens than the promised ones: they were chosen, not drawn",
        None: "its tokens were given by the owner: there is nothing to draw again",
    }
    if form == "json":
        echo_json({"id": final.id, "drawn": holds})
    else:
        click.echo(f"Final round {final.id}: {said[holds]}.")
    return 1 if holds is False else 0


def _show(named: str | None, short: str | None, form: str) -> int:
    from patchrun.faces import final_tables
    from patchrun.services import finals

    arena = open_arena(named)
    found = finals.assess(arena, finals.find(arena, short))
    if form == "json":
        echo_json(final_tables.standing_document(found))
    else:
        echo_plain(final_tables.standing_text(found))
    return 0
