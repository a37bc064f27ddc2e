"""Commands that make the tables of the documents: FSR from outside data, coverage and racing by simulation."""

from __future__ import annotations

from pathlib import Path

import click

from patchrun.core.errors import UsageError
from patchrun.faces.options import echo_json, format_option, open_arena
from patchrun.faces.plain_text import echo_plain


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}", "name a CSV file in UTF-8") from None


@click.command("fsr")
@click.option("--times", type=click.Path(path_type=Path), required=True, help="CSV: record, and seconds or "
              "baseline_seconds, human_seconds.")  # fmt: skip
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    help="CSV: record, seconds, [agent], [loss], [valid]. Without it: which gaps of the times (record, seconds, sd, n) "
    "can carry an FSR, and what luck alone earns.",
)
@click.option("--pick", type=click.Choice(["mean", "top", "best"]), default="mean", show_default=True)
@click.option(
    "--top", type=click.IntRange(min=1), default=3, show_default=True, help="How many, with --pick top."
)
@click.option("--max-loss", type=float, help="A run above it failed.")
@click.option("--failed", type=click.Choice(["zero", "drop"]), default="zero", show_default=True)
@click.option("--clip", type=click.Choice(["runs", "records", "none"]), default="records", show_default=True)
@click.option(
    "--tries", type=click.IntRange(min=1), default=10, show_default=True, help="Runs a patch, for luck."
)
@format_option("text", "markdown", "json")
def fsr_command(
    times: Path,
    runs: Path | None,
    pick: str,
    top: int,
    max_loss: float | None,
    failed: str,
    clip: str,
    tries: int,
    form: str,
) -> int:
    """FSR tables from outside data under a stated rule."""
    if runs is None:
        return _show_gaps(times, tries, top, form)
    from patchrun.core.fsrtable import Rule, make_table, read_runs, read_times
    from patchrun.faces import study_tables

    rule = Rule(pick=pick, top=top, max_loss=max_loss, failed=failed, clip=clip)
    found = make_table(
        read_times(_read_text(times), str(times)), read_runs(_read_text(runs), str(runs)), rule
    )
    if form == "json":
        echo_json(study_tables.fsr_table_document(found))
    else:
        echo_plain(study_tables.fsr_table_text(found, "github" if form == "markdown" else "simple"))
    return 0


def _show_gaps(times: Path, tries: int, top: int, form: str) -> int:
    import msgspec

    from patchrun.core.gaps import mean_luck, read_figures, tabulate_gaps
    from patchrun.faces import study_tables

    rows = tabulate_gaps(read_figures(_read_text(times), str(times)), tries, top)
    if form == "json":
        means = {"positive": mean_luck(rows, False), "scorable": mean_luck(rows, True)}
        echo_json({"rows": msgspec.to_builtins(rows), "mean_luck": means})
    else:
        echo_plain(study_tables.gaps_text(rows, "github" if form == "markdown" else "simple"))
    return 0


@click.command("simulate")
@click.argument("what", type=click.Choice(["coverage", "racing", "figures"]))
@click.option(
    "--track", "tracks", multiple=True, metavar="TRACK",
    help="Race on this track's figures (race.csv): pocket, nanogpt, or a folder; may be repeated.",
)  # fmt: skip
@click.option(
    "--studies",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Raced for each line of a table.",
)
@format_option("text", "markdown", "json")
@click.pass_obj
def simulate_command(named: str | None, what: str, tracks: tuple[str, ...], studies: int, form: str) -> int:
    """How often a 95% interval holds the truth, or what racing would save: by simulation, from fixed seeds.

    `figures` are what a race is fed with, a track's race.csv, from the logs that the arena has taken in.
    """
    if what == "figures":
        from patchrun.services import racefigures

        text = racefigures.measure(open_arena(named))
        if form == "json":
            names, *rows = [line.split(",") for line in text.splitlines()]
            echo_json({"rows": [dict(zip(names, map(float, row), strict=True)) for row in rows]})
        else:
            click.echo(text)
        return 0
    if what == "racing":
        return _simulate_racing(tracks, studies, form)
    import msgspec

    from patchrun.core.coverage import tabulate_coverage
    from patchrun.faces import study_tables

    rows = tabulate_coverage()
    if form == "json":
        echo_json({"rows": msgspec.json.decode(msgspec.json.encode(rows))})
    else:
        echo_plain(study_tables.coverage_text(rows, "github" if form == "markdown" else "simple"))
    return 0


def _simulate_racing(tracks: tuple[str, ...], studies: int, form: str) -> int:
    import msgspec

    from patchrun.core.racesim import tabulate_races, tabulate_rejects
    from patchrun.faces import race_view
    from patchrun.services.racefigures import TRACKS, read_worlds

    worlds = read_worlds(tracks or TRACKS)
    races, rejects = tabulate_races(worlds, studies), tabulate_rejects(worlds, studies)
    if form == "json":
        echo_json(msgspec.json.decode(msgspec.json.encode({"rows": races, "rejects": rejects})))
    elif form == "markdown":
        between = tabulate_races([world for world in worlds if world.inside], studies, inside=False)
        click.echo(race_view.race_page(races, between, rejects))
    else:
        click.echo(race_view.race_text(races))
        click.echo("\n" + race_view.rejects_text(rejects))
    return 0
