"""The options that ask the judge, and what is said of its answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from patchrun.core.errors import UsageError
from patchrun.faces.plain_text import echo_plain

if TYPE_CHECKING:
    from patchrun.adapters.store import Arena
    from patchrun.core.selection import Span
    from patchrun.services.judge import Judgement
    from patchrun.services.validator import Validation

judge_options = (
    click.option(
        "--judge", "judged", is_flag=True, help="Ask a language model too (needs ANTHROPIC_API_KEY)."
    ),
    click.option("--judge-model", metavar="MODEL", help="Which one; default claude-opus-5-5."),
    click.option(
        "--prices",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Token prices that go before patchrun's own (TOML).",
    ),
)


def with_judge_options(command: Any) -> Any:
    """Add the options that ``make_review`` takes."""
    for option in reversed(judge_options):
        command = option(command)
    return command


def make_review(
    arena: Arena, judged: bool, judge_model: str | None, prices: Path | None
) -> Callable[[Validation, Span], Validation]:
    """What the options ask for: a function that adds the judge's findings, or one that adds none.

    Raises:
        UsageError, ManifestError: options that need --judge, or prices that cannot be read.
    """
    if not judged:
        if judge_model or prices:
            raise UsageError("--judge-model and --prices say how the judge is asked", "add --judge")
        return lambda validation, span: validation
    from patchrun.adapters.claude import Client
    from patchrun.adapters.prices import read_prices
    from patchrun.services import judge

    client, table = Client(judge_model or judge.DEFAULT_MODEL), read_prices(prices)

    def review(validation: Validation, span: Span) -> Validation:
        if not validation.accepted:
            click.echo("judge: not asked, the patch is rejected without it", err=True)
            return validation
        track = arena.track.at_record(span.first)
        return judge.make_reviewer(arena.repo, track, client, table, _tell)(validation)

    return review


def _tell(judgement: Judgement) -> None:
    echo_plain(f"judge: {judgement.findings[-1].message}", err=True)
