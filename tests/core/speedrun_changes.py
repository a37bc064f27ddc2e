"""Changes of the script in the shape of the real ladder's, and which of the shipped guards they break."""

from __future__ import annotations

import ast

from patchrun.core.guards import find_broken
from patchrun.core.track import Guard
from patchrun.services.importer import find_track, read_track
from tests.attacks.speedrun import SPEEDRUN

GUARDS = read_track(find_track("nanogpt")).track.at_record(60).edit.guards
BEFORE_CLOCK = "training_time_ms = 0\n"
END_OF_STEP = "    approx_training_time_ms = "
RETURN = "        return loss\n\n\nclass Muon"
TREE = ast.parse(SPEEDRUN)
Change = list[tuple[str, str]]


def at_top(code: str) -> Change:
    """Module level, before the model is made."""
    return [("\n\ndef get_window", f"\n\n{code}\n\n\ndef get_window")]


def in_step(code: str) -> Change:
    """At the end of a timed step."""
    return [(END_OF_STEP, "".join(f"    {line}\n" for line in code.splitlines()) + END_OF_STEP)]


def before_clock(code: str) -> Change:
    return [(BEFORE_CLOCK, f"{code}\n{BEFORE_CLOCK}")]


def before_return(code: str) -> Change:
    """In the model's forward, when the loss is there."""
    return [(RETURN, f"        {code}\n{RETURN}")]


def check(change: Change, guards: tuple[Guard, ...] = GUARDS) -> dict[str, str]:
    """The guards that a change breaks, by name, with their severities."""
    after = SPEEDRUN
    for old, new in change:
        assert old in after, old
        after = after.replace(old, new, 1)
    found = find_broken(guards, {"a.py": TREE}, {"a.py": ast.parse(after)})
    return {one.guard.name: one.guard.severity for one in found}


def guards_named(*names: str) -> tuple[Guard, ...]:
    return tuple(guard for guard in GUARDS if guard.name in names)
