"""The command that plans and runs what would narrow the ranking most."""

from __future__ import annotations

import click

from patchrun.faces.how import How, measure, with_how, with_race_options
from patchrun.faces.options import echo_json, format_option, open_arena
from patchrun.faces.plain_text import echo_plain
from patchrun.faces.queue_commands import show_scripts


@click.command("tournament")
@click.option(
    "--budget", type=click.FloatRange(min=0, min_open=True), help="Wall seconds of runs to plan at most."
)
@click.option(
    "--least", type=click.FloatRange(min=0, min_open=True, max=1), default=0.01, show_default=True,
    help="Measure again only what lowers the chance of a wrong order by this much.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show the plan and its cost; store and run nothing.")
@with_race_options
@with_how
@format_option("text", "json")
@click.pass_obj
def tournament_command(
    named: str | None,
    budget: float | None,
    least: float,
    dry_run: bool,
    how: How,
    form: str,
) -> int:
    """Run what waits, then measure again what narrows the ranking most for its cost."""
    from patchrun.faces import match_tables, tables
    from patchrun.services import schedule, standings

    arena = open_arena(named)
    plan = schedule.make_schedule(arena, budget, least)
    echo_plain(match_tables.schedule_text(plan), err=form == "json")
    if dry_run or not plan.items:
        if how.executor == "slurm":
            show_scripts(arena, [item.study for item in plan.items], how, err=form == "json")
        if form == "json":
            echo_json(plan.to_json())
        return 0
    measure(arena, [item.study for item in plan.items], how)
    board = standings.board(arena)
    if form == "json":
        echo_json(plan.to_json() | {"leaderboard": tables.leaderboard_document(board, arena.track.name)})
    else:
        echo_plain("\n" + tables.render_leaderboard(board))
    return 0
