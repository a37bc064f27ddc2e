"""Commands that rank: leaderboard, versus, frontier."""

from __future__ import annotations

from typing import Any

import click

from patchrun.core.errors import UsageError
from patchrun.faces.options import (
    SetType,
    echo_json,
    format_option,
    make_filter,
    open_arena,
    with_filters,
)
from patchrun.faces.plain_text import echo_plain

pick_option = click.option(
    "--pick", type=click.Choice(["last", "first", "best", "mean"]), default="last", show_default=True
)
records_option = click.option("--records", type=SetType(), help="Count these records only: 2-6,9.")


@click.command("leaderboard")
@records_option
@pick_option
@with_filters
@click.option("--mix-hint-tiers", "mix", is_flag=True, help="One row an agent, whatever hints it had.")
@format_option("text", "json", "csv", "markdown")
@click.pass_obj
def leaderboard_command(
    named: str | None, records: tuple[int, ...] | None, pick: str, mix: bool, form: str, **chosen: Any
) -> int:
    """Agents ranked, with intervals, coverage, rating and what making and measuring their patches took.

    An agent that had different hints has a row for each.
    """
    from patchrun.faces import tables
    from patchrun.services import standings

    arena = open_arena(named)
    for number in records or ():
        arena.ladder.get(number)
    found = standings.board(arena, records, pick, make_filter(arena, **chosen), mix)
    if form == "json":
        echo_json(tables.leaderboard_document(found, arena.track.name))
    else:
        echo_plain(tables.render_leaderboard(found, form))
    return 0


@click.command("versus")
@click.argument("agents", nargs=-1, metavar="A B")
@click.option("--all", "everyone", is_flag=True, help="Every agent against every other: the win matrix.")
@records_option
@pick_option
@with_filters
@format_option("text", "json", "markdown")
@click.pass_obj
def versus_command(
    named: str | None,
    agents: tuple[str, ...],
    everyone: bool,
    records: tuple[int, ...] | None,
    pick: str,
    form: str,
    **chosen: Any,
) -> int:
    """Two agents head to head: per record difference with interval, who wins, overall probability."""
    from patchrun.faces import match_tables, tables
    from patchrun.services import standings

    if len(agents) != (0 if everyone else 2):
        raise UsageError("which agents?", "name two, or say --all and name none")
    arena = open_arena(named)
    only = make_filter(arena, **chosen)
    if everyone:
        found = standings.matrix(arena, records, pick, only)
        document, text = match_tables.matrix_document, match_tables.matrix_text
    else:
        found = standings.versus(arena, *agents, records, pick, only)
        document, text = tables.versus_document, tables.versus_text
    if form == "json":
        echo_json(document(found))
    else:
        echo_plain(text(found, "github" if form == "markdown" else "simple"))
    return 0


@click.command("frontier")
@click.option(
    "--over", type=click.Choice(["time", "cost", "usd"]), default="time", show_default=True,
    help="Against the date, the machine's seconds spent, or the money.",
)  # fmt: skip
@click.option("--agent", help="Of this agent only.")
@click.option("--record", "first", type=click.IntRange(min=1), help="From this record's baseline only.")
@with_filters
@format_option("text", "json", "csv", "markdown")
@click.pass_obj
def frontier_command(
    named: str | None, over: str, agent: str | None, first: int | None, form: str, **chosen: Any
) -> int:
    """The best speedup over a baseline that agents had reached, over time or over cost: a series to plot."""
    from patchrun.faces import chain_view
    from patchrun.services import chains

    arena = open_arena(named)
    points = chains.frontier(arena, agent, first, make_filter(arena, **chosen))
    if form == "json":
        echo_json(chain_view.frontier_document(points, arena.track.name))
    elif form == "csv":
        echo_plain(chain_view.frontier_csv(points))
    else:
        machine = "GPU" if arena.track.hardware.device == "cuda" else "CPU"
        style = "github" if form == "markdown" else "simple"
        echo_plain(chain_view.frontier_text(points, over, machine, style))
    return 0
