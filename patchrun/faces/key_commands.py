"""Commands about who signs results, and whose signatures count."""

from __future__ import annotations

from pathlib import Path

import click

from patchrun.core.errors import UsageError
from patchrun.faces.options import current_user, echo_json, format_option, open_arena
from patchrun.faces.plain_text import echo_plain


@click.group("keys")
def keys_command() -> None:
    """Sign what you run, and say whose runs and rulings count.

    \b
        patchrun keys make ~/.ssh/patchrun         # once a machine; it prints the public key
        export PATCHRUN_SIGNING_KEY=~/.ssh/patchrun
        patchrun -C arena keys allow node1 node1.pub   # the owner: from now on only listed keys count
        patchrun -C arena keys vouch --all             # the owner: what was there before counts too
    """


@keys_command.command("make")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", default="patchrun", show_default=True, help="A comment inside the key.")
def make_command(path: Path, name: str) -> None:
    """Make an ssh key pair at PATH and print its public half."""
    from patchrun.adapters import signing

    click.echo(signing.make_key(path.expanduser(), name))
    click.echo(f"patchrun: export {signing.KEY_VARIABLE}={path} signs what is run from here", err=True)


@keys_command.command("allow")
@click.argument("name")
@click.argument("public_key", type=click.File())
@click.pass_obj
def allow_command(named: str | None, name: str, public_key: click.utils.LazyFile) -> None:
    """Put a public key on the owner's list of this arena, under NAME."""
    from patchrun.adapters import signing

    arena = open_arena(named)
    signing.allow(arena.identity, name, public_key.read())
    echo_plain(f"{name} counts; {_say_left_out(open_arena(named).left_out())}")


@keys_command.command("vouch")
@click.argument("ids", nargs=-1, metavar="[ID...]")
@click.option(
    "--all", "everything", is_flag=True, help="All that does not count now: attempts, runs, stops, rulings."
)
@click.pass_obj
def vouch_command(named: str | None, ids: tuple[str, ...], everything: bool) -> None:
    """Sign for attempts (or --all results) that no listed key signed, so that they count.

    \b
        patchrun keys vouch 3fa2           # an attempt of somebody who has no key
        patchrun keys vouch --all          # an arena from before keys were listed; verify it first
    """
    from patchrun.adapters.signed import ATTEMPTS, SIGNED
    from patchrun.services.tournament import now

    if bool(ids) == everything:
        raise UsageError("vouch for what?", "name attempts by their ids, or say --all")
    arena = open_arena(named)
    wanted = {ATTEMPTS + arena.attempt(name).id for name in ids}
    unsigned = arena.list_unsigned((ATTEMPTS, *SIGNED) if everything else (ATTEMPTS,))
    refs = {name: commit for name, commit in unsigned.items() if everything or name in wanted}
    arena.vouch(refs, current_user(), now())
    left = sum(name in arena.list_unsigned((ATTEMPTS, *SIGNED)) for name in refs)
    why = f"; {left} do not: your key is not listed, or their slots are taken" if left else ""
    echo_plain(f"{len(refs) - left} results count now{why}")


@keys_command.command("list")
@format_option("text", "json")
@click.pass_obj
def list_command(named: str | None, form: str) -> None:
    """The keys whose results count in this arena."""
    from patchrun.adapters import signing

    arena = open_arena(named)
    names = [line.split(" ", 1)[0] for line in signing.listed(arena.identity)]
    if form == "json":
        file = str(signing.signers_file(arena.identity))
        echo_json({"names": names, "file": file, "left_out": arena.left_out()})
    elif names:
        echo_plain("\n".join(names) + f"\n{_say_left_out(arena.left_out())}")
    else:
        click.echo("no list: every result counts, signed or not")


def _say_left_out(count: int) -> str:
    return f"{count} results that no listed key signed do not count"
