"""The command that takes a submission apart: what each piece of its diff is worth."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from patchrun.faces.how import with_run_options
from patchrun.faces.options import echo_json, format_option, open_arena
from patchrun.faces.plain_text import echo_plain

if TYPE_CHECKING:
    from patchrun.adapters.store import Arena
    from patchrun.core.results import Attempt, Study
    from patchrun.services.ablation import Planner


@click.command("ablate")
@click.argument("name", metavar="ID")
@click.option(
    "--budget-runs", "budget", type=click.IntRange(min=1), default=200, show_default=True,
    help="Runs in all, the search included; with fewer than the pieces take, neighbours are joined.",
)  # fmt: skip
@click.option(
    "--blocks", type=click.IntRange(min=2), help="Runs of each variant (default: the rule's, at least 4)."
)
@click.option("--executor", type=click.Choice(["local"]), default="local", show_default=True)
@click.option("--dry-run", is_flag=True, help="Say what it would take; store and run nothing.")
@click.option(
    "--yes", is_flag=True, help="Do not ask before it starts (without a terminal nothing is asked)."
)
@with_run_options
@format_option("text", "json")
@click.pass_obj
def ablate_command(
    named: str | None,
    name: str,
    budget: int,
    blocks: int | None,
    executor: str,
    dry_run: bool,
    yes: bool,
    jobs: int,
    sandbox: str,
    form: str,
) -> int:
    """What each piece of a submission's diff is worth, and the fewest that keep 95% of its speedup.

    Stopped in between, the same command goes on; its runs are kept and count for no score.
    """
    from patchrun.faces import ablation_view
    from patchrun.services import ablation

    arena = open_arena(named)
    attempt = arena.attempt(name)
    planner = ablation.make_planner(arena, attempt, budget, blocks)
    prospect = ablation.foresee(planner)
    if dry_run and form == "json":
        echo_json(ablation_view.prospect_document(prospect, attempt.id))
        return 0
    echo_plain(ablation_view.prospect_text(prospect), err=not dry_run)
    if dry_run:
        return 0
    if not yes and is_attended() and not ablation.is_whole(planner):
        click.confirm("Start?", abort=True, err=True)
    _run(arena, planner, jobs, sandbox)
    return _show(arena, attempt, planner, form)


def is_attended() -> bool:
    """Somebody can read a question and answer it."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _run(arena: Arena, planner: Planner, jobs: int, sandbox: str) -> None:
    from patchrun.faces.how import How, measure
    from patchrun.services import ablation

    def run(study: Study) -> None:
        if set(arena.slots(study)) < _slots(study):
            measure(arena, [study], How(jobs=jobs, sandbox=sandbox))

    try:
        ablation.ablate(planner, run)
    except KeyboardInterrupt:
        click.echo(f"patchrun: `patchrun ablate {planner.attempt.id}` goes on", err=True)
        raise


def _slots(study: Study) -> set[str]:
    from patchrun.core import plan

    return {
        f"{arm.name}/{study.id}-{slot.name}"
        for block in range(study.blocks)
        for arm, slot in plan.slots(study, block)
    }


def _show(arena: Arena, attempt: Attempt, planner: Planner, form: str) -> int:
    from patchrun.faces import ablation_view
    from patchrun.services import tournament

    found = planner.judge()
    assert found
    [scored] = tournament.assess(arena, ids=[attempt.id])
    if form == "json":
        echo_json(
            {"track": attempt.track, "record": attempt.span.to_json()}
            | ablation_view.ablation_document(found, scored.score.fsr)
        )
    else:
        echo_plain(ablation_view.ablation_text(found, scored.score.fsr))
    return 0
