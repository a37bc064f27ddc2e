"""The command line: names, options and exit codes; the work is done by the services.

Exit codes: 0 fine (a submission: valid or pending); 1 the patch or result did not pass; 2 wrong usage, manifest
or environment; 3 our bug (the log is named); 130 interrupted.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from patchrun import __version__
from patchrun.core.errors import PatchrunError
from patchrun.faces.plain_text import echo_plain

ROOMS = {
    "patchrun.faces.agent_commands": ("agent",),
    "patchrun.faces.arena_commands": ("init", "checkout", "hint", "sync", "verify", "doctor", "gc"),
    "patchrun.faces.hint_commands": ("hints",),
    "patchrun.faces.history_commands": ("history", "classify"),
    "patchrun.faces.key_commands": ("keys",),
    "patchrun.faces.ladder_commands": ("records", "ingest", "control"),
    "patchrun.faces.submission_commands": (
        "validate", "submit", "run", "rerun", "withdraw", "disqualify",
    ),
    "patchrun.faces.queue_commands": ("status", "cancel", "tasks", "block"),
    "patchrun.faces.calibration_commands": ("calibrate",),
    "patchrun.faces.final_commands": ("final",),
    "patchrun.faces.report_commands": ("report", "export"),
    "patchrun.faces.statistics_commands": ("fsr", "simulate"),
    "patchrun.faces.tournament_commands": ("tournament",),
    "patchrun.faces.ablation_commands": ("ablate",),
    "patchrun.faces.view_commands": ("leaderboard", "versus", "frontier"),
    "patchrun.faces.inspect_commands": ("show", "diff", "log"),
}  # fmt: skip
HOME = {command: room for room, commands in ROOMS.items() for command in commands}


class LazyGroup(click.Group):
    """Finds each command in its room, and imports the room only when the command is used."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(HOME)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in HOME:
            return None
        return getattr(importlib.import_module(HOME[name]), f"{name}_command")


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option("-C", "arena", metavar="DIR", help="The arena (else PATCHRUN_ARENA, else sought upward).")
@click.version_option(__version__, prog_name="patchrun")
@click.pass_context
def cli(context: click.Context, arena: str | None) -> None:
    """A git-native diff tournament for AI agents' patches to training code.

    \b
        patchrun init arena --track pocket
        patchrun -C arena submit agent.diff --record 5 --agent me
        patchrun -C arena leaderboard
    """
    context.obj = arena or os.environ.get("PATCHRUN_ARENA")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # `nohup patchrun &` starts with it ignored
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads wait on each other on a busy machine
    outcome = run(arguments)
    gc.freeze()  # leaving looks for cycles among all objects, which takes as long as validating
    sys.exit(outcome)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; its exit code."""
    try:
        outcome = cli.main(arguments, prog_name="patchrun", standalone_mode=False)
        return outcome if isinstance(outcome, int) else 0
    except PatchrunError as error:
        echo_plain(f"patchrun: {error}", err=True)
        _echo_error(arguments, error.code, error.message, error.hint)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        _echo_error(arguments, "usage", error.format_message(), "patchrun --help")
        return 2
    except (KeyboardInterrupt, click.Abort):
        click.echo(
            "patchrun: interrupted; finished runs are kept, `patchrun run --pending` goes on", err=True
        )
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:  # noqa: BLE001 - whatever is left is our bug, and the user gets a file to send
        click.echo(f"patchrun: this is a bug in patchrun; the details are in {_write_crash()}", err=True)
        return 3


def _echo_error(arguments: Sequence[str] | None, code: str, message: str, hint: str) -> None:
    """The error as a JSON document on standard output, where JSON was asked for."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    asked = any(pair == ("--format", "json") for pair in zip(words, words[1:], strict=False))
    if asked or "--format=json" in words:
        from patchrun.faces.options import echo_json

        echo_json({"error": {"code": code, "message": message, "hint": hint}})


def _write_crash() -> Path:
    import tempfile
    import traceback

    handle, name = tempfile.mkstemp(prefix="patchrun-crash-", suffix=".log")
    with os.fdopen(handle, "w") as file:
        file.write(f"patchrun {__version__}\n{sys.argv}\n{traceback.format_exc()}")
    return Path(name)
