"""Agents' plans, live progress, results and transcripts, as text and as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from patchrun.core.runlog import printable
from patchrun.core.usage import say_cost
from patchrun.faces import cells
from patchrun.faces.plain_text import echo_plain

if TYPE_CHECKING:
    from patchrun.adapters.store import Arena
    from patchrun.core.search import Step
    from patchrun.core.selection import Span
    from patchrun.core.transcripts import Spent, Transcript
    from patchrun.services.agents.plan import OrderPlan
    from patchrun.services.agents.search import Order, Watcher
    from patchrun.services.tournament import Scored

SHOWN = 1500  # characters of a turn, unless all is asked for


@dataclass(frozen=True)
class Result:
    """One attempt of an order, and what was measured of its submission (None: nothing was handed in)."""

    transcript: Transcript
    scored: Scored | None
    best: bool

    @property
    def passes(self) -> bool:
        """Its submission is valid, or waits to be measured."""
        found = self.scored
        return found is not None and found.attempt.accepted and found.score.verdict in (None, "valid")

    @property
    def verdict(self) -> str:
        return (self.scored.score.verdict or self.scored.score.state) if self.scored else "-"


def plan_text(order: Order, plan: OrderPlan) -> str:
    """What will be done, what it may cost, and what of that is not known before."""
    tiers = ", ".join(map(str, order.tiers)) or "none"
    lines = [
        f"{order.name}: {order.kind}{f' {order.agent.model}' if order.agent.model else ''}, hints {tiers}, "
        f"{order.attempts} attempt{'s' if order.attempts != 1 else ''} a record, scaffold {order.scaffold}.",
        cells.table(
            [
                (s.record, s.done, s.todo, s.studies, s.runs, cells.number(s.wall_seconds, ".0f", "unknown"),
                 cells.number(s.gpu_hours, ".2f", "unknown"))
                for s in plan.searches
            ],
            ("record", "made", "to make", "studies", "runs", "measuring, wall s", "GPU-hours"), align="rrrrrrr",
        ),
    ]  # fmt: skip
    lines += [f"record {s.record} cannot be scored here: {s.obstacle}" for s in plan.searches if s.obstacle]
    lines.append(_ceiling(order, plan))
    return "\n".join(lines)


def _ceiling(order: Order, plan: OrderPlan) -> str:
    """Expected cost where earlier proposals tell, and the most that the budget lets happen."""
    budget, todo = order.budget, plan.todo
    walls = [wall for wall in (budget.wall_seconds, _times(order.attempt_wall, todo)) if wall is not None]
    most = [
        "USD without limit" if budget.usd is None else f"${budget.usd:.2f}",
        "tokens without limit" if budget.tokens is None else f"{budget.tokens} tokens",
        f"{min(walls):.0f} s of the agent's wall time" if walls else "wall time without limit",
    ]
    if order.kind in ("human", "replay"):
        most = ["nothing but time"]
    if order.kind == "command":
        most = ["what the command spends is not known to patchrun", most[2]]
    expected = "Expected cost of the proposals: unknown before the first one"
    if plan.known:
        each = (
            ("USD", plan.usd_each, ".4f"),
            ("tokens", plan.tokens_each, ".0f"),
            ("s", plan.wall_each, ".1f"),
        )
        said = [f"{value * todo:{form}} {unit}" for unit, value, form in each if value is not None]
        expected = f"Expected cost of {todo} proposals, by the {plan.known} made so far: {', '.join(said)}"
    used = f" Used by its earlier starts: {spent_words(plan.spent)}." if plan.spent.proposals else ""
    return f"{expected}. At most, all together: {', '.join(most)}; even shares.{used}"


def _times(seconds: float | None, count: int) -> float | None:
    return None if seconds is None else seconds * count


def spent_words(spent: Spent) -> str:
    """What was used, in a line; what is not known is said to be so."""
    tokens = "tokens unknown" if spent.tokens is None else f"{spent.tokens} tokens"
    return f"{tokens}, cost {say_cost(spent.usd)}, {spent.wall_seconds:.1f} s of the agent"


def watcher() -> Watcher:
    """A line for each attempt on standard error; on a terminal also what the agent does at the moment."""
    from patchrun.services.agents.search import Watcher

    return Watcher(_watch_attempt, lambda one: echo_plain(attempt_line(one), err=True))


@contextmanager
def _watch_attempt(span: Span, number: int, step: Step) -> Iterator[Callable[[str], None]]:
    start = "" if step.base is None else f" from attempt {step.base}"
    title = f"record {span} attempt {number}: {step.task}{start}"
    if not sys.stderr.isatty():
        echo_plain(title, err=True)
        yield lambda line: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(title, total=None, note="")
        yield lambda line: bars.update(task, note=printable(line, 80))


def attempt_line(one: Transcript) -> str:
    """How a proposal ended, in one line."""
    cost = "" if one.usd is None else f", {say_cost(one.usd)}"
    tokens = "" if one.usage is None else f", {one.usage.total} tokens"
    handed = f" -> {one.submission[:12]}" if one.submission else ""
    words = f": {one.trouble or one.reason}" if one.trouble or one.reason else ""
    return (
        f"record {one.record} attempt {one.number}: {one.outcome} in {one.wall_seconds:.1f} s{tokens}{cost}"
        f"{handed}{words}"
    )


def gather(arena: Arena, order: Order) -> dict[str, list[Result]]:
    """Record -> the attempts of its search with what was measured."""
    from patchrun.services import tournament
    from patchrun.services.agents.search import find_best_attempt, read_search

    scores = {one.attempt.id: one for one in tournament.assess(arena)}
    found = {}
    for span in order.spans:
        best = find_best_attempt(arena, order, span)
        found[str(span)] = [
            Result(one, scores.get(one.submission), best is not None and one.id == best.id)
            for one in read_search(arena, order, span)
        ]
    return found


def order_text(
    arena: Arena, order: Order, results: Mapping[str, Sequence[Result]], notes: Sequence[str]
) -> str:
    """A line an attempt, the best of each search marked, then what it all cost."""
    from patchrun.services import standings, tournament
    from patchrun.services.agents.search import spent_so_far

    rows = [row for own in results.values() for row in own]
    parts = [_result_table(rows), f"Used: {spent_words(spent_so_far(arena, order))}."]
    parts += [f"Note: {note}." for note in notes]
    measured = [row for row in rows if row.best and row.scored and row.scored.score.n_blocks]
    if order.attempts > 1 and (best := [row.transcript.submission[:12] for row in measured]):
        parts.append(
            "* the best of its search as measured. `patchrun leaderboard --pick best` shows a best attempt only after "
            f"it was measured again: patchrun rerun {' / '.join(best)}"
        )
    everything = tournament.assess(arena)
    chosen = [one.scored for one in rows if one.scored]
    return "\n".join([*parts, standings.rank_lines(everything, chosen)]).rstrip()


def _result_table(rows: Sequence[Result]) -> str:
    table = [
        (
            row.transcript.record, f"{row.transcript.number}{'*' if row.best else ''}", _task(row.transcript),
            row.transcript.outcome, row.transcript.submission[:12] or "-", row.verdict,
            cells.number(row.scored.score.fsr if row.scored else None), *_cost_cells(row.transcript),
        )
        for row in rows
    ]  # fmt: skip
    headers = (
        "record",
        "attempt",
        "task",
        "outcome",
        "submission",
        "verdict",
        "FSR",
        "tokens",
        "USD",
        "agent s",
    )
    return cells.table(table, headers, align="rrllllrrrr")


def _cost_cells(one: Transcript) -> tuple[str, str, str]:
    """Tokens, USD and seconds of the agent."""
    tokens = str(one.usage.total) if one.usage else cells.NOTHING
    return tokens, cells.number(one.usd, ".4f"), f"{one.wall_seconds:.1f}"


def _task(one: Transcript) -> str:
    return one.task if one.base is None else f"{one.task} {one.base}"


def order_document(
    arena: Arena, order: Order, plan: OrderPlan, results: Mapping[str, Sequence[Result]], notes: Sequence[str]
) -> dict[str, Any]:
    """The outcome of ``agent run`` as JSON."""
    import msgspec

    from patchrun.services.agents.search import spent_so_far

    rows = [row for own in results.values() for row in own]
    return {
        "track": arena.track.name,
        "agent": order.name,
        "kind": order.kind,
        "model": order.agent.model or None,
        "hint_tiers": list(order.tiers),
        "scaffold": order.scaffold,
        "plan": plan.to_json(),
        "attempts": [_result_document(arena, row) for row in rows],
        "spent": msgspec.to_builtins(spent_so_far(arena, order)),
        "notes": list(notes),
    }


def _result_document(arena: Arena, row: Result) -> dict[str, Any]:
    score = row.scored.score if row.scored else None
    return transcript_document(arena, row.transcript) | {
        "accepted": row.scored.attempt.accepted if row.scored else None,
        "verdict": score.verdict if score else None,
        "state": score.state if score else None,
        "fsr": score.fsr if score else None,
        "best": row.best,
    }


def transcript_document(arena: Arena, one: Transcript, turns: bool = False) -> dict[str, Any]:
    """A transcript as JSON, with ``turns`` what was said and done and the diff."""
    import msgspec

    document = msgspec.to_builtins(one)
    document |= {"tokens": one.usage.total if one.usage else None, "submission": one.submission or None}
    if turns:
        diff = arena.transcript_diff(one.id).decode("utf-8", "replace")
        document |= {"turns": arena.turns(one.id), "diff": diff}
    return document


def list_text(transcripts: Sequence[Transcript]) -> str:
    """One line a proposal."""
    if not transcripts:
        return "no proposals yet"
    table = [
        (
            one.id[:12], one.agent, one.record, one.number, ",".join(map(str, one.hint_tiers)) or "0",
            one.scaffold, _task(one), one.outcome, one.submission[:12] or "-", *_cost_cells(one),
        )
        for one in transcripts
    ]  # fmt: skip
    headers = ("id", "agent", "record", "attempt", "hints", "scaffold", "task", "outcome", "submission", "tokens",
               "USD", "agent s")  # fmt: skip
    return cells.table(table, headers, align="llrrlllllrrr")


def transcript_text(arena: Arena, one: Transcript, full: bool) -> str:
    """A transcript for people: the facts, then each turn under its role, long ones cut unless ``full``."""
    known = None if one.usage is None else one.usage
    tokens = f"{known.total} tokens (input {known.input}, cached {known.cache_read}, to cache {known.cache_write}, " \
             f"output {known.output})" if known else "tokens unknown"  # fmt: skip
    facts = [
        ("transcript", one.id), ("of", f"record {one.record}, agent {one.agent}, attempt {one.number}, {_task(one)}"),
        ("made by", " ".join(filter(None, (one.kind, one.model))) + f", scaffold {one.scaffold}"),
        ("hint tiers", ", ".join(map(str, one.hint_tiers)) or "none"), ("outcome", f"{one.outcome}: {one.reason}"),
        ("handed in", one.submission or f"nothing{f': {one.trouble}' if one.trouble else ''}"),
        ("cost", f"{tokens}, {say_cost(one.usd)}, {one.wall_seconds:.1f} s, {one.tries_seconds:.1f} s of it tries"),
        ("model cutoff", str(one.cutoff or "unknown")), ("made", one.created),
    ]  # fmt: skip
    parts = [cells.table(facts, style="plain")]
    parts += [_turn_text(turn, full) for turn in arena.turns(one.id)]
    return "\n\n".join(parts)


def _turn_text(turn: Mapping[str, Any], full: bool) -> str:
    """One turn: its role, and each of its other keys; control characters are shown as spaces."""
    lines = [f"== {turn.get('role', 'turn')}"]
    for key, value in turn.items():
        if key == "role":
            continue
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
        cut = "" if full or len(text) <= SHOWN else f"\n[{len(text) - SHOWN} characters more: --full]"
        shown = "\n".join(printable(line, 10**9) for line in (text if not cut else text[:SHOWN]).split("\n"))
        lines.append(f"{key}: {shown}{cut}" if "\n" not in shown else f"{key}:\n{shown.rstrip()}{cut}")
    return "\n".join(lines)
