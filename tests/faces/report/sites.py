"""Arenas to make sites of: a small crowd, and strangers who write markup wherever they may."""

from __future__ import annotations

from msgspec.structs import replace

from patchrun.adapters.store import ATTEMPTS, Arena
from patchrun.core import results
from patchrun.core.findings import Finding
from patchrun.core.results import Attempt
from tests.conftest import change
from tests.crowd import gather_crowd, store

GOOD = change("STEPS = 100", "STEPS = 60", 2)
EVIL_NAME = "<script>document.title='pwned'</script>\"><img src=x onerror=alert(1)>"
EVIL_PATH = "<script>alert(2)</script>.py"
EVIL_LINE = "</td></table><script>document.title='pwned'</script><a href=javascript:alert(3)>x</a>"
EVIL_DIFF = (
    f"diff --git a/{EVIL_PATH} b/{EVIL_PATH}\n--- a/{EVIL_PATH}\n+++ b/{EVIL_PATH}\n@@ -1,1 +1,3 @@\n"
    f' <b>x</b>\n+{EVIL_LINE}\n+"""\'\u202eback\u0007 <!-- {{{{ 7*7 }}}}\n'
).encode()


def make_crowd(arena: Arena, attempts: int = 40, agents: int = 6) -> list[Attempt]:
    """Two records' worth of attempts."""
    second = change("STEPS = 100", "STEPS = 70", 2).replace(b" RATE = 1", b" RATE = 2")
    return gather_crowd(arena, GOOD, attempts, agents) + gather_crowd(
        arena, second, attempts // 2, agents, record=2
    )


def add_stranger(arena: Arena, model: Attempt, diff: bytes = EVIL_DIFF, **changes: object) -> Attempt:
    """An attempt as a hostile arena would hand it over: stored without a look at it."""
    note = Finding(code="PR201", severity="error", message=EVIL_LINE, path=EVIL_PATH, line=2, hint=EVIL_LINE)
    values = {"id": "e" * 20, "agent": EVIL_NAME, "accepted": False, "findings": (note,)} | changes
    stranger = replace(model, **values)
    name = stranger.id if stranger.id.isalnum() else "f" * 20
    store(arena, [(ATTEMPTS + name, {"attempt.json": results.encode(stranger), "patch.diff": diff})])
    return stranger
