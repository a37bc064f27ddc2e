"""What commands share: the arena, records, seeds and formats as typed options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from patchrun.core.selection import Span, parse_set, parse_span, parse_tiers

if TYPE_CHECKING:
    from patchrun.adapters.store import Arena


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


def format_option(*names: str) -> Any:
    """``--format`` with ``names`` (the first is the default)."""
    return click.option("--format", "form", type=click.Choice(names), default=names[0], show_default=True)


def echo_json(document: Any) -> None:
    """One JSON document on standard output; NaN cannot occur."""
    click.echo(json.dumps(document, indent=1, allow_nan=False))
