"""``python -m tests.attacks``: write `docs/attacks.md`; ``... generate``: look for holes with generated attacks."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import click

from tests.attacks.generate import find_holes
from tests.attacks.table import CASES, named, to_markdown

PAGE = Path(__file__).parents[2] / "docs" / "attacks.md"


@click.group(invoke_without_command=True)
@click.pass_context
def attacks(context: click.Context) -> None:
    """Write docs/attacks.md, the score of the attack suite."""
    if context.invoked_subcommand is None:
        PAGE.write_text(to_markdown(), encoding="utf-8")
        print(f"{PAGE.name}: {len(CASES)} spellings, {len(named('not caught'))} not caught")


@attacks.command()
@click.option("--seed", type=int, help="The attacks of this seed; by default a new one, which is printed.")
@click.option("--budget", type=int, default=300, show_default=True, help="How many attacks to try.")
def generate(seed: int | None, budget: int) -> None:
    """Try attacks that are spelled at random; print those that nobody sees."""
    seed = random.randrange(10**6) if seed is None else seed
    holes = 0
    for hole in find_holes(seed, budget):
        holes += 1
        print(f"HOLE {hole.seed}: {hole.kind}\n{hole.diff.decode(errors='replace')[:2000]}")
    print(f"seed {seed}: {budget} attacks, {holes} holes")
    sys.exit(1 if holes else 0)


if __name__ == "__main__":
    attacks(prog_name="python -m tests.attacks")
