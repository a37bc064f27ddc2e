"""The ladder as a chart: the records' times, and where agents' best submissions stand among them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from patchrun.core.ladderstats import Row
from patchrun.core.stats import summarize
from patchrun.faces.report import names
from patchrun.faces.report.drawings import Chart, Climber, Rung, draw_ladder

if TYPE_CHECKING:
    from patchrun.faces.report.gather import Site

MOST_POINTS = 400


def draw(site: Site) -> Chart | None:
    """The chart; a record's time is the published one, else the one measured here."""
    rungs = [rung for row in site.ladder if (rung := _rung(row))]
    seconds = {rung.number: rung.seconds for rung in rungs}
    return draw_ladder(rungs, list(_climbers(site, seconds))[:MOST_POINTS])


def time_of(row: Row) -> float | None:
    """The seconds that place a record on the ladder."""
    if row.published is not None:
        return row.published
    return summarize(row.measured.seconds).mean if row.measured.seconds else None


def _rung(row: Row) -> Rung | None:
    record, seconds = row.record, time_of(row)
    if not seconds or seconds <= 0:
        return None
    by = names.reveal(f"{record.by}, {record.ai_system}" if record.ai_system else record.by)
    words = f"Record {record.number}, {record.date}, {by}: {seconds:.4g} s. {names.reveal(record.summary)}"
    return Rung(
        record.number,
        record.date,
        seconds,
        words[:300],
        names.record_page(record.number),
        bool(record.ai_system),
    )


def _climbers(site: Site, seconds: dict[int, float]) -> Iterator[Climber]:
    """Each agent's best valid submission to a record, its time scaled as the record's own is to the time measured here.

    So a point below the ladder's is faster than the record, whatever machine measured it.
    """
    for own in site.by_record.values():
        seen: set[str] = set()
        for one in own:
            attempt, times, record = one.attempt, one.score.seconds, one.attempt.span.last
            if not one.score.is_valid or attempt.agent in seen or not times.submission:
                continue
            seen.add(attempt.agent)
            shown = times.submission * (
                seconds[record] / times.human if times.human and record in seconds else 1.0
            )
            fsr = "" if one.score.fsr is None else f", FSR {one.score.fsr:.2f}"
            words = f"{names.reveal(attempt.agent)[:60]}, record {attempt.record}: {shown:.4g} s{fsr}"
            yield Climber(record, shown, words, names.submission_page(attempt.id))
