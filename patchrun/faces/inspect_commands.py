"""Commands that look into one submission: show, diff, log."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from patchrun.core.errors import UsageError
from patchrun.faces.options import about_one, echo_json, open_arena
from patchrun.faces.plain_text import decode_spelled, echo_plain

if TYPE_CHECKING:
    from patchrun.adapters.store import Arena
    from patchrun.core.ablation import Ablation
    from patchrun.core.logscore import LogScore
    from patchrun.core.results import Attempt
    from patchrun.services.tournament import Scored


@click.command("show")
@about_one("text", "json")
def show_command(named: str | None, name: str, form: str) -> int:
    """One submission: its verdict and what that rests on, runs, loss curves, chain, labels, cost, ablation."""
    from patchrun.core.picks import count_attempts
    from patchrun.faces import tables
    from patchrun.services import ablation, chains, logbook

    arena = open_arena(named)
    chain = chains.list_chain(arena, arena.attempt(name).id)
    one = chain[-1]
    tried = count_attempts(arena.attempts())[one.attempt.agent, one.attempt.record]
    logs = logbook.score_from_logs(arena, one.attempt)
    found = ablation.read_ablation(arena, one.attempt)
    if form == "json":
        document = tables.show_document(one.attempt, one.score, one.runs, tried)
        if logs:
            document["time_source"] = document["time_source"] or logs.source
        echo_json(document | _more_documents(arena, chain, logs, found))
    else:
        parts = [*_describe(arena, one, tried), *_more_texts(arena, chain, logs, found)]
        echo_plain("\n\n".join(part for part in parts if part))
    return 0 if one.score.verdict in (None, "valid") else 1


def _more_documents(
    arena: Arena, chain: Sequence[Scored], logs: LogScore | None, found: Ablation | None
) -> dict[str, Any]:
    """What stands beside the keys of every submission; None where there is nothing."""
    from patchrun.faces import ablation_view, agent_view, chain_view, labels_view, logs_view, trust_view
    from patchrun.services import resemblance

    one = chain[-1]
    similar = resemblance.compare_with_human(arena, one.attempt)
    made = [each for each in arena.transcripts() if each.submission == one.attempt.id]
    return trust_view.trust_document(arena, one.attempt) | {
        "chain": chain_view.chain_document(chain),
        "similarity": asdict(similar) | {"high": similar.high} if similar else None,
        "labels": labels_view.label_documents(arena, one.attempt.id),
        "transcripts": [agent_view.transcript_document(arena, each) for each in made],
        "logs": logs_view.logs_document(logs) if logs else None,
        "ablation": ablation_view.ablation_document(found, one.score.fsr) if found else None,
    }


def _more_texts(
    arena: Arena, chain: Sequence[Scored], logs: LogScore | None, found: Ablation | None
) -> list[str]:
    from patchrun.faces import ablation_view, chain_view, labels_view, logs_view, trust_view

    one = chain[-1]
    return [
        trust_view.trust_text(arena, one.attempt),
        labels_view.labels_line(arena, one.attempt.id),
        chain_view.chain_text(chain) if len(chain) > 1 else "",
        logs_view.logs_text(logs) if logs else "",
        ablation_view.ablation_text(found, one.score.fsr) if found else "",
    ]


def _describe(arena: Arena, one: Scored, tried: int) -> list[str]:
    """The submission in tables, the evidence under its verdict, and the loss curves as wide as the terminal."""
    import shutil

    from patchrun.faces import cost_view, evidence_view, tables
    from patchrun.services import resemblance

    width = shutil.get_terminal_size((100, 24)).columns
    plain = "utf" not in (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    similar = resemblance.compare_with_human(arena, one.attempt)
    made = [each for each in arena.transcripts() if each.submission == one.attempt.id]
    day = arena.ladder.get(one.attempt.span.last).date
    more = cost_view.show_facts(similar, made, bool(one.attempt.hint_tiers), day)
    return [
        tables.show_text(one.attempt, one.score, one.runs, tried, more),
        evidence_view.evidence_text(arena.track, one.score, one.runs, one.probed),
        evidence_view.curves_text(one.runs, width, plain),
    ]


@click.command("diff")
@click.option("--raw", is_flag=True, help="As handed in, byte for byte, whatever is in it.")
@click.option("--against", metavar="human|ID", help="Compare with another patch to the same baseline.")
@about_one("text", "json")
def diff_command(named: str | None, name: str, raw: bool, against: str | None, form: str) -> int:
    """A submission's diff; on a terminal in colour, with findings and ablation beside the lines.

    Elsewhere it is the diff as handed in, characters that could steer a terminal spelled out.
    """
    arena = open_arena(named)
    attempt = arena.attempt(name)
    handed = arena.diff(attempt.id)
    if raw and (against or form == "json"):
        raise UsageError("--raw is the diff alone", "leave out --against and --format")
    if against:
        return _show_against(arena, attempt, against, form)
    if form == "json":
        echo_json({"id": attempt.id, "accepted": attempt.accepted, "diff": handed.decode("utf-8", "replace")})
    elif raw:
        sys.stdout.buffer.write(handed)
    elif sys.stdout.isatty():
        _print_coloured(arena, attempt, handed)
    else:
        echo_plain(decode_spelled(handed), end="")
    return 0


def _print_coloured(arena: Arena, attempt: Attempt, handed: bytes) -> None:
    """The diff of what the patch made; of a rejected one the diff as handed in, with what was found above it."""
    from rich.console import Console
    from rich.syntax import Syntax

    from patchrun.faces.diff_view import DiffView
    from patchrun.services import ablation, inspect

    console = Console(highlight=False, markup=False, emoji=False)
    if not attempt.accepted:
        parts = [*DiffView((), {}, attempt.findings).render(console.width)]
        parts.append(Syntax(decode_spelled(handed), "diff", theme="ansi_dark", background_color="default"))
    else:
        changed = inspect.read_changed(arena, attempt.baseline_commit, arena.submission(attempt.id))
        view = DiffView(
            changed.files, changed.hunks, attempt.findings, ablation.read_ablation(arena, attempt)
        )
        parts = [*view.render(console.width)]
    for part in parts:
        console.print(part)


def _show_against(arena: Arena, attempt: Attempt, other: str, form: str) -> int:
    from rich.console import Console

    from patchrun.faces import against_view
    from patchrun.services import inspect

    found, name = inspect.compare(arena, attempt, other)
    if form == "json":
        echo_json({"id": attempt.id, "against": against_view.against_document(found, name)})
        return 0
    console = Console(highlight=False, markup=False, emoji=False)
    for line in against_view.against_lines(found, f"{attempt.id[:12]} by {attempt.agent}", name):
        console.print(line, soft_wrap=True)
    return 0


@click.command("log")
@click.option("--arm", help="baseline, human or submission (default: all).")
@click.option("--block", type=click.IntRange(min=1), help="One block, counted from 1.")
@click.option("--slot", help="One slot by its name, as the headings show it: b0p2s1337.")
@about_one("text", "json")
def log_command(
    named: str | None, name: str, arm: str | None, block: int | None, slot: str | None, form: str
) -> int:
    """The logs of a submission's runs; characters that could steer a terminal are spelled out."""
    from patchrun.services import tournament

    arena = open_arena(named)
    runs = [
        run for run in tournament.stored_runs(arena, arena.attempt(name))
        if arm in (None, run.kind, run.arm) and block in (None, run.block + 1) and slot in (None, run.slot.name)
    ]  # fmt: skip
    if not runs:
        raise UsageError("no such run", "`patchrun show ID` lists the runs there are")
    if form == "json":
        echo_json(
            [
                {"arm": r.arm, "block": r.block, "seed": r.seed, "slot": r.slot.name, "exit": r.exit,
                 "log": arena.log(r).decode("utf-8", "replace")}
                for r in runs
            ]
        )  # fmt: skip
        return 0
    for run in runs:
        said = f"{run.exit} {run.reason}".rstrip()
        echo_plain(
            f"==> {run.kind} {run.arm}, block {run.block + 1}, seed {run.seed}, slot {run.slot.name}: {said}"
        )
        echo_plain(decode_spelled(arena.log(run)))
    return 0
