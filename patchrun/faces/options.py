"""What commands share: the arena, records, seeds and formats as typed options."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from patchrun.core.errors import UsageError
from patchrun.core.selection import Span, parse_set, parse_span, parse_tiers
from patchrun.faces.plain_text import echo_plain

if TYPE_CHECKING:
    from patchrun.adapters.store import Arena
    from patchrun.core.filters import Filter
    from patchrun.services.tournament import Ground


def open_arena(named: str | None) -> Arena:
    """The arena that was named, else the one at the working directory or above; ArenaError when there is none."""
    from patchrun.adapters.store import Arena

    return Arena.open(Path(named)) if named else Arena.find(Path.cwd())


class SpanType(click.ParamType):
    """``12`` or ``30..62``."""

    name = "record"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Span:
        return value if isinstance(value, Span) else parse_span(value)


class SetType(click.ParamType):
    """``2-6,9``."""

    name = "records"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> tuple[int, ...]:
        return value if isinstance(value, tuple) else parse_set(value)


class TiersType(click.ParamType):
    """``1,3``; 0 is none."""

    name = "tiers"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> tuple[int, ...]:
        return value if isinstance(value, tuple) else parse_tiers(value)


class CutoffType(click.ParamType):
    """``21`` or ``2025-06-30``: kept as text until the ladder is at hand."""

    name = "record|day"


day_type = click.DateTime(["%Y-%m-%d"])
filter_options = (
    click.option("--hint-tier", "tiers", type=TiersType(), help="Attempts with exactly these hints; 0 is none."),
    click.option("--since", type=day_type, help="Handed in on this day (UTC) or later."),
    click.option("--until", type=day_type, help="Handed in on this day (UTC) or earlier."),
    click.option("--hardware", metavar="CLASS", help="Measured on this hardware class."),
    click.option("--sandbox", metavar="NAME", help="Measured in this sandbox."),
    click.option("--cutoff", type=CutoffType(), help="Only records after this one (or after this day): "
                 "those that a model cannot have learned."),
)  # fmt: skip


def with_filters(command: Any) -> Any:
    """Add the options that choose attempts; ``make_filter`` takes them."""
    for option in reversed(filter_options):
        command = option(command)
    return command


def make_filter(arena: Arena, **chosen: Any) -> Filter:
    """The filter that the options of ``with_filters`` ask for."""
    from patchrun.core.filters import Filter, find_cutoff

    days = {name: chosen.pop(name).date() for name in ("since", "until") if chosen.get(name)}
    if chosen.get("cutoff"):
        chosen["cutoff"] = find_cutoff(chosen["cutoff"], [record.date for record in arena.ladder.record])
    return Filter(**(chosen | days))


onto_option = click.option(
    "--onto", default="", metavar="ID", help="Your own valid submission that the diff is against (or `last`)."
)


def find_ground(arena: Arena, span: Span, agent: str | None, onto: str) -> Ground | None:
    """What a diff is made against where ``--onto`` says so; None is the baseline."""
    if not onto:
        return None
    from patchrun.services import tournament

    return tournament.find_ground(arena, span, agent, onto)


def format_option(*names: str) -> Any:
    """``--format`` with ``names`` (the first is the default)."""
    return click.option("--format", "form", type=click.Choice(names), default=names[0], show_default=True)


def about_one(*forms: str) -> Any:
    """What a command about one submission takes: ID as ``name``, ``--format``, the arena as ``named``."""

    def add(command: Any) -> Any:
        return click.argument("name", metavar="ID")(format_option(*forms)(click.pass_obj(command)))

    return add


def echo_json(document: Any) -> None:
    """One JSON document on standard output; NaN cannot occur."""
    click.echo(json.dumps(document, indent=1, allow_nan=False))


def current_user() -> str:
    """Who uses this machine, for what is stored under a name; UsageError where nothing says so."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise UsageError("nothing says who you are", "set USER, or name the agent: --agent NAME") from None


def say_doubts(arena: Arena, names: Iterable[str]) -> None:
    """Warn of names that look like other agents' names."""
    from patchrun.core.agentnames import describe_doubts

    known = [attempt.agent for attempt in arena.attempts()]
    for words in [words for name in sorted(names) for words in describe_doubts(name, known)]:
        echo_plain(f"patchrun: {words}", err=True)
