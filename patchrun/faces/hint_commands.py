"""Commands about the hints that ship with a track."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from patchrun.faces.options import echo_json, format_option, open_arena

if TYPE_CHECKING:
    from patchrun.services.hintcheck import TrackReport


@click.group("hints")
def hints_command() -> None:
    """The hints that ship: are they all there, in form, and in words of their own?"""


@hints_command.command("check")
@click.option(
    "--track", "tracks", multiple=True, help="pocket, nanogpt, or a track's folder; else both that ship."
)
@click.option(
    "--upstream", metavar="PATH_OR_URL", help="A clone of the ladder's repository, to compare with."
)
@format_option("text", "json")
@click.pass_obj
def check_command(named: str | None, tracks: tuple[str, ...], upstream: str | None, form: str) -> int:
    """Presence, form, length, results given away, and copies of code and sentences.

    A track's own patches are always compared with; an upstream ladder's code takes an arena (-C) or --upstream, and its
    pages take --upstream. Exit code 1 where there is any finding.
    """
    from patchrun.services import hintcheck, hints, importer

    arena = open_arena(named) if named else None
    reports = []
    for name in tracks or importer.SHIPPED:
        source = importer.read_track(importer.find_track(name))
        texts = hintcheck.read_texts(source, arena, upstream)
        reports.append(hintcheck.check_hints(source, hints.find_home(source.track.name), texts))
    problems = [problem for report in reports for problem in report.problems]
    if form == "json":
        rows = [{"track": r.track, "records": r.records, "hints": r.hints, "code": r.code or None, "pages": r.pages}
                for r in reports]  # fmt: skip
        echo_json({"tracks": rows, "findings": [asdict(problem) for problem in problems]})
    else:
        click.echo(report_text(reports))
    return 1 if problems else 0


def report_text(reports: list[TrackReport]) -> str:
    """The findings as a table, then one line a track that says what was compared."""
    from tabulate import tabulate

    rows = [(one.path, one.problem, one.hint) for report in reports for one in report.problems]
    lines = [tabulate(rows, ("file", "problem", "hint"), maxcolwidths=[None, 60, 50]), ""] if rows else []
    for report in reports:
        code = f"code: {report.code}" if report.code else "code: not compared (give -C or --upstream)"
        pages = f", {report.pages} upstream pages" if report.pages else ""
        lines.append(
            f"{report.track}: {report.hints} hints for {report.records} records, "
            f"{len(report.problems)} findings; {code}{pages}"
        )
    return "\n".join(lines)
