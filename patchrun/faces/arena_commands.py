"""Commands about the arena itself: init, records, checkout, hint, sync, verify, doctor, gc."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from patchrun.core.selection import Span
from patchrun.faces import cells
from patchrun.faces.options import (
    SpanType,
    TiersType,
    echo_json,
    find_ground,
    format_option,
    onto_option,
    open_arena,
)
from patchrun.faces.plain_text import echo_plain


@click.command("init")
@click.argument("target", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--track", default="pocket", show_default=True, help="pocket, nanogpt, or a track's folder.")
@click.option("--upstream", metavar="PATH_OR_URL", help="A clone of the repository that the ladder names.")
@click.option("--shared", is_flag=True, help="An arena that others push to: creates only.")
@click.option("--no-data", is_flag=True, help="Do not fetch the data now.")
@format_option("text", "json")
def init_command(
    target: Path, track: str, upstream: str | None, shared: bool, no_data: bool, form: str
) -> int:
    """Make an arena in DIR: track files, baselines and human patches, data checked by digest."""
    from patchrun.adapters.store import Arena
    from patchrun.services import importer, study

    made = importer.init(target, track, upstream, shared)
    if not no_data and (spec := Arena.open(target).track.data).source != "shards":
        click.echo(f"data: {spec.package or spec.folder} {spec.version}", err=True)
        study.prepare_data(Arena.open(target))
    if form == "json":
        absent = {str(number): reason for number, reason in made.absent.items()}
        echo_json({"path": str(made.path), "track": made.track, "baselines": made.baselines, "humans": made.humans,
                   "absent": absent})  # fmt: skip
        return 0
    click.echo(
        f"arena {made.path}: track {made.track}, {made.baselines} baselines, {made.humans} human patches"
    )
    for number, reason in made.absent.items():
        echo_plain(f"  record {number} has no baseline: {reason}")
    return 0


@click.command("checkout")
@click.argument("span", metavar="N", type=SpanType())
@click.argument("target", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--hint-tier", "tiers", type=TiersType(), default=(), help="1,2,3; 0 is none.")
@onto_option
@format_option("text", "json")
@click.pass_obj
def checkout_command(
    named: str | None, span: Span, target: Path, tiers: tuple[int, ...], onto: str, form: str
) -> int:
    """A history-free copy of baseline N for an agent, rules and hints beside it."""
    from patchrun.services import checkout

    arena = open_arena(named)
    arena.ladder.get(span.last)
    ground = find_ground(arena, span, None, onto)
    checkout.checkout(arena, span, target, tiers, ground)
    if form == "json":
        base = ground.onto.id if ground and ground.onto else None
        echo_json({"record": span.to_json(), "path": str(target), "hint_tiers": list(tiers), "onto": base})
    else:
        what = f"submission {ground.onto.id}" if ground and ground.onto else f"baseline {span.first}"
        echo_plain(f"{what} of track {arena.track.name} is in {target}; read {target / 'TASK.md'}")
    return 0


@click.command("hint")
@click.argument("span", metavar="N", type=SpanType())
@click.option("--hint-tier", "tiers", type=TiersType(), required=True, help="1,2,3.")
@format_option("text", "json")
@click.pass_obj
def hint_command(named: str | None, span: Span, tiers: tuple[int, ...], form: str) -> int:
    """The hint text."""
    from patchrun.services import hints

    arena = open_arena(named)
    arena.ladder.get(span.last)
    texts = hints.read(arena.track.name, span, tiers)
    if form == "json":
        echo_json({"record": span.to_json(), "hints": texts})
    else:
        echo_plain("\n".join(texts.values()))
    return 0


@click.command("sync")
@click.argument("remote")
@click.option("--receive-only", is_flag=True, help="Fetch and keep what is new; send nothing.")
@format_option("text", "json")
@click.pass_obj
def sync_command(named: str | None, remote: str, receive_only: bool, form: str) -> int:
    """Exchange results with another arena; nothing is ever overwritten."""
    from patchrun.services import sync

    found = sync.sync(open_arena(named), remote, send=not receive_only)
    if form == "json":
        echo_json({
            "received": found.received, "sent": found.sent, "conflicts": found.conflicts, "notes": found.notes,
            "waiting": found.waiting,
        })  # fmt: skip
    else:
        click.echo(
            f"received {len(found.received)}, sent {len(found.sent)}, conflicts {len(found.conflicts)}"
        )
        for name in found.conflicts:
            echo_plain(f"  both sides hold {name}, with different content; each keeps its own")
        for note in found.notes:
            echo_plain(f"  {note}")
        if found.waiting:
            echo_plain(f"  {found.waiting} results wait: one sync takes so many; sync again")
    return 1 if found.conflicts else 0


@click.command("verify")
@click.option(
    "--upstream", metavar="PATH_OR_URL", help="Also compare every baseline, patch and log with a clone."
)
@format_option("text", "json")
@click.pass_obj
def verify_command(named: str | None, upstream: str | None, form: str) -> int:
    """Is the arena whole: objects, ids, names, stale locks."""
    from patchrun.services import upstream_check, verify

    arena = open_arena(named)
    report = verify.verify(arena)
    against = upstream_check.verify_upstream(arena, upstream) if upstream else None
    problems = report.problems + (against.problems if against else ())
    if form == "json":
        compared = asdict(against) if against else None
        echo_json({"refs": report.refs, "problems": problems, "notes": report.notes, "upstream": compared})
        return 1 if problems else 0
    for problem in problems:
        echo_plain(problem)
    for note in report.notes:
        echo_plain(f"note: {note}")
    if against:
        click.echo(f"against the clone: {against.baselines} baselines and {against.humans} human patches, "
                   f"{against.files} files; {against.patches.exact} of {against.patches.pairs} human patches give "
                   f"their tree exactly ({against.patches.empty} empty); {against.logs} logs read, "
                   f"{against.unread} not, {against.absent} absent; "
                   f"{against.arrivals.replayed} replayed by the clock, "
                   f"{len(against.arrivals.refused)} refused")  # fmt: skip
    click.echo(f"{report.refs} refs, {len(problems)} problems")
    return 1 if problems else 0


@click.command("doctor")
@click.option("--record", "span", type=SpanType(), help="Also what this record needs.")
@click.option("--mend", is_flag=True, help="Remove stale locks and leftovers of dead processes.")
@click.option("--build", is_flag=True, help="Make the environment of the record's own packages, with uv.")
@format_option("text", "json")
@click.pass_obj
def doctor_command(named: str | None, span: Span | None, mend: bool, build: bool, form: str) -> int:
    """Is this machine fit: git, torch, clock, sandbox, data, disk, locks."""
    from patchrun.services import doctor

    checks = doctor.examine(open_arena(named), span, mend=mend, build=build)
    if form == "json":
        echo_json({"checks": [check.to_json() for check in checks]})
    else:
        echo_plain(
            cells.table([(check.name, check.state, check.seen) for check in checks], ("what", "", "seen"))
        )
        for check in checks:
            if check.hint:
                echo_plain(f"{check.name}: {check.hint}")
    return 2 if any(check.state == "bad" for check in checks) else 0


@click.command("gc")
@format_option("text", "json")
@click.pass_obj
def gc_command(named: str | None, form: str) -> int:
    """Pack the arena and delete leftovers; no result is removed."""
    from patchrun.services import doctor

    arena = open_arena(named)
    before, after = doctor.pack(arena)
    if form == "json":
        echo_json({"bytes_before": before, "bytes_after": after})
    else:
        click.echo(f"{arena.repo.path}: {before / 1e6:.1f} MB before, {after / 1e6:.1f} MB after")
    return 0
