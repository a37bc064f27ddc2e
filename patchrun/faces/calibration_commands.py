"""The command that asks whether the intervals hold: by measuring known patches, and by simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from patchrun.faces import cells
from patchrun.faces.how import with_run_options
from patchrun.faces.options import SetType, echo_json, format_option, open_arena
from patchrun.faces.plain_text import echo_plain

if TYPE_CHECKING:
    from patchrun.services.calibrate import Tally


@click.command("calibrate")
@click.option("--records", type=SetType(), help="Measure on these records: 8-10.")
@click.option(
    "--studies", "count", type=click.IntRange(min=0), default=1, show_default=True, help="A record."
)
@click.option(
    "--copies", type=click.IntRange(min=1), default=4, show_default=True, help="Of each kind, a study."
)
@with_run_options
@format_option("text", "json", "markdown")
@click.pass_obj
def calibrate_command(
    named: str | None,
    records: tuple[int, ...] | None,
    count: int,
    copies: int,
    jobs: int,
    sandbox: str,
    form: str,
) -> int:
    """Measure copies of the human patch and of the baseline as if handed in, and see what the intervals hold.

    Without --records it shows what the arena has. The runs are kept and count for no submission.
    """
    from patchrun.core.results import Study
    from patchrun.faces.live import watch
    from patchrun.services import calibrate
    from patchrun.services.study import Options, run_study

    arena = open_arena(named)

    def run(study: Study) -> None:
        with watch(study) as live:
            run_study(arena, study, Options(jobs, sandbox), live.on_progress, live.on_wait)

    found = calibrate.measure(arena, records or (), count, copies, run)
    if form == "json":
        echo_json({"track": arena.track.name, "copies": [one.to_json() for one in found]})
    else:
        echo_plain(tally_text(calibrate.tally(found), "github" if form == "markdown" else "simple"))
    return 0


def tally_text(rows: list[Tally], style: str) -> str:
    """The tallies as a table."""
    headers = ("record", "copies of", "studies", "copies", "scored", "interval holds the truth", "share", "mean FSR",
               "median half-width", "not scored")  # fmt: skip
    table = [
        (
            row.record or "all", ("baseline (0)", "human (1)")[row.truth], row.studies, row.copies,
            row.scored, row.holds,
            cells.number(row.holds / row.scored if row.scored else None), cells.number(row.mean),
            cells.number(row.width),
            ", ".join(f"{count} {name}" for name, count in sorted(row.others.items())),
        )
        for row in rows
    ]  # fmt: skip
    return cells.table(table, headers, style, "rlrrrrrrrl")
