"""Commands that hand results to others: the static site, and one table of all runs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from patchrun.core.errors import UsageError
from patchrun.faces.options import echo_json, format_option, open_arena


@click.command("report")
@click.argument("folder", metavar="DIR", required=False, type=click.Path(path_type=Path))
@click.option("--serve", is_flag=True, help="Serve it on this machine, and build it anew as results come in.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8713, show_default=True, help="0: any free one."
)
@format_option("text", "json")
@click.pass_obj
def report_command(named: str | None, folder: Path | None, serve: bool, port: int, form: str) -> int:
    """A static site: leaderboard, ladder, submissions, curves. It opens from a file and from GitHub Pages."""
    if serve == (folder is not None):
        raise UsageError("where to?", "name a folder for the site, or say --serve and name none")
    arena = open_arena(named)
    if folder is None:
        from patchrun.faces.report.serve import serve as serve_site

        with suppress(KeyboardInterrupt):  # Ctrl-C is how serving ends, so it is no failure
            serve_site(arena, port, click.echo)
        return 0
    from patchrun.faces.report.gather import gather
    from patchrun.faces.report.write import check_target, write_site

    check_target(folder)
    site = gather(arena)
    written = write_site(site, folder)
    if form == "json":
        echo_json({"folder": str(folder), "pages": written.pages, "bytes": written.total,
                   "largest_page": written.largest, "refs": site.refs})  # fmt: skip
    else:
        click.echo(f"{folder}/index.html: {written.pages} pages, {written.total / 1e6:.1f} MB, "
                   f"the largest {written.largest / 1e3:.0f} KB")  # fmt: skip
    return 0


@click.command("export")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, allow_dash=True))
@format_option("csv", "json")
@click.pass_obj
def export_command(named: str | None, path: Path, form: str) -> int:
    """One tidy table of all runs, a row a run, for a notebook or a spreadsheet; FILE `-` is standard output."""
    import json

    from patchrun.core.runtable import runs_csv, tabulate_runs

    arena = open_arena(named)
    rows = tabulate_runs(arena.runs(), arena.extra_runs(), arena.attempts(), arena.studies())
    text = runs_csv(rows) if form == "csv" else json.dumps({"rows": rows}, indent=1, allow_nan=False) + "\n"
    if str(path) == "-":
        click.echo(text, nl=False)
    else:
        _write(path, text)
        click.echo(f"{path}: {len(rows)} runs", err=True)
    return 0


def _write(path: Path, text: str) -> None:
    """The whole file or none: written beside its place, then moved there."""
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.write_text(text, encoding="utf-8", newline="")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UsageError(
            f"cannot write {path}: {error.strerror}", "name a file in a folder that is there"
        ) from None
