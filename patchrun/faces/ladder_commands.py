"""Commands about the ladder itself: its times, its logs, and how its own patches fare with the validator."""

from __future__ import annotations

from pathlib import Path

import click

from patchrun.core.errors import UsageError
from patchrun.core.selection import Span
from patchrun.faces.options import SpanType, echo_json, format_option, open_arena
from patchrun.faces.plain_text import echo_plain


@click.command("records")
@format_option("text", "json")
@click.pass_obj
def records_command(named: str | None, form: str) -> int:
    """The ladder: times (published, measured), gaps, hazards."""
    from patchrun.faces import ladder_view
    from patchrun.services import ladderbook

    arena = open_arena(named)
    book = ladderbook.read(arena)
    if form == "json":
        echo_json(ladder_view.records_document(book))
    else:
        echo_plain(ladder_view.records_text(book))
    return 0


@click.command("ingest")
@click.argument("logs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--record", "span", type=SpanType(), help="The record that the logs belong to.")
@click.option("--arm", help="human, baseline, or the id of a submission.")
@click.option(
    "--upstream", metavar="PATH_OR_URL", help="Take in every log of a clone of the ladder's repository."
)
@format_option("text", "json")
@click.pass_obj
def ingest_command(
    named: str | None,
    logs: tuple[Path, ...],
    span: Span | None,
    arm: str | None,
    upstream: str | None,
    form: str,
) -> int:
    """Take existing training logs in: their figures, and of your own logs the text."""
    from patchrun.services import upstream_logs

    arena = open_arena(named)
    if bool(upstream) == bool(logs):
        raise UsageError(
            "which logs?", "name log files with --record N --arm ARM, or a clone with --upstream"
        )
    if upstream:
        found = upstream_logs.ingest_upstream(arena, upstream)
    elif span and arm:
        found = upstream_logs.ingest_logs(arena, logs, span.first, arm)
    else:
        raise UsageError("whose logs are they?", "say --record N and --arm human, baseline or an id")
    counted = sum(not fact.set_aside for fact in found.logs)
    if form == "json":
        echo_json({"source": found.source, "logs": len(found.logs), "counted": counted,
                   "unread": [entry.reason for entry in found.unread], "absent": found.absent})  # fmt: skip
        return 0
    click.echo(
        f"{len(found.logs)} logs, {counted} count; {len(found.unread)} not read, {len(found.absent)} absent"
    )
    for entry in found.unread:
        echo_plain(f"  {entry.reason}")
    return 0


@click.command("control")
@format_option("text", "markdown", "json")
@click.pass_obj
def control_command(named: str | None, form: str) -> int:
    """The control group: every human patch through the validator, as an agent's would go."""
    from patchrun.faces import control_view
    from patchrun.services import control

    rows = control.run_control(open_arena(named))
    if form == "json":
        echo_json([{"record": row.record, "files": row.files, "added": row.added, "removed": row.removed,
                    "exact": row.exact, "accepted": row.accepted, "findings": row.codes} for row in rows])  # fmt: skip
        return 0
    echo_plain(control_view.control_text(rows, form))
    return 0
