"""What an agent may ask for while it works: findings on its diff so far, and the first steps of a real training."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from patchrun.adapters import leavings
from patchrun.adapters.corpus import Corpus
from patchrun.adapters.store import Arena
from patchrun.core.errors import PatchrunError
from patchrun.core.results import Arm, Run, Slot
from patchrun.core.steplines import parse_step_line
from patchrun.services import checkout, tournament
from patchrun.services.agents.protocol import Tools, Workspace
from patchrun.services.agents.workspace import MOST, read_diff
from patchrun.services.logslot import LogRequest, train_log_slot
from patchrun.services.readiness import prepare_site
from patchrun.services.runner import SlotRequest
from patchrun.services.steptrial import train_steps
from patchrun.services.validator import Validation

MOST_STEPS = 10_000
SHOWN_LINES = 100
LAST_BYTES = 3000  # of a failed try's output


class Bench:
    """The two tools of one workspace. ``close`` ends a try that is going on, and every later one at once.

    ``tries_seconds``: the wall time of tries so far.
    """

    def __init__(
        self,
        arena: Arena,
        workspace: Workspace,
        *,
        secrets: Sequence[str] = (),
        data: Corpus | None = None,
        sandbox: str = "default",
        wall_seconds: float | None = None,
    ) -> None:
        self.arena, self.workspace, self.secrets = arena, workspace, secrets
        self.data, self.sandbox = data, sandbox
        self.deadline = None if wall_seconds is None else time.monotonic() + wall_seconds
        self.closed, self.one_at_a_time = threading.Event(), threading.Lock()
        self.tries_seconds = 0.0

    def tools(self, tell: Callable[[str], None] = lambda line: None) -> Tools:
        return Tools(self.validate, self.try_steps, tell)

    def close(self) -> None:
        """Return once no try goes on."""
        self.closed.set()
        with self.one_at_a_time:
            return

    def validate(self) -> str:
        """The findings on what the workspace holds now."""
        try:
            diff, trouble = read_diff(self.arena, self.workspace.span, self.workspace.folder, self.secrets)
            if trouble or not diff:
                return trouble or "nothing differs from the baseline yet"
            return describe_findings(tournament.validate(self.arena, diff, self.workspace.span))
        except (PatchrunError, OSError) as error:
            return f"cannot validate here: {error}"

    def try_steps(self, count: int) -> str:
        """The loss lines of the first ``count`` steps, or how the run failed."""
        if not 1 <= count <= MOST_STEPS:
            return f"try 1 to {MOST_STEPS} steps, not {count}"
        with self.one_at_a_time, leavings.scratch("patchrun-try-") as scratch:
            began = time.monotonic()
            try:
                return describe_run(*self._train(count, scratch), count)
            except (PatchrunError, OSError, leavings.Refused) as error:
                return f"cannot try here: {error}"
            finally:
                self.tries_seconds += time.monotonic() - began

    def _train(self, count: int, scratch: Path) -> tuple[Run, bytes]:
        track, span = self.arena.track, self.workspace.span
        leavings.copy(self.workspace.folder, scratch / "code", MOST, checkout.is_kept)
        request = SlotRequest(
            track=track.at_record(span.last), arm=Arm(name="try", kind="submission", commit="", tree="", ast_digest=""),
            study="try", record=str(span), slot=Slot(0, 0, track.seeds.public[0]), code_dir=scratch / "code",
            corpus=self.data, scratch=scratch, cpu=None,
            sandbox=self.sandbox,
        )  # fmt: skip
        if track.launch.kind == "python":
            return train_steps(request, count, stop=self._is_over)
        site = prepare_site(self.arena, span)
        made = LogRequest(request, site, steps=count)
        return train_log_slot(made, stop=self._is_over)

    def _is_over(self) -> bool:
        return self.closed.is_set() or (self.deadline is not None and time.monotonic() > self.deadline)


def describe_findings(validation: Validation) -> str:
    """Whether the patch would be accepted, and a line for each finding, its hint below."""
    stats = validation.stats
    words = "accepted" if validation.accepted else "REJECTED"
    lines = [f"{words}: {stats.files} files, {stats.added} lines added, {stats.removed} removed"]
    for found in validation.findings:
        place = f"{found.path}:{found.line}" if found.line else found.path or "diff"
        lines.append(f"{found.severity} {found.code} {place}: {found.message}")
        lines += [f"    {found.hint}"] if found.hint else []
    return "\n".join(lines)


def describe_run(run: Run, log: bytes, count: int) -> str:
    """How a try ended and the step lines that it printed; of one that failed the end of its output too."""
    text = log.decode("utf-8", "replace")
    lines = [line for line in text.splitlines() if parse_step_line(line)]
    shown = (
        lines
        if len(lines) <= SHOWN_LINES
        else [*lines[: SHOWN_LINES // 2], "...", *lines[-SHOWN_LINES // 2 :]]
    )
    if run.exit == "ok":
        return "\n".join([f"ok: {count} steps on seed {run.seed}", *shown])
    return "\n".join([f"{run.exit}: {run.reason}", *shown, "the end of its output:", text[-LAST_BYTES:]])
