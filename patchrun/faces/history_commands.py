"""The ladder's story, and labels for what is handed in: history, classify."""

from __future__ import annotations

from datetime import datetime

import click

from patchrun.core.errors import UsageError
from patchrun.faces.options import day_type, echo_json, format_option, open_arena


@click.command("history")
@click.option("--track", metavar="NAME|PATH", help="A track that ships, or a folder; else the arena's.")
@click.option(
    "--by",
    type=click.Choice(["depth", "provenance", "period", "contributor", "ai"]),
    help="One grouping only.",
)
@click.option("--until", type=day_type, help="Only records up to this day.")
@click.option("--records", "listed", is_flag=True, help="List every record with its label and the reason.")
@click.option("--compare", is_flag=True, help="Only the published analysis beside ours.")
@format_option("text", "json", "csv", "markdown")
@click.pass_obj
def history_command(
    named: str | None,
    track: str | None,
    by: str | None,
    until: datetime | None,
    listed: bool,
    compare: bool,
    form: str,
) -> int:
    """The ladder's own story: its speedup by depth, provenance, half-year, contributor, human or AI."""
    from patchrun.core import published
    from patchrun.faces import history_view
    from patchrun.services import labelbook

    source = labelbook.of_track(track) if track else labelbook.of_arena(open_arena(named))
    story, outside = source.tell(until.date().isoformat() if until else ""), source.book.published
    if compare and not outside:
        raise UsageError(f"nothing is published to compare {story.track} with", "leave --compare out")
    groupings = (by,) if by else () if compare else history_view.ALL
    beside = published.compare(source.tell(outside.until), outside) if outside and (compare or not by) else []
    if form == "json":
        echo_json(history_view.history_document(story, source.book, groupings, beside))
    elif form == "csv":
        click.echo(history_view.history_csv(story), nl=False)
    elif form == "markdown" and not by and not compare:
        from patchrun.faces.history_page import render_page

        click.echo(render_page(story, source.book, labelbook.read_rubric(), groupings, beside))
    else:
        shape = {"markdown": form == "markdown", "records": listed}
        click.echo(history_view.history_text(story, source.book, groupings, beside, **shape))
    return 0
