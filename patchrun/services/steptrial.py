"""Train one slot of a track whose evidence is the model for a few steps only: its step times, never a score."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from patchrun.adapters import leavings, machine, sandbox
from patchrun.adapters.child import Stopped
from patchrun.core.results import Run
from patchrun.core.steplines import StepLine
from patchrun.services.runner import Event, SlotRequest, make_run
from patchrun.services.training import Plan, Training


def train_steps(
    request: SlotRequest,
    limit: int,
    on_event: Callable[[Event], None] = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[Run, bytes]:
    """Train until the line of step ``limit``; the run, with its curve and without seconds or loss, and its output.

    The script is told where to stop (``PATCHRUN_STEPS``) and is ended there if it goes on.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    place, box = request.scratch / request.slot.name, sandbox.resolve(request.sandbox)
    leavings.remove(place)
    data = request.corpus.train_dir if request.corpus else None
    plan = Plan(request.track, request.code_dir, data, place, request.slot.seed, box, request.cpu, limit, True,
                request.python)  # fmt: skip
    reached = False

    def see(line: StepLine, at: float) -> None:
        nonlocal reached
        reached = reached or line.step >= limit
        on_event(Event("training", line.step, limit, line.loss, at))

    on_event(Event("starting"))
    facts: dict[str, object] = {"exit": "ok", "reason": f"stopped after step {limit}"}
    with Training(plan, lambda: reached or stop()) as training:
        versions = training.await_ready()
        try:
            trained = training.train(see)
            if not reached:
                said = trained.reason or f"it ended before step {limit}"
                facts = {"exit": "failed" if trained.exit == "ok" else trained.exit, "reason": said}
        except Stopped:
            if not reached:
                facts = {"exit": "interrupted", "reason": "stopped on request"}
    on_event(Event("done"))
    facts |= {"started": started, "curve": training.log.curve()}
    return make_run(request, box, machine.describe(**versions), facts), training.log.text()
