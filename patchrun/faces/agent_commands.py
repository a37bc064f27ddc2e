"""Commands that let an agent make patches, and show what it said and did."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from patchrun.core.errors import UsageError
from patchrun.core.selection import Span
from patchrun.faces.options import (
    SetType,
    SpanType,
    TiersType,
    about_one,
    echo_json,
    format_option,
    open_arena,
)
from patchrun.faces.plain_text import echo_plain

if TYPE_CHECKING:
    from patchrun.adapters.corpus import Corpus
    from patchrun.adapters.store import Arena
    from patchrun.services.agents.protocol import Agent
    from patchrun.services.agents.search import Order

KINDS = ("claude", "command", "replay", "human")
agent_options = (
    click.option("--agent", "kind", type=click.Choice(KINDS), required=True, help="What makes the patches."),
    click.option("--model", default="", help="The model: of claude, or of a command (for its label and cutoff)."),
    click.option("--command", "line", default="", metavar="'PROGRAM ...'", help="Shell, for --agent command."),
    click.option("--replay", "source", default="", metavar="DIR|ID|NAME", help="Recorded diffs, for --agent replay."),
    click.option("--pass-env", "passed", multiple=True, metavar="NAME", help="A variable that the command gets."),
    click.option("--network", is_flag=True, help="The command gets this machine's network."),
    click.option("--readable", multiple=True, type=click.Path(path_type=Path), metavar="DIR",
                 help="One more folder that the command sees, read-only."),
    click.option("--prices", type=click.Path(path_type=Path), help="Prices that come before those that ship."),
    click.option("--model-cutoff", type=click.DateTime(["%Y-%m-%d"]), help="Last day of its training data."),
)  # fmt: skip
order_options = (
    click.option("--records", type=SetType(), help="2-6,9: a search on each."),
    click.option("--record", "span", type=SpanType(), help="12, or a span 30..62."),
    click.option("--hint-tier", "tiers", type=TiersType(), default=(), help="Hints it gets: 1,3; 0 is none."),
    click.option("--attempts", type=click.IntRange(1, 1000), default=1, show_default=True, help="On each record."),
    click.option("--scaffold", type=click.Choice(["flat", "tree"]), default="flat", show_default=True,
                 help="flat: independent attempts. tree: mend what failed, else go on from the best so far."),
    click.option("--budget-usd", type=click.FloatRange(min=0, min_open=True), help="For all attempts together."),
    click.option("--budget-tokens", type=click.IntRange(min=1), help="For all attempts together."),
    click.option("--budget-wall", type=click.FloatRange(min=0, min_open=True), help="Seconds of the agent's, for all."),
    click.option("--attempt-wall", type=click.FloatRange(min=0, min_open=True), default=1800.0, show_default=True,
                 help="Seconds of the agent's, for one attempt."),
    click.option("--name", default="", help="The agent's name on the leaderboard (default: by what it is)."),
    click.option("--no-run", is_flag=True, help="Validate only; `patchrun run --pending` measures later."),
    click.option("--retry-failed", is_flag=True, help="Attempts that failed do not count: make them again."),
    click.option("--dry-run", is_flag=True, help="Print the plan; start nothing."),
    click.option("--jobs", type=int, default=1, show_default=True, help="Blocks at once, a CPU each."),
    click.option("--sandbox", type=click.Choice(["default", "bwrap", "seccomp", "none"]), default="default",
                 show_default=True, help="What goes around runs and commands; default is bwrap."),
)  # fmt: skip


@click.group("agent")
def agent_command() -> None:
    """Let an agent make patches under a budget, and read what it said and did."""


def with_options(command: Any) -> Any:
    """Add the options of ``agent run``."""
    for option in reversed(agent_options + order_options):
        command = option(command)
    return command


@agent_command.command("run")
@with_options
@format_option("text", "json")
@click.pass_obj
def run_command(named: str | None, form: str, dry_run: bool, **chosen: Any) -> int:
    """Make patches for records, measure them, and keep each with its transcript and cost.

    The plan comes first. Safe to repeat: a second start with the same agent, records, hints and scaffold goes on where
    the first one stopped. Keys come from the environment and are not stored.
    """
    from patchrun.faces import agent_view
    from patchrun.services.agents.plan import plan_order
    from patchrun.services.agents.search import check_order, run_order

    arena = open_arena(named)
    order = make_order(arena, **chosen)
    check_order(arena, order)
    plan = plan_order(arena, order)
    echo_plain(agent_view.plan_text(order, plan), err=form == "json")
    if dry_run:
        if form == "json":
            echo_json(plan.to_json())
        return 0
    notes = run_order(arena, order, agent_view.watcher())
    results = agent_view.gather(arena, order)
    if form == "json":
        echo_json(agent_view.order_document(arena, order, plan, results, notes))
    else:
        echo_plain(agent_view.order_text(arena, order, results, notes))
    return 0 if all(any(row.passes for row in rows) for rows in results.values()) else 1


def make_order(
    arena: Arena,
    *,
    records: tuple[int, ...] | None,
    span: Span | None,
    no_run: bool,
    jobs: int,
    sandbox: str,
    retry_failed: bool,
    kind: str,
    name: str,
    model: str,
    model_cutoff: datetime | None,
    budget_usd: float | None,
    budget_tokens: int | None,
    budget_wall: float | None,
    **rest: Any,
) -> Order:
    """The order that the options of ``agent run`` give; UsageError for options that do not fit together."""
    from patchrun.faces.how import How, measure
    from patchrun.services.agents.cutoffs import find_cutoff
    from patchrun.services.agents.protocol import Budget
    from patchrun.services.agents.search import Order
    from patchrun.services.agents.secrets import find_secrets
    from patchrun.services.study import prepare_data

    if bool(records) == bool(span):
        raise UsageError("which records?", "say --records 2-6,9 or --record 30..62")
    spans = (span,) if span else tuple(Span(number, number) for number in records or ())
    secrets = find_secrets(os.environ, rest["passed"])
    data = prepare_data(arena)
    own = {key: rest.pop(key) for key in ("line", "source", "passed", "network", "readable", "prices")}
    agent = make_agent(arena, kind, model, sandbox, data, secrets, **own)
    return Order(
        agent=agent, kind=kind, name=name or agent.name, spans=spans, secrets=secrets, data=data, sandbox=sandbox,
        budget=Budget(budget_wall, budget_usd, budget_tokens), again=retry_failed,
        cutoff=model_cutoff.date() if model_cutoff else find_cutoff(model),
        measure=None if no_run else lambda studies: measure(arena, studies, How(jobs=jobs, sandbox=sandbox)), **rest,
    )  # fmt: skip


def make_agent(
    arena: Arena,
    kind: str,
    model: str,
    sandbox: str,
    data: Corpus | None,
    secrets: tuple[str, ...],
    *,
    line: str,
    source: str,
    passed: tuple[str, ...],
    network: bool,
    readable: tuple[Path, ...],
    prices: Path | None,
) -> Agent:
    """The agent that the options name; options of another kind of agent are refused, not ignored."""
    from patchrun.adapters.homes import data_home
    from patchrun.services.agents import command, replay

    of_commands = {"--command": line, "--pass-env": passed, "--network": network, "--readable": readable}
    given = of_commands if kind != "command" else {}
    given |= {"--replay": source} if kind != "replay" else {}
    given |= {"--prices": prices, "--model": model and kind != "command"} if kind != "claude" else {}
    if wrong := [name for name, value in given.items() if value]:
        raise UsageError(
            f"{', '.join(wrong)}: not for --agent {kind}", "leave it out, or choose another kind of agent"
        )
    if kind == "command":
        name = f"command {line.split()[0]}" if line.split() else "command"
        return command.make_command_agent(
            line, os.environ, passed, readable, (arena.repo.path, data_home(), *hidden_folders()), network=network,
            name=name, model=model, secrets=secrets, data=data.train_dir if data else None, box=sandbox,
        )  # fmt: skip
    if kind == "replay":
        if not source:
            raise UsageError(
                "what is to be replayed?", "say --replay DIR, a transcript's id, or an agent's name"
            )
        return replay.read_recorded(arena, source)
    if kind == "human":
        return replay.HumanAgent(arena)
    return make_claude(model, prices)


def make_claude(model: str, prices: Path | None) -> Agent:
    """The agent that speaks the Messages API."""
    from patchrun.services.agents.claude import make_claude_agent

    if not model:
        raise UsageError("which model?", "say --model, as in --model claude-opus-5-5")
    return make_claude_agent(model, prices)


def hidden_folders() -> tuple[Path, ...]:
    """Where patchrun's own ladders, hints and validation texts lie."""
    from patchrun.adapters.homes import cache_home

    root = Path(__file__).parents[2]
    return tuple(path for path in (root / "baselines", root / "hint_tiers", cache_home()) if path.exists())


@agent_command.command("show")
@click.option("--full", is_flag=True, help="Every turn in full.")
@about_one("text", "json")
def show_command(named: str | None, name: str, full: bool, form: str) -> int:
    """A transcript by its id, or by that of its submission: what was said and done, what it cost, how it ended."""
    from patchrun.faces import agent_view

    arena = open_arena(named)
    found = arena.find_transcripts(name)
    if form == "json":
        documents = [agent_view.transcript_document(arena, one, turns=True) for one in found]
        echo_json(documents[0] if len(documents) == 1 else documents)
    else:
        echo_plain("\n\n".join(agent_view.transcript_text(arena, one, full) for one in found))
    return 0


@agent_command.command("list")
@format_option("text", "json")
@click.pass_obj
def list_command(named: str | None, form: str) -> int:
    """Every proposal of every agent: how it ended and what it cost."""
    from patchrun.faces import agent_view

    arena = open_arena(named)
    if form == "json":
        echo_json([agent_view.transcript_document(arena, one) for one in arena.transcripts()])
    else:
        echo_plain(agent_view.list_text(arena.transcripts()))
    return 0
