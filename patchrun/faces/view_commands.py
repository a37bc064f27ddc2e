"""Commands that show: leaderboard, versus, frontier, show, diff, log."""

from __future__ import annotations

import sys
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

pick_option = click.option(
    "--pick", type=click.Choice(["last", "first", "best", "mean"]), default="last", show_default=True
)
records_option = click.option("--records", type=SetType(), help="Count these records only: 2-6,9.")


@click.command("leaderboard")
@records_option
@pick_option
@with_filters
@format_option("text", "json", "csv", "markdown")
@click.pass_obj
def leaderboard_command(
    named: str | None, records: tuple[int, ...] | None, pick: str, form: str, **chosen: Any
) -> int:
    """Agents ranked, with intervals, coverage, rating and what measuring them took."""
    from patchrun.faces import tables
    from patchrun.services import standings

    arena = open_arena(named)
    for number in records or ():
        arena.ladder.get(number)
    found = standings.board(arena, records, pick, make_filter(arena, **chosen))
    if form == "json":
        echo_json(tables.leaderboard_document(found, arena.track.name))
    else:
        click.echo(tables.render_leaderboard(found, form))
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
        click.echo(text(found, "github" if form == "markdown" else "simple"))
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
        click.echo(chain_view.frontier_csv(points))
    else:
        machine = "GPU" if arena.track.hardware.device == "cuda" else "CPU"
        style = "github" if form == "markdown" else "simple"
        click.echo(chain_view.frontier_text(points, over, machine, style))
    return 0


@click.command("show")
@click.argument("name", metavar="ID")
@format_option("text", "json")
@click.pass_obj
def show_command(named: str | None, name: str, form: str) -> int:
    """One submission: verdict, runs, curves."""
    from patchrun.core.picks import count_attempts
    from patchrun.faces import chain_view, logs_view, tables
    from patchrun.services import chains, logbook

    arena = open_arena(named)
    chain = chains.list_chain(arena, arena.attempt(name).id)
    one = chain[-1]
    tried = count_attempts(arena.attempts())[one.attempt.agent, one.attempt.record]
    logs = logbook.score_from_logs(arena, one.attempt)
    if form == "json":
        document = tables.show_document(one.attempt, one.score, one.runs, tried)
        if logs:
            document["time_source"] = document["time_source"] or logs.source
        document["chain"] = chain_view.chain_document(chain)
        echo_json(document | {"logs": logs_view.logs_document(logs) if logs else None})
    else:
        click.echo(tables.show_text(one.attempt, one.score, one.runs, tried))
        if len(chain) > 1:
            click.echo("\n" + chain_view.chain_text(chain))
        if logs:
            click.echo("\n" + logs_view.logs_text(logs))
    return 0 if one.score.verdict in (None, "valid") else 1


@click.command("diff")
@click.argument("name", metavar="ID")
@click.option("--raw", is_flag=True, help="As handed in, byte for byte.")
@format_option("text", "json")
@click.pass_obj
def diff_command(named: str | None, name: str, raw: bool, form: str) -> int:
    """A submission's diff, in colour on a terminal."""
    arena = open_arena(named)
    attempt = arena.attempt(name)
    handed = arena.diff(attempt.id)
    if form == "json":
        echo_json({"id": attempt.id, "accepted": attempt.accepted, "diff": handed.decode("utf-8", "replace")})
    elif raw or not sys.stdout.isatty():
        sys.stdout.buffer.write(handed)
    else:
        _print_coloured(handed.decode("utf-8", "replace"))
    return 0


def _print_coloured(diff: str) -> None:
    from rich.console import Console
    from rich.syntax import Syntax

    Console().print(Syntax(diff, "diff", theme="ansi_dark", background_color="default", word_wrap=False))


@click.command("log")
@click.argument("name", metavar="ID")
@click.option("--arm", help="baseline, human or submission (default: all).")
@click.option("--block", type=click.IntRange(min=1), help="One block, counted from 1.")
@format_option("text", "json")
@click.pass_obj
def log_command(named: str | None, name: str, arm: str | None, block: int | None, form: str) -> int:
    """The logs of a submission's runs."""
    from patchrun.services import tournament

    arena = open_arena(named)
    runs = [
        run for run in tournament.stored_runs(arena, arena.attempt(name))
        if arm in (None, run.kind, run.arm) and block in (None, run.block + 1)
    ]  # fmt: skip
    if not runs:
        raise UsageError("no such run", "`patchrun show ID` lists the runs there are")
    logs = [(run, arena.log(run).decode("utf-8", "replace")) for run in runs]
    if form == "json":
        echo_json(
            [
                {"arm": r.arm, "block": r.block, "seed": r.seed, "exit": r.exit, "log": text}
                for r, text in logs
            ]
        )
        return 0
    for run, text in logs:
        click.echo(
            f"==> {run.kind} {run.arm}, block {run.block + 1}, seed {run.seed}: {run.exit} {run.reason}"
        )
        click.echo(text)
    return 0
