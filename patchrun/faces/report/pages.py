"""From what was gathered to pages: which there are, what each is given, and how strangers' words are escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from patchrun.core.results import Run
from patchrun.core.selection import parse_span
from patchrun.faces.report import drawings, ladder_page, names
from patchrun.faces.report.difflines import read_rows
from patchrun.faces.report.index import write_index
from patchrun.faces.report.verdicts import VERDICTS
from patchrun.services import assessment

if TYPE_CHECKING:
    import jinja2

    from patchrun.adapters.store import Arena
    from patchrun.core.leaderboard import Leaderboard
    from patchrun.faces.report.gather import Site
    from patchrun.services.tournament import Scored

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'"
BOARD_ROWS, BOARD_CELLS = 150, 1000  # agents, and cells of records, on a leaderboard
MATRIX_AGENTS = 30
LISTED = 400  # submissions on an agent's or a record's page
INTERVALS = 20
RUNS_LISTED, FINDINGS_LISTED = 150, 60
LOGS_SHOWN, LOG_BYTES = 8, 6000
CHUNK = 50  # submissions whose diffs and logs are read by one call of git


def make_environment() -> jinja2.Environment:
    """Templates with everything escaped, undefined names an error, and hidden characters shown by their numbers."""
    import jinja2
    from markupsafe import Markup

    def finish(value: Any) -> Any:
        return names.reveal(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("patchrun.faces.report"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=finish,
    )  # fmt: skip
    environment.filters |= {"number": _number, "interval": _interval, "seconds": _seconds, "cut": names.cut}
    environment.globals |= {
        "submission_page": names.submission_page, "agent_page": names.agent_page, "record_page": names.record_page,
        "policy": POLICY, "verdicts": VERDICTS,
    }  # fmt: skip
    return environment


def render_site(site: Site, live: bool = False) -> Iterator[tuple[str, str]]:
    """(name, text) of every page; ``live`` pages look for a newer state of the site while they are open."""
    environment = make_environment()

    def render(name: str, template: str, **given: Any) -> tuple[str, str]:
        root = "../" if "/" in name else ""
        page = environment.get_template(template).render(site=site, root=root, live=live, here=name, **given)
        return name, page

    for board in site.boards:
        yield render(board.page, "index.html", board=board, given=_show_board(board.found))
    parts = dict(write_index(site))
    yield from parts.items()
    yield render("submissions.html", "submissions.html", parts=list(parts))
    yield render("ladder.html", "ladder.html", chart=ladder_page.draw(site), first=None)
    yield render("matrix.html", "matrix.html", shown=MATRIX_AGENTS)
    yield render("methods.html", "methods.html")
    for record in site.records:
        yield render(names.record_page(record), "record.html", **_record(site, record))
    for agent, own in site.by_agent.items():
        yield render(names.agent_page(agent), "agent.html", **_agent(site, agent, own))
    for chunk in _chunks(sorted(site.entries, key=_studies_of)):
        for one, *read in zip(chunk, *_read(site.arena, chunk), strict=True):
            given = _submission(site, one, *read)
            yield render(names.submission_page(one.attempt.id), "submission.html", **given)


def _chunks(entries: Sequence[Scored]) -> Iterator[Sequence[Scored]]:
    return (entries[at : at + CHUNK] for at in range(0, len(entries), CHUNK))


def _studies_of(one: Scored) -> list[str]:
    """Attempts in this order have those that share studies together: each study is read about once."""
    return [study.id for study in one.generations]


def _read(
    arena: Arena, chunk: Sequence[Scored]
) -> tuple[list[list[Run]], list[bytes], list[list[tuple[Run, bytes]]]]:
    """The whole runs of some attempts, their diffs, and the logs of their own runs."""
    diffs = arena.diffs(one.attempt.id for one in chunk)
    whole = assessment.read_runs(arena, chunk)
    wanted = [[run for run in runs if run.kind == "submission"][:LOGS_SHOWN] for runs in whole]
    texts = iter(arena.logs(run for runs in wanted for run in runs))
    found = [[(run, next(texts)) for run in runs] for runs in wanted]
    logs = [[(run, text) for run, text in own if text is not None] for own in found]
    return whole, diffs, logs


def _show_board(found: Leaderboard) -> dict[str, Any]:
    """The part of a leaderboard that one page holds."""
    rows = found.rows[:BOARD_ROWS]
    every = (*found.records, *found.unscorable)
    columns = every[: max(1, BOARD_CELLS // max(1, len(rows)))]
    top = max([1.0, *(row.score for row in rows)])
    return {"found": found, "rows": rows, "records": columns, "left_out": every[len(columns) :], "top": top}


def _record(site: Site, record: str) -> dict[str, Any]:
    span = parse_span(record)
    row = next((row for row in site.ladder if str(row.record.number) == record), None)
    own = site.by_record.get(record, [])
    baseline = site.arena.code.get(f"refs/heads/baseline/{span.first}")
    human = site.arena.human(span.last)
    diff = site.arena.repo.diff(baseline, human) if baseline and human else b""
    return {
        "record": record, "row": row, "own": own[:LISTED], "total": len(own), "span": span,
        "diff": read_rows(diff), "intervals": _intervals(site, own, lambda one: one.attempt.agent),
    }  # fmt: skip


def _agent(site: Site, agent: str, own: Sequence[Scored]) -> dict[str, Any]:
    board = site.boards[0].found
    row = next((row for row in board.rows if row.agent == agent), None)
    return {
        "agent": agent, "row": row, "own": own[:LISTED], "total": len(own), "board": board,
        "usd": site.extras.usd.get(agent),
        "intervals": _intervals(site, own, lambda one: f"record {one.attempt.record}, #{one.attempt.sequence}"),
    }  # fmt: skip


def _intervals(site: Site, own: Iterable[Scored], name: Any) -> drawings.Chart | None:
    rows = [
        (names.reveal(name(one))[:22], value, *ends, names.submission_page(one.attempt.id))
        for one in own
        for value, ends in [site.worth(one.score)] if one.score.is_valid and value is not None and ends
    ]  # fmt: skip
    label = "fraction of the speedup recovered" if site.measure == "FSR" else "speedup over the baseline"
    return drawings.draw_intervals(rows[:INTERVALS], f"{site.measure} with 95% intervals", label)


def _submission(
    site: Site, one: Scored, whole: Sequence[Run], diff: bytes, logs: Sequence[tuple[Run, bytes]]
) -> dict[str, Any]:
    attempt, target = one.attempt, site.track.target.loss
    runs = sorted(whole, key=lambda run: (run.block, run.position))
    return {
        "one": one, "attempt": attempt, "score": one.score, "runs": runs[:RUNS_LISTED], "run_total": len(runs),
        "planned": len(one.study.arms) * one.study.blocks if one.study else 0,
        "findings": attempt.findings[:FINDINGS_LISTED], "finding_total": len(attempt.findings),
        "diff": read_rows(diff, attempt.findings[:FINDINGS_LISTED]),
        "chart": drawings.draw_curves(runs, target, f"Training loss of record {attempt.record}'s arms"),
        "logs": [(run, names.cut(text.decode("utf-8", "replace"), LOG_BYTES, end=True)) for run, text in logs],
        "extras": site.extras.sections.get(attempt.id, []),
    }  # fmt: skip


def _number(value: float | None, form: str = ".3f") -> str:
    return "–" if value is None else format(value, form)


def _interval(ends: tuple[float, float] | None, form: str = ".3f") -> str:
    return "–" if ends is None else f"{ends[0]:{form}} to {ends[1]:{form}}"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g} s"
