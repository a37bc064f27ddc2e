"""The ladder's story, and labels for what is handed in: history, classify."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from patchrun.core.errors import UsageError
from patchrun.faces.options import SetType, current_user, day_type, echo_json, format_option, open_arena
from patchrun.faces.plain_text import echo_plain

if TYPE_CHECKING:
    from patchrun.adapters.store import Arena
    from patchrun.services.classify import Subject

DEPTHS = ("Breakthrough", "Deep", "Moderate", "Shallow")  # as in core.labels, which takes long to import
PROVENANCES = ("Invented", "Adapted", "Imported")


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
        echo_plain(history_view.history_csv(story), end="")
    elif form == "markdown" and not by and not compare:
        from patchrun.faces.history_page import render_page

        echo_plain(render_page(story, source.book, labelbook.read_rubric(), groupings, beside))
    else:
        shape = {"markdown": form == "markdown", "records": listed}
        echo_plain(history_view.history_text(story, source.book, groupings, beside, **shape))
    return 0


@click.command("classify")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="Every accepted submission.")
@click.option("--record", "records", type=SetType(), help="The human patches of these records: 2-6,9.")
@click.option("--samples", type=click.IntRange(1, 50), default=5, show_default=True, help="Times to ask.")
@click.option("--model", metavar="MODEL", help="Which one; default claude-opus-5-5.")
@click.option("--again", is_flag=True, help="Also what this model has labelled before.")
@click.option("--depth", type=click.Choice(DEPTHS, case_sensitive=False), help="A label by hand.")
@click.option("--provenance", type=click.Choice(PROVENANCES, case_sensitive=False), help="A label by hand.")
@click.option("--reason", help="Why, in one line.")
@click.option("--by", "by", metavar="NAME", help="Who says so; default: the user's name.")
@click.option(
    "--sign-key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A private ssh key that signs the label; else PATCHRUN_SIGNING_KEY, else nobody.",
)
@click.option("--prices", type=click.Path(path_type=Path, dir_okay=False), help="Token prices (TOML).")
@format_option("text", "json")
@click.pass_obj
def classify_command(
    named: str | None,
    ids: tuple[str, ...],
    everything: bool,
    records: tuple[int, ...] | None,
    samples: int,
    model: str | None,
    again: bool,
    sign_key: Path | None,
    prices: Path | None,
    form: str,
    **by_hand: str | None,
) -> int:
    """Label changes by depth and provenance: ask a model (needs ANTHROPIC_API_KEY), or say it yourself.

    \b
        patchrun classify 3f2a --samples 5
        patchrun classify 3f2a --depth Moderate --provenance Adapted --reason "a gate of its own"
    """
    from patchrun.services import classify

    arena = open_arena(named)
    subjects = classify.find_subjects(arena, ids, everything, records)
    said = {name: text for name, text in by_hand.items() if text is not None}
    if said:
        return _say(arena, subjects, said, sign_key, form)
    return _ask(arena, subjects, samples, model, again, sign_key, prices, form)


def _say(arena: Arena, subjects: list[Subject], said: dict[str, str], key: Path | None, form: str) -> int:
    """A label by hand."""
    from patchrun.faces import labels_view
    from patchrun.services import classify

    if missing := [f"--{name}" for name in ("depth", "provenance", "reason") if name not in said]:
        raise UsageError(
            f"a label by hand needs {', '.join(missing)} too", "or leave them all out to ask a model"
        )
    if len(subjects) != 1:
        raise UsageError("a label by hand is for one change", "name one submission, or one record")
    said.setdefault("by", current_user())
    label = classify.label_by_hand(arena, subjects[0], **said, key=key)
    documents = labels_view.label_documents(arena, label.subject)
    if form == "json":
        echo_json({"subject": label.subject, "labels": documents})
    else:
        echo_plain(
            f"{label.subject}: {labels_view.labels_line(arena, label.subject).removeprefix('label: ')}"
        )
    return 0


def _ask(
    arena: Arena,
    subjects: list[Subject],
    samples: int,
    model: str | None,
    again: bool,
    key: Path | None,
    prices: Path | None,
    form: str,
) -> int:
    """Labels by a model; exit code 1 where a change got none."""
    from patchrun.adapters.claude import Client
    from patchrun.adapters.prices import read_prices
    from patchrun.faces import labels_view
    from patchrun.services import classify

    client = Client(model or classify.DEFAULT_MODEL)
    click.echo(f"changes: {len(subjects)}, samples of each: {samples}, model: {client.model}", err=True)
    tell = (lambda one: echo_plain(labels_view.outcome_text(one))) if form == "text" else lambda one: None
    outcomes = classify.classify(
        arena, subjects, client, read_prices(prices), samples, again=again, key=key, tell=tell
    )
    if form == "json":
        echo_json(labels_view.outcomes_document(outcomes))
    elif len(outcomes) > 1:
        click.echo(labels_view.outcomes_text(outcomes))
    return 0 if all(outcome.label for outcome in outcomes) else 1
